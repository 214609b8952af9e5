// Who corrected, and why: asked once, kept for the next time.

import { useState } from "preact/hooks";
import { sourceTitle, tell, titleOf } from "../kit/store";
import { Button, Dialog } from "../kit/ui";
import { t } from "../kit/words";
import type { Look } from "../look/model";
import { author } from "./correction";

export function SaveDialog({ look, onClose }: { look: Look; onClose: () => void }) {
  const [by, setBy] = useState(author.value);
  const [note, setNote] = useState("");
  const save = async (): Promise<void> => {
    if (!by.trim()) return;
    if (await look.edit.save(by.trim(), note.trim())) {
      onClose();
      if (!look.edit.conflict.value) tell(t("saved"));
    } else onClose();
  };
  return (
    <Dialog title={t(look.edit.dirty.value ? "save_title" : "accept")} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <p>
          {look.edit.dirty.value
            ? `${t("changed_bones", { n: look.edit.changed.value.length })}: ${look.edit.changed.value.map(titleOf).join(", ")}`
            : t("accept_text", { source: sourceTitle(look.source.value) })}
        </p>
        <label class="field"><span>{t("author")}</span>
          <input name="author" required autocomplete="name" value={by} autofocus={!by} onInput={(event) => setBy(event.currentTarget.value)} />
        </label>
        <label class="field"><span>{t("note")}</span>
          <input name="note" value={note} autofocus={!!by} onInput={(event) => setNote(event.currentTarget.value)} />
        </label>
        <p class="soft">{t("save_keeps")}</p>
        <footer>
          <Button text label={t("cancel")} onClick={onClose} />
          <button type="submit" class="button main" disabled={!by.trim() || look.edit.saving.value}>{t("save")}</button>
        </footer>
      </form>
    </Dialog>
  );
}
