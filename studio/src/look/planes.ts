// The film room: decode pictures, keep their greys with their halvings, and colour what is asked for with the window and
// level of the moment. In a studio it is a thread of its own (film.worker.ts), so that 100 megapixels never hold the
// page; in a gallery, whose pictures are small and which may start no worker from the disk, the page itself.

import { words, type Levels } from "./levels";

export type Ask =
  | { kind: "load"; film: number; url: string }
  | { kind: "show"; film: number; ticket: number; halvings: number; box: Box; levels: Levels }
  | { kind: "drop"; film: number };
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}
export type Answer =
  | { kind: "first"; film: number; width: number; height: number; bitmap: ImageBitmap }
  | { kind: "ready"; film: number; deepest: number; histogram: Uint32Array }
  | { kind: "shown"; film: number; ticket: number; halvings: number; box: Box; bitmap: ImageBitmap; levels: Levels }
  | { kind: "failed"; film: number; status: number; text: string };

interface Plane {
  width: number;
  height: number;
  grey: Uint8Array;
}

/** Longest side of the first look of a large picture. */
const FIRST = 2048;
/** Rows copied at once: 1024 rows of 10,000 px are 40 MB. */
const STRIP = 1024;

/** The picture behind an address: its bytes, or why there are none. */
export type Fetched = (address: string) => Promise<Blob | { status: number; text: string }>;
type Send = (message: Answer, move?: Transferable[]) => void;

/** A room that answers through `answer`; what it returns takes the asking. */
export function filmRoom(fetched: Fetched, answer: Send): (ask: Ask) => void {
  const films = new Map<number, Plane[]>();

  async function load(film: number, url: string): Promise<void> {
    const got = await fetched(url);
    if (!(got instanceof Blob)) return answer({ kind: "failed", film, ...got });
    const whole = await createImageBitmap(got);
    const { width, height } = whole;
    const scale = Math.min(1, FIRST / Math.max(width, height));
    const first = await createImageBitmap(whole, {
      resizeWidth: Math.max(1, Math.round(width * scale)),
      resizeHeight: Math.max(1, Math.round(height * scale)),
      resizeQuality: scale < 1 ? "medium" : "pixelated",
    });
    answer({ kind: "first", film, width, height, bitmap: first }, [first]);
    const planes = [greysOf(whole)];
    whole.close();
    for (let last = planes[0]!; Math.max(last.width, last.height) > 700; ) {
      last = halved(last);
      planes.push(last);
    }
    films.set(film, planes);
    const histogram = new Uint32Array(256);
    for (const grey of planes[planes.length - 1]!.grey) histogram[grey]!++;
    answer({ kind: "ready", film, deepest: planes.length - 1, histogram });
  }

  async function show(ask: Extract<Ask, { kind: "show" }>): Promise<void> {
    const planes = films.get(ask.film);
    const plane = planes?.[ask.halvings];
    if (!plane) return;
    // The box is one of the whole picture; here it is cut to this plane's pixels.
    const size = 2 ** ask.halvings;
    const x = Math.max(0, Math.min(plane.width - 1, Math.floor(ask.box.x / size)));
    const y = Math.max(0, Math.min(plane.height - 1, Math.floor(ask.box.y / size)));
    const width = Math.max(1, Math.min(plane.width, Math.ceil((ask.box.x + ask.box.width) / size)) - x);
    const height = Math.max(1, Math.min(plane.height, Math.ceil((ask.box.y + ask.box.height) / size)) - y);
    const table = words(ask.levels);
    const image = new ImageData(width, height);
    const rgba = new Uint32Array(image.data.buffer);
    for (let row = 0; row < height; row++) {
      const start = (y + row) * plane.width + x;
      for (let i = 0, out = row * width; i < width; i++) rgba[out + i] = table[plane.grey[start + i]!]!;
    }
    const bitmap = await createImageBitmap(image);
    const box = { x: x * size, y: y * size, width: width * size, height: height * size };
    const { film, ticket, halvings, levels } = ask;
    answer({ kind: "shown", film, ticket, halvings, box, bitmap, levels }, [bitmap]);
  }

  return (ask) => {
    if (ask.kind === "load") {
      load(ask.film, ask.url).catch((error: unknown) => {
        answer({ kind: "failed", film: ask.film, status: 0, text: String(error) });
      });
    } else if (ask.kind === "show") void show(ask);
    else films.delete(ask.film);
  };
}

/** The red of each pixel: the server's pictures are grey. */
function greysOf(bitmap: ImageBitmap): Plane {
  const { width, height } = bitmap;
  const grey = new Uint8Array(width * height);
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    const canvas = new OffscreenCanvas(width, rows);
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    const rgba = context.getImageData(0, 0, width, rows).data;
    const start = top * width;
    for (let i = 0, n = width * rows; i < n; i++) grey[start + i] = rgba[4 * i]!;
  }
  return { width, height, grey };
}

/** Means of 2 x 2 pixels; an odd last row or column is left out. */
function halved(from: Plane): Plane {
  const width = Math.max(1, from.width >> 1);
  const height = Math.max(1, from.height >> 1);
  const grey = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    let a = 2 * y * from.width;
    let b = a + from.width;
    const row = y * width;
    for (let x = 0; x < width; x++, a += 2, b += 2) {
      grey[row + x] = (from.grey[a]! + from.grey[a + 1]! + from.grey[b]! + from.grey[b + 1]! + 2) >> 2;
    }
  }
  return { width, height, grey };
}
