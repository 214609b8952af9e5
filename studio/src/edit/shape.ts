// Geometry of closed rings (the last point joins the first), in pixels of the picture.

import type { Point, Ring } from "../kit/types";

const distance = (a: Point, b: Point): number => Math.hypot(a[0] - b[0], a[1] - b[1]);

/** Twice the signed area is the shoelace sum; here the area, positive where the ring runs clockwise on the screen. */
export function area(ring: Ring): number {
  let sum = 0;
  for (let i = 0, n = ring.length; i < n; i++) {
    const [x, y] = ring[i]!;
    const [u, v] = ring[(i + 1) % n]!;
    sum += x * v - u * y;
  }
  return sum / 2;
}

export function perimeter(ring: Ring): number {
  return ring.reduce((sum, point, i) => sum + distance(point, ring[(i + 1) % ring.length]!), 0);
}

/** [left, top, right, bottom] of rings, or null without points. */
export function bounds(rings: readonly Ring[]): [number, number, number, number] | null {
  let box: [number, number, number, number] | null = null;
  for (const ring of rings) {
    for (const [x, y] of ring) {
      if (!box) box = [x, y, x, y];
      else {
        if (x < box[0]) box[0] = x;
        if (y < box[1]) box[1] = y;
        if (x > box[2]) box[2] = x;
        if (y > box[3]) box[3] = y;
      }
    }
  }
  return box;
}

/** Even-odd, as the outlines are filled. */
export function inside(point: Point, rings: readonly Ring[]): boolean {
  let within = false;
  const [x, y] = point;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [a, b] = ring[i]!;
      const [c, d] = ring[j]!;
      if (b > y !== d > y && x < ((c - a) * (y - b)) / (d - b) + a) within = !within;
    }
  }
  return within;
}

/** Index of the point of `ring` nearest to `at`, and how far it is. */
export function nearest(ring: Ring, at: Point): { index: number; distance: number } {
  let best = { index: -1, distance: Infinity };
  ring.forEach((point, index) => {
    const far = distance(point, at);
    if (far < best.distance) best = { index, distance: far };
  });
  return best;
}

/**
 * The ring with its outline smoothed by Taubin's pair of steps (Taubin, SIGGRAPH 1995, "A signal processing approach to
 * fair surface design"): a step inwards and a slightly larger one outwards, so that the bone does not shrink.
 * Points are first spread evenly, so that the step means the same everywhere.
 */
export function smoothed(ring: Ring, times = 8, inwards = 0.5, outwards = -0.53): Ring {
  if (ring.length < 5) return ring;
  let points = evenly(ring, Math.max(12, Math.min(ring.length, Math.round(perimeter(ring) / 2))));
  for (let k = 0; k < times; k++) {
    for (const step of [inwards, outwards]) {
      const n = points.length;
      points = points.map(([x, y], i): Point => {
        const [a, b] = points[(i + n - 1) % n]!;
        const [c, d] = points[(i + 1) % n]!;
        return [x + step * ((a + c) / 2 - x), y + step * ((b + d) / 2 - y)];
      });
    }
  }
  return points;
}

/** `count` points at equal distances along the ring, the first one kept. */
export function evenly(ring: Ring, count: number): Ring {
  const total = perimeter(ring);
  if (total === 0 || ring.length < 2) return ring;
  const points: Ring = [];
  let side = 0;
  let walked = 0;
  let length = distance(ring[0]!, ring[1]!);
  for (let k = 0; k < count; k++) {
    const wanted = (total * k) / count;
    while (walked + length < wanted && side < ring.length - 1) {
      walked += length;
      side++;
      length = distance(ring[side]!, ring[(side + 1) % ring.length]!);
    }
    const [x, y] = ring[side]!;
    const [u, v] = ring[(side + 1) % ring.length]!;
    const part = length === 0 ? 0 : (wanted - walked) / length;
    points.push([x + part * (u - x), y + part * (v - y)]);
  }
  return points;
}

/** Points of an open line left out where it moves by less than `tolerance` (Douglas & Peucker 1973). */
export function simplified(line: readonly Point[], tolerance: number): Point[] {
  if (line.length < 3) return [...line];
  const keep = new Uint8Array(line.length);
  keep[0] = keep[line.length - 1] = 1;
  const stack: [number, number][] = [[0, line.length - 1]];
  while (stack.length) {
    const [from, to] = stack.pop()!;
    const [ax, ay] = line[from]!;
    const [bx, by] = line[to]!;
    const length = Math.hypot(bx - ax, by - ay);
    let worst = tolerance;
    let at = -1;
    for (let i = from + 1; i < to; i++) {
      const [x, y] = line[i]!;
      const off =
        length === 0 ? Math.hypot(x - ax, y - ay) : Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / length;
      if (off > worst) {
        worst = off;
        at = i;
      }
    }
    if (at > 0) {
      keep[at] = 1;
      stack.push([from, at], [at, to]);
    }
  }
  return line.filter((_, i) => keep[i]);
}

/** The ring after point `index` was pulled by (dx, dy): neighbours within `reach` along the outline follow, less and
 * less (a raised cosine). */
export function pulled(ring: Ring, index: number, dx: number, dy: number, reach: number): Ring {
  const n = ring.length;
  const result = ring.slice();
  const weigh = (far: number): number => 0.5 * (1 + Math.cos((Math.PI * far) / reach));
  const move = (i: number, weight: number): void => {
    const [x, y] = ring[i]!;
    result[i] = [x + weight * dx, y + weight * dy];
  };
  move(index, 1);
  const half = Math.min(reach, perimeter(ring) / 2);
  for (const way of [1, -1]) {
    let far = 0;
    for (let k = 1; k < n; k++) {
      const i = (((index + way * k) % n) + n) % n;
      const before = (((index + way * (k - 1)) % n) + n) % n;
      far += distance(ring[i]!, ring[before]!);
      if (far >= half) break;
      move(i, weigh(far));
    }
  }
  return result;
}

/**
 * The ring with the stretch between the ends of `stroke` replaced by it. Which of the two stretches goes is decided by
 * length: the one nearer to the stroke's own, so that a short stroke mends a short piece. Null where an end of the stroke
 * lies farther than `reach` from the ring: then the stroke is no mending.
 */
export function mended(ring: Ring, stroke: readonly Point[], reach: number): Ring | null {
  if (stroke.length < 2 || ring.length < 3) return null;
  const start = nearest(ring, stroke[0]!);
  const end = nearest(ring, stroke[stroke.length - 1]!);
  if (start.distance > reach || end.distance > reach || start.index === end.index) return null;
  const walk = (from: number, to: number): Point[] => {
    const line: Point[] = [];
    for (let i = from; ; i = (i + 1) % ring.length) {
      line.push(ring[i]!);
      if (i === to) return line;
    }
  };
  const long = (line: readonly Point[]): number =>
    line.reduce((sum, point, i) => (i ? sum + distance(line[i - 1]!, point) : 0), 0);
  const forth = walk(start.index, end.index);
  const back = walk(end.index, start.index);
  const drawn = long(stroke);
  // Walking on from the stroke's end, the ring returns to its start: what stays is the other stretch.
  if (Math.abs(long(forth) - drawn) <= Math.abs(long(back) - drawn)) return [...stroke, ...back.slice(1, -1)];
  return [...[...stroke].reverse(), ...forth.slice(1, -1)];
}

/** A new point in the middle of the side after `index`. */
export function inserted(ring: Ring, index: number): Ring {
  const [x, y] = ring[index]!;
  const [u, v] = ring[(index + 1) % ring.length]!;
  return [...ring.slice(0, index + 1), [(x + u) / 2, (y + v) / 2], ...ring.slice(index + 1)];
}

/** The ring without a point; null where fewer than three would be left. */
export function without(ring: Ring, index: number): Ring | null {
  return ring.length <= 3 ? null : ring.filter((_, i) => i !== index);
}

/** The ring with points added on sides longer than `most`, so that it can be bent between its corners. */
export function densified(ring: Ring, most: number): Ring {
  const points: Ring = [];
  ring.forEach(([x, y], i) => {
    const [u, v] = ring[(i + 1) % ring.length]!;
    const parts = Math.max(1, Math.ceil(Math.hypot(u - x, v - y) / most));
    for (let k = 0; k < parts; k++) points.push([x + ((u - x) * k) / parts, y + ((v - y) * k) / parts]);
  });
  return points;
}
