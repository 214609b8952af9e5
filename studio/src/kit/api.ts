// The server's answers as typed promises. An error of the server keeps its words; a lost connection is told, and what
// only reads is tried again until the server is back.

import { signal } from "@preact/signals";
import type { BonesOfPicture, Job, Measurements, Revision, Row, Scores, Session } from "./types";

export interface Trouble {
  code: string;
  message: string;
  found?: string | null;
  expected?: string | null;
  remedy?: string | null;
}

/** What the server refused, in its words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly trouble: Trouble,
    readonly body: unknown,
    /** Seconds after which to ask again, where the server said so. */
    readonly after: number | null = null,
  ) {
    super(trouble.message);
  }
}

/** The server did not answer. */
export class Lost extends Error {}

/** Whether the server answers; `retry` counts the tries since it last did. */
export const connection = signal<{ lost: boolean; retry: number }>({ lost: false, retry: 0 });

let csrf = "";
export const useCsrf = (value: string): void => {
  csrf = value;
};

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

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The server's error object, or one made of what came instead of it. */
export function troubleOf(status: number, text: string): Trouble {
  const body = parsed(text) as { error?: Trouble } | null;
  if (body?.error?.message) return body.error;
  return { code: "internal", message: `HTTP ${status}`, found: text.slice(0, 300) || null };
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

export interface Saving {
  revision: number;
  author: string;
  note: string;
  bones: { name: string; state: string; polygons: [number, number][][] }[];
}

export const api = {
  session: () => get<Session>("/api/session"),
  pictures: (asked: Record<string, string | number | boolean | null>, stop?: AbortSignal) =>
    get<{ total: number; rows: Row[] }>(`/api/pictures${query(asked)}`, stop),
  picture: (id: string) => get<Row>(picture(id)),
  thumb: (id: string) => `${picture(id)}/thumb`,
  image: (id: string) => `${picture(id)}/image`,
  bones: (id: string, source: string, simplify: number) =>
    get<BonesOfPicture>(`${picture(id)}/bones${query({ source, simplify: simplify || null })}`),
  save: (id: string, body: Saving) => send<{ revision: number }>("PUT", `${picture(id)}/bones`, body),
  history: (id: string) => get<Revision[]>(`${picture(id)}/history`),
  revision: (id: string, revision: number) => get<BonesOfPicture>(`${picture(id)}/history/${revision}`),
  scores: (id: string, source: string, against: string) =>
    get<Scores>(`${picture(id)}/scores${query({ source, against })}`),
  gradcam: async (id: string, bone: string, source: string): Promise<Blob> =>
    (await once(`${picture(id)}/gradcam${query({ bone, source })}`)).blob(),
  measurements: (id: string, source: string) => get<Measurements>(`${picture(id)}/measurements${query({ source })}`),
  doubtful: (after: string | null, source: string | null) =>
    get<{ id: string | null }>(`/api/doubtful${query({ after, source })}`),
  drop: (file: File) => {
    const form = new FormData();
    form.append("file", file, file.name);
    return send<{ id: string }>("POST", "/api/drop", form);
  },
  finetune: (epochs: number, name: string) => send<{ job: string | Job }>("POST", "/api/jobs/finetune", { epochs, name }),
  jobs: () => get<Job[] | { jobs: Job[] }>("/api/jobs"),
  job: (id: string) => get<Job>(`/api/jobs/${encodeURIComponent(id)}`),
  cancel: (id: string) => send<unknown>("POST", `/api/jobs/${encodeURIComponent(id)}/cancel`, {}),
};
