// One picture that is looked at: what the server said about it, what is shown of it, and the correction in progress.
// Components read its signals; every change of bones goes through `step`.

import { batch, computed, effect, signal } from "@preact/signals";
import { api, Refused } from "../kit/api";
import { keep, kept } from "../kit/keep";
import { announced, complain, session, titleOf } from "../kit/store";
import { t, type Word } from "../kit/words";
import type { Bone, BonesOfPicture, Measurements, Revision, Row, Scores } from "../kit/types";
import {
  accepted, begin, changed, exchanged, now, outgoing, rebased, redone, stepped, undone, withRings, withState,
  type Sitting, type Step,
} from "../edit/document";
import { draftOf, dropDraft, keepDraft, type Draft } from "../edit/drafts";
import { smoothed } from "../edit/shape";
import type { Tool } from "../edit/tools";
import { PLAIN, type Levels } from "./levels";
import { complete, defaultAgainst, preferred, sourcesOf } from "./sources";

export type Layout = "single" | "beside" | "difference" | "hands";
/** Panes beside each other, the first one included. */
export const MOST_PANES = 4;
/** Points of predictions are left out where the line moves by less than this (px). */
const SIMPLIFY = 0.5;

export const author = signal<string>(kept("author", ""));
const lastSource = { id: null as string | null, beside: [] as string[] };

/** Sittings of this tab, so that undo reaches back also after another picture was looked at. */
const sittings = new Map<string, Sitting>();

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
  readonly sitting = signal<Sitting | null>(null);
  readonly draft = signal<Draft | null>(null);
  readonly draftLost = signal(false);
  readonly scores = signal<Scores | null>(null);
  readonly against = signal<string>("");
  readonly measures = signal<Measurements | null>(null);
  readonly measuresShown = signal(false);
  readonly gradcam = signal<{ bone: string; bitmap: ImageBitmap } | null>(null);
  readonly gradcamShown = signal(false);
  readonly gradcamBusy = signal(false);
  readonly history = signal<Revision[]>([]);
  readonly loaded = signal<Record<string, BonesOfPicture>>({});
  readonly saving = signal(false);
  readonly conflict = signal<{ theirs: Revision; bones: BonesOfPicture | null } | null>(null);
  readonly changed = computed(() => (this.sitting.value ? changed(this.sitting.value) : []));
  readonly dirty = computed(() => this.changed.value.length > 0);
  readonly bones = computed<readonly Bone[]>(() => (this.sitting.value ? [...now(this.sitting.value).values()] : []));
  readonly frame = computed(() => this.loaded.value[this.key(this.id, this.source.value)] ?? null);
  private readonly stops: (() => void)[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Bones that were asked for and are not here yet: a model may have to find them first. */
  readonly waiting = signal(0);
  private asking = new Map<string, Promise<BonesOfPicture | null>>();

  constructor(readonly id: string) {
    void this.open();
    this.stops.push(effect(() => this.follow(this.sitting.value)));
    this.stops.push(effect(() => void this.fetchGradcam(this.gradcamShown.value, this.selected.value, this.source.value)));
  }

  private key = (picture: string, source: string): string => `${picture}|${source}`;

  private async open(): Promise<void> {
    try {
      // The bones are asked for at once where it is known which: a round trip less.
      const guess = session.peek()?.sources.find((one) => (lastSource.id ? one.id === lastSource.id : one.kind !== "truth"));
      if (guess && guess.kind !== "model") void this.fetchBones(this.id, guess.id, false, true);
      const row = await api.picture(this.id);
      const sources = sourcesOf(row);
      const wanted = lastSource.id ?? preferred(sources, row);
      batch(() => {
        this.row.value = row;
        this.draft.value = draftOf(this.id);
        this.source.value = sources.includes(wanted) ? wanted : preferred(sources, row);
        this.beside.value = lastSource.beside.filter((id) => sources.includes(id) && id !== this.source.value);
      });
      await this.fetchBones(this.id, this.source.value);
      this.sit();
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

  /** Begin (or go on with) the correction of what the source says. */
  private sit(): void {
    const bones = this.frame.peek();
    if (!bones) {
      this.sitting.value = null;
      return;
    }
    const before = sittings.get(this.key(this.id, this.source.peek()));
    this.sitting.value = before && before.revision === bones.revision ? before : begin(complete(bones.bones), bones.revision);
  }

  async chooseSource(source: string): Promise<void> {
    if (this.dirty.value || source === this.source.value) return;
    lastSource.id = source;
    batch(() => {
      this.source.value = source;
      this.beside.value = this.beside.value.filter((id) => id !== source);
      this.sitting.value = null;
    });
    await this.fetchBones(this.id, source);
    if (this.source.value !== source) return;
    this.sit();
    const sources = sourcesOf(this.row.value);
    this.against.value = defaultAgainst(sources, source);
    this.measures.value = null;
    if (this.measuresShown.value) void this.fetchMeasures();
    void this.fetchScores();
  }

  chooseBeside(list: string[]): void {
    this.beside.value = list.filter((id) => id !== this.source.value).slice(0, MOST_PANES - 1);
    lastSource.beside = this.beside.value;
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
    this.layout.value = to;
    announced.value = t(`layout_${to}`);
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

  // ---- correcting ------------------------------------------------------------------------------------------------

  bone(name: string | null): Bone | null {
    return name && this.sitting.value ? (now(this.sitting.value).get(name) ?? null) : null;
  }

  step(what: Step["what"], changes: Bone[]): void {
    const before = this.sitting.value;
    if (!before) return;
    const after = stepped(before, { what, bones: changes.map((bone) => bone.name) }, changes);
    if (after === before) return;
    this.sitting.value = after;
    announced.value = this.describe(after.steps[after.at - 1]!);
  }

  describe = (step: Step): string =>
    t(`step_${step.what.replace(" ", "_")}` as Word, { bones: step.bones.map(titleOf).join(", ") });

  redraw(what: Step["what"], name: string, rings: Bone["polygons"]): void {
    const bone = this.bone(name);
    if (bone) this.step(what, [withRings(bone, rings)]);
  }

  smooth(): boolean {
    const bone = this.bone(this.selected.value);
    if (!bone?.polygons.length) return false;
    this.step("smooth", [withRings(bone, bone.polygons.map((ring) => smoothed(ring)))]);
    return true;
  }

  mark(state: "absent" | "not judged" | "found"): boolean {
    const bone = this.bone(this.selected.value);
    if (!bone || bone.state === state) return false;
    this.step(state, [withState(bone, state)]);
    return true;
  }

  exchange(a: string, b: string): void {
    const [one, two] = [this.bone(a), this.bone(b)];
    if (one && two && a !== b) this.step("exchange", exchanged(one, two));
  }

  undo(): void {
    const sitting = this.sitting.value;
    if (!sitting || sitting.at === 0) return;
    this.sitting.value = undone(sitting);
    announced.value = t("undone", { step: this.describe(sitting.steps[sitting.at - 1]!) });
  }

  redo(): void {
    const sitting = this.sitting.value;
    if (!sitting || sitting.at === sitting.steps.length) return;
    this.sitting.value = redone(sitting);
    announced.value = this.describe(sitting.steps[sitting.at]!);
  }

  /** Everything back to what the server has, as a step that can be undone. */
  discard(): void {
    const sitting = this.sitting.value;
    if (sitting) this.step("restore", this.changed.value.map((name) => sitting.saved.get(name)!));
  }

  restore(bones: BonesOfPicture): void {
    const sitting = this.sitting.value;
    if (!sitting) return;
    const current = now(sitting);
    const same = (bone: Bone): boolean => {
      const mine = current.get(bone.name);
      return !!mine && mine.state === bone.state && JSON.stringify(mine.polygons) === JSON.stringify(bone.polygons);
    };
    this.step("restore", complete(bones.bones).filter((bone) => !same(bone)));
  }

  takeDraft(): void {
    const draft = this.draft.value;
    if (draft) this.step("draft", draft.bones);
    this.draft.value = null;
  }

  dropDraft(): void {
    this.draft.value = null;
    dropDraft(this.id);
  }

  /** Keep the draft and the sitting up to date. */
  private follow(sitting: Sitting | null): void {
    if (!sitting) return;
    sittings.set(this.key(this.id, this.source.peek()), sitting);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), 250);
  }

  /** Write the draft now (the tab may be closing). */
  flush(): void {
    clearTimeout(this.timer);
    const sitting = this.sitting.peek();
    const row = this.row.peek();
    if (!sitting || !row) return;
    const names = changed(sitting);
    if (names.length === 0) {
      // A draft that is still being offered stays.
      if (!this.draft.peek()) dropDraft(this.id);
      return;
    }
    const bones = names.map((name) => now(sitting).get(name)!);
    const whole = keepDraft({
      picture: this.id, name: row.name, source: this.source.peek(), revision: sitting.revision, at: new Date().toISOString(), bones,
    });
    if (whole) this.draft.value = null;
    this.draftLost.value = !whole;
  }

  async save(by: string, note: string): Promise<boolean> {
    const sitting = this.sitting.value;
    if (!sitting || this.saving.value) return false;
    this.saving.value = true;
    author.value = by;
    keep("author", by);
    try {
      const bones = outgoing(now(sitting));
      const { revision } = await api.save(this.id, { revision: sitting.revision, author: by, note, bones });
      await this.saved(sitting, revision);
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 409) {
        await this.clash(error);
        return true;
      }
      complain(error);
      return false;
    } finally {
      this.saving.value = false;
    }
  }

  private async saved(sitting: Sitting, revision: number): Promise<void> {
    const row = await api.picture(this.id).catch(() => null);
    const truth = await this.fetchBones(this.id, "truth", true);
    batch(() => {
      if (row) this.row.value = row;
      // What was drawn meanwhile stays unsaved: only the state that was sent counts as the server's.
      const current = this.sitting.value ?? sitting;
      this.sitting.value = { ...accepted(current, revision), saved: now(sitting) };
      if (this.source.value !== "truth" && truth) {
        const former = this.source.value;
        sittings.delete(this.key(this.id, former));
        this.source.value = "truth";
        lastSource.id = null;
        // What was compared with the truth is now what the truth is compared with.
        this.chooseBeside(this.beside.value.map((id) => (id === "truth" ? former : id)));
      }
      this.against.value = defaultAgainst(sourcesOf(this.row.value), "truth");
      this.measures.value = null;
    });
    this.flush();
    if (this.measuresShown.value) void this.fetchMeasures();
    void this.fetchScores();
    void this.fetchHistory();
  }

  /** Somebody saved this picture in between: both are shown, nothing is lost. */
  private async clash(error: Refused): Promise<void> {
    const theirs = (error.body as { theirs?: Revision } | null)?.theirs ?? { revision: 0, author: null, saved: null };
    let bones: BonesOfPicture | null = null;
    try {
      bones = await api.revision(this.id, theirs.revision);
    } catch (other) {
      complain(other);
    }
    this.conflict.value = { theirs, bones };
  }

  /** Goes on upon their revision: with my changed bones on top, or without. */
  resolve(keepMine: boolean): void {
    const conflict = this.conflict.value;
    const sitting = this.sitting.value;
    if (!conflict?.bones || !sitting) return;
    const theirs = complete(conflict.bones.bones);
    const revision = conflict.theirs.revision;
    this.sitting.value = keepMine ? rebased(sitting, theirs, revision) : begin(theirs, revision);
    this.conflict.value = null;
    this.flush();
    void this.fetchBones(this.id, "truth", true);
    void this.fetchHistory();
  }

  close(): void {
    this.flush();
    for (const stop of this.stops) stop();
    const sitting = this.sitting.peek();
    if (sitting) sittings.set(this.key(this.id, this.source.peek()), sitting);
  }
}
