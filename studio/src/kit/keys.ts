// Every key of the page in one table: the sheet that `?` opens is made of it, and so is what a key does. Letters are
// told by their place on the keyboard, so that they work while a Korean input method is on.

import { useLayoutEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { kept } from "./keep";
import type { Word } from "./words";

export interface Key {
  /** `KeyboardEvent.code` for letters and digits, `KeyboardEvent.key` for everything else; "Ctrl+" and "Shift+" before. */
  codes: string[];
  /** As it is printed on the keyboard. */
  shown: string;
  word: Word;
  where: "everywhere" | "browse" | "look" | "correct";
}

const key = (where: Key["where"], word: Word, shown: string, ...codes: string[]): Key => ({ where, word, shown, codes });

export const KEYS = {
  sheet: key("everywhere", "key_sheet", "?", "?"),
  search: key("everywhere", "key_search", "/", "/"),
  doubtful: key("everywhere", "key_doubtful", "N", "KeyN"),
  back: key("everywhere", "key_back", "Esc", "Escape"),
  next: key("look", "key_next", "Page ↓", "PageDown"),
  previous: key("look", "key_previous", "Page ↑", "PageUp"),
  zoomIn: key("look", "key_zoom_in", "+", "+", "="),
  zoomOut: key("look", "key_zoom_out", "−", "-"),
  whole: key("look", "key_whole", "0", "Digit0"),
  actual: key("look", "key_actual", "1", "Digit1"),
  toBone: key("look", "key_to_bone", "Z", "KeyZ"),
  left: key("look", "key_pan", "← ↑ → ↓", "ArrowLeft"),
  right: key("look", "key_pan", "", "ArrowRight"),
  up: key("look", "key_pan", "", "ArrowUp"),
  down: key("look", "key_pan", "", "ArrowDown"),
  invert: key("look", "key_invert", "I", "KeyI"),
  auto: key("look", "key_auto", "W", "KeyW"),
  light: key("look", "key_light", "L", "KeyL"),
  bones: key("look", "key_bones", "B", "KeyB"),
  fill: key("look", "key_fill", "F", "KeyF"),
  film: key("look", "key_film", "Q", "KeyQ"),
  overlaid: key("look", "key_overlaid", "T", "KeyT"),
  beside: key("look", "key_beside", "C", "KeyC"),
  difference: key("look", "key_difference", "D", "KeyD"),
  hands: key("look", "key_hands", "H", "KeyH"),
  gradcam: key("look", "key_gradcam", "G", "KeyG"),
  measures: key("look", "key_measures", "M", "KeyM"),
  boneAfter: key("look", "key_bone_after", "]", "]"),
  boneBefore: key("look", "key_bone_before", "[", "["),
  look: key("correct", "key_look", "V", "KeyV"),
  points: key("correct", "key_points", "E", "KeyE"),
  pull: key("correct", "key_pull", "P", "KeyP"),
  redraw: key("correct", "key_redraw", "R", "KeyR"),
  polygon: key("correct", "key_polygon", "O", "KeyO"),
  smooth: key("correct", "key_smooth", "S", "KeyS"),
  exchange: key("correct", "key_exchange", "X", "KeyX"),
  absent: key("correct", "key_absent", "A", "KeyA"),
  notJudged: key("correct", "key_not_judged", "J", "KeyJ"),
  pointAfter: key("correct", "key_point_after", ".", "."),
  pointBefore: key("correct", "key_point_before", ",", ","),
  addPoint: key("correct", "key_add_point", "Insert, K", "Insert", "KeyK"),
  deletePoint: key("correct", "key_delete_point", "Del", "Delete", "Backspace"),
  undo: key("correct", "key_undo", "Ctrl Z", "Ctrl+KeyZ"),
  redo: key("correct", "key_redo", "Ctrl Y", "Ctrl+KeyY", "Ctrl+Shift+KeyZ"),
  save: key("correct", "key_save", "Ctrl S", "Ctrl+KeyS"),
} satisfies Record<string, Key>;
export type KeyName = keyof typeof KEYS;

/** Whether single letters do something (WCAG 2.1.4: a speaker to their computer may need them off). */
export const letters = signal<boolean>(kept("letters", true));

/** The ways in which an event may be written in the table. */
export function spellings(event: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey">): string[] {
  const before = event.ctrlKey || event.metaKey ? (event.shiftKey ? "Ctrl+Shift+" : "Ctrl+") : "";
  return [before + event.code, before + event.key];
}

const BY_SPELLING = new Map<string, KeyName>();
for (const [name, { codes }] of Object.entries(KEYS)) for (const code of codes) BY_SPELLING.set(code, name as KeyName);

export function nameOf(event: Parameters<typeof spellings>[0]): KeyName | null {
  for (const spelling of spellings(event)) {
    const found = BY_SPELLING.get(spelling);
    if (found) return found;
  }
  return null;
}

export type Doing = Partial<Record<KeyName, (event: KeyboardEvent) => boolean | void>>;
const layers: (() => Doing)[] = [];

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

export function listen(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    const name = nameOf(event);
    if (!name || document.querySelector("dialog[open]")) return;
    const ctrl = event.ctrlKey || event.metaKey;
    if (!ctrl && (typing(event.target) || (!letters.value && /^Key|^.$/.test(KEYS[name].codes[0]!)))) return;
    if (!ctrl && event.target instanceof HTMLElement && event.target.closest("[data-own-keys]") && /^Arrow|^Page/.test(event.key)) return;
    for (let i = layers.length - 1; i >= 0; i--) {
      const action = layers[i]!()[name];
      // An action that answers false had nothing to do: the next layer is asked.
      if (action && action(event) !== false) {
        event.preventDefault();
        return;
      }
    }
  });
}

/**
 * What keys do while the component is there; later components come first. A layout effect, and always the doings of the
 * last drawing: a key that is pressed as soon as something can be seen, by a quick typist or a script, finds it there.
 */
export function useKeys(doing: Doing): void {
  const now = useRef(doing);
  now.current = doing;
  useLayoutEffect(() => {
    const layer = (): Doing => now.current;
    layers.push(layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
    };
  }, []);
}
