import { describe, expect, it } from "vitest";
import { bonesOf, files } from "../src/gallery/files";
import { Shelf, type Data, type Item, type Parts } from "../src/gallery/data";
import { diceOf, OTHERS, over, pairOf, rowOf, select, WORST, type Wanted } from "../src/gallery/select";

const NAMES = ["a", "b", "c"];
const item = (name: string, more: Partial<Item> = {}): Item => ({
  name, file: name, subject: "", side: "", fold: "", flags: [], sources: ["truth", "set0"], ...more,
});
const wanted = (more: Partial<Wanted> = {}): Wanted => ({
  sort: "name", order: "asc", bone: "", source: "set0", against: "truth", side: "", fold: "", flag: "", subject: "", search: "", ...more,
});
const ITEMS = [
  item("p10", { subject: "B", side: "L", fold: "1", flags: ["odd"], dice: { "set0|truth": [900, null, 500] }, area: { set0: [10, null, 30] } }),
  item("p2", { subject: "A", side: "R", fold: "0", dice: { "set0|truth": [800, 800, 800] }, area: { set0: [5, 5, 5] } }),
  item("p1", { subject: "A", side: "L", fold: "0", flags: ["odd", "cut"], error: "no picture" }),
];
const order = (more: Partial<Wanted>): string[] => select(ITEMS, wanted(more), NAMES).map((n) => ITEMS[n]!.name);

describe("the list of a gallery", () => {
  it("sorts names as people do, and turns around", () => {
    expect(order({})).toEqual(["p1", "p2", "p10"]);
    expect(order({ order: "desc" })).toEqual(["p10", "p2", "p1"]);
  });
  it("sorts by the mean, by one bone, by the worst; what has no number comes last either way", () => {
    expect(order({ sort: "score" })).toEqual(["p10", "p2", "p1"]);
    expect(order({ sort: "score", bone: "a" })).toEqual(["p2", "p10", "p1"]);
    expect(order({ sort: "score", bone: WORST, order: "desc" })).toEqual(["p2", "p10", "p1"]);
    expect(order({ sort: "score", bone: "b", order: "desc" })).toEqual(["p2", "p10", "p1"]);
  });
  it("sorts by area of all bones, side, fold, subject and warnings", () => {
    expect(order({ sort: "area" })).toEqual(["p2", "p10", "p1"]);
    expect(order({ sort: "flags", order: "desc" })).toEqual(["p1", "p10", "p2"]);
    expect(order({ sort: "subject" })).toEqual(["p2", "p1", "p10"]);
    expect(order({ sort: "side" })).toEqual(["p10", "p1", "p2"]);
    expect(order({ sort: "fold", order: "desc" })).toEqual(["p10", "p2", "p1"]);
  });
  it("filters", () => {
    expect(order({ side: "L" })).toEqual(["p1", "p10"]);
    expect(order({ flag: "+" })).toEqual(["p1", "p10"]);
    expect(order({ flag: "-" })).toEqual(["p2"]);
    expect(order({ flag: "cut" })).toEqual(["p1"]);
    expect(order({ search: "b" })).toEqual(["p10"]); // a subject
    expect(order({ subject: "A", fold: "0" })).toEqual(["p1", "p2"]);
  });
  it("compares each prediction with all others where there is no truth", () => {
    const three = item("x", { dice: { "set0|set1": [900, 100, null], "set0|set2": [700, 300, null], "set1|set2": [500, 0, null] } });
    expect(diceOf(three, "set0", OTHERS)).toEqual([800, 200, null]);
    expect(diceOf(three, "set1", OTHERS)).toEqual([700, 50, null]);
    expect(diceOf(three, "set2", "set0")).toEqual([700, 300, null]);
    expect(diceOf(item("y"), "set0", OTHERS)).toBeNull();
    expect(over([800, 200, null], "", NAMES)).toBe(500);
  });
  it("gives rows in parts of one, and a subject's other hand", () => {
    expect(rowOf(ITEMS[0]!, wanted(), NAMES, null)).toMatchObject({ id: "p10", score: 0.7, confidence: null, subject: "B", side: "L" });
    expect(pairOf(ITEMS, 1)).toBe("p1");
    expect(pairOf(ITEMS, 0)).toBeNull();
  });
});

const DATA: Data = {
  title: "G", version: "0", notice: { en: "n", ko: "n" }, languages: ["en", "ko"], quantum: 4, items: ITEMS,
  sources: [{ id: "truth", title: "Truth", kind: "truth" }, { id: "set0", title: "pred", kind: "predictions" }],
  bones: NAMES.map((name) => ({ name, group: "g", row: "r", colour: "#000000", title: { en: name, ko: name } })),
};
const PARTS: Parts = { size: [8, 8], bones: { truth: { "0": [[4, 8, 12, 8, 12, 16]] }, set0: {} }, unknown: [2], image: "" };

describe("a gallery's answers", () => {
  it("are bones in pixels, with what nobody judged", () => {
    const [a, b, c] = bonesOf(DATA, ITEMS[0]!, PARTS, "truth");
    expect(a).toMatchObject({ state: "found", polygons: [[[1, 2], [3, 2], [3, 4]]] });
    expect([b!.state, c!.state]).toEqual(["absent", "not judged"]);
    expect(bonesOf(DATA, ITEMS[0]!, PARTS, "set0").map((bone) => bone.state)).toEqual(["absent", "absent", "absent"]);
  });
  it("cut the list, and tell what cannot be read", async () => {
    const api = files(new Shelf(DATA));
    const page = await api.pictures({ offset: 1, limit: 1 });
    expect([page.total, page.rows.map((row) => row.name)]).toEqual([3, ["p2"]]);
    await expect(api.picture("p1")).rejects.toMatchObject({ trouble: { found: "no picture" } });
    await expect(api.bones("p1", "truth", 0)).rejects.toMatchObject({ status: 422 }); // no file is asked for
    await expect(api.picture("elsewhere")).rejects.toMatchObject({ status: 404 });
    expect((await api.scores("p10", "set0", "truth")).bones).toEqual({ a: 0.9, b: null, c: 0.5 });
    expect(api.write).toBeNull();
    const session = await api.session();
    expect([session.writable, session.sides, session.flags]).toEqual([false, ["L", "R"], ["cut", "odd"]]);
  });
});
