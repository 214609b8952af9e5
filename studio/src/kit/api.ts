// What the page asks, whoever answers: the server of a studio (http.ts), or the files beside a gallery
// (gallery/files.ts). What the answers hold stands in types.ts.

import { signal } from "@preact/signals";
import type {
  BonesOfPicture, Exports, Job, JobLog, JobOptions, Measurements, Revision, Row, Scores, Session, WrittenBack, WrittenExport,
} from "./types";

export interface Trouble {
  code: string;
  message: string;
  found?: string | null;
  expected?: string | null;
  remedy?: string | null;
}

/** What was refused, in the words of who refused it. */
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

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The error object of an answer, or one made of what came instead of it; status 0: the page's own words. */
export function troubleOf(status: number, text: string): Trouble {
  const body = parsed(text) as { error?: Trouble } | null;
  if (body?.error?.message) return body.error;
  if (!status) return { code: "page", message: text.slice(0, 300) };
  return { code: "internal", message: `HTTP ${status}`, found: text.slice(0, 300) || null };
}

export interface Saving {
  revision: number;
  author: string;
  note: string;
  bones: { name: string; state: string; polygons: [number, number][][] }[];
}

export interface ExportAsked {
  format: string | null;
  pictures: "corrected" | "all";
  images: boolean;
}

/** What a page that may write asks beyond looking. */
export interface Writing {
  save(id: string, body: Saving): Promise<{ revision: number }>;
  drop(file: File): Promise<{ id: string; ids?: string[] }>;
  finetune(epochs: number, name: string, pictures: "corrected" | "all"): Promise<{ job: string | Job }>;
  jobOptions(): Promise<JobOptions>;
  jobs(): Promise<Job[]>;
  jobLog(id: string, from: number): Promise<JobLog>;
  cancel(id: string): Promise<unknown>;
  exports(): Promise<Exports>;
  export(asked: ExportAsked): Promise<WrittenExport>;
  /** Where a browser fetches what was exported. */
  exportAt(id: string): string;
  writeBack(): Promise<WrittenBack>;
}

/** Promises are refused with `Refused`, or `Lost` where nobody answers. */
export interface Api {
  session(): Promise<Session>;
  pictures(asked: Record<string, string | number | boolean | null>, stop?: AbortSignal): Promise<{ total: number; rows: Row[] }>;
  picture(id: string): Promise<Row>;
  /** Address of the small picture. */
  thumb(id: string): string;
  /** What the film room (look/planes.ts) fetches the whole picture by. */
  image(id: string): string;
  bones(id: string, source: string, simplify: number): Promise<BonesOfPicture>;
  scores(id: string, source: string, against: string): Promise<Scores>;
  doubtful(after: string | null, source: string | null): Promise<{ id: string | null }>;
  history(id: string): Promise<Revision[]>;
  revision(id: string, revision: number): Promise<BonesOfPicture>;
  gradcam(id: string, bone: string, source: string): Promise<Blob>;
  measurements(id: string, source: string): Promise<Measurements>;
  /** Null where there is nobody to write for us. */
  write: Writing | null;
}

/** Who answers: set once by the page's first module. */
export let api: Api;
export const answerWith = (one: Api): void => {
  api = one;
};

/** What may be asked of somebody who writes; only pages whose session is writable come here. */
export function writing(): Writing {
  if (!api.write) throw new Error("nothing can be written here");
  return api.write;
}
