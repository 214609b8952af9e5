// The bones under correction: every state of the sitting is kept, none is changed. A bone that was not touched is the
// same object in every state, so that "what changed" is a comparison of references.

import type { Bone, Ring, State } from "../kit/types";

export type Bones = ReadonlyMap<string, Bone>;

/** What a step did, for the list of steps and the announcement; `bones` are names. */
export interface Step {
  what: "move" | "pull" | "redraw" | "smooth" | "exchange" | "absent" | "not judged" | "found" | "restore" | "draft" | "delete";
  bones: string[];
}

export interface Sitting {
  readonly states: readonly Bones[];
  readonly steps: readonly Step[];
  /** Which state is shown. */
  readonly at: number;
  /** What the server holds. */
  readonly saved: Bones;
  readonly revision: number;
}

export function begin(bones: readonly Bone[], revision: number): Sitting {
  const first: Bones = new Map(bones.map((bone) => [bone.name, bone]));
  return { states: [first], steps: [], at: 0, saved: first, revision };
}

export const now = (sitting: Sitting): Bones => sitting.states[sitting.at]!;

/** The sitting after a step; what had been undone is forgotten. A step that changes nothing is none. */
export function stepped(sitting: Sitting, step: Step, changes: readonly Bone[]): Sitting {
  const current = now(sitting);
  const real = changes.filter((bone) => current.get(bone.name) !== bone);
  if (real.length === 0) return sitting;
  const next = new Map(current);
  for (const bone of real) next.set(bone.name, bone);
  return {
    ...sitting,
    states: [...sitting.states.slice(0, sitting.at + 1), next],
    steps: [...sitting.steps.slice(0, sitting.at), step],
    at: sitting.at + 1,
  };
}

export const canUndo = (sitting: Sitting): boolean => sitting.at > 0;
export const canRedo = (sitting: Sitting): boolean => sitting.at < sitting.steps.length;
export const undone = (sitting: Sitting): Sitting => (canUndo(sitting) ? { ...sitting, at: sitting.at - 1 } : sitting);
export const redone = (sitting: Sitting): Sitting => (canRedo(sitting) ? { ...sitting, at: sitting.at + 1 } : sitting);

/** Names of the bones that differ from what the server holds. */
export function changed(sitting: Sitting): string[] {
  const names: string[] = [];
  for (const [name, bone] of now(sitting)) if (sitting.saved.get(name) !== bone) names.push(name);
  return names;
}

/** The sitting once the server took the present state as `revision`. */
export const accepted = (sitting: Sitting, revision: number): Sitting => ({ ...sitting, saved: now(sitting), revision });

/** The sitting on top of somebody else's revision: their bones count as saved, mine stay as I drew them. */
export function rebased(sitting: Sitting, theirs: readonly Bone[], revision: number): Sitting {
  const mine = new Set(changed(sitting));
  const base: Bones = new Map(theirs.map((bone) => [bone.name, bone]));
  const merged = new Map(base);
  for (const name of mine) merged.set(name, now(sitting).get(name)!);
  return { states: [base, merged], steps: [{ what: "draft", bones: [...mine] }], at: 1, saved: base, revision };
}

export function withRings(bone: Bone, polygons: Ring[]): Bone {
  const kept = polygons.filter((ring) => ring.length >= 3);
  return { ...bone, polygons: kept, state: kept.length ? "found" : "absent", confidence: null, flags: [] };
}

export const withState = (bone: Bone, state: State): Bone =>
  state === "found" ? { ...bone, state } : { ...bone, state, polygons: [], confidence: null, flags: [] };

/** Two bones with each other's outlines: what was called one is now called the other. */
export function exchanged(a: Bone, b: Bone): [Bone, Bone] {
  return [
    { ...b, name: a.name },
    { ...a, name: b.name },
  ];
}

/** What PUT takes. Coordinates to 1/1000 px, as the server keeps them. */
export function outgoing(bones: Bones): { name: string; state: State; polygons: Ring[] }[] {
  const round = (v: number): number => Math.round(v * 1000) / 1000;
  return [...bones.values()].map((bone) => ({
    name: bone.name,
    state: bone.state,
    polygons: bone.state === "found" ? bone.polygons.map((ring) => ring.map(([x, y]) => [round(x), round(y)])) : [],
  }));
}
