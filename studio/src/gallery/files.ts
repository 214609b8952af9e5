// The files beside a gallery as what answers the page.

import { Refused, type Api } from "../kit/api";
import type { Bone, Point, Ring, Session } from "../kit/types";
import { t } from "../kit/words";
import type { Fetched } from "../look/planes";
import type { Data, Item, Parts, Shelf } from "./data";
import { diceOf, mean, OTHERS, pairOf, rowOf, select, type Wanted } from "./select";

const distinct = (values: readonly string[]): string[] => [...new Set(values)].filter(Boolean).sort();

/** What scores are taken against: the truth, or of several predictions without one all the others. */
function judges(data: Data): Session["against"] {
  const truth = data.sources.find((source) => source.kind === "truth");
  if (truth) return [truth];
  return data.sources.length > 1 ? [...data.sources, { id: OTHERS, title: t("all_others"), kind: "predictions" }] : [];
}

/** The source that is scored where none is named, and what it is scored against. */
const usual = (data: Data): string => (data.sources.find((source) => source.kind !== "truth") ?? data.sources[0])?.id ?? "truth";
const usualJudge = (data: Data): string => (data.sources.some((source) => source.kind === "truth") ? "truth" : OTHERS);

/** Rings as the page has them everywhere: pixels of the picture that is shown, an integer a pixel's centre. */
function rings(flat: readonly number[][], quantum: number): Ring[] {
  return flat.map((ring) => Array.from({ length: ring.length / 2 }, (_, k): Point => [ring[2 * k]! / quantum, ring[2 * k + 1]! / quantum]));
}

export function bonesOf(data: Data, item: Item, parts: Parts, source: string): Bone[] {
  const drawn = parts.bones[source] ?? {};
  const sure = item.confidence?.[source];
  return data.bones.map(({ name }, k) => {
    const polygons = rings(drawn[String(k)] ?? [], data.quantum);
    const unknown = source === "truth" && parts.unknown.includes(k);
    const confidence = sure?.[k] ?? null;
    return {
      name, polygons, flags: [], confidence: confidence === null ? null : confidence / 1000,
      state: polygons.length ? "found" : unknown ? "not judged" : "absent",
    };
  });
}

export function files(shelf: Shelf): Api {
  const { data } = shelf;
  const names = data.bones.map((bone) => bone.name);
  const numbers = new Map(data.items.map((item, number) => [item.file, number]));
  const nothing = (): Promise<never> => Promise.reject(new Error("a gallery has none"));
  const find = (id: string): [number, Item] => {
    const number = numbers.get(id);
    if (number === undefined) throw new Refused(404, { code: "not_found", message: t("no_such_picture"), found: id }, null);
    return [number, data.items[number]!];
  };
  const readable = (id: string): [number, Item] => {
    const [number, item] = find(id);
    if (item.error) throw new Refused(422, { code: "unprocessable", message: t("cannot_read"), found: item.error }, null);
    return [number, item];
  };
  const wantedOf = (asked: Record<string, unknown>): Wanted => {
    const word = (name: string, otherwise = ""): string => String(asked[name] ?? "") || otherwise;
    return {
      sort: word("sort", "name"), order: word("order", "asc"), bone: word("bone"), source: word("source", usual(data)),
      against: word("against", usualJudge(data)), side: word("side"), fold: word("fold"), flag: word("flag"),
      subject: word("subject"), search: word("search"),
    };
  };
  return {
    session: async () => ({
      version: data.version, notice: data.notice, title: data.title, model: null, root: null, writable: false,
      languages: data.languages, bones: data.bones, sources: data.sources, against: judges(data),
      folds: distinct(data.items.map((item) => item.fold)), sides: distinct(data.items.map((item) => item.side)),
      flags: distinct(data.items.flatMap((item) => item.flags)),
      lacks: ["doubtful", "gradcam", "history", "measurements"],
    }),
    pictures: async (asked) => {
      const wanted = wantedOf(asked);
      const order = select(data.items, wanted, names);
      const from = Number(asked.offset ?? 0);
      const rows = order.slice(from, from + Number(asked.limit ?? order.length));
      return { total: order.length, rows: rows.map((number) => rowOf(data.items[number]!, wanted, names, null)) };
    },
    picture: async (id) => {
      const [number, item] = readable(id);
      return rowOf(item, wantedOf({}), names, pairOf(data.items, number));
    },
    thumb: (id) => `thumbs/${id}.jpg`,
    image: (id) => id,
    bones: async (id, source) => {
      const [number, item] = readable(id);
      const parts = await shelf.parts(number);
      const [width, height] = parts.size;
      const warnings = item.flags.map((flag) => ({ code: flag, count: 1, text: { en: flag, ko: flag } }));
      return { width, height, revision: 0, author: null, saved: null, bones: bonesOf(data, item, parts, source), warnings };
    },
    scores: async (id, source, against) => {
      const values = diceOf(find(id)[1], source, against);
      if (!values) throw new Error("these two were not compared");
      const all = mean(values);
      const bones = Object.fromEntries(names.map((name, k) => [name, values[k] == null ? null : values[k]! / 1000]));
      return { mean: all === null ? null : all / 1000, bones };
    },
    doubtful: nothing, history: async () => [], revision: nothing, gradcam: nothing, measurements: nothing,
    write: null,
  };
}

/** For the film room: the picture that a script brought. */
export const fetchedFrom = (shelf: Shelf): Fetched => async (id) => {
  const number = shelf.data.items.findIndex((item) => item.file === id);
  const item = shelf.data.items[number];
  if (!item || item.error) return { status: 0, text: item?.error ?? t("no_such_picture") };
  const { image } = await shelf.parts(number);
  return new Blob([Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0))], { type: "image/jpeg" });
};
