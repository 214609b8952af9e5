import { render } from "preact";
import { App } from "./App";
import { listen } from "./kit/keys";
import { followAddress } from "./kit/route";
import "./style.css";

followAddress();
listen();
render(<App />, document.getElementById("app")!);
