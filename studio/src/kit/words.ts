// Everything the page says, in every language: one table, words.json. The server sends bones, warnings and
// measurements in both languages itself.

import { effect, signal } from "@preact/signals";
import table from "../words.json";
import { kept } from "./keep";
import type { Language, Said } from "./types";

export type Word = keyof typeof table;

const spoken = typeof navigator === "undefined" ? "en" : navigator.language;
const preferred: Language = spoken.toLowerCase().startsWith("ko") ? "ko" : "en";
export const language = signal<Language>(kept("language", preferred) === "ko" ? "ko" : "en");

effect(() => {
  if (typeof document !== "undefined") document.documentElement.lang = language.value;
});

/** The word in the page's language, `{name}` filled in. */
export function t(word: Word, values: Record<string, string | number> = {}): string {
  return fill(table[word][language.value], values);
}

/** `text` with each `{name}` replaced; what has no value stays, so that a mistake is seen. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** What the server said in both languages, in the page's; a plain string as it is. */
export function say(said: string | Said | null | undefined): string {
  if (!said) return "";
  return typeof said === "string" ? said : (said[language.value] ?? said.en);
}

/** A date of the server (ISO 8601) as people write it. */
export function when(text: string | null): string {
  if (!text) return "";
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return date.toLocaleString(language.value, { dateStyle: "medium", timeStyle: "short" });
}
