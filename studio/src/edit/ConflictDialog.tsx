// Two people on one picture: both corrections beside each other, and the choice. Nothing is overwritten unseen: whatever
// is chosen, what they saved stays in the history.

import { useEffect, useRef } from "preact/hooks";
import { api } from "../kit/api";
import { kindOf, titleOf } from "../kit/store";
import { Button, Dialog } from "../kit/ui";
import { t, when } from "../kit/words";
import type { Bone } from "../kit/types";
import { filmAt, type Film } from "../look/film";
import type { Look } from "../look/model";
import { pathFor } from "../look/layers";
import { bounds } from "./shape";

type Box = [number, number, number, number];

/** A small still picture: the film and some bones, the part that matters. */
function Still({ film, bones, box, label }: { film: Film; bones: readonly Bone[]; box: Box; label: string }) {
  const at = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = at.current!;
    const context = canvas.getContext("2d")!;
    const scale = Math.min(canvas.width / (box[2] - box[0]), canvas.height / (box[3] - box[1]));
    const x = canvas.width / 2 - ((box[0] + box[2]) / 2) * scale;
    const y = canvas.height / 2 - ((box[1] + box[3]) / 2) * scale;
    context.setTransform(1, 0, 0, 1, 0, 0); // the last drawing left its own
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    for (const { bitmap, box: part } of film.parts()) {
      context.drawImage(bitmap, x + part.x * scale, y + part.y * scale, part.width * scale, part.height * scale);
    }
    context.setTransform(scale, 0, 0, scale, x, y);
    for (const bone of bones) {
      context.strokeStyle = context.fillStyle = kindOf(bone.name).colour;
      context.lineWidth = 2 / scale;
      context.globalAlpha = 0.25;
      context.fill(pathFor(bone), "evenodd");
      context.globalAlpha = 1;
      context.stroke(pathFor(bone));
    }
  }, [bones, box]);
  return <canvas ref={at} width={520} height={400} role="img" aria-label={label} />;
}

export function ConflictDialog({ look, onClose }: { look: Look; onClose: () => void }) {
  const { theirs, bones } = look.edit.conflict.value!;
  const film = filmAt(api.image(look.id));
  const mine = look.edit.changed.value.map((name) => look.edit.bone(name)!);
  const names = new Set(look.edit.changed.value);
  const theirChanges = look.edit.theirChanges();
  const both = theirChanges.filter((bone) => names.has(bone.name)).map((bone) => bone.name);
  const around = bounds([...mine, ...theirChanges].flatMap((bone) => bone.polygons)) ?? [0, 0, film.width || 1, film.height || 1];
  const edge = Math.max(around[2] - around[0], around[3] - around[1]) * 0.15 + 10;
  const box: Box = [around[0] - edge, around[1] - edge, around[2] + edge, around[3] + edge];
  const list = (all: readonly Bone[]): string =>
    all.slice(0, 5).map((bone) => titleOf(bone.name)).join(", ") + (all.length > 5 ? ` … (${all.length})` : "") || t("nothing");
  return (
    <Dialog title={t("conflict_title")} wide onClose={onClose}>
      <p>{t("conflict_text", { author: theirs.author ?? "?", when: when(theirs.saved) })}</p>
      <div class="both">
        <figure>
          <figcaption><strong>{t("conflict_mine")}</strong> {list(mine)}</figcaption>
          <Still film={film} bones={mine.filter((bone) => bone.polygons.length)} box={box} label={t("conflict_mine")} />
        </figure>
        <figure>
          <figcaption><strong>{t("conflict_theirs", { author: theirs.author ?? "?" })}</strong> {list(theirChanges)}</figcaption>
          <Still film={film} bones={theirChanges.filter((bone) => bone.polygons.length)} box={box} label={t("conflict_theirs", { author: theirs.author ?? "?" })} />
        </figure>
      </div>
      {both.length > 0 && <p><strong>{t("conflict_both")}</strong> {both.map(titleOf).join(", ")}</p>}
      <p class="soft">{t("conflict_kept")}</p>
      <footer>
        <Button text label={t("cancel")} onClick={onClose} />
        <Button text label={t("conflict_take_theirs")} disabled={!bones} onClick={() => look.edit.resolve(false)} />
        <Button text kind="main" label={t("conflict_keep_mine")} disabled={!bones} onClick={() => look.edit.resolve(true)} />
      </footer>
    </Dialog>
  );
}
