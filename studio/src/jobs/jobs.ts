// Trainings that the server runs: asked for again each second while one is under way, so that a page that was
// closed meanwhile finds them where they are.

import { computed, signal } from "@preact/signals";
import { writing } from "../kit/api";
import { complain, openSession, tell } from "../kit/store";
import { t } from "../kit/words";
import type { Job } from "../kit/types";

export const jobs = signal<Job[]>([]);
export const running = computed(() => jobs.value.find((job) => job.state === "queued" || job.state === "running") ?? null);
let timer: ReturnType<typeof setTimeout> | undefined;

export async function refresh(): Promise<void> {
  clearTimeout(timer);
  try {
    const found = await writing().jobs();
    const before = running.peek();
    jobs.value = found;
    const finished = before && jobs.value.find((job) => job.id === before.id && job.state === "done");
    if (finished) {
      tell(t("training_done"));
      void openSession(); // the new model is a source now
    }
  } catch (error) {
    complain(error);
  }
  if (running.peek()) timer = setTimeout(() => void refresh(), 1000);
}

export async function start(epochs: number, name: string, pictures: "corrected" | "all"): Promise<void> {
  try {
    await writing().finetune(epochs, name, pictures);
  } catch (error) {
    complain(error);
  }
  await refresh();
}

/** Points of a curve in a box of `width` x `height`, as an SVG path; a curve of one point is a short line. */
export function curve(points: readonly (readonly [number, number])[], width: number, height: number, low: number, high: number): string {
  const good = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  if (good.length === 0) return "";
  const from = good[0]![0];
  const span = Math.max(1e-9, good[good.length - 1]![0] - from);
  const tall = Math.max(1e-9, high - low);
  const place = ([x, y]: readonly [number, number]): string =>
    `${(((x - from) / span) * width).toFixed(1)},${(height - ((y - low) / tall) * height).toFixed(1)}`;
  if (good.length === 1) return `M${place(good[0]!)}h${(width / 20).toFixed(1)}`;
  return `M${good.map(place).join("L")}`;
}
