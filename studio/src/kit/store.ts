// What the whole page shares: the session, what it tells its user, the look of the page.

import { effect, signal } from "@preact/signals";
import { api, connection, Lost, Refused, type Trouble } from "./api";
import { keep, kept } from "./keep";
import type { BoneKind, Session } from "./types";
import { language, say, t } from "./words";

export const session = signal<Session | null>(null);
export const theme = signal<"light" | "dark">(kept("theme", "light"));
/** Spoken by screen readers, never seen. */
export const announced = signal("");

export interface Notice {
  number: number;
  kind: "good" | "bad";
  text: string;
  trouble?: Trouble;
}
export const notices = signal<Notice[]>([]);
let count = 0;

effect(() => {
  if (typeof document !== "undefined") document.documentElement.dataset.theme = theme.value;
});

export function setTheme(value: "light" | "dark"): void {
  theme.value = value;
  keep("theme", value);
}

export function setLanguage(value: "en" | "ko"): void {
  language.value = value;
  keep("language", value);
}

export function tell(text: string): void {
  const number = ++count;
  notices.value = [...notices.value, { number, kind: "good", text }];
  setTimeout(() => dismiss(number), 5000);
}

/** Shows an error until it is put away; one that is shown already is not repeated. A lost connection has its own line. */
export function complain(error: unknown): void {
  if (error instanceof Lost) return;
  const trouble: Trouble =
    error instanceof Refused ? error.trouble : { code: "page", message: error instanceof Error ? error.message : String(error) };
  if (notices.value.some((n) => n.trouble?.message === trouble.message && n.trouble.found === trouble.found)) return;
  notices.value = [...notices.value, { number: ++count, kind: "bad", text: trouble.message, trouble }];
}

export const dismiss = (number: number): void => {
  notices.value = notices.value.filter((notice) => notice.number !== number);
};

export async function openSession(): Promise<void> {
  const found = await api.session();
  const problems = session.value ? [] : (found.problems ?? []);
  if (problems.length) {
    const first = problems.slice(0, 4).join("\n") + (problems.length > 4 ? "\n…" : "");
    const text = t("problems", { n: problems.length });
    notices.value = [...notices.value, { number: ++count, kind: "bad", text, trouble: { code: "page", message: text, found: first } }];
  }
  session.value = found;
  if (found.indexing && found.indexing.done < found.indexing.total) setTimeout(() => void openSession(), 2000);
}

export function kindOf(name: string): BoneKind {
  return (
    session.value?.bones.find((bone) => bone.name === name) ?? {
      name,
      group: "other",
      row: "",
      colour: "#999999",
      title: { en: name, ko: name },
    }
  );
}

/** The anatomical name in the page's language. */
export const titleOf = (name: string): string => say(kindOf(name).title);

export const sourceTitle = (id: string): string => session.value?.sources.find((source) => source.id === id)?.title ?? id;

export const flagText = (code: string): string => {
  const named = session.value?.flag_titles?.[code];
  if (named) return say(named);
  const found = session.value?.flags.find((flag) => typeof flag !== "string" && flag.code === code);
  return found && typeof found !== "string" ? say(found.text) : code;
};

// While the connection is lost, the page asks until the server is back, and says so then.
let waiting = false;
effect(() => {
  if (!connection.value.lost || waiting) return;
  waiting = true;
  void api.session().then((found) => {
    waiting = false;
    session.value = found;
    tell(t("connection_back"));
  }).catch(() => { waiting = false; });
});
