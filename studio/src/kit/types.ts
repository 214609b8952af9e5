// What the server says, as docs/studio.md describes it. Coordinates are pixels of the original picture, x right, y
// down, an integer is a pixel's centre.

export type Language = "en" | "ko";
export type Said = Record<Language, string>;
export type Point = [number, number];
export type Ring = Point[];
export type State = "found" | "absent" | "not judged";

export interface BoneKind {
  name: string;
  group: string;
  row: string;
  colour: string;
  title: Said;
}

export interface Source {
  id: string;
  title: string;
  kind: "truth" | "predictions" | "csv" | "model" | "dropped";
}

export interface Session {
  version: string;
  notice: string | Said;
  model: { name: string; hash: string } | null;
  root: string | null;
  writable: boolean;
  languages: Language[];
  /** What writing has to carry; none where nothing is written. */
  csrf?: string;
  /** A heading in place of "ossa studio" and the folder. */
  title?: string;
  /** What nobody is there to answer. */
  lacks?: ("doubtful" | "gradcam" | "history" | "measurements")[];
  /** What pictures of the list may be scored against, where it is not simply every source. */
  against?: Source[];
  bones: BoneKind[];
  sources: Source[];
  folds: (string | number)[];
  sides: string[];
  flags: (string | { code: string; text: Said })[];
  flag_titles?: Record<string, Said>;
  /** What could not be used when the studio was started. */
  problems?: string[];
  indexing?: { done: number; total: number };
}

export interface Row {
  id: string;
  name: string;
  subject: string | null;
  side: string | null;
  fold: string | number | null;
  width: number | null;
  height: number | null;
  spacing_mm: number | null;
  score: number | null;
  confidence: number | null;
  flags: string[];
  corrected: boolean;
  pair: string | null;
  /** The other hands of the film it lies on, itself among them. */
  film?: { ids: string[]; number: number; of: number } | null;
  /** Why the picture cannot be shown. */
  error?: string;
  sources?: (string | Source)[];
}

export interface Flag {
  code: string;
  text: Said;
}

export interface Bone {
  name: string;
  state: State;
  polygons: Ring[];
  confidence: number | null;
  flags: Flag[];
}

export interface BonesOfPicture {
  width: number;
  height: number;
  revision: number;
  author: string | null;
  saved: string | null;
  bones: Bone[];
  warnings: { code: string; count: number; text: Said; title?: Said }[];
}

export interface Revision {
  revision: number;
  author: string | null;
  saved: string | null;
  note?: string | null;
  /** Names of the bones that this revision changed. */
  changed?: string[];
}

export interface Scores {
  mean: number | null;
  bones: Record<string, number | null>;
}

export interface Measurements {
  unit: "mm" | "px";
  spacing_source: string | null;
  rows: {
    name: string;
    /** Null for one of the whole hand. */
    bone?: string | null;
    title: Said;
    value: number | null;
    uncertainty: number | null;
    unit: string;
    reason: string | Said | null;
    /** Value and uncertainty as ossa writes them. */
    text?: string | null;
    experimental?: boolean;
  }[];
  drawings: { measurement: string; bone?: string | null; lines: Ring[]; text: string; at: Point | null }[];
}

export interface Comparison {
  old: number | null;
  new: number | null;
  bones: Record<string, [number | null, number | null]>;
  pictures?: { id: string; name: string; trained_on: boolean; corrected?: boolean; old: number | null; new: number | null }[];
  trained_on?: { old: number | null; new: number | null };
  /** Corrected pictures that the new model was not trained on. */
  held_out?: number;
}

export interface Job {
  id: string;
  kind: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  started: string | null;
  progress: number;
  message: string | Said | null;
  curves: Record<string, Point[]>;
  result: { source: string; comparison: Comparison | null } | null;
  /** What it trains on. */
  pictures?: { corrected: number; others: number };
  /** Bytes of its log so far. */
  log?: number;
  eta_seconds?: number | null;
}

/** What a retraining would take, of the corrected pictures alone or of all that are labelled. */
export type JobOptions = Record<"corrected" | "all", Taken>;

export interface Taken {
  pictures: number;
  people: number;
  /** Why it cannot begin now. */
  problem: { message: string; found?: string | null; expected?: string | null; remedy?: string | null } | null;
}

export interface JobLog {
  text: string;
  /** From where to ask on. */
  next: number;
  more: boolean;
  ended: boolean;
}

export interface Exports {
  formats: { name: string; title: string; own: boolean; loses: string }[];
  own: string | null;
  corrected: number;
  labelled: number;
  write_back?: { able: boolean; reason: string | null; pictures: number };
}

export interface WrittenExport {
  id: string;
  format: string;
  written: number;
  skipped: string[];
  left_out?: string[];
  remark: string | null;
  folder: string;
  size: number;
}

export interface WrittenBack {
  written: string[];
  unchanged: number;
  skipped: string[];
  kept: string | null;
}
