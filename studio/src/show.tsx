import { render } from "preact";
import { App } from "./App";
import { listen } from "./kit/keys";
import { followAddress } from "./kit/route";
import "./style.css";

/** The page, once it is known who answers it. */
export function show(): void {
  followAddress();
  listen();
  render(<App />, document.getElementById("app")!);
}
