// A studio's page: a server answers, and pictures are read in a thread of their own.

import { answerWith } from "./kit/api";
import { http } from "./kit/http";
import { filmsFrom, warm } from "./look/film";
import type { Answer } from "./look/planes";
import { screen } from "./look/screen";

answerWith(http);
filmsFrom((answer) => {
  const worker = new Worker(new URL("./look/film.worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = (event: MessageEvent<Answer>) => answer(event.data);
  return (ask) => worker.postMessage(ask);
});
void import("./look/LookView").then((module) => (screen.value = module.LookView)).then(() => void warm());
