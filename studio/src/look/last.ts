// How pictures are looked at, from one to the next: which source, what beside it, laid out how.

export type Layout = "single" | "beside" | "difference" | "hands";

export const last = { source: null as string | null, beside: [] as string[], layout: "single" as Layout };

/** The next picture is opened with this source, and these beside it. */
export function lookWith(source: string, beside: string[]): void {
  Object.assign(last, { source, beside, layout: "beside" });
}
