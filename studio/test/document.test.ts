import { describe, expect, it } from "vitest";
import {
  accepted, begin, canRedo, canUndo, changed, exchanged, now, outgoing, rebased, redone, stepped, undone, withRings, withState,
} from "../src/edit/document";
import type { Bone, Ring } from "../src/kit/types";

const ring = (x: number): Ring => [[x, 0], [x + 10, 0], [x + 10, 10]];
const bone = (name: string, x: number): Bone => ({ name, state: "found", polygons: [ring(x)], confidence: 0.9, flags: [{ code: "odd", text: { en: "odd", ko: "이상" } }] });
const three = [bone("Radius", 0), bone("Ulna", 20), bone("Lunate", 40)];

describe("a sitting", () => {
  it("undoes and redoes to the first state and back", () => {
    let sitting = begin(three, 4);
    expect(canUndo(sitting)).toBe(false);
    sitting = stepped(sitting, { what: "move", bones: ["Radius"] }, [withRings(three[0]!, [ring(1)])]);
    sitting = stepped(sitting, { what: "absent", bones: ["Ulna"] }, [withState(three[1]!, "absent")]);
    expect(changed(sitting)).toEqual(["Radius", "Ulna"]);
    sitting = undone(undone(undone(sitting)));
    expect(changed(sitting)).toEqual([]);
    expect(now(sitting).get("Radius")).toBe(three[0]);
    sitting = redone(redone(redone(sitting)));
    expect(now(sitting).get("Ulna")!.state).toBe("absent");
    expect(canRedo(sitting)).toBe(false);
  });

  it("forgets what was undone once something else is done", () => {
    let sitting = begin(three, 0);
    sitting = undone(stepped(sitting, { what: "move", bones: ["Radius"] }, [withRings(three[0]!, [ring(1)])]));
    sitting = stepped(sitting, { what: "move", bones: ["Ulna"] }, [withRings(three[1]!, [ring(2)])]);
    expect(canRedo(sitting)).toBe(false);
    expect(changed(sitting)).toEqual(["Ulna"]);
  });

  it("takes no step that changes nothing", () => {
    const sitting = begin(three, 0);
    expect(stepped(sitting, { what: "move", bones: [] }, [three[0]!])).toBe(sitting);
  });

  it("is clean after saving, and undo reaches back beyond it", () => {
    let sitting = begin(three, 0);
    sitting = accepted(stepped(sitting, { what: "move", bones: ["Radius"] }, [withRings(three[0]!, [ring(1)])]), 1);
    expect(changed(sitting)).toEqual([]);
    expect(sitting.revision).toBe(1);
    expect(changed(undone(sitting))).toEqual(["Radius"]);
  });

  it("puts my bones on top of theirs", () => {
    const mine = stepped(begin(three, 0), { what: "move", bones: ["Radius"] }, [withRings(three[0]!, [ring(1)])]);
    const theirs = [three[0]!, bone("Ulna", 25), three[2]!];
    const merged = rebased(mine, theirs, 1);
    expect(changed(merged)).toEqual(["Radius"]);
    expect(now(merged).get("Ulna")!.polygons[0]![0]).toEqual([25, 0]);
    expect(merged.revision).toBe(1);
    expect(now(undone(merged)).get("Radius")!.polygons[0]![0]).toEqual([0, 0]);
  });
});

describe("a bone", () => {
  it("without a ring of three points is absent; a correction has no confidence", () => {
    expect(withRings(three[0]!, [[[0, 0], [1, 1]]])).toMatchObject({ state: "absent", polygons: [], confidence: null, flags: [] });
    expect(withRings(withState(three[0]!, "absent"), [ring(0)]).state).toBe("found");
  });
  it("exchanges outlines, not names", () => {
    const [a, b] = exchanged(three[0]!, three[1]!);
    expect([a.name, a.polygons[0]![0]![0], b.name, b.polygons[0]![0]![0]]).toEqual(["Radius", 20, "Ulna", 0]);
  });
  it("goes out rounded, and without outlines where it was not found", () => {
    const sitting = stepped(begin(three, 0), { what: "absent", bones: [] }, [withState(three[1]!, "not judged"), withRings(three[0]!, [[[0.12345, 1], [2, 3], [4, 5]]])]);
    expect(outgoing(now(sitting))).toEqual([
      { name: "Radius", state: "found", polygons: [[[0.123, 1], [2, 3], [4, 5]]] },
      { name: "Ulna", state: "not judged", polygons: [] },
      { name: "Lunate", state: "found", polygons: [ring(40)] },
    ]);
  });
});
