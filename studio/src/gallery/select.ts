// The list of a gallery: filtered, sorted and cut in the page, as the server of a studio does it for its own.

import type { Row } from "../kit/types";
import type { Item } from "./data";

/** Asked of a picture's numbers: the lowest of its bones. */
export const WORST = "worst";
/** Score against every other prediction at once, where there is no truth. */
export const OTHERS = "others";

type Numbers = (number | null)[];

/** Dice of two sources in thousandths, bone by bone; the order of the two does not matter. */
export function diceOf(item: Item, source: string, against: string): Numbers | null {
  const all = item.dice ?? {};
  if (against !== OTHERS) return all[`${source}|${against}`] ?? all[`${against}|${source}`] ?? null;
  const pairs = Object.entries(all).filter(([key]) => key.split("|").includes(source)).map(([, values]) => values);
  const first = pairs[0];
  if (!first) return null;
  return first.map((_, bone) => mean(pairs.map((values) => values[bone] ?? null)));
}

export function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

/** One bone, the lowest of all, or the mean over all. */
export function over(values: Numbers | null | undefined, bone: string, names: readonly string[]): number | null {
  if (!values) return null;
  if (!bone) return mean(values);
  if (bone !== WORST) return values[names.indexOf(bone)] ?? null;
  const known = values.filter((value): value is number => value !== null);
  return known.length ? Math.min(...known) : null;
}

export interface Wanted {
  sort: string;
  order: string;
  bone: string;
  source: string;
  against: string;
  side: string;
  fold: string;
  flag: string;
  subject: string;
  search: string;
}

/** Numbers of the items that fit, in the order asked for; those without a number or a text come last. */
export function select(items: readonly Item[], wanted: Wanted, names: readonly string[]): number[] {
  const search = wanted.search.toLowerCase();
  const fits = ({ name, subject, side, fold, flags }: Item): boolean =>
    (!wanted.side || side === wanted.side) &&
    (!wanted.fold || fold === wanted.fold) &&
    (!wanted.subject || subject === wanted.subject) &&
    (!search || `${name} ${subject}`.toLowerCase().includes(search)) &&
    (!wanted.flag || (wanted.flag === "+" ? flags.length > 0 : wanted.flag === "-" ? flags.length === 0 : flags.includes(wanted.flag)));
  const value = (item: Item): number | string | null => {
    switch (wanted.sort) {
      case "score": return over(diceOf(item, wanted.source, wanted.against), wanted.bone, names);
      case "confidence": return over(item.confidence?.[wanted.source], wanted.bone, names);
      case "area": return whole(item.area?.[wanted.source], wanted.bone, names);
      case "flags": return item.flags.length;
      case "subject": case "side": case "fold": return item[wanted.sort] || null;
      default: return item.name;
    }
  };
  const chosen = items.map((_, number) => number).filter((number) => fits(items[number]!));
  const keys = new Map(chosen.map((number) => [number, value(items[number]!)]));
  const sign = wanted.order === "desc" ? -1 : 1;
  return chosen.sort((a, b) => {
    const [p, q] = [keys.get(a)!, keys.get(b)!];
    if (p === null || q === null) return Number(p === null) - Number(q === null) || a - b;
    const by = typeof p === "number" ? p - (q as number) : p.localeCompare(q as string, undefined, { numeric: true });
    return sign * by || a - b;
  });
}

/** Areas add up: all bones together, where no single one is asked for. */
function whole(values: Numbers | undefined, bone: string, names: readonly string[]): number | null {
  if (bone) return over(values, bone, names);
  const known = (values ?? []).filter((value): value is number => value !== null);
  return known.length ? known.reduce((sum, one) => sum + one, 0) : null;
}

/** A row as the grid and the look want it. */
export function rowOf(item: Item, wanted: Pick<Wanted, "bone" | "source" | "against">, names: readonly string[], pair: string | null): Row {
  const score = over(diceOf(item, wanted.source, wanted.against), wanted.bone, names);
  const sure = over(item.confidence?.[wanted.source], wanted.bone, names);
  return {
    id: item.file, name: item.name, subject: item.subject || null, side: item.side || null, fold: item.fold || null,
    width: item.width ?? null, height: item.height ?? null, spacing_mm: null,
    score: score === null ? null : score / 1000, confidence: sure === null ? null : sure / 1000,
    flags: item.flags, corrected: false, pair, sources: item.sources, ...(item.error ? { error: item.error } : {}),
  };
}

/** A picture's other hand: of the same subject the only one of the other side. */
export function pairOf(items: readonly Item[], number: number): string | null {
  const { subject, side } = items[number]!;
  if (!subject || !side) return null;
  const others = items.filter((item, other) => other !== number && item.subject === subject && item.side && item.side !== side);
  return others.length === 1 ? others[0]!.file : null;
}
