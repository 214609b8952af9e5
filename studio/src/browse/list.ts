// The pictures that match the filters, as pages that are asked for when they come into view.

import { signal } from "@preact/signals";
import { api } from "../kit/api";
import { complain } from "../kit/store";
import type { Row } from "../kit/types";
import { pagesOf } from "./layout";

export const PAGE = 200;
export const FILTERS = ["sort", "order", "bone", "source", "against", "side", "fold", "flag", "subject", "search", "corrected"] as const;

/** What the address says, as the server is asked: unknown words are left out. */
export function askedOf(words: Record<string, string>): Record<string, string> {
  const asked: Record<string, string> = {};
  for (const name of FILTERS) if (words[name]) asked[name] = words[name];
  return asked;
}

export class List {
  readonly total = signal<number | null>(null);
  /** Counts up when rows arrive. */
  readonly arrived = signal(0);
  private rows = new Map<number, Row>();
  private asking = new Set<number>();
  private stop = new AbortController();
  private asked: Record<string, string> = {};

  /** Begin again with other filters. */
  ask(asked: Record<string, string>): void {
    this.stop.abort();
    this.stop = new AbortController();
    this.asked = asked;
    this.rows = new Map();
    this.asking = new Set();
    this.need(0, 1);
  }

  row(at: number): Row | null {
    return this.rows.get(at) ?? null;
  }

  indexOf(id: string): number {
    for (const [at, row] of this.rows) if (row.id === id) return at;
    return -1;
  }

  /** Ask for the pictures [first, end) where they are not here yet. */
  need(first: number, end: number): void {
    for (const page of pagesOf(first, end, PAGE)) {
      if (this.asking.has(page)) continue;
      this.asking.add(page);
      void this.fetch(page, this.stop.signal);
    }
  }

  private async fetch(page: number, stop: AbortSignal): Promise<void> {
    try {
      const { total, rows } = await api.pictures({ ...this.asked, offset: page * PAGE, limit: PAGE }, stop);
      if (stop.aborted) return;
      rows.forEach((row, i) => this.rows.set(page * PAGE + i, row));
      this.total.value = total;
      this.arrived.value++;
    } catch (error) {
      if (stop.aborted) return;
      this.asking.delete(page);
      if (this.total.value === null) this.total.value = 0;
      complain(error);
    }
  }

  /** A row that changed (corrected, say). */
  put(row: Row): void {
    const at = this.indexOf(row.id);
    if (at >= 0) {
      this.rows.set(at, { ...row, score: row.score ?? this.rows.get(at)!.score });
      this.arrived.value++;
    }
  }
}

export const list = new List();
