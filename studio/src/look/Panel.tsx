// The panel beside the stages: which source, its warnings, the bones, the light, measurements, history.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { keep, kept } from "../kit/keep";
import { kindOf, session, sourceTitle, titleOf } from "../kit/store";
import { Button, Choice, dice, Field } from "../kit/ui";
import { say, t, when, type Word } from "../kit/words";
import type { Bone, Flag, Measurements } from "../kit/types";
import { api } from "../kit/api";
import { complain } from "../kit/store";
import type { Film } from "./film";
import { MOST_PANES, type Look } from "./model";
import { sourcesOf } from "./sources";
import { filmShown, hidden, overlaid, setStyle, style } from "./style";

interface PanelProps {
  look: Look;
  film: Film;
  onToBone: (name: string) => void;
  onAuto: () => void;
  onPlain: () => void;
}

/** A part of the panel that stays open or closed as it was left. */
function Part({ id, word, note, children }: { id: string; word: Word; note?: string | undefined; children: ComponentChildren }) {
  const [open, setOpen] = useState(kept(`part:${id}`, ["source", "warnings", "bones", "light"].includes(id)));
  return (
    <details
      open={open}
      onToggle={(event) => {
        setOpen(event.currentTarget.open);
        keep(`part:${id}`, event.currentTarget.open);
      }}
    >
      <summary>
        <h2>{t(word)}</h2>
        {note && <span class="soft">{note}</span>}
      </summary>
      {open && <div class="inside">{children}</div>}
    </details>
  );
}

export function Panel(props: PanelProps) {
  const { look } = props;
  const warnings = grouped(look);
  const lacks = session.value?.lacks ?? [];
  return (
    <aside class="panel" aria-label={t("panel")}>
      <Part id="source" word="source"><SourcePart look={look} /></Part>
      {warnings.length > 0 && (
        <Part id="warnings" word="warnings" note={String(warnings.length)}>
          <ul class="warnings">
            {warnings.map((warning) => (
              <li key={warning.code}>
                <p>{warning.text}</p>
                {warning.bones.length > 0 && (
                  <p class="chips">
                    {warning.bones.map((name) => (
                      <button key={name} type="button" class="chip" onClick={() => { look.selected.value = name; props.onToBone(name); }}>
                        <Swatch colour={kindOf(name).colour} /> {titleOf(name)}
                      </button>
                    ))}
                  </p>
                )}
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part id="bones" word="bones" note={boneCount(look)}><BonesPart look={look} onToBone={props.onToBone} /></Part>
      <Part id="light" word="light"><LightPart {...props} /></Part>
      {!(lacks.includes("gradcam") && lacks.includes("measurements")) && <Part id="more" word="overlays"><OverlayPart look={look} /></Part>}
      {!lacks.includes("history") && (
        <Part id="history" word="history" note={look.history.value.length ? String(look.history.value.length) : undefined}><HistoryPart look={look} /></Part>
      )}
    </aside>
  );
}

export function Swatch({ colour }: { colour: string }) {
  return <i class="swatch" ref={(node) => { if (node) node.style.background = colour; }} />;
}

function boneCount(look: Look): string {
  const found = look.edit.bones.value.filter((bone) => bone.polygons.length > 0).length;
  return `${found} / ${look.edit.bones.value.length}`;
}

/** Warnings of the picture, then those of bones, one entry a kind. */
function grouped(look: Look): { code: string; text: string; bones: string[] }[] {
  const found = new Map<string, { code: string; text: string; bones: string[] }>();
  const texts = new Map<string, Set<string>>();
  const put = (flag: Flag, bone: string | null): void => {
    const entry = found.get(flag.code) ?? { code: flag.code, text: say(flag.text), bones: [] };
    found.set(flag.code, entry);
    texts.set(flag.code, (texts.get(flag.code) ?? new Set()).add(say(flag.text)));
    if (bone && !entry.bones.includes(bone)) entry.bones.push(bone);
  };
  for (const warning of look.frame.value?.warnings ?? []) put(warning, null);
  for (const bone of look.edit.bones.value) for (const flag of bone.flags) put(flag, bone.name);
  return [...found.values()];
}

function SourcePart({ look }: { look: Look }) {
  const sources = sourcesOf(look.row.value);
  const options = sources.map((id) => ({ value: id, text: sourceTitle(id) }));
  const dirty = look.edit.dirty.value;
  const scores = look.scores.value;
  const frame = look.frame.value;
  return (
    <>
      <Choice label={t("bones_from")} value={look.source.value} options={options} disabled={dirty} onChange={(id) => void look.chooseSource(id)} />
      {dirty && <p class="soft">{t("source_fixed")}</p>}
      {frame?.author && <p class="soft">{t("corrected_by", { author: frame.author, when: when(frame.saved) })}</p>}
      {sources.length > 1 && (
        <Choice
          label={t("compared_with")} value={look.against.value}
          options={[{ value: "", text: t("nothing") }, ...options.filter((one) => one.value !== look.source.value)]}
          onChange={(id) => {
            look.against.value = id;
            void look.fetchScores();
            if (id && look.layout.value !== "beside") look.chooseBeside([id]);
          }}
        />
      )}
      {look.against.value && (
        <label class="check">
          <input type="checkbox" checked={overlaid.value} onChange={() => look.toggleOverlaid()} />
          {t("overlay", { source: sourceTitle(look.against.value) })}
        </label>
      )}
      {scores && scores.mean !== null && <p>{t("mean_dice")} <strong>{dice(scores.mean)}</strong></p>}
      {sources.length > 2 && (
        <fieldset>
          <legend>{t("side_by_side")}</legend>
          {options.filter((one) => one.value !== look.source.value).map((one) => {
            const on = look.beside.value.includes(one.value);
            return (
              <label key={one.value} class="check">
                <input
                  type="checkbox" checked={on} disabled={!on && look.beside.value.length >= MOST_PANES - 1}
                  onChange={() => look.chooseBeside(on ? look.beside.value.filter((id) => id !== one.value) : [...look.beside.value, one.value])}
                />
                {one.text}
              </label>
            );
          })}
        </fieldset>
      )}
    </>
  );
}

function BonesPart({ look, onToBone }: { look: Look; onToBone: (name: string) => void }) {
  const groups = new Map<string, Bone[]>();
  for (const bone of look.edit.bones.value) {
    const { group: digit, row } = kindOf(bone.name);
    const group = style.value.rows ? row : digit;
    groups.set(group, [...(groups.get(group) ?? []), bone]);
  }
  const changed = new Set(look.edit.changed.value);
  const scores = look.scores.value?.bones;
  const hide = (names: string[], away: boolean): void => {
    const next = new Set(hidden.value);
    for (const name of names) if (away) next.add(name); else next.delete(name);
    hidden.value = next;
  };
  const all = look.edit.bones.value.map((bone) => bone.name);
  return (
    <>
      <div class="row">
        <Button text label={t("all")} onClick={() => hide(all, false)} />
        <Button text label={t("none")} onClick={() => hide(all, true)} />
        <Button text label={t("by_row")} pressed={style.value.rows} onClick={() => setStyle({ rows: !style.value.rows })} />
        {look.selected.value && <Button text label={t("only_this")} onClick={() => { hidden.value = new Set(all.filter((name) => name !== look.selected.value)); }} />}
        <span class="soft right">{scores ? "Dice" : t("confidence")}</span>
      </div>
      {[...groups].map(([group, bones]) => {
        const names = bones.map((bone) => bone.name);
        const shown = names.filter((name) => !hidden.value.has(name)).length;
        return (
          <fieldset key={group} class="bones">
            <legend>
              <label class="check">
                <input
                  type="checkbox" checked={shown === names.length}
                  ref={(node) => { if (node) node.indeterminate = shown > 0 && shown < names.length; }}
                  onChange={() => hide(names, shown === names.length)}
                />
                {groupTitle(group)}
              </label>
            </legend>
            {bones.map((bone) => {
              const value = scores ? dice(scores[bone.name]) : bone.confidence === null ? "–" : bone.confidence.toFixed(2);
              const low = scores ? (scores[bone.name] ?? 1) < 0.85 : (bone.confidence ?? 1) < 0.6;
              const selected = look.selected.value === bone.name;
              return (
                <div key={bone.name} class={`bone ${selected ? "selected" : ""} ${bone.state === "found" ? "" : "off"}`}>
                  <input
                    type="checkbox" aria-label={t("show_bone", { bone: titleOf(bone.name) })} checked={!hidden.value.has(bone.name)}
                    onChange={(event) => hide([bone.name], !event.currentTarget.checked)}
                  />
                  <button
                    type="button" aria-pressed={selected} title={titleOf(bone.name)}
                    onClick={() => { look.selected.value = selected ? null : bone.name; }}
                    onDblClick={() => { look.selected.value = bone.name; onToBone(bone.name); }}
                  >
                    <Swatch colour={kindOf(bone.name).colour} />
                    <span class="name">{titleOf(bone.name)}</span>
                    {changed.has(bone.name) && <span class="dot" title={t("unsaved")} />}
                    <code>{bone.name}</code>
                    <span class={`value ${low ? "low" : ""}`}>
                      {bone.state === "found" ? value : t(bone.state === "absent" ? "state_absent" : "state_not_judged")}
                    </span>
                  </button>
                </div>
              );
            })}
          </fieldset>
        );
      })}
    </>
  );
}

/** Groups of bones: by digit, or by row across the hand. */
const GROUPS: Record<string, Word> = {
  "digit-1": "digit_1", "digit-2": "digit_2", "digit-3": "digit_3", "digit-4": "digit_4", "digit-5": "digit_5",
  carpals: "carpals", forearm: "forearm",
  distal: "row_distal", middle: "row_middle", proximal: "row_proximal", metacarpal: "row_metacarpal", carpal: "carpals",
};
export const groupTitle = (group: string): string => (GROUPS[group] ? t(GROUPS[group]) : t("other_bones"));

function Slider(props: { label: string; value: number; min: number; max: number; step: number; shown: string; onChange: (value: number) => void }) {
  return (
    <label class="slider">
      <span>{props.label}</span>
      <input type="range" min={props.min} max={props.max} step={props.step} value={props.value} onInput={(event) => props.onChange(Number(event.currentTarget.value))} />
      <output>{props.shown}</output>
    </label>
  );
}

function LightPart({ look, onAuto, onPlain }: PanelProps) {
  const levels = look.levels.value;
  const number = (label: string, value: number, min: number, max: number, set: (value: number) => void) => (
    <Field label={label}>
      <input type="number" min={min} max={max} value={Math.round(value)} onChange={(event) => set(Math.min(max, Math.max(min, Number(event.currentTarget.value) || min)))} />
    </Field>
  );
  return (
    <>
      <div class="row">
        {number(t("window"), levels.window, 1, 510, (window) => (look.levels.value = { ...levels, window }))}
        {number(t("level"), levels.level, 0, 255, (level) => (look.levels.value = { ...levels, level }))}
      </div>
      <div class="row">
        <Button text label={t("automatic")} shortcut="W" onClick={onAuto} />
        <Button text label={t("as_stored")} onClick={onPlain} />
        <Button text label={t("invert")} shortcut="I" pressed={levels.invert} onClick={() => (look.levels.value = { ...levels, invert: !levels.invert })} />
      </div>
      <p class="soft">{t("light_hint")}</p>
      <div class="row">
        <label class="check"><input type="checkbox" checked={look.bonesShown.value} onChange={() => (look.bonesShown.value = !look.bonesShown.value)} />{t("show_bones")}</label>
        <label class="check"><input type="checkbox" checked={style.value.filled} onChange={() => setStyle({ filled: !style.value.filled })} />{t("filled")}</label>
        <label class="check"><input type="checkbox" checked={filmShown.value} onChange={() => (filmShown.value = !filmShown.value)} />{t("show_film")}</label>
      </div>
      <Slider label={t("opacity")} value={style.value.fill} min={0.05} max={0.9} step={0.01} shown={`${Math.round(style.value.fill * 100)} %`} onChange={(fill) => setStyle({ fill })} />
    </>
  );
}

function OverlayPart({ look }: { look: Look }) {
  const measures = look.measures.value;
  return (
    <>
      <label class="check">
        <input type="checkbox" checked={look.gradcamShown.value} onChange={() => (look.gradcamShown.value = !look.gradcamShown.value)} />
        {t("gradcam")}
      </label>
      {look.gradcamShown.value && <p class="soft">{look.selected.value ? t("gradcam_of", { bone: titleOf(look.selected.value) }) : t("gradcam_pick")}</p>}
      <label class="check">
        <input type="checkbox" checked={look.measuresShown.value} onChange={() => look.toggleMeasures()} />
        {t("measurements")}
      </label>
      {look.measuresShown.value && measures && (
        <>
          <p class="soft">{measures.unit === "mm" && measures.spacing_source ? t("spacing_from", { source: measures.spacing_source }) : t("spacing_unknown")}</p>
          {look.selected.value ? <MeasureTable rows={measures.rows.filter((row) => row.bone === look.selected.value)} /> : <p class="soft">{t("measures_pick")}</p>}
          <h3>{t("measures_hand")}</h3>
          <MeasureTable rows={measures.rows.filter((row) => !row.bone)} />
        </>
      )}
    </>
  );
}

function MeasureTable({ rows }: { rows: Measurements["rows"] }) {
  return (
    <table>
      <tbody>
        {rows.map((row) => (
          <tr key={`${row.bone} ${row.name}`}>
            <th scope="row">{say(row.title)}</th>
            {row.value === null ? <td class="why">{say(row.reason)}</td> : (
              <td>{row.text?.replace("+-", "±") ?? <>{shown(row.value)}{row.uncertainty !== null && <span class="soft"> ± {shown(row.uncertainty)}</span>} {row.unit}</>}</td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const shown = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 1 ? value.toFixed(1) : value.toFixed(2));

function HistoryPart({ look }: { look: Look }) {
  const list = look.history.value;
  if (list.length === 0) return <p class="soft">{t("no_history")}</p>;
  const restore = async (revision: number): Promise<void> => {
    try {
      look.edit.restore(await api.revision(look.id, revision));
    } catch (error) {
      complain(error);
    }
  };
  return (
    <ol class="history">
      {[...list].sort((a, b) => b.revision - a.revision).map((one) => (
        <li key={one.revision}>
          <p>
            <strong>{one.revision === 0 ? t("first_label") : t("revision", { n: one.revision })}</strong>
            {one.author && <span> {one.author}</span>} <span class="soft">{when(one.saved)}</span>
          </p>
          {one.note && one.revision > 0 && <p class="soft">{one.note}</p>}
          {session.value?.writable && one.revision !== look.edit.sitting.value?.revision && (
            <Button text label={t("restore")} onClick={() => void restore(one.revision)} />
          )}
        </li>
      ))}
    </ol>
  );
}
