// Who corrected, and why: asked once, kept for the next time.

import { useState } from "preact/hooks";
import { sourceTitle, tell, titleOf } from "../kit/store";
import { Button, Dialog } from "../kit/ui";
import { t } from "../kit/words";
import { author, type Look } from "../look/model";

export function SaveDialog({ look, onClose }: { look: Look; onClose: () => void }) {
  const [by, setBy] = useState(author.value);
  const [note, setNote] = useState("");
  const save = async (): Promise<void> => {
    if (!by.trim()) return;
    if (await look.save(by.trim(), note.trim())) {
      onClose();
      if (!look.conflict.value) tell(t("saved"));
    } else onClose();
  };
  return (
    <Dialog title={t(look.dirty.value ? "save_title" : "accept")} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <p>
          {look.dirty.value
            ? `${t("changed_bones", { n: look.changed.value.length })}: ${look.changed.value.map(titleOf).join(", ")}`
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
          <button type="submit" class="button main" disabled={!by.trim() || look.saving.value}>{t("save")}</button>
        </footer>
      </form>
    </Dialog>
  );
}
