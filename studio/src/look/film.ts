// A picture as the page holds it: what is shown of it now, and the asking for more when the view or the window changes.

import { signal } from "@preact/signals";
import { troubleOf } from "../kit/api";
import { halvings, type Levels } from "./levels";
import type { Answer, Ask, Box } from "./planes";

/** A part of the picture, ready to draw. */
interface Shown {
  bitmap: ImageBitmap;
  box: Box;
}

/** Above this many pixels only the part in view is coloured at full size. */
const WHOLE = 17_000_000;
/** Pictures kept for going back and forth. */
const KEPT = 4;

let numbers = 0;
const open = new Map<number, Film>();
const take = (answer: Answer): void => open.get(answer.film)?.take(answer);

/** Opens a film room: gives what takes the asking. */
export type Opening = (answer: (message: Answer) => void) => (ask: Ask) => void;
let opening: Opening;
let room: ((ask: Ask) => void) | null = null;
export const filmsFrom = (how: Opening): void => {
  opening = how;
};
/** Opens the room ahead of the first picture. */
export const warm = (): ((ask: Ask) => void) => (room ??= opening(take));
const ask = (message: Ask): void => warm()(message);

export class Film {
  readonly state = signal<"loading" | "ready" | "failed">("loading");
  readonly trouble = signal<ReturnType<typeof troubleOf> | null>(null);
  width = 0;
  height = 0;
  histogram: Uint32Array | null = null;
  /** Called whenever there is something new to draw. */
  readonly watchers = new Set<() => void>();
  private readonly number = ++numbers;
  private first: Shown | null = null;
  private shown: Shown | null = null;
  private deepest = -1;
  private ticket = 0;
  private busy = false;
  private wanted: { halvings: number; box: Box; levels: Levels } | null = null;
  private last = "";

  constructor(url: string) {
    open.set(this.number, this);
    ask({ kind: "load", film: this.number, url });
  }

  take(answer: Answer): void {
    if (answer.kind === "first") {
      this.width = answer.width;
      this.height = answer.height;
      this.first = { bitmap: answer.bitmap, box: { x: 0, y: 0, width: answer.width, height: answer.height } };
      this.state.value = "ready";
    } else if (answer.kind === "ready") {
      this.deepest = answer.deepest;
      this.histogram = answer.histogram;
    } else if (answer.kind === "shown") {
      this.shown?.bitmap.close();
      this.shown = { bitmap: answer.bitmap, box: answer.box };
      this.busy = false;
      this.next();
    } else {
      this.trouble.value = troubleOf(answer.status, answer.text);
      this.state.value = "failed";
    }
    for (const watcher of this.watchers) watcher();
  }

  /** Parts to draw, the coarse one first. */
  parts(): Shown[] {
    const parts: Shown[] = [];
    const covers = this.shown && this.shown.box.width >= this.width - 2 && this.shown.box.height >= this.height - 2;
    if (this.first && !covers) parts.push(this.first);
    if (this.shown) parts.push(this.shown);
    return parts;
  }

  /** Say what is in view: `scale` screen pixels per pixel of the picture, and the part that is seen. */
  look(scale: number, view: Box, levels: Levels): void {
    if (this.deepest < 0) return;
    const times = halvings(scale, this.deepest);
    const whole: Box = { x: 0, y: 0, width: this.width, height: this.height };
    let box = whole;
    if ((this.width * this.height) / 4 ** times > WHOLE) {
      const x = Math.max(0, Math.floor(view.x - view.width / 4));
      const y = Math.max(0, Math.floor(view.y - view.height / 4));
      box = { x, y, width: view.width * 1.5, height: view.height * 1.5 };
      const seen = this.shown?.box;
      const inside =
        seen &&
        view.x >= seen.x - 1 &&
        view.y >= seen.y - 1 &&
        Math.min(this.width, view.x + view.width) <= seen.x + seen.width + 1 &&
        Math.min(this.height, view.y + view.height) <= seen.y + seen.height + 1;
      if (inside && this.last === `${times} ${JSON.stringify(levels)}`) return;
    } else if (this.last === `${times} ${JSON.stringify(levels)}`) return;
    this.last = `${times} ${JSON.stringify(levels)}`;
    this.wanted = { halvings: times, box, levels };
    this.next();
  }

  private next(): void {
    if (this.busy || !this.wanted) return;
    const wanted = this.wanted;
    this.wanted = null;
    this.busy = true;
    ask({ kind: "show", film: this.number, ticket: ++this.ticket, ...wanted });
  }

  close(): void {
    open.delete(this.number);
    this.first?.bitmap.close();
    this.shown?.bitmap.close();
    this.first = this.shown = null;
    ask({ kind: "drop", film: this.number });
  }
}

const films = new Map<string, Film>();

/** The film at `url`; the last few stay open. */
export function filmAt(url: string): Film {
  let film = films.get(url);
  if (film?.state.peek() === "failed") {
    film.close();
    film = undefined;
  }
  films.delete(url);
  film ??= new Film(url);
  films.set(url, film);
  for (const [old, other] of films) {
    if (films.size <= KEPT) break;
    if (other.watchers.size === 0 && other !== film) {
      other.close();
      films.delete(old);
    }
  }
  return film;
}
