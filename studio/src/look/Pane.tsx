// One stage of the look: a picture with the bones of one source. The first pane is the one that is corrected.

import { useEffect, useMemo, useRef } from "preact/hooks";
import { useSignal, useSignalEffect } from "@preact/signals";
import type View from "ol/View";
import { api } from "../kit/api";
import { dice } from "../kit/ui";
import { kindOf, sourceTitle, titleOf } from "../kit/store";
import { t } from "../kit/words";
import { BoneEditor } from "../edit/tools";
import { difference } from "./difference";
import { filmAt } from "./film";
import type { Look } from "./model";
import { filmShown, hidden, overlaid, style } from "./style";
import { makeView, Stage } from "./stage";

interface PaneProps {
  look: Look;
  picture: string;
  source: string;
  first: boolean;
  caption: boolean;
  /** Panes of one picture share a view. */
  views: Map<string, View>;
  onStage: (stage: Stage, editor: BoneEditor | null) => void;
  onGone: (stage: Stage) => void;
  /** A picture came into view for the first time. */
  onFirstView: () => void;
}

export function Pane({ look, picture, source, first, caption, views, onStage, onGone, onFirstView }: PaneProps) {
  const at = useRef<HTMLDivElement>(null);
  const stage = useSignal<Stage | null>(null);
  const editor = useRef<BoneEditor | null>(null);
  const tip = useSignal<{ name: string; x: number; y: number } | null>(null);
  const film = useMemo(() => filmAt(api.image(picture)), [picture]);

  useEffect(() => {
    const own = new Stage(at.current!);
    const tools = first ? new BoneEditor(own) : null;
    editor.current = tools;
    own.showFilm(film);
    own.onHover = (name, x, y) => {
      if (own.bones.hovered !== name) {
        own.bones.hovered = name;
        own.bones.changed();
      }
      tip.value = name ? { name, x, y } : null;
    };
    own.onPick = (name) => {
      look.selected.value = name;
    };
    own.onLevels = (levels) => {
      look.levels.value = levels;
    };
    if (tools) {
      tools.onChange = (what, rings) => {
        const name = look.selected.peek();
        if (name) look.edit.redraw(what, name, rings);
      };
    }
    // A test and the benchmark ask the page itself where things lie.
    (at.current as unknown as { stage: Stage }).stage = own;
    stage.value = own;
    onStage(own, tools);
    return () => {
      onGone(own);
      tools?.close();
      own.close();
      stage.value = null;
    };
  }, [picture]);

  useSignalEffect(() => {
    const own = stage.value;
    if (!own || film.state.value !== "ready") return;
    let view = views.get(picture);
    if (!view) {
      view = makeView(film.width, film.height);
      views.set(picture, view);
      own.map.setView(view);
      own.map.updateSize();
      own.fit(null, false, film.width, film.height);
      onFirstView();
    } else if (own.map.getView() !== view) own.map.setView(view);
  });

  useSignalEffect(() => stage.value?.showLevels(look.levels.value));
  useSignalEffect(() => stage.value?.film.setVisible(filmShown.value));

  useSignalEffect(() => {
    const own = stage.value;
    if (!own) return;
    const tool = first ? look.tool.value : look.tool.value === "light" ? "light" : "look";
    own.lighting = tool === "light";
    own.picking = tool === "look" || tool === "light" || look.selected.value === null;
    const bones = first ? look.edit.bones.value : (look.loaded.value[`${picture}|${source}`]?.bones ?? []);
    const shown = look.bonesShown.value;
    const selected = look.selected.value;
    const edits = first && shown && selected !== null && !["look", "light"].includes(tool);
    const filled = style.value.filled && look.layout.value !== "difference";
    Object.assign(own.bones, { filled, fill: style.value.fill, selected });
    const none = new Set(bones.map((bone) => bone.name));
    own.showBones({
      bones,
      colour: (name) => kindOf(name).colour,
      hidden: shown ? hidden.value : none,
      editing: edits ? selected : null,
    });
    const bone = edits ? bones.find((one) => one.name === selected) : null;
    if (editor.current) editor.current.deleting = look.deleting.value;
    editor.current?.show(bone ? bone.polygons : null, kindOf(selected ?? "").colour, tool);
  });

  // Differences, Grad-CAM and the outlines of what is compared lie over the film of the first pane.
  useSignalEffect(() => {
    const own = stage.value;
    if (!own || !first || film.state.value !== "ready") return;
    const size: [number, number] = [film.width, film.height];
    const cam = look.gradcam.value;
    const other = look.beside.value[0];
    const theirs = look.layout.value === "difference" && other ? look.loaded.value[`${picture}|${other}`]?.bones : undefined;
    if (theirs) {
      const shown = (bone: { name: string }): boolean => !hidden.value.has(bone.name);
      const over = difference(theirs.filter(shown), look.edit.bones.value.filter(shown), ...size);
      own.showSecond(theirs, (name) => kindOf(name).colour, hidden.value);
      own.showOver(over, size, 0.8);
    } else {
      const laid = overlaid.value ? look.loaded.value[`${picture}|${look.against.value}`]?.bones : undefined;
      own.showSecond(laid ?? [], () => "#ffffff", hidden.value);
      own.showOver(cam?.bitmap ?? null, size, 0.65);
    }
  });

  useSignalEffect(() => {
    // All at once would cover the hand: those of the chosen bone, or those of the whole hand.
    const all = first && look.measuresShown.value ? (look.measures.value?.drawings ?? []) : [];
    stage.value?.showMeasures(all.filter((drawing) => (drawing.bone ?? null) === look.selected.value));
  });

  const bones = first ? look.edit.bones.value : (look.loaded.value[`${picture}|${source}`]?.bones ?? []);
  const over = tip.value && bones.find((bone) => bone.name === tip.value!.name);
  const score = first && over ? look.scores.value?.bones[over.name] : null;
  return (
    <div class={`pane tool-${first ? look.tool.value : "look"}`} role="group" aria-label={sourceTitle(source)}>
      <div ref={at} class="stage" data-testid={first ? "stage" : "stage-beside"} />
      {caption && <p class="caption">{picture === look.id ? sourceTitle(source) : (look.pair.value?.name ?? "")}</p>}
      {film.state.value === "loading" && <p class="cover" role="status">{t("loading")}</p>}
      {film.state.value === "failed" && (
        <div class="cover" role="alert">
          <p><strong>{film.trouble.value?.message}</strong></p>
          {film.trouble.value?.remedy && <p>{film.trouble.value.remedy}</p>}
        </div>
      )}
      {over && tip.value && (
        <div class="tip" ref={(node) => { if (node) Object.assign(node.style, { left: `${tip.value!.x + 14}px`, top: `${tip.value!.y + 14}px` }); }}>
          <strong>{titleOf(over.name)}</strong> <code>{over.name}</code>
          {over.confidence !== null && <span>{t("confidence_is", { n: over.confidence.toFixed(2) })}</span>}
          {score != null && <span>Dice {dice(score)}</span>}
        </div>
      )}
    </div>
  );
}
