// How bones are drawn: chosen once, kept from picture to picture.

import { signal } from "@preact/signals";
import { keep, kept } from "../kit/keep";

interface Style {
  filled: boolean;
  fill: number;
}
/** How bones are drawn: kept from picture to picture, and when the tab is closed. */
export const style = signal<Style>(kept("style", { filled: true, fill: 0.28 }));
export function setStyle(change: Partial<Style>): void {
  style.value = { ...style.value, ...change };
  keep("style", style.value);
}
/** Hidden bones stay hidden on the next picture: who looks at carpals looks at carpals. */
export const hidden = signal<ReadonlySet<string>>(new Set());
