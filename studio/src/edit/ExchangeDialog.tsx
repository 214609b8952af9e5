// Which bone the selected one is mistaken for. Neighbours of the same kind come first: they are what models confuse.

import { kindOf, session, titleOf } from "../kit/store";
import { Dialog } from "../kit/ui";
import { t } from "../kit/words";
import type { BoneKind } from "../kit/types";
import type { Look } from "../look/model";
import { Swatch } from "../look/Panel";

/** The others, those of the same row or group first. */
export function candidates(of: BoneKind, all: readonly BoneKind[]): BoneKind[] {
  const near = (bone: BoneKind): number => (bone.row === of.row ? 0 : bone.group === of.group ? 1 : 2);
  return all.filter((bone) => bone.name !== of.name).sort((a, b) => near(a) - near(b));
}

export function ExchangeDialog({ look, name, onClose }: { look: Look; name: string; onClose: () => void }) {
  return (
    <Dialog title={t("exchange_title", { bone: titleOf(name) })} onClose={onClose}>
      <p class="soft">{t("exchange_hint")}</p>
      <ul class="picks">
        {candidates(kindOf(name), session.value?.bones ?? []).map((bone) => (
          <li key={bone.name}>
            <button type="button" onClick={() => { look.edit.exchange(name, bone.name); onClose(); }}>
              <Swatch colour={bone.colour} /> <span>{titleOf(bone.name)}</span> <code>{bone.name}</code>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
