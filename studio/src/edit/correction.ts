// The correction in progress of one picture: what was drawn, step by step, its draft in the browser, and its saving.
// Every change of bones goes through `step`.

import { batch, computed, effect, signal, type ReadonlySignal } from "@preact/signals";
import { api, Refused, writing } from "../kit/api";
import { keep, kept } from "../kit/keep";
import { announced, complain, titleOf } from "../kit/store";
import { t, type Word } from "../kit/words";
import type { Bone, BonesOfPicture, Revision, Row } from "../kit/types";
import { complete } from "../look/sources";
import {
  accepted, begin, changed, exchanged, now, outgoing, rebased, redone, stepped, undone, withRings, withState,
  type Sitting, type Step,
} from "./document";
import { draftOf, dropDraft, keepDraft, type Draft } from "./drafts";
import { smoothed } from "./shape";

export const author = signal<string>(kept("author", ""));

/** Sittings of this tab, so that undo reaches back also after another picture was looked at. */
const sittings = new Map<string, Sitting>();

const same = (a: Bone | undefined, b: Bone): boolean =>
  !!a && a.state === b.state && JSON.stringify(a.polygons) === JSON.stringify(b.polygons);

/** The picture that is corrected, as the look at it knows it. */
export interface Subject {
  readonly id: string;
  readonly source: ReadonlySignal<string>;
  readonly row: ReadonlySignal<Row | null>;
  /** The server took the correction: `accept` makes it the saved state, once what the server has now is here. */
  saved(accept: () => void): Promise<void>;
  /** The correction goes on upon somebody else's revision. */
  rebased(): void;
}

export class Correction {
  readonly sitting = signal<Sitting | null>(null);
  /** What an earlier tab left, while it is offered. */
  readonly draft = signal<Draft | null>(null);
  readonly draftLost = signal(false);
  readonly saving = signal(false);
  readonly conflict = signal<{ theirs: Revision; bones: BonesOfPicture | null } | null>(null);
  readonly changed = computed(() => (this.sitting.value ? changed(this.sitting.value) : []));
  readonly dirty = computed(() => this.changed.value.length > 0);
  readonly bones = computed<readonly Bone[]>(() => (this.sitting.value ? [...now(this.sitting.value).values()] : []));
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly stop: () => void;

  constructor(private readonly subject: Subject) {
    this.draft.value = draftOf(subject.id);
    this.stop = effect(() => this.follow(this.sitting.value));
  }

  private key = (source: string): string => `${this.subject.id}|${source}`;

  /** Begin with what the source says, or go on where this tab was; nothing where it says nothing. */
  begin(bones: BonesOfPicture | null): void {
    const before = sittings.get(this.key(this.subject.source.peek()));
    if (!bones) this.sitting.value = null;
    else this.sitting.value = before && before.revision === bones.revision ? before : begin(complete(bones.bones), bones.revision);
  }

  /** What was drawn upon `source` is saved, and is no longer gone on with there. */
  forget(source: string): void {
    sittings.delete(this.key(source));
  }

  bone(name: string | null): Bone | null {
    return name && this.sitting.value ? (now(this.sitting.value).get(name) ?? null) : null;
  }

  // ---- steps -----------------------------------------------------------------------------------------------------

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

  smooth(name: string | null): boolean {
    const bone = this.bone(name);
    if (!bone?.polygons.length) return false;
    this.step("smooth", [withRings(bone, bone.polygons.map((ring) => smoothed(ring)))]);
    return true;
  }

  mark(name: string | null, state: "absent" | "not judged" | "found"): boolean {
    const bone = this.bone(name);
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

  /** Back to another revision, as a step that can be undone. */
  restore(bones: BonesOfPicture): void {
    const sitting = this.sitting.value;
    if (!sitting) return;
    const current = now(sitting);
    this.step("restore", complete(bones.bones).filter((bone) => !same(current.get(bone.name), bone)));
  }

  // ---- the draft -------------------------------------------------------------------------------------------------

  takeDraft(): void {
    const draft = this.draft.value;
    if (draft) this.step("draft", draft.bones);
    this.draft.value = null;
  }

  dropDraft(): void {
    this.draft.value = null;
    dropDraft(this.subject.id);
  }

  /** Keep the draft and the sitting up to date. */
  private follow(sitting: Sitting | null): void {
    if (!sitting) return;
    sittings.set(this.key(this.subject.source.peek()), sitting);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), 250);
  }

  /** Write the draft now (the tab may be closing). */
  flush(): void {
    clearTimeout(this.timer);
    const sitting = this.sitting.peek();
    const row = this.subject.row.peek();
    if (!sitting || !row) return;
    const names = changed(sitting);
    if (names.length === 0) {
      // A draft that is still being offered stays.
      if (!this.draft.peek()) dropDraft(this.subject.id);
      return;
    }
    const bones = names.map((name) => now(sitting).get(name)!);
    const [picture, source, at] = [this.subject.id, this.subject.source.peek(), new Date().toISOString()];
    const whole = keepDraft({ picture, name: row.name, source, revision: sitting.revision, at, bones });
    if (whole) this.draft.value = null;
    this.draftLost.value = !whole;
  }

  // ---- saving ----------------------------------------------------------------------------------------------------

  /** False where the server refused; true also for a conflict, which `conflict` then holds. */
  async save(by: string, note: string): Promise<boolean> {
    const sitting = this.sitting.value;
    if (!sitting || this.saving.value) return false;
    this.saving.value = true;
    author.value = by;
    keep("author", by);
    try {
      const bones = outgoing(now(sitting));
      const { revision } = await writing().save(this.subject.id, { revision: sitting.revision, author: by, note, bones });
      await this.subject.saved(() => {
        // What was drawn meanwhile stays unsaved: only the state that was sent counts as the server's.
        this.sitting.value = { ...accepted(this.sitting.value ?? sitting, revision), saved: now(sitting) };
      });
      this.flush();
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

  /** Somebody saved this picture in between: both are shown, nothing is lost. */
  private async clash(error: Refused): Promise<void> {
    const theirs = (error.body as { theirs?: Revision } | null)?.theirs ?? { revision: 0, author: null, saved: null };
    let bones: BonesOfPicture | null = null;
    try {
      bones = await api.revision(this.subject.id, theirs.revision);
    } catch (other) {
      complain(other);
    }
    this.conflict.value = { theirs, bones };
  }

  /** The bones that somebody else changed, as far as the conflict tells. */
  theirChanges(): Bone[] {
    const { theirs, bones } = this.conflict.value!;
    const told = theirs.changed ? new Set(theirs.changed) : null;
    const saved = this.sitting.value?.saved;
    return (bones?.bones ?? []).filter((bone) => (told ? told.has(bone.name) : !same(saved?.get(bone.name), bone)));
  }

  /** Goes on upon their revision: with my changed bones on top, or without. */
  resolve(keepMine: boolean): void {
    const conflict = this.conflict.value;
    const sitting = this.sitting.value;
    if (!conflict?.bones || !sitting) return;
    const theirs = complete(conflict.bones.bones);
    const revision = conflict.theirs.revision;
    batch(() => {
      this.sitting.value = keepMine ? rebased(sitting, theirs, revision) : begin(theirs, revision);
      this.conflict.value = null;
    });
    this.flush();
    this.subject.rebased();
  }

  close(): void {
    this.flush();
    this.stop();
    const sitting = this.sitting.peek();
    if (sitting) sittings.set(this.key(this.subject.source.peek()), sitting);
  }
}
