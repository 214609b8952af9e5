// The tools that change one bone's outline on the stage. OpenLayers' Modify and Draw do the work of pointer and touch;
// the pull is a small interaction of this page. Each tool ends in `onChange` with the new rings.

import Feature from "ol/Feature";
import Draw from "ol/interaction/Draw";
import type Interaction from "ol/interaction/Interaction";
import Modify from "ol/interaction/Modify";
import PointerInteraction from "ol/interaction/Pointer";
import MultiPoint from "ol/geom/MultiPoint";
import MultiPolygon from "ol/geom/MultiPolygon";
import PointGeometry from "ol/geom/Point";
import type { Coordinate } from "ol/coordinate";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import { altKeyOnly, click, noModifierKeys, primaryAction, singleClick } from "ol/events/condition";
import VectorLayer from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import RegularShape from "ol/style/RegularShape";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import type { Ring } from "../kit/types";
import { fromMap, toMap, type Stage } from "../look/stage";
import { densified, inserted, mended, nearest, pulled, simplified, without } from "./shape";
import type { Step } from "./document";

export type Tool = "look" | "points" | "pull" | "redraw" | "polygon" | "light";

/** Reach of a pull, CSS pixels: zooming in makes it finer. */
const REACH = 70;
/** How near to the outline a stroke begins and ends to mend it, CSS pixels. */
const NEAR = 18;
/** Points are drawn where a side is at least this long on the screen, CSS pixels. */
const ROOM = 5;

export class BoneEditor {
  onChange: (what: Step["what"], rings: Ring[]) => void = () => undefined;
  private readonly feature = new Feature<MultiPolygon>();
  private readonly layer: VectorLayer;
  private interactions: Interaction[] = [];
  private rings: Ring[] = [];
  private active: { ring: number; index: number } | null = null;
  private colour = "#ffffff";
  private tool: Tool = "look";
  private dragging = false;
  /** A click deletes points instead of moving them (for touch screens, which have no Alt). */
  deleting = false;

  constructor(private readonly stage: Stage) {
    const source = new VectorSource({ features: [this.feature], useSpatialIndex: false });
    this.layer = new VectorLayer({
      source,
      updateWhileAnimating: true,
      updateWhileInteracting: true,
      style: (_, resolution) => this.styles(resolution),
    });
    stage.map.addLayer(this.layer);
  }

  private styles(resolution: number): Style[] {
    const outline = new Style({
      stroke: new Stroke({ color: this.colour, width: 2 }),
      fill: new Fill({ color: `${this.colour}2e` }),
    });
    const all = [outline];
    // The white rim shows which bone it is; while it is dragged nobody asks, and every frame counts.
    if (!this.dragging) all.unshift(new Style({ stroke: new Stroke({ color: "rgba(255,255,255,.85)", width: 4 }) }));
    const geometry = this.feature.getGeometry();
    if (this.tool === "points" && geometry) {
      const [left, bottom, right, top] = this.stage.map.getView().calculateExtent(this.stage.map.getSize());
      const corners: Coordinate[] = [];
      for (const [ring] of geometry.getCoordinates()) {
        let last: Coordinate | null = null;
        for (const at of ring!.slice(0, -1)) {
          if (at[0]! < left! || at[0]! > right! || at[1]! < bottom! || at[1]! > top!) continue;
          if (last && Math.hypot(at[0]! - last[0]!, at[1]! - last[1]!) < ROOM * resolution) continue;
          corners.push(at);
          last = at;
        }
      }
      all.push(new Style({ geometry: new MultiPoint(corners), image: CORNER }));
      const at = this.active && this.rings[this.active.ring]?.[this.active.index];
      if (at) all.push(new Style({ geometry: new PointGeometry(toMap(at)), image: ACTIVE }));
    }
    return all;
  }

  /** Show `rings` of a bone with `tool`; null where no bone is under correction. */
  show(rings: Ring[] | null, colour: string, tool: Tool): void {
    const other = tool !== this.tool || rings === null;
    this.rings = rings ?? [];
    this.colour = colour;
    this.tool = tool;
    this.feature.setGeometry(rings?.length ? new MultiPolygon(rings.map((ring) => [closed(ring)])) : undefined);
    if (other) this.active = null;
    if (this.active && !this.rings[this.active.ring]?.[this.active.index]) this.active = null;
    this.stop();
    if (rings === null) return;
    if (tool === "points" && rings.length) this.use(this.modify());
    else if (tool === "pull" && rings.length) this.use(this.pull());
    else if (tool === "redraw") this.use(this.draw(true));
    else if (tool === "polygon") this.use(this.draw(false));
  }

  private use(interaction: Interaction): void {
    this.interactions.push(interaction);
    this.stage.map.addInteraction(interaction);
  }

  private stop(): void {
    for (const interaction of this.interactions) this.stage.map.removeInteraction(interaction);
    this.interactions = [];
  }

  private read(): Ring[] {
    const geometry = this.feature.getGeometry();
    return geometry ? geometry.getCoordinates().map(([ring]) => ring!.slice(0, -1).map(fromMap)) : [];
  }

  private modify(): Modify {
    const modify = new Modify({
      source: this.layer.getSource()!,
      pixelTolerance: 12,
      style: new Style({ image: HOVER }),
      deleteCondition: (event: MapBrowserEvent) =>
        (altKeyOnly(event) && singleClick(event)) || (this.deleting && click(event)) || (altKeyOnly(event) && click(event)),
      insertVertexCondition: () => !this.deleting,
    });
    modify.on("modifystart", () => (this.dragging = true));
    modify.on("modifyend", () => {
      this.dragging = false;
      this.layer.changed();
      const rings = this.read();
      const count = (list: Ring[]): number => list.reduce((sum, ring) => sum + ring.length, 0);
      if (JSON.stringify(rings) === JSON.stringify(this.rings)) return;
      this.onChange(count(rings) < count(this.rings) ? "delete" : "move", rings);
    });
    return modify;
  }

  private pull(): PointerInteraction {
    let grabbed: { ring: number; index: number; from: Ring; start: Coordinate } | null = null;
    return new PointerInteraction({
      handleDownEvent: (event) => {
        if (!primaryAction(event) || !noModifierKeys(event)) return false;
        const resolution = this.stage.map.getView().getResolution() ?? 1;
        const at = fromMap(event.coordinate);
        let best = 30 * resolution;
        this.rings.forEach((ring, i) => {
          const from = densified(ring, Math.max(1, 3 * resolution));
          const near = nearest(from, at);
          if (near.distance < best) {
            best = near.distance;
            grabbed = { ring: i, index: near.index, from, start: event.coordinate };
          }
        });
        return grabbed !== null;
      },
      handleDragEvent: (event) => {
        if (!grabbed) return;
        const resolution = this.stage.map.getView().getResolution() ?? 1;
        const dx = event.coordinate[0]! - grabbed.start[0]!;
        const dy = grabbed.start[1]! - event.coordinate[1]!;
        const ring = pulled(grabbed.from, grabbed.index, dx, dy, REACH * resolution);
        const rings = this.rings.map((other, i) => (i === grabbed!.ring ? ring : other));
        this.feature.getGeometry()!.setCoordinates(rings.map((one) => [closed(one)]));
      },
      handleUpEvent: () => {
        if (grabbed) this.onChange("pull", this.read());
        grabbed = null;
        return false;
      },
    });
  }

  private draw(freehand: boolean): Draw {
    const style = new Style({
      stroke: new Stroke({ color: "#ffffff", width: 2, lineDash: [6, 4] }),
      image: HOVER,
    });
    const draw = new Draw({ type: freehand ? "LineString" : "Polygon", freehand, style, stopClick: true });
    draw.on("drawend", (event) => {
      const resolution = this.stage.map.getView().getResolution() ?? 1;
      const found = (event.feature.getGeometry() as { getCoordinates(): Coordinate[] | Coordinate[][] } | undefined)?.getCoordinates();
      if (!found) return;
      const line = (freehand ? (found as Coordinate[]) : (found as Coordinate[][])[0]!.slice(0, -1)).map(fromMap);
      const stroke = freehand ? simplified(line, 0.6 * resolution) : line;
      const result = this.drawn(stroke, freehand, NEAR * resolution);
      // After this event OpenLayers still finishes its own sketch.
      if (result) queueMicrotask(() => this.onChange("redraw", result));
    });
    return draw;
  }

  /** A stroke that begins and ends on the outline mends that piece; any other is the bone's whole new outline. */
  private drawn(stroke: Ring, freehand: boolean, reach: number): Ring[] | null {
    if (stroke.length < 3) return null;
    const [first, last] = [stroke[0]!, stroke[stroke.length - 1]!];
    if (freehand && Math.hypot(first[0] - last[0], first[1] - last[1]) > reach) {
      for (let i = 0; i < this.rings.length; i++) {
        const ring = mended(this.rings[i]!, stroke, reach);
        if (ring) return this.rings.map((other, k) => (k === i ? ring : other));
      }
    }
    return [stroke];
  }

  /** Go `by` points along the outline (keyboard). Answers false where there is no outline. */
  step(by: number): boolean {
    if (this.tool !== "points" || this.rings.length === 0) return false;
    if (!this.active) this.active = { ring: 0, index: 0 };
    else {
      let { ring, index } = this.active;
      index += by;
      if (index >= this.rings[ring]!.length) {
        ring = (ring + 1) % this.rings.length;
        index = 0;
      } else if (index < 0) {
        ring = (ring + this.rings.length - 1) % this.rings.length;
        index = this.rings[ring]!.length - 1;
      }
      this.active = { ring, index };
    }
    const at = toMap(this.rings[this.active.ring]![this.active.index]!);
    const view = this.stage.map.getView();
    const [left, bottom, right, top] = view.calculateExtent(this.stage.map.getSize());
    if (at[0]! < left! || at[0]! > right! || at[1]! < bottom! || at[1]! > top!) view.setCenter(at);
    this.layer.changed();
    return true;
  }

  /** Move, add or delete the active point (keyboard). */
  nudge(dx: number, dy: number): boolean {
    return this.change("move", (ring, index) => ring.map(([x, y], i) => (i === index ? [x + dx, y + dy] : [x, y])));
  }
  add(): boolean {
    const before = this.active;
    if (!this.change("move", (ring, index) => inserted(ring, index))) return false;
    if (before) this.active = { ...before, index: before.index + 1 };
    return true;
  }
  remove(): boolean {
    return this.change("delete", (ring, index) => without(ring, index));
  }

  private change(what: Step["what"], how: (ring: Ring, index: number) => Ring | null): boolean {
    if (this.tool !== "points" || !this.active) return false;
    const { ring, index } = this.active;
    const next = how(this.rings[ring]!, index);
    if (!next) return true;
    this.active = { ring, index: Math.min(index, next.length - 1) };
    this.onChange(what, this.rings.map((other, i) => (i === ring ? next : other)));
    return true;
  }

  /** A line that is being drawn is given up; false where none is. */
  abort(): boolean {
    for (const interaction of this.interactions) {
      if (interaction instanceof Draw && (interaction as unknown as { sketchFeature_: unknown }).sketchFeature_) {
        interaction.abortDrawing();
        return true;
      }
    }
    return false;
  }

  close(): void {
    this.stop();
    this.stage.map.removeLayer(this.layer);
  }
}

const closed = (ring: Ring): Coordinate[] => [...ring, ring[0]!].map(toMap);

const square = (radius: number, fill: string, stroke: string): RegularShape =>
  new RegularShape({ points: 4, radius, angle: Math.PI / 4, fill: new Fill({ color: fill }), stroke: new Stroke({ color: stroke, width: 1.25 }) });
const CORNER = square(4.5, "#ffffff", "#1f6fb2");
const ACTIVE = square(7.5, "#ffd866", "#3a2c00");
const HOVER = new CircleStyle({ radius: 6, fill: new Fill({ color: "#1f6fb2" }), stroke: new Stroke({ color: "#ffffff", width: 2 }) });
