// Where the page is, in the part of its address after #: "#/" the grid, "#/picture/ID" a picture. The grid's filters
// stand there too, so that back, reload and a link lead to the same pictures.

import { signal } from "@preact/signals";

export interface Place {
  picture: string | null;
  asked: Record<string, string>;
}

export function readPlace(hash: string): Place {
  const [path = "", words = ""] = hash.replace(/^#/, "").split("?");
  const found = /^\/picture\/([^/]+)/.exec(path);
  let picture: string | null = null;
  try {
    picture = found?.[1] ? decodeURIComponent(found[1]) : null;
  } catch {
    picture = null; // a broken % sequence: the grid
  }
  return { picture, asked: Object.fromEntries(new URLSearchParams(words)) };
}

export function writePlace(place: Place): string {
  const words = new URLSearchParams(Object.entries(place.asked).filter(([, value]) => value !== "")).toString();
  const path = place.picture === null ? "/" : `/picture/${encodeURIComponent(place.picture)}`;
  return `#${path}${words ? `?${words}` : ""}`;
}

export const place = signal<Place>({ picture: null, asked: {} });

export function followAddress(): void {
  const read = (): void => {
    place.value = readPlace(location.hash);
  };
  addEventListener("hashchange", read);
  read();
}

/** Go there; `quietly` without a step in the browser's history. */
export function go(to: Place, quietly = false): void {
  const hash = writePlace(to);
  if (hash === location.hash) return;
  if (quietly) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  place.value = to;
}
