// One picture that is looked at: what is known about it and what is shown of it. Components read its signals. What is
// drawn on it stands in its correction (edit/correction.ts).

import { batch, computed, effect, signal } from "@preact/signals";
import { api, Refused } from "../kit/api";
import { announced, complain, session } from "../kit/store";
import { t } from "../kit/words";
import type { BonesOfPicture, Measurements, Revision, Row, Scores } from "../kit/types";
import { Correction } from "../edit/correction";
import type { Tool } from "../edit/tools";
import { last, type Layout } from "./last";
import { PLAIN, type Levels } from "./levels";
import { defaultAgainst, preferred, sourcesOf } from "./sources";
import { overlaid } from "./style";

/** Panes beside each other, the first one included. */
export const MOST_PANES = 4;
/** Points of predictions are left out where the line moves by less than this (px). */
const SIMPLIFY = 0.5;

export class Look {
  readonly row = signal<Row | null>(null);
  readonly pair = signal<Row | null>(null);
  readonly failed = signal<Refused | null>(null);
  readonly source = signal<string>("truth");
  readonly beside = signal<string[]>([]);
  readonly layout = signal<Layout>("single");
  readonly levels = signal<Levels>(PLAIN);
  readonly bonesShown = signal(true);
  readonly selected = signal<string | null>(null);
  readonly tool = signal<Tool>("look");
  readonly deleting = signal(false);
  readonly scores = signal<Scores | null>(null);
  readonly against = signal<string>("");
  readonly measures = signal<Measurements | null>(null);
  readonly measuresShown = signal(false);
  readonly gradcam = signal<{ bone: string; bitmap: ImageBitmap } | null>(null);
  readonly gradcamShown = signal(false);
  readonly gradcamBusy = signal(false);
  readonly history = signal<Revision[]>([]);
  readonly loaded = signal<Record<string, BonesOfPicture>>({});
  readonly frame = computed(() => this.loaded.value[this.key(this.id, this.source.value)] ?? null);
  private readonly stops: (() => void)[] = [];
  /** Bones that were asked for and are not here yet: a model may have to find them first. */
  readonly waiting = signal(0);
  private asking = new Map<string, Promise<BonesOfPicture | null>>();

  readonly edit: Correction;

  constructor(readonly id: string) {
    this.edit = new Correction(this);
    void this.open();
    this.stops.push(effect(() => {
      const against = this.against.value;
      if (overlaid.value && against && this.row.value) void this.fetchBones(this.id, against, false, true);
    }));
    this.stops.push(effect(() => void this.fetchGradcam(this.gradcamShown.value, this.selected.value, this.source.value)));
  }

  private key = (picture: string, source: string): string => `${picture}|${source}`;

  private async open(): Promise<void> {
    try {
      // The bones are asked for at once where it is known which: a round trip less.
      const guess = session.peek()?.sources.find((one) => (last.source ? one.id === last.source : one.kind !== "truth"));
      if (guess && guess.kind !== "model") void this.fetchBones(this.id, guess.id, false, true);
      const row = await api.picture(this.id);
      const sources = sourcesOf(row);
      const wanted = last.source ?? preferred(sources, row);
      batch(() => {
        this.row.value = row;
        this.source.value = sources.includes(wanted) ? wanted : preferred(sources, row);
        this.beside.value = last.beside.filter((id) => sources.includes(id) && id !== this.source.value);
      });
      await this.fetchBones(this.id, this.source.value);
      this.edit.begin(this.frame.peek());
      if (last.layout !== "single") this.chooseLayout(last.layout);
      if (!this.against.value) this.against.value = defaultAgainst(sources, this.source.value);
      void this.fetchScores();
      void this.fetchHistory();
      // Without its other hand a picture is still one.
      if (row.pair) this.pair.value = await api.picture(row.pair).catch(() => null);
    } catch (error) {
      if (error instanceof Refused) this.failed.value = error;
      else complain(error);
    }
  }

  /** Bones of a source as the server has them; asked for once. */
  fetchBones(picture: string, source: string, again = false, quietly = false): Promise<BonesOfPicture | null> {
    const key = this.key(picture, source);
    const have = this.loaded.peek()[key];
    if (have && !again) return Promise.resolve(have);
    const asked = this.asking.get(key);
    if (asked && !again) return asked;
    const asking = this.askBones(key, picture, source, quietly);
    this.asking.set(key, asking);
    return asking;
  }

  private async askBones(key: string, picture: string, source: string, quietly: boolean): Promise<BonesOfPicture | null> {
    this.waiting.value++;
    try {
      const kind = session.peek()?.sources.find((one) => one.id === source)?.kind;
      const bones = await api.bones(picture, source, kind === "truth" ? 0 : SIMPLIFY);
      this.loaded.value = { ...this.loaded.peek(), [key]: bones };
      return bones;
    } catch (error) {
      if (!quietly) complain(error);
      return null;
    } finally {
      this.waiting.value--;
      this.asking.delete(key);
    }
  }

  async chooseSource(source: string): Promise<void> {
    if (this.edit.dirty.value || source === this.source.value) return;
    last.source = source;
    batch(() => {
      this.source.value = source;
      this.beside.value = this.beside.value.filter((id) => id !== source);
      this.edit.begin(null);
    });
    await this.fetchBones(this.id, source);
    if (this.source.value !== source) return;
    this.edit.begin(this.frame.peek());
    const sources = sourcesOf(this.row.value);
    this.against.value = defaultAgainst(sources, source);
    this.measures.value = null;
    if (this.measuresShown.value) void this.fetchMeasures();
    void this.fetchScores();
  }

  chooseBeside(list: string[]): void {
    this.beside.value = list.filter((id) => id !== this.source.value).slice(0, MOST_PANES - 1);
    last.beside = this.beside.value;
    for (const id of this.beside.value) void this.fetchBones(this.id, id);
  }

  chooseLayout(layout: Layout): void {
    const to = this.layout.value === layout ? "single" : layout;
    if (to === "beside" || to === "difference") {
      if (this.beside.value.length === 0) {
        const other = defaultAgainst(sourcesOf(this.row.value), this.source.value);
        if (!other) return void (announced.value = t("nothing_beside"));
        this.chooseBeside([other]);
      } else this.chooseBeside(this.beside.value);
    }
    if (to === "hands") {
      if (!this.row.value?.pair) return void (announced.value = t("no_pair"));
      void this.fetchBones(this.row.value.pair, this.source.value);
    }
    this.layout.value = last.layout = to;
    announced.value = t(`layout_${to}`);
  }

  toggleOverlaid(): void {
    if (!this.against.value) return void (announced.value = t("nothing_beside"));
    overlaid.value = !overlaid.value;
  }

  async fetchScores(): Promise<void> {
    const [source, against] = [this.source.value, this.against.value];
    this.scores.value = null;
    if (!against || against === source) return;
    try {
      const scores = await api.scores(this.id, source, against);
      if (source === this.source.value && against === this.against.value) this.scores.value = scores;
    } catch {
      // No score is no error: not every picture has the truth.
    }
  }

  async fetchMeasures(): Promise<void> {
    try {
      this.measures.value = await api.measurements(this.id, this.source.value);
    } catch (error) {
      this.measuresShown.value = false;
      complain(error);
    }
  }

  toggleMeasures(): void {
    this.measuresShown.value = !this.measuresShown.value;
    if (this.measuresShown.value && !this.measures.value) void this.fetchMeasures();
  }

  async fetchHistory(): Promise<void> {
    try {
      this.history.value = await api.history(this.id);
    } catch {
      this.history.value = [];
    }
  }

  private async fetchGradcam(shown: boolean, bone: string | null, source: string): Promise<void> {
    this.gradcam.value = null;
    if (!shown || !bone) return;
    this.gradcamBusy.value = true;
    try {
      const bitmap = await createImageBitmap(await api.gradcam(this.id, bone, source));
      if (this.selected.value === bone && this.gradcamShown.value) this.gradcam.value = { bone, bitmap };
    } catch (error) {
      this.gradcamShown.value = false;
      complain(error);
    } finally {
      this.gradcamBusy.value = false;
    }
  }

  // ---- what the correction tells -----------------------------------------------------------------------------------

  async saved(accept: () => void): Promise<void> {
    const row = await api.picture(this.id).catch(() => null);
    const truth = await this.fetchBones(this.id, "truth", true);
    batch(() => {
      if (row) this.row.value = row;
      accept();
      if (this.source.value !== "truth" && truth) {
        const former = this.source.value;
        this.edit.forget(former);
        this.source.value = "truth";
        last.source = null;
        // What was compared with the truth is now what the truth is compared with.
        this.chooseBeside(this.beside.value.map((id) => (id === "truth" ? former : id)));
      }
      this.against.value = defaultAgainst(sourcesOf(this.row.value), "truth");
      this.measures.value = null;
    });
    if (this.measuresShown.value) void this.fetchMeasures();
    void this.fetchScores();
    void this.fetchHistory();
  }

  rebased(): void {
    void this.fetchBones(this.id, "truth", true);
    void this.fetchHistory();
  }

  close(): void {
    this.edit.close();
    for (const stop of this.stops) stop();
  }
}
