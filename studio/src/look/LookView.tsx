// The screen of one picture: bar above, tools at the left, stages in the middle, panel at the right.

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useSignal, useSignalEffect } from "@preact/signals";
import type View from "ol/View";
import { api } from "../kit/api";
import { KEYS, useKeys, type KeyName } from "../kit/keys";
import { go, place } from "../kit/route";
import { announced, session, sourceTitle, titleOf } from "../kit/store";
import { Button, type IconName } from "../kit/ui";
import { t, type Word } from "../kit/words";
import type { Row } from "../kit/types";
import { bounds } from "../edit/shape";
import type { BoneEditor, Tool } from "../edit/tools";
import { ConflictDialog } from "../edit/ConflictDialog";
import { ExchangeDialog } from "../edit/ExchangeDialog";
import { SaveDialog } from "../edit/SaveDialog";
import { sideText } from "../browse/side";
import { openDoubtful } from "./doubtful";
import { filmAt } from "./film";
import { automatic, isPlain, PLAIN } from "./levels";
import type { Layout } from "./last";
import { Look } from "./model";
import { sourcesOf } from "./sources";
import { filmShown, overlaid, setStyle, style } from "./style";
import { Pane } from "./Pane";
import { Panel } from "./Panel";
import { MISSING, SURPLUS } from "./difference";
import type { Stage } from "./stage";

interface Neighbours {
  before: () => Row | null;
  after: () => Row | null;
}

const TOOLS: { tool: Tool; icon: IconName; key: KeyName }[] = [
  { tool: "look", icon: "hand", key: "look" },
  { tool: "light", icon: "light", key: "light" },
  { tool: "points", icon: "points", key: "points" },
  { tool: "pull", icon: "pull", key: "pull" },
  { tool: "redraw", icon: "redraw", key: "redraw" },
  { tool: "polygon", icon: "polygon", key: "polygon" },
];

export function LookView({ id, neighbours }: { id: string; neighbours: Neighbours }) {
  const look = useMemo(() => new Look(id), [id]);
  const views = useMemo(() => new Map<string, View>(), [id]);
  const stages = useRef<Stage[]>([]);
  const editor = useRef<BoneEditor | null>(null);
  const dialog = useSignal<"save" | "exchange" | null>(null);
  const film = useMemo(() => filmAt(api.image(id)), [id]);
  const heading = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    const flush = (): void => look.edit.flush();
    addEventListener("pagehide", flush);
    addEventListener("visibilitychange", flush);
    heading.current?.focus();
    return () => {
      removeEventListener("pagehide", flush);
      removeEventListener("visibilitychange", flush);
      look.close();
    };
  }, [look]);

  // The next picture is fetched while this one is looked at, unless it is very large.
  useSignalEffect(() => {
    const next = neighbours.after();
    if (film.state.value !== "ready" || !next || (next.width ?? 0) * (next.height ?? 0) > 17_000_000) return;
    const soon = setTimeout(() => filmAt(api.image(next.id)), 700);
    return () => clearTimeout(soon);
  });

  useSignalEffect(() => {
    document.title = `${look.row.value?.name ?? id}${look.edit.dirty.value ? " •" : ""} – ${session.value?.title ?? "ossa studio"}`;
  });

  const main = (): Stage | undefined => stages.current[0];
  const open = (row: Row | null): boolean => {
    if (row) go({ picture: row.id, asked: place.value.asked });
    return row !== null;
  };
  const toGrid = (): void => go({ picture: null, asked: place.value.asked });
  const levelsOf = (auto: boolean): void => {
    const levels = look.levels.value;
    look.levels.value =
      auto && film.histogram ? { ...levels, ...automatic(film.histogram) } : { ...PLAIN, invert: levels.invert };
  };
  const choose = (tool: Tool): boolean => {
    const edits = tool !== "look" && tool !== "light";
    if (edits && !session.value?.writable) return false;
    if (edits && !look.selected.value) {
      const first = look.edit.bones.value[0];
      look.selected.value = (look.edit.bones.value.find((bone) => bone.polygons.length) ?? first)?.name ?? null;
    }
    look.tool.value = tool;
    announced.value = `${t(KEYS[TOOLS.find((one) => one.tool === tool)!.key].word)}${
      edits && look.selected.value ? `: ${titleOf(look.selected.value)}` : ""
    }`;
    return true;
  };
  const pick = (by: number): void => {
    const names = look.edit.bones.value.map((bone) => bone.name);
    if (!names.length) return;
    const at = names.indexOf(look.selected.value ?? "");
    look.selected.value = names[(at + by + names.length + (at < 0 && by < 0 ? 1 : 0)) % names.length]!;
    announced.value = titleOf(look.selected.value);
  };
  const toBone = (name: string | null): boolean => {
    const bone = look.edit.bone(name);
    const box = bone && bounds(bone.polygons);
    if (!box) return false;
    main()?.fit(box, true, film.width, film.height);
    return true;
  };
  const arrow = (dx: number, dy: number, event: KeyboardEvent): void => {
    const far = event.shiftKey ? 10 : 1;
    if (editor.current?.nudge(dx * far, dy * far)) return;
    // A picture that lies in the window whole is walked on from; else there is something to pan to.
    const walks = dx !== 0 && look.tool.value === "look" && main()?.wide(film.width);
    if (!walks) main()?.pan(dx, dy);
    else open(dx > 0 ? neighbours.after() : neighbours.before());
  };
  const lacks = session.value?.lacks ?? [];
  const writable = session.value?.writable ?? false;
  // A prediction that needs no correction is accepted: it becomes the picture's label as it is.
  const savable = writable && look.edit.bones.value.length > 0 && (look.edit.dirty.value || look.source.value !== "truth");

  useKeys({
    back: () => {
      if (editor.current?.abort()) return;
      if (look.tool.value !== "look") look.tool.value = "look";
      else if (look.selected.value) look.selected.value = null;
      else toGrid();
    },
    next: () => open(neighbours.after()),
    previous: () => open(neighbours.before()),
    doubtful: () => !lacks.includes("doubtful") && void openDoubtful(id, look.source.value),
    zoomIn: () => main()?.zoom(1.25),
    zoomOut: () => main()?.zoom(0.8),
    whole: () => main()?.fit(null, true, film.width, film.height),
    actual: () => main()?.map.getView().setResolution(1),
    toBone: () => toBone(look.selected.value),
    left: (event) => arrow(-1, 0, event),
    right: (event) => arrow(1, 0, event),
    up: (event) => arrow(0, -1, event),
    down: (event) => arrow(0, 1, event),
    invert: () => void (look.levels.value = { ...look.levels.value, invert: !look.levels.value.invert }),
    auto: () => levelsOf(isPlain({ ...look.levels.value, invert: false })),
    light: () => choose(look.tool.value === "light" ? "look" : "light"),
    bones: () => void (look.bonesShown.value = !look.bonesShown.value),
    fill: () => setStyle({ filled: !style.value.filled }),
    film: () => void (filmShown.value = !filmShown.value),
    overlaid: () => look.toggleOverlaid(),
    beside: () => look.chooseLayout("beside"),
    difference: () => look.chooseLayout("difference"),
    hands: () => look.chooseLayout("hands"),
    gradcam: () => {
      if (lacks.includes("gradcam")) return false;
      if (!look.selected.value) pick(1);
      look.gradcamShown.value = !look.gradcamShown.value;
      return true;
    },
    measures: () => !lacks.includes("measurements") && look.toggleMeasures(),
    boneAfter: () => pick(1),
    boneBefore: () => pick(-1),
    look: () => choose("look"),
    points: () => choose("points"),
    pull: () => choose("pull"),
    redraw: () => choose("redraw"),
    polygon: () => choose("polygon"),
    smooth: () => writable && look.edit.smooth(look.selected.value),
    exchange: () => {
      if (!writable || !look.selected.value) return false;
      dialog.value = "exchange";
      return true;
    },
    absent: () => writable && look.edit.mark(look.selected.value, "absent"),
    notJudged: () => writable && look.edit.mark(look.selected.value, "not judged"),
    pointAfter: () => editor.current?.step(1) ?? false,
    pointBefore: () => editor.current?.step(-1) ?? false,
    addPoint: () => editor.current?.add() ?? false,
    deletePoint: () => editor.current?.remove() ?? false,
    undo: () => look.edit.undo(),
    redo: () => look.edit.redo(),
    save: () => {
      if (savable) dialog.value = "save";
    },
  });

  const row = look.row.value;
  const layout = look.layout.value;
  const sitting = look.edit.sitting.value;
  const selected = look.edit.bone(look.selected.value);
  const panes: { key: string; picture: string; source: string }[] = [{ key: id, picture: id, source: look.source.value }];
  if (layout === "beside") for (const source of look.beside.value) panes.push({ key: source, picture: id, source });
  if (layout === "hands" && row?.pair) panes.push({ key: row.pair, picture: row.pair, source: look.source.value });
  // A picture that was seen whole is seen whole in narrower panes too.
  const whole = main()?.wide(film.width) ?? false;
  useLayoutEffect(() => {
    if (!whole || !main()) return;
    main()!.map.updateSize();
    main()!.fit(null, false, film.width, film.height);
  }, [panes.length]);

  if (look.failed.value) {
    const { trouble } = look.failed.value;
    return (
      <main class="failed">
        <h1 tabIndex={-1} ref={heading}>{trouble.message}</h1>
        {trouble.found && <p>{t("found")}: {trouble.found}</p>}
        {trouble.expected && <p>{t("expected")}: {trouble.expected}</p>}
        {trouble.remedy && <p>{t("remedy")}: {trouble.remedy}</p>}
        <Button kind="main" text label={t("to_grid")} onClick={toGrid} />
      </main>
    );
  }

  const layouts: { to: Layout; key: KeyName }[] = [
    { to: "beside", key: "beside" },
    { to: "difference", key: "difference" },
    { to: "hands", key: "hands" },
  ];

  return (
    <main class="look">
      <header class="bar">
        <Button icon="back" label={t("to_grid")} shortcut="Esc" onClick={toGrid} />
        <h1 tabIndex={-1} ref={heading} title={row?.name}>
          <span>{(row?.name ?? "").replace(/^.*\//, "")}</span>
          {look.edit.dirty.value && <span class="dot" title={t("unsaved")} />}
        </h1>
        <p class="facts">
          {[row?.subject, row?.side ? sideText(row.side) : null, row?.width ? `${row.width} × ${row.height}` : null, row?.spacing_mm ? `${row.spacing_mm.toFixed(3)} mm` : null]
            .filter(Boolean).join(" · ")}
        </p>
        {row?.corrected && <span class="badge">{t("corrected")}</span>}
        {row?.film && row.film.of > 1 && (
          <div class="segments" role="group" aria-label={t("hands_on_film")}>
            {row.film.ids.map((hand, n) => (
              <Button key={hand} text label={t("hand_of", { n: n + 1, of: row.film!.of })} pressed={hand === id} onClick={() => go({ picture: hand, asked: place.value.asked })} />
            ))}
          </div>
        )}
        <div class="segments" role="group" aria-label={t("compare")}>
          {layouts.map(({ to, key }) => (
            <Button
              key={to} text label={t(`layout_${to}` as Word)} shortcut={KEYS[key].shown} pressed={layout === to}
              disabled={to === "hands" ? !row?.pair : sourcesOf(row).length < 2}
              onClick={() => look.chooseLayout(to)}
            />
          ))}
        </div>
        <div class="group">
          {writable && <Button icon="undo" label={t("undo")} shortcut="Ctrl Z" disabled={!sitting || sitting.at === 0} onClick={() => look.edit.undo()} />}
          {writable && <Button icon="redo" label={t("redo")} shortcut="Ctrl Y" disabled={!sitting || sitting.at === sitting.steps.length} onClick={() => look.edit.redo()} />}
          {writable && (
            <Button kind="main" text label={t(look.edit.dirty.value || !savable ? "save" : "accept")} shortcut="Ctrl S" disabled={!savable || look.edit.saving.value} onClick={() => (dialog.value = "save")} />
          )}
        </div>
        <div class="group walk">
          <Button icon="back" label={t("key_previous")} shortcut={KEYS.previous.shown} disabled={!neighbours.before()} onClick={() => void open(neighbours.before())} />
          <Button icon="next" label={t("key_next")} shortcut={KEYS.next.shown} disabled={!neighbours.after()} onClick={() => void open(neighbours.after())} />
          {!lacks.includes("doubtful") && <Button text label={t("next_doubtful")} shortcut="N" onClick={() => void openDoubtful(id, look.source.value)} />}
        </div>
      </header>
      <div class="work">
        <nav class="tools" aria-label={t("tools")}>
          {TOOLS.filter(({ tool }) => writable || tool === "look" || tool === "light").map(({ tool, icon, key }) => (
            <Button key={tool} icon={icon} label={t(KEYS[key].word)} shortcut={KEYS[key].shown} pressed={look.tool.value === tool} onClick={() => void choose(tool)} />
          ))}
          <hr />
          <Button icon="invert" label={t("key_invert")} shortcut="I" pressed={look.levels.value.invert} onClick={() => (look.levels.value = { ...look.levels.value, invert: !look.levels.value.invert })} />
          <Button icon="plus" label={t("key_zoom_in")} shortcut="+" onClick={() => main()?.zoom(1.4)} />
          <Button icon="minus" label={t("key_zoom_out")} shortcut="−" onClick={() => main()?.zoom(1 / 1.4)} />
          <Button icon="whole" label={t("key_whole")} shortcut="0" onClick={() => main()?.fit(null, true, film.width, film.height)} />
        </nav>
        <div class={`panes n${panes.length}`}>
          {panes.map(({ key, picture, source }, i) => (
            <Pane
              key={key} look={look} picture={picture} source={source} first={i === 0} caption={panes.length > 1} views={views}
              onStage={(stage, tools) => {
                if (tools) {
                  editor.current = tools;
                  stages.current.unshift(stage);
                } else stages.current.push(stage);
                link(stages.current);
              }}
              onFirstView={() => {
                // Two hands begin at one zoom.
                if (i > 0) main()?.fit(null, false, film.width, film.height);
              }}
              onGone={(stage) => {
                stages.current = stages.current.filter((other) => other !== stage);
              }}
            />
          ))}
          {layout === "difference" && (
            <p class="legend">
              <span><i ref={(node) => { if (node) node.style.background = MISSING; }} />{t("only_in", { source: otherTitle(look) })}</span>
              <span><i ref={(node) => { if (node) node.style.background = SURPLUS; }} />{t("only_in", { source: ownTitle(look) })}</span>
            </p>
          )}
          {overlaid.value && layout !== "difference" && look.against.value && (
            <p class="legend">
              <span><i class="rule" />{sourceTitle(look.source.value)}</span>
              <span><i class="rule dashes" />{sourceTitle(look.against.value)}</span>
            </p>
          )}
          {(look.gradcamBusy.value || look.waiting.value > 0) && (
            <p class="legend busy" role="status">{t(look.gradcamBusy.value ? "gradcam_busy" : "bones_busy")}</p>
          )}
          {selected && writable && (
            <div class="selection" role="toolbar" aria-label={titleOf(selected.name)}>
              {look.tool.value !== "look" && <p class="hint">{t(`hint_${look.tool.value}` as Word)}</p>}
              <span class="who"><strong>{titleOf(selected.name)}</strong> <code>{selected.name}</code></span>
              {look.tool.value === "points" && (
                <Button icon="trash" label={t("delete_points")} pressed={look.deleting.value} onClick={() => (look.deleting.value = !look.deleting.value)} />
              )}
              <Button icon="smooth" label={t("key_smooth")} shortcut="S" disabled={!selected.polygons.length} onClick={() => void look.edit.smooth(look.selected.value)} />
              <Button icon="exchange" label={t("key_exchange")} shortcut="X" onClick={() => (dialog.value = "exchange")} />
              <Button icon="absent" label={t("key_absent")} shortcut="A" pressed={selected.state === "absent"} onClick={() => void look.edit.mark(look.selected.value, "absent")} />
              <Button icon="unknown" label={t("key_not_judged")} shortcut="J" pressed={selected.state === "not judged"} onClick={() => void look.edit.mark(look.selected.value, "not judged")} />
            </div>
          )}
          {look.edit.draft.value && (
            <div class="offer" role="alert">
              <p>{t("draft_found", { n: look.edit.draft.value.bones.length, when: new Date(look.edit.draft.value.at).toLocaleString() })}</p>
              <Button kind="main" text label={t("draft_take")} onClick={() => look.edit.takeDraft()} />
              <Button text label={t("draft_drop")} onClick={() => look.edit.dropDraft()} />
            </div>
          )}
          {look.edit.draftLost.value && <div class="offer" role="alert"><p>{t("draft_not_kept")}</p></div>}
        </div>
        <Panel look={look} film={film} onToBone={(name) => void toBone(name)} onAuto={() => levelsOf(true)} onPlain={() => levelsOf(false)} />
      </div>
      {dialog.value === "save" && <SaveDialog look={look} onClose={() => (dialog.value = null)} />}
      {dialog.value === "exchange" && selected && <ExchangeDialog look={look} name={selected.name} onClose={() => (dialog.value = null)} />}
      {look.edit.conflict.value && <ConflictDialog look={look} onClose={() => (look.edit.conflict.value = null)} />}
    </main>
  );
}

const otherTitle = (look: Look): string => sourceTitle(look.beside.value[0] ?? "");
const ownTitle = (look: Look): string => sourceTitle(look.source.value);

/** Panes of different pictures (both hands) keep the same zoom; panes of one picture share a view anyway. */
function link(stages: Stage[]): void {
  for (const stage of stages) {
    stage.map.once("postrender", () => {
      const view = stage.map.getView();
      if (view.get("linked")) return;
      view.set("linked", true);
      view.on("change:resolution", () => {
        for (const other of stages) {
          const theirs = other.map.getView();
          if (theirs !== view && !view.getAnimating() && theirs.getResolution() !== view.getResolution()) theirs.setResolution(view.getResolution());
        }
      });
    });
  }
}
