// Corrections that were not saved yet, kept in the browser: only the bones that were changed, so that they fit. The
// storage is synchronous on purpose: a tab that is being closed may not wait for anything.

import { forget, keep, kept } from "../kit/keep";
import type { Bone } from "../kit/types";

export interface Draft {
  picture: string;
  name: string;
  source: string;
  revision: number;
  /** ISO 8601. */
  at: string;
  bones: Bone[];
}

const key = (picture: string): string => `draft:${picture}`;

/** False where the browser has no room: the page then says that an unsaved correction is not kept. */
export function keepDraft(draft: Draft): boolean {
  return keep(key(draft.picture), draft);
}

export function draftOf(picture: string): Draft | null {
  const draft = kept<Draft | null>(key(picture), null);
  return draft && Array.isArray(draft.bones) && draft.bones.length > 0 && typeof draft.revision === "number" ? draft : null;
}

export const dropDraft = (picture: string): void => forget(key(picture));

/** Pictures with drafts, newest first. */
export function drafts(): Draft[] {
  const found: Draft[] = [];
  try {
    for (let i = 0; i < localStorage.length; i++) {
      const name = localStorage.key(i) ?? "";
      const at = name.indexOf("draft:");
      const draft = at < 0 ? null : draftOf(name.slice(at + "draft:".length));
      if (draft) found.push(draft);
    }
  } catch {
    // no storage, no drafts
  }
  return found.sort((a, b) => b.at.localeCompare(a.at));
}
