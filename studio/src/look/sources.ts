// Which sources a picture has, and which to show first.

import { session } from "../kit/store";
import type { Bone, Row } from "../kit/types";

/** One entry for every bone of the schema, in its order: what the server leaves out was not judged. */
export function complete(bones: readonly Bone[]): Bone[] {
  const have = new Map(bones.map((bone) => [bone.name, bone]));
  const names = session.peek()?.bones.map((bone) => bone.name) ?? bones.map((bone) => bone.name);
  return names.map(
    (name): Bone => have.get(name) ?? { name, state: "not judged", polygons: [], confidence: null, flags: [] },
  );
}

/** Sources that a picture may be looked at by. */
export function sourcesOf(row: Row | null): string[] {
  const all = session.peek()?.sources.map((source) => source.id) ?? [];
  const own = row?.sources?.map((source) => (typeof source === "string" ? source : source.id));
  if (!own) return all;
  // A model may be asked about any picture.
  const models = session.peek()?.sources.filter((source) => source.kind === "model" && !own.includes(source.id)) ?? [];
  return [...own, ...models.map((source) => source.id)];
}

/** What to show first: the correction, else a prediction, else what there is. */
export function preferred(sources: string[], row: Row): string {
  if (row.corrected && sources.includes("truth")) return "truth";
  const kinds = new Map(session.peek()?.sources.map((source) => [source.id, source.kind]) ?? []);
  return sources.find((id) => kinds.get(id) !== "truth") ?? sources[0] ?? "truth";
}

export function defaultAgainst(sources: string[], source: string): string {
  if (source !== "truth" && sources.includes("truth")) return "truth";
  return sources.find((id) => id !== source) ?? "";
}
