// The server of a studio as typed promises. An error of the server keeps its words; a lost connection is told, and what
// only reads is tried again until the server is back.

import { connection, Lost, parsed, Refused, troubleOf, type Api } from "./api";
import type { Job, Session } from "./types";

let csrf = "";

/** Seconds to wait before try number `n` (0, 1, ...): quick at first, never more than 10. */
export const pause = (n: number): number => Math.min(10, 0.5 * 2 ** n);

async function once(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    connection.value = { lost: true, retry: connection.value.retry + 1 };
    throw new Lost("the server does not answer");
  }
  if (connection.value.lost) connection.value = { lost: false, retry: 0 };
  if (answer.ok) return answer;
  const text = await answer.text();
  const after = Number(answer.headers.get("Retry-After") ?? NaN);
  throw new Refused(answer.status, troubleOf(answer.status, text), parsed(text), Number.isFinite(after) ? after : null);
}

async function get<T>(path: string, stop?: AbortSignal): Promise<T> {
  for (let n = 0; ; n++) {
    try {
      const answer = await once(path, { signal: stop ?? null });
      return (await answer.json()) as T;
    } catch (error) {
      // A busy server (429) says when to come again; a lost one is asked more and more rarely.
      const busy = error instanceof Refused && error.status === 429 && n < 20;
      if (!(error instanceof Lost) && !busy) throw error;
      const wait = busy ? (error.after ?? pause(n)) : pause(n);
      await new Promise((done) => setTimeout(done, 1000 * Math.min(30, wait)));
      if (stop?.aborted) throw error;
    }
  }
}

async function send<T>(method: string, path: string, body: unknown): Promise<T> {
  const form = body instanceof FormData;
  const headers: Record<string, string> = { "X-Ossa-Csrf": csrf };
  if (!form) headers["Content-Type"] = "application/json";
  const answer = await once(path, { method, headers, body: form ? body : JSON.stringify(body) });
  return (await answer.json()) as T;
}

/** `?a=b` of what is neither null nor empty. */
export function query(values: Record<string, string | number | boolean | null | undefined>): string {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) words.set(key, String(value));
  }
  const text = words.toString();
  return text ? `?${text}` : "";
}

const picture = (id: string): string => `/api/pictures/${encodeURIComponent(id)}`;

export const http: Api = {
  session: async () => {
    const found = await get<Session>("/api/session");
    csrf = found.csrf ?? ""; // a server that was started again has another one
    return found;
  },
  pictures: (asked, stop) => get(`/api/pictures${query(asked)}`, stop),
  picture: (id) => get(picture(id)),
  thumb: (id) => `${picture(id)}/thumb`,
  image: (id) => `${picture(id)}/image`,
  bones: (id, source, simplify) => get(`${picture(id)}/bones${query({ source, simplify: simplify || null })}`),
  history: (id) => get(`${picture(id)}/history`),
  revision: (id, revision) => get(`${picture(id)}/history/${revision}`),
  scores: (id, source, against) => get(`${picture(id)}/scores${query({ source, against })}`),
  gradcam: async (id, bone, source) => (await once(`${picture(id)}/gradcam${query({ bone, source })}`)).blob(),
  measurements: (id, source) => get(`${picture(id)}/measurements${query({ source })}`),
  doubtful: (after, source) => get(`/api/doubtful${query({ after, source })}`),
  write: {
    save: (id, body) => send("PUT", `${picture(id)}/bones`, body),
    drop: (file) => {
      const form = new FormData();
      form.append("file", file, file.name);
      return send("POST", "/api/drop", form);
    },
    finetune: (epochs, name, pictures) => send("POST", "/api/jobs/finetune", { epochs, name, pictures }),
    jobOptions: () => get("/api/jobs/options"),
    jobs: async () => {
      const answer = await get<Job[] | { jobs: Job[] }>("/api/jobs");
      return Array.isArray(answer) ? answer : answer.jobs;
    },
    jobLog: (id, from) => get(`/api/jobs/${encodeURIComponent(id)}/log?from=${from}`),
    cancel: (id) => send("POST", `/api/jobs/${encodeURIComponent(id)}/cancel`, {}),
    exports: () => get("/api/export"),
    export: (asked) => send("POST", "/api/export", asked),
    exportAt: (id) => `/api/export/${encodeURIComponent(id)}`,
    writeBack: () => send("POST", "/api/write-back", {}),
  },
};
