// One picture on the screen: OpenLayers gives pan, zoom, pinch and linked views over a projection of pixels; the layers
// are this page's own. Map coordinates are (x + .5, -(y + .5)) of the picture's.

import OlMap from "ol/Map";
import View from "ol/View";
import Projection from "ol/proj/Projection";
import DragPan from "ol/interaction/DragPan";
import { defaults } from "ol/interaction/defaults";
import type { Coordinate } from "ol/coordinate";
import { area, bounds, inside } from "../edit/shape";
import type { Bone, Measurements, Point, Ring } from "../kit/types";
import type { Film } from "./film";
import { BonesLayer, FilmLayer, MeasuresLayer, OverLayer } from "./layers";
import { dragged, type Levels } from "./levels";

export const toMap = ([x, y]: readonly [number, number]): Coordinate => [x + 0.5, -(y + 0.5)];
export const fromMap = (at: Coordinate): Point => [at[0]! - 0.5, -at[1]! - 0.5];

export interface Drawing {
  bones: readonly Bone[];
  colour: (name: string) => string;
  hidden: ReadonlySet<string>;
  /** Left out here because it is drawn as the bone under correction. */
  editing: string | null;
}

export function makeView(width: number, height: number): View {
  const extent = [0, -height, width, 0];
  return new View({
    projection: new Projection({ code: `pixels-${width}x${height}`, units: "pixels", extent }),
    extent,
    constrainOnlyCenter: true,
    center: [width / 2, -height / 2],
    resolution: Math.max(width, height) / 800,
    minResolution: 1 / 32,
    maxResolution: Math.max(4, Math.max(width, height) / 200),
    enableRotation: false,
    smoothResolutionConstraint: false,
  });
}

export class Stage {
  readonly map: OlMap;
  readonly film = new FilmLayer();
  readonly over = new OverLayer();
  readonly bones = new BonesLayer();
  readonly second = new BonesLayer();
  readonly measures = new MeasuresLayer();
  /** Answers of the user of this pane. */
  onHover: (name: string | null, x: number, y: number) => void = () => undefined;
  onPick: (name: string | null) => void = () => undefined;
  onLevels: (levels: Levels) => void = () => undefined;
  /** Whether dragging with the first button changes window and level. */
  lighting = false;
  /** Whether a click may pick another bone. */
  picking = true;
  private hits: { name: string; rings: Ring[]; box: [number, number, number, number]; area: number }[] = [];
  private readonly redraw = (): void => this.film.changed();
  private readonly stop = new AbortController();

  constructor(private readonly target: HTMLElement) {
    this.second.dashed = true;
    this.second.filled = false;
    this.map = new OlMap({
      target,
      controls: [],
      interactions: defaults({ altShiftDragRotate: false, pinchRotate: false, keyboard: false, doubleClickZoom: false }),
      layers: [this.film, this.over, this.second, this.bones, this.measures],
      moveTolerance: 3,
    });
    // The wheel button pans whatever the tool.
    this.map.addInteraction(new DragPan({ condition: (event) => (event.originalEvent as PointerEvent).button === 1 }));
    this.map.on("pointermove", (event) => {
      if (event.dragging) return;
      const name = this.at(fromMap(event.coordinate));
      this.onHover(name, event.pixel[0]!, event.pixel[1]!);
    });
    this.map.on("click", (event) => {
      if (this.picking) this.onPick(this.at(fromMap(event.coordinate)));
    });
    // Twice on a picture that is only looked at: all of it again.
    this.map.on("dblclick", () => {
      const film = this.film.film;
      if (this.picking && film) this.fit(null, true, film.width, film.height);
    });
    const on = { signal: this.stop.signal };
    target.addEventListener("pointerleave", () => this.onHover(null, 0, 0), on);
    target.addEventListener("contextmenu", (event) => event.preventDefault(), on);
    // Before OpenLayers sees it: the second button, or the first one while the light tool is on.
    target.addEventListener("pointerdown", (event) => this.light(event), { ...on, capture: true });
  }

  private light(down: PointerEvent): void {
    if (!(down.button === 2 || (this.lighting && down.button === 0 && down.isPrimary))) return;
    down.stopPropagation();
    down.preventDefault();
    const from = this.film.levels;
    const move = (event: PointerEvent): void => this.onLevels(dragged(from, event.clientX - down.clientX, event.clientY - down.clientY));
    const end = new AbortController();
    addEventListener("pointermove", move, { signal: end.signal });
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => end.abort(), { signal: end.signal });
  }

  showFilm(film: Film): void {
    this.film.film?.watchers.delete(this.redraw);
    this.film.film = film;
    film.watchers.add(this.redraw);
    this.film.changed();
  }

  showLevels(levels: Levels): void {
    this.film.levels = levels;
    this.film.changed();
  }

  showBones(drawing: Drawing): void {
    const shown = drawing.bones.filter((bone) => bone.polygons.length > 0 && !drawing.hidden.has(bone.name));
    this.hits = shown.map((bone) => ({
      name: bone.name,
      rings: bone.polygons,
      box: bounds(bone.polygons)!,
      area: bone.polygons.reduce((sum, ring) => sum + Math.abs(area(ring)), 0),
    }));
    this.bones.bones = shown
      .filter((bone) => bone.name !== drawing.editing)
      .map((bone) => ({ bone, colour: drawing.colour(bone.name) }));
    this.bones.changed();
  }

  /** Outlines over the bones, dashed. */
  showSecond(bones: readonly Bone[], colour: (name: string) => string, hidden: ReadonlySet<string>): void {
    this.second.bones = bones
      .filter((bone) => bone.polygons.length > 0 && !hidden.has(bone.name))
      .map((bone) => ({ bone, colour: colour(bone.name) }));
    this.second.setVisible(this.second.bones.length > 0);
    this.second.changed();
  }

  showMeasures(drawings: Measurements["drawings"]): void {
    this.measures.drawings = drawings;
    this.measures.setVisible(drawings.length > 0);
    this.measures.changed();
  }

  showOver(bitmap: ImageBitmap | OffscreenCanvas | null, size: [number, number], alpha: number): void {
    Object.assign(this.over, { bitmap, size, alpha });
    this.over.setVisible(bitmap !== null);
    this.over.changed();
  }

  /** The smallest of the bones that cover a point: a sesamoid on a metacarpal is the one that is meant. */
  at(point: Point): string | null {
    let best: { name: string; area: number } | null = null;
    for (const hit of this.hits) {
      const [left, top, right, bottom] = hit.box;
      if (point[0] < left || point[0] > right || point[1] < top || point[1] > bottom) continue;
      if ((!best || hit.area < best.area) && inside(point, hit.rings)) best = hit;
    }
    return best?.name ?? null;
  }

  fit(box: [number, number, number, number] | null, smoothly: boolean, width: number, height: number): void {
    const [l, t, r, b] = box ?? [0, 0, width, height];
    const view = this.map.getView();
    const edge = box ? 60 : 8;
    view.fit([l, -b, r, -t], {
      padding: [edge, edge, edge, edge],
      duration: smoothly && !matchMedia("(prefers-reduced-motion: reduce)").matches ? 180 : 0,
      minResolution: box ? 0.12 : 1 / 32,
    });
  }

  /** Whether the picture of this width lies in the window from edge to edge: then there is nothing to pan to. */
  wide(width: number): boolean {
    const view = this.map.getView();
    if (!view.isDef()) return false; // the film is not here yet
    const [left, , right] = view.calculateExtent(this.map.getSize());
    return left! <= 0 && right! >= width;
  }

  zoom(factor: number): void {
    const view = this.map.getView();
    view.cancelAnimations();
    view.adjustResolution(1 / factor);
  }

  pan(dx: number, dy: number): void {
    const view = this.map.getView();
    const step = (view.getResolution() ?? 1) * 60;
    view.adjustCenter([dx * step, -dy * step]);
  }

  close(): void {
    this.stop.abort();
    this.film.film?.watchers.delete(this.redraw);
    this.map.setTarget(undefined);
    this.map.dispose();
    this.target.replaceChildren();
  }
}
