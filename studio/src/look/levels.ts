// Window and level: which grey of the picture is shown black and which white. Everything is a table of 256 entries, so
// that a picture of any size costs one look-up a pixel.

export interface Levels {
  /** The grey (0 to 255) that is shown as middle grey. */
  level: number;
  /** How many greys lie between black and white, at least 1. */
  window: number;
  invert: boolean;
}

export const PLAIN: Levels = { level: 127.5, window: 255, invert: false };

export const isPlain = (levels: Levels): boolean =>
  levels.level === PLAIN.level && levels.window === PLAIN.window && !levels.invert;

/** The grey shown for each grey of the picture: linear between level - window/2 and level + window/2. */
export function greys(levels: Levels): Uint8ClampedTable {
  const width = Math.max(1, levels.window);
  const table = new Uint8ClampedArray(256);
  for (let grey = 0; grey < 256; grey++) {
    const shown = ((grey - levels.level) / width + 0.5) * 255;
    table[grey] = levels.invert ? 255 - shown : shown;
  }
  return table;
}
type Uint8ClampedTable = Uint8ClampedArray;

/** The same as opaque RGBA words in the machine's byte order (little-endian everywhere a browser runs). */
export function words(levels: Levels): Uint32Array {
  return Uint32Array.from(greys(levels), (g) => (0xff000000 | (g << 16) | (g << 8) | g) >>> 0);
}

/** Levels after dragging by (dx, dy) CSS pixels: right is more contrast, down is darker, as viewers for films do. */
export function dragged(from: Levels, dx: number, dy: number): Levels {
  return {
    ...from,
    window: Math.round(Math.min(510, Math.max(1, from.window * Math.exp(-dx / 250)))),
    level: Math.round(Math.min(255, Math.max(0, from.level + dy * 0.4))),
  };
}

/** Levels that put the 1st percentile of a histogram at black and the 99.5th at white. */
export function automatic(histogram: ArrayLike<number>): { level: number; window: number } {
  let total = 0;
  for (let i = 0; i < 256; i++) total += histogram[i] ?? 0;
  if (total === 0) return { level: PLAIN.level, window: PLAIN.window };
  let low = 0;
  let high = 255;
  let sum = 0;
  for (let i = 0; i < 256; i++) {
    sum += histogram[i] ?? 0;
    if (sum <= total * 0.01) low = i;
    if (sum < total * 0.995) high = i + 1;
  }
  high = Math.min(255, Math.max(high, low + 1));
  return { level: (low + high) / 2, window: high - low };
}

/** How often a picture of `width` x `height` is halved for the screen: 0 where one of its pixels covers a screen's. */
export function halvings(scale: number, most: number): number {
  if (scale >= 1) return 0;
  return Math.max(0, Math.min(most, Math.floor(Math.log2(1 / scale) + 0.01)));
}
