import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import table from "../src/words.json";
import { layOut, moved, pagesOf, visible } from "../src/browse/layout";
import { troubleOf } from "../src/kit/api";
import { pause, query } from "../src/kit/http";
import { KEYS, nameOf, type Key } from "../src/kit/keys";
import { readPlace, writePlace, type Place } from "../src/kit/route";
import { fill } from "../src/kit/words";
import { automatic, dragged, greys, halvings, PLAIN, words } from "../src/look/levels";
import { curve } from "../src/jobs/jobs";

describe("words", () => {
  const source = (folder: string): string =>
    readdirSync(folder, { withFileTypes: true })
      .map((entry) => (entry.isDirectory() ? source(join(folder, entry.name)) : /\.tsx?$/.test(entry.name) ? readFileSync(join(folder, entry.name), "utf8") : ""))
      .join("\n");
  const text = source(join(import.meta.dirname, "../src"));

  it("are there in both languages with the same blanks", () => {
    for (const [word, said] of Object.entries(table)) {
      expect(Object.keys(said), word).toEqual(["en", "ko"]);
      const blanks = (one: string): string[] => [...one.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();
      expect(said.en.trim() && said.ko.trim(), word).toBeTruthy();
      if (word !== "gradcam_of") expect(blanks(said.ko), word).toEqual(blanks(said.en));
    }
  });

  it("are used, every one", () => {
    const made = ["hint_", "job_", "step_", "layout_", "keys_"];
    for (const word of Object.keys(table)) {
      expect(text.includes(`"${word}"`) || made.some((start) => word.startsWith(start)), word).toBe(true);
    }
  });

  it("are the only ones: no sentence stands in the markup", () => {
    const loose = [...text.matchAll(/(?:aria-label|title|placeholder|alt)="([^"]{2,})"/g)].map((m) => m[1]);
    expect(loose).toEqual([]);
  });

  it("fill their blanks", () => expect(fill("{a} of {b}, {c}", { a: 1, b: "two" })).toBe("1 of two, {c}"));
});

describe("keys", () => {
  it("mean one thing each", () => {
    const all = Object.values(KEYS as Record<string, Key>).flatMap((key) => key.codes);
    expect(new Set(all).size).toBe(all.length);
  });
  it("are told by their place under a Korean input method", () => {
    const event = { key: "ㅜ", code: "KeyN", ctrlKey: false, metaKey: false, shiftKey: false };
    expect(nameOf(event)).toBe("doubtful");
    expect(nameOf({ ...event, code: "KeyZ", ctrlKey: true })).toBe("undo");
    expect(nameOf({ ...event, code: "KeyZ", metaKey: true, shiftKey: true })).toBe("redo");
    expect(nameOf({ key: "?", code: "Slash", ctrlKey: false, metaKey: false, shiftKey: true })).toBe("sheet");
  });
});

describe("the address", () => {
  it("goes there and back", () => {
    const places: Place[] = [{ picture: null, asked: {} }, { picture: "a/b 손?#.png", asked: { sort: "score", search: "x&y" } }];
    for (const place of places) {
      expect(readPlace(writePlace(place))).toEqual(place);
    }
  });
  it("that is broken leads to the grid", () => expect(readPlace("#/picture/%E0%A4%A").picture).toBeNull());
  it("asks for what is set", () => expect(query({ a: "", b: null, c: 0, d: "x y" })).toBe("?c=0&d=x+y"));
});

describe("errors", () => {
  it("keep the server's words", () => {
    expect(troubleOf(507, '{"error": {"code": "disk_full", "message": "full"}}')).toEqual({ code: "disk_full", message: "full" });
  });
  it("of something else than the server are said too", () => {
    expect(troubleOf(502, "<html>Bad gateway")).toEqual({ code: "internal", message: "HTTP 502", found: "<html>Bad gateway" });
  });
  it("of the connection are tried again after a while that has an end", () => {
    expect([0, 1, 4, 9].map(pause)).toEqual([0.5, 1, 8, 10]);
  });
});

describe("the grid", () => {
  const grid = layOut(10_000, 1200, 168, 58);
  it("has as many columns as fit", () => {
    expect(grid.columns).toBe(6);
    expect(grid.columns * grid.card + 5 * 12).toBeLessThanOrEqual(1200);
    expect(layOut(3, 100, 168, 58).columns).toBe(1);
  });
  it("shows few of many", () => {
    const [first, end] = visible(grid, 10_000, 100_000, 800);
    expect(end - first).toBeLessThan(60);
    expect(first % grid.columns).toBe(0);
    expect(visible(grid, 10_000, grid.height, 800)[1]).toBe(10_000);
    expect(visible(grid, 0, 0, 800)).toEqual([0, 0]);
  });
  it("asks for the pages that hold them", () => {
    expect(pagesOf(190, 410, 200)).toEqual([0, 1, 2]);
    expect(pagesOf(200, 200, 200)).toEqual([]);
  });
  it("is walked through by keys", () => {
    expect(moved("ArrowDown", 3, 20, 6, 3)).toBe(9);
    expect(moved("ArrowDown", 16, 20, 6, 3)).toBe(16);
    expect(moved("ArrowUp", 3, 20, 6, 3)).toBe(3);
    expect(moved("End", 3, 20, 6, 3)).toBe(19);
    expect(moved("PageDown", 3, 20, 6, 3)).toBe(19);
    expect(moved("x", 3, 20, 6, 3)).toBeNull();
    expect(moved("End", 0, 0, 6, 3)).toBeNull();
  });
});

describe("window and level", () => {
  it("leave the picture as it is, or turn it over", () => {
    expect([...greys(PLAIN)]).toEqual(Array.from({ length: 256 }, (_, i) => i));
    expect([...greys({ ...PLAIN, invert: true })]).toEqual(Array.from({ length: 256 }, (_, i) => 255 - i));
  });
  it("show black below and white above", () => {
    const table = greys({ level: 100, window: 50, invert: false });
    expect([table[74], table[126], table[100]]).toEqual([0, 255, 128]);
    expect(words(PLAIN)[0x80]).toBe(0xff808080);
  });
  it("follow the pointer within limits", () => {
    expect(dragged(PLAIN, 0, 0)).toEqual({ ...PLAIN, level: 128 });
    expect(dragged(PLAIN, 5000, 5000)).toMatchObject({ window: 1, level: 255 });
    expect(dragged(PLAIN, -5000, -5000)).toMatchObject({ window: 510, level: 0 });
  });
  it("come from the picture", () => {
    const histogram = new Uint32Array(256).fill(10, 40, 140);
    const { level, window } = automatic(histogram);
    expect(level).toBeCloseTo(90, -1);
    expect(window).toBeGreaterThan(90);
    expect(automatic(new Uint32Array(256))).toEqual({ level: 127.5, window: 255 });
  });
  it("need no more pixels than the screen has", () => {
    expect([2, 1, 0.5, 0.26, 0.05].map((scale) => halvings(scale, 3))).toEqual([0, 0, 1, 1, 3]);
  });
});

describe("curves", () => {
  it("fill their box", () => {
    expect(curve([[0, 1], [5, 3], [10, 2]], 100, 50, 1, 3)).toBe("M0.0,50.0L50.0,0.0L100.0,25.0");
    expect(curve([], 100, 50, 0, 1)).toBe("");
    expect(curve([[3, 1]], 100, 50, 0, 1)).toBe("M0.0,0.0h5.0");
    expect(curve([[0, NaN], [1, 1]], 100, 50, 0, 1)).toBe("M0.0,0.0h5.0");
  });
});
