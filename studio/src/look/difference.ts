// What one set of outlines has and the other has not, bone by bone, as a picture laid over the film: a bone that is
// where it should be leaves nothing.

import { bounds } from "../edit/shape";
import type { Bone } from "../kit/types";
import { pathOf } from "./layers";

/** Okabe and Ito's orange and sky blue: told apart by everybody. */
export const MISSING = "#e69f00";
export const SURPLUS = "#56b4e9";

/** Longest side of the overlay, px; on larger pictures its pixels are larger than the picture's. */
const LARGEST = 4096;

/** Red where only `a` is, blue where only `b` is. Both are lists of bones of a picture of `width` x `height`. */
export function difference(a: readonly Bone[], b: readonly Bone[], width: number, height: number): OffscreenCanvas {
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  const whole = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const onto = whole.getContext("2d")!;
  const others = new Map(b.map((bone) => [bone.name, bone]));
  const names = new Set([...a.map((bone) => bone.name), ...others.keys()]);
  const ours = new Map(a.map((bone) => [bone.name, bone]));
  for (const name of names) {
    const one = ours.get(name)?.polygons ?? [];
    const two = others.get(name)?.polygons ?? [];
    const box = bounds([...one, ...two]);
    if (!box) continue;
    const left = Math.max(0, Math.floor(box[0] * scale) - 1);
    const top = Math.max(0, Math.floor(box[1] * scale) - 1);
    const right = Math.min(whole.width, Math.ceil(box[2] * scale) + 3);
    const bottom = Math.min(whole.height, Math.ceil(box[3] * scale) + 3);
    if (right <= left || bottom <= top) continue;
    const [first, second] = [pathOf(one), pathOf(two)];
    for (const [keep, take, colour] of [[first, second, MISSING], [second, first, SURPLUS]] as const) {
      const part = new OffscreenCanvas(right - left, bottom - top);
      const context = part.getContext("2d")!;
      context.setTransform(scale, 0, 0, scale, -left, -top);
      context.fillStyle = colour;
      context.fill(keep, "evenodd");
      context.globalCompositeOperation = "destination-out";
      context.fill(take, "evenodd");
      onto.drawImage(part, left, top);
    }
  }
  return whole;
}
