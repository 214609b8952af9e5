// The sheet of all keys, made of the table that also makes them work.

import { KEYS, letters, type Key } from "./kit/keys";
import { keep } from "./kit/keep";
import { session } from "./kit/store";
import { Dialog } from "./kit/ui";
import { t, type Word } from "./kit/words";

/** Keys of what a page may lack, by what it lacks. */
const MISSING: Record<string, string> = { doubtful: "doubtful", gradcam: "gradcam", measures: "measurements" };

export function KeysDialog({ onClose }: { onClose: () => void }) {
  const lacks: readonly string[] = session.value?.lacks ?? [];
  const places: Key["where"][] = ["everywhere", "browse", "look", "correct"];
  return (
    <Dialog title={t("keys")} wide onClose={onClose}>
      <div class="keys">
        {places.filter((where) => where !== "correct" || session.value?.writable).map((where) => {
          const there = ([name, key]: [string, Key]): boolean => key.where === where && key.shown !== "" && !lacks.includes(MISSING[name] ?? "");
          const keys = Object.entries(KEYS as Record<string, Key>).filter(there).map(([, key]) => key);
          if (where === "browse") return (
            <section key={where}>
              <h3>{t("keys_browse")}</h3>
              <dl>
                <dt><kbd>← ↑ → ↓</kbd></dt><dd>{t("key_grid_move")}</dd>
                <dt><kbd>Enter</kbd></dt><dd>{t("key_grid_open")}</dd>
              </dl>
            </section>
          );
          return (
            <section key={where}>
              <h3>{t(`keys_${where}` as Word)}</h3>
              <dl>
                {keys.map((key) => (
                  <><dt><kbd>{key.shown}</kbd></dt><dd>{t(key.word)}</dd></>
                ))}
              </dl>
            </section>
          );
        })}
        <section>
          <h3>{t("keys_pointer")}</h3>
          <dl>
            <dt>{t("pointer_wheel")}</dt><dd>{t("pointer_zoom")}</dd>
            <dt>{t("pointer_double")}</dt><dd>{t("pointer_whole")}</dd>
            <dt>{t("pointer_right")}</dt><dd>{t("pointer_light")}</dd>
            {session.value?.writable && (
              <>
                <dt>{t("pointer_alt")}</dt><dd>{t("pointer_delete")}</dd>
                <dt>{t("pointer_edge")}</dt><dd>{t("pointer_add")}</dd>
              </>
            )}
          </dl>
        </section>
      </div>
      <label class="check">
        <input type="checkbox" checked={letters.value} onChange={(event) => { letters.value = event.currentTarget.checked; keep("letters", letters.value); }} />
        {t("letters_on")}
      </label>
    </Dialog>
  );
}
