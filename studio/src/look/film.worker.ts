// The film room of a studio: a thread that fetches pictures from the server.

import { filmRoom, type Answer, type Ask } from "./planes";

const take = filmRoom(
  async (url) => {
    const got = await fetch(url);
    return got.ok ? got.blob() : { status: got.status, text: await got.text() };
  },
  (message: Answer, move: Transferable[] = []) => (self as unknown as Worker).postMessage(message, move),
);
self.onmessage = (event: MessageEvent<Ask>): void => take(event.data);
