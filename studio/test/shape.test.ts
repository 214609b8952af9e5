import { describe, expect, it } from "vitest";
import {
  area, bounds, densified, evenly, inserted, inside, mended, nearest, perimeter, pulled, simplified, smoothed, without,
} from "../src/edit/shape";
import type { Point, Ring } from "../src/kit/types";

const square: Ring = [[0, 0], [10, 0], [10, 10], [0, 10]];
const circle = (n: number, r = 50, noise = 0): Ring =>
  Array.from({ length: n }, (_, i): Point => {
    const a = (2 * Math.PI * i) / n;
    const far = r + (i % 2 ? noise : -noise);
    return [100 + far * Math.cos(a), 100 + far * Math.sin(a)];
  });

describe("rings", () => {
  it("have an area and a length", () => {
    expect(area(square)).toBe(100);
    expect(area([...square].reverse())).toBe(-100);
    expect(perimeter(square)).toBe(40);
    expect(bounds([square, circle(64)])!.map((v) => Math.round(v))).toEqual([0, 0, 150, 150]);
    expect(bounds([])).toBeNull();
  });

  it("know what is inside, holes left out", () => {
    const hole: Ring = [[4, 4], [6, 4], [6, 6], [4, 6]];
    expect(inside([2, 2], [square, hole])).toBe(true);
    expect(inside([5, 5], [square, hole])).toBe(false);
    expect(inside([-1, 5], [square])).toBe(false);
  });

  it("find the nearest point", () => {
    expect(nearest(square, [9, 8])).toEqual({ index: 2, distance: Math.hypot(1, 2) });
  });

  it("are spread evenly without changing their length much", () => {
    const even = evenly(square, 40);
    expect(even).toHaveLength(40);
    expect(perimeter(even)).toBeCloseTo(40, 6);
    expect(even[0]).toEqual([0, 0]);
    expect(even[7]).toEqual([7, 0]);
  });

  it("gain points on long sides only", () => {
    expect(densified(square, 5)).toHaveLength(8);
    expect(densified(square, 20)).toEqual(square);
    expect(area(densified(square, 3))).toBeCloseTo(100, 9);
  });

  it("take and lose single points", () => {
    expect(inserted(square, 3)).toEqual([...square, [0, 5]]);
    expect(without(square, 0)).toEqual(square.slice(1));
    expect(without(square.slice(1), 0)).toBeNull();
  });
});

describe("smoothing", () => {
  it("takes the noise and keeps the size (Taubin's steps do not shrink)", () => {
    const smooth = smoothed(circle(200, 50, 1.5));
    const radii = smooth.map(([x, y]) => Math.hypot(x - 100, y - 100));
    expect(Math.max(...radii) - Math.min(...radii)).toBeLessThan(0.3);
    expect(Math.abs(area(smooth))).toBeGreaterThan(0.98 * Math.PI * 50 * 50);
    expect(Math.abs(area(smooth))).toBeLessThan(1.02 * Math.PI * 50 * 50);
  });
  it("leaves very small rings alone", () => expect(smoothed(square)).toBe(square));
});

describe("simplifying", () => {
  it("keeps ends and corners", () => {
    const line: Point[] = [[0, 0], [1, 0.01], [2, 0], [3, 0], [3, 5]];
    expect(simplified(line, 0.1)).toEqual([[0, 0], [3, 0], [3, 5]]);
  });
  it("never moves farther than the tolerance", () => {
    const line = circle(300).slice(0, 299);
    const few = simplified(line, 0.5);
    expect(few.length).toBeLessThan(60);
    for (const point of line) {
      let best = Infinity;
      few.forEach((a, i) => {
        const b = few[i + 1];
        if (!b) return;
        const t = Math.max(0, Math.min(1, ((point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])) / Math.hypot(b[0] - a[0], b[1] - a[1]) ** 2));
        best = Math.min(best, Math.hypot(a[0] + t * (b[0] - a[0]) - point[0], a[1] + t * (b[1] - a[1]) - point[1]));
      });
      expect(best).toBeLessThanOrEqual(0.5 + 1e-9);
    }
  });
});

describe("pulling", () => {
  it("moves the point fully, neighbours less, the far side not", () => {
    const ring = circle(100);
    const result = pulled(ring, 0, 10, 0, 30);
    expect(result[0]![0] - ring[0]![0]).toBeCloseTo(10);
    const moved = result.map(([x], i) => x - ring[i]![0]);
    expect(moved[3]!).toBeGreaterThan(moved[6]!);
    expect(moved[3]!).toBeCloseTo(moved[97]!, 6);
    expect(moved[50]).toBe(0);
  });
});

describe("mending", () => {
  it("replaces the short piece between the ends of the stroke", () => {
    const ring = circle(100);
    const bump: Point[] = [[149, 90], [160, 100], [149, 110]];
    const result = mended(ring, bump, 5)!;
    expect(Math.abs(area(result))).toBeGreaterThan(Math.abs(area(ring)));
    expect(result.length).toBeGreaterThan(85);
    expect(inside([155, 100], [result])).toBe(true);
    expect(inside([60, 100], [result])).toBe(true);
  });
  it("works in both directions", () => {
    const ring = circle(100);
    const bump: Point[] = [[149, 110], [160, 100], [149, 90]];
    expect(inside([155, 100], [mended(ring, bump, 5)!])).toBe(true);
    expect(inside([60, 100], [mended(ring, bump, 5)!])).toBe(true);
  });
  it("refuses a stroke that is not on the outline", () => {
    expect(mended(circle(100), [[0, 0], [100, 100], [149, 110]], 5)).toBeNull();
  });
});
