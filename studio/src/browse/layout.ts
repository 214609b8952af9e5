// Which pictures of a long grid are on the screen, and which part of the list to ask the server for.

export interface Grid {
  columns: number;
  /** Height of a row with its gap, px. */
  row: number;
  /** Width of a card without its gap, px. */
  card: number;
  /** Height of everything, px. */
  height: number;
}

export const GAP = 12;

export function layOut(total: number, width: number, least: number, caption: number): Grid {
  const columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  const card = Math.max(1, Math.floor((width - GAP * (columns - 1)) / columns));
  const row = card + caption + GAP;
  return { columns, card, row, height: Math.max(0, Math.ceil(total / columns) * row - GAP) };
}

/** [first, end) of the pictures that show between `top` and `top + height`, with `spare` rows around. */
export function visible(grid: Grid, total: number, top: number, height: number, spare = 2): [number, number] {
  const first = Math.max(0, Math.floor(top / grid.row) - spare);
  const last = Math.ceil((top + height) / grid.row) + spare;
  return [Math.min(total, first * grid.columns), Math.min(total, Math.max(0, last * grid.columns))];
}

/** Numbers of the pages of `size` that hold the pictures [first, end). */
export function pagesOf(first: number, end: number, size: number): number[] {
  if (end <= first) return [];
  const pages: number[] = [];
  for (let page = Math.floor(first / size); page <= Math.floor((end - 1) / size); page++) pages.push(page);
  return pages;
}

/** Where a key leads from picture `at`; null for a key that does not move. */
export function moved(key: string, at: number, total: number, columns: number, rows: number): number | null {
  const last = total - 1;
  if (last < 0) return null;
  const to = (n: number): number => Math.max(0, Math.min(last, n));
  switch (key) {
    case "ArrowRight": return to(at + 1);
    case "ArrowLeft": return to(at - 1);
    case "ArrowDown": return at + columns > last ? at : at + columns;
    case "ArrowUp": return at - columns < 0 ? at : at - columns;
    case "PageDown": return to(at + columns * rows);
    case "PageUp": return to(at - columns * rows);
    case "Home": return 0;
    case "End": return last;
    default: return null;
  }
}
