// How bones are drawn: chosen once, kept from picture to picture.

import { signal } from "@preact/signals";
import { keep, kept } from "../kit/keep";

interface Style {
  filled: boolean;
  fill: number;
  /** Bones are listed by row across the hand, not by digit. */
  rows: boolean;
}
/** How bones are drawn: kept from picture to picture, and when the tab is closed. */
export const style = signal<Style>({ filled: true, fill: 0.28, rows: false, ...kept<Partial<Style>>("style", {}) });
export function setStyle(change: Partial<Style>): void {
  style.value = { ...style.value, ...change };
  keep("style", style.value);
}
/** Hidden bones stay hidden on the next picture: who looks at carpals looks at carpals. */
export const hidden = signal<ReadonlySet<string>>(new Set());
/** Whether the film is drawn: without it outlines are easier to compare. */
export const filmShown = signal(true);
/** Whether the outlines of what is compared lie over the bones. */
export const overlaid = signal(false);
