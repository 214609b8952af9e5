// Layers that OpenLayers places and this page draws: the film, the bones, pictures laid over, measurements. Bones are
// drawn as the browser's own paths, 29 fills a frame whatever their number of points; OpenLayers' vector layer, which
// walks every point in JavaScript, is used for the one bone that is being edited.

import Layer from "ol/layer/Layer";
import ViewHint from "ol/ViewHint";
import type { FrameState } from "ol/Map";
import { simplified } from "../edit/shape";
import type { Bone, Measurements, Ring } from "../kit/types";
import type { Film } from "./film";
import { PLAIN, type Levels } from "./levels";

/** How much is drawn beyond each edge of the window, as a part of its size: panning that far draws nothing anew. */
const MARGIN = 0.25;
/** While a zoom is under way, what was drawn is stretched up to this; then it is drawn again. */
const STRETCH = 1.8;

abstract class Drawn extends Layer {
  protected readonly canvas = document.createElement("canvas");
  private drawn: { center: number[]; resolution: number; revision: number; size: string } | null = null;

  constructor() {
    super({});
    this.canvas.className = "drawn";
  }

  /** Draw with `scale` device pixels per pixel of the picture; the picture's (0, 0) corner lies at (x, y). */
  protected abstract draw(context: CanvasRenderingContext2D, scale: number, x: number, y: number, ratio: number): void;

  /** Moves what was drawn along with the view, and draws only when that does not do: a canvas of 29 bones costs more
   * than a whole frame may, its place on the screen costs nothing. */
  override render(frame: FrameState): HTMLElement {
    const ratio = frame.pixelRatio;
    const [width, height] = [frame.size[0]!, frame.size[1]!];
    const { center, resolution } = frame.viewState;
    const size = `${width} ${height} ${ratio}`;
    const moving = frame.viewHints[ViewHint.ANIMATING]! > 0 || frame.viewHints[ViewHint.INTERACTING]! > 0;
    const same = this.drawn?.revision === this.getRevision() && this.drawn.size === size;
    if (!(same && this.place(center, resolution, width, height, moving))) {
      const [w, h] = [Math.round(width * (1 + 2 * MARGIN) * ratio), Math.round(height * (1 + 2 * MARGIN) * ratio)];
      if (this.canvas.width !== w || this.canvas.height !== h) {
        this.canvas.width = w;
        this.canvas.height = h;
        this.canvas.style.width = `${w / ratio}px`;
        this.canvas.style.height = `${h / ratio}px`;
      }
      const context = this.canvas.getContext("2d")!;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, w, h);
      const scale = ratio / resolution;
      this.draw(context, scale, w / 2 - center[0]! * scale, h / 2 + center[1]! * scale, ratio);
      this.drawn = { center: [...center], resolution, revision: this.getRevision(), size };
      this.place(center, resolution, width, height, true);
    }
    return this.canvas;
  }

  /** Put the canvas where the view has it; false where it has to be drawn again. */
  private place(center: number[], resolution: number, width: number, height: number, roughly: boolean): boolean {
    const drawn = this.drawn!;
    const stretch = drawn.resolution / resolution;
    const [dx, dy] = [(drawn.center[0]! - center[0]!) / resolution, (center[1]! - drawn.center[1]!) / resolution];
    const exact = stretch === 1 && dx === 0 && dy === 0;
    if (!exact && (!roughly || stretch > STRETCH || stretch < 1 / STRETCH)) return false;
    const [w, h] = [width * (1 + 2 * MARGIN) * stretch, height * (1 + 2 * MARGIN) * stretch];
    const [x, y] = [width / 2 + dx - w / 2, height / 2 + dy - h / 2];
    if (x > 0.5 || y > 0.5 || x + w < width - 0.5 || y + h < height - 0.5) return false;
    this.canvas.style.transform = `translate(${x}px, ${y}px) scale(${stretch})`;
    return true;
  }
}

export class FilmLayer extends Drawn {
  film: Film | null = null;
  levels: Levels = PLAIN;

  protected draw(context: CanvasRenderingContext2D, scale: number, x: number, y: number): void {
    const film = this.film;
    if (!film?.width) return;
    const { width, height } = context.canvas;
    film.look(scale, { x: -x / scale, y: -y / scale, width: width / scale, height: height / scale }, this.levels);
    for (const { bitmap, box } of film.parts()) {
      const across = (box.width * scale) / bitmap.width;
      const down = (box.height * scale) / bitmap.height;
      // From four screen pixels on, the film's own pixels are what one wants to see.
      context.imageSmoothingEnabled = across < 4;
      context.setTransform(across, 0, 0, down, x + box.x * scale, y + box.y * scale);
      context.drawImage(bitmap, 0, 0);
    }
  }
}

/** A picture stretched over the whole film: Grad-CAM, differences. */
export class OverLayer extends Drawn {
  bitmap: ImageBitmap | OffscreenCanvas | null = null;
  size: [number, number] = [0, 0];
  alpha = 1;

  protected draw(context: CanvasRenderingContext2D, scale: number, x: number, y: number): void {
    if (!this.bitmap) return;
    context.globalAlpha = this.alpha;
    context.imageSmoothingEnabled = true;
    context.setTransform((this.size[0] * scale) / this.bitmap.width, 0, 0, (this.size[1] * scale) / this.bitmap.height, x, y);
    context.drawImage(this.bitmap, 0, 0);
    context.globalAlpha = 1;
  }
}

/** Rings as a path in pixels of the picture; the corner of the first pixel is (0, 0), its centre (.5, .5). */
export function pathOf(rings: readonly Ring[]): Path2D {
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], i) => (i ? path.lineTo(x + 0.5, y + 0.5) : path.moveTo(x + 0.5, y + 0.5)));
    path.closePath();
  }
  return path;
}

export interface DrawnBone {
  bone: Bone;
  colour: string;
}

const paths = new WeakMap<Bone, Map<number, Path2D>>();

/**
 * A bone's path for `scale` screen pixels per pixel of the picture, without the points that nobody sees at that scale
 * (the line moves by less than a third of a screen pixel). Made once a factor of two: bones never change, a corrected
 * one is another object.
 */
export function pathFor(bone: Bone, scale = 1): Path2D {
  const level = Math.max(-3, Math.min(10, Math.round(Math.log2(1 / scale))));
  let own = paths.get(bone);
  if (!own) paths.set(bone, (own = new Map<number, Path2D>()));
  let path = own.get(level);
  if (!path) {
    const tolerance = 2 ** level / 4;
    own.set(level, (path = pathOf(bone.polygons.map((ring) => simplified([...ring, ring[0]!], tolerance)))));
  }
  return path;
}

export class BonesLayer extends Drawn {
  bones: DrawnBone[] = [];
  filled = true;
  /** Opacity of the fill, 0 to 1. */
  fill = 0.3;
  dashed = false;
  hovered: string | null = null;
  selected: string | null = null;

  protected draw(context: CanvasRenderingContext2D, scale: number, x: number, y: number, ratio: number): void {
    context.setTransform(scale, 0, 0, scale, x, y);
    context.lineJoin = "round";
    const thin = (ratio * 1.5) / scale;
    for (const { bone, colour } of this.bones) {
      const name = bone.name;
      const path = pathFor(bone, scale / ratio);
      const strong = name === this.hovered || name === this.selected;
      context.fillStyle = context.strokeStyle = colour;
      if (this.filled) {
        context.globalAlpha = Math.min(1, strong ? this.fill + 0.15 : this.fill);
        context.fill(path, "evenodd");
      }
      context.globalAlpha = 1;
      context.setLineDash(this.dashed ? [5 * thin, 4 * thin] : []);
      if (name === this.selected) {
        context.strokeStyle = "#ffffff";
        context.lineWidth = 3 * thin;
        context.stroke(path);
        context.strokeStyle = colour;
      }
      context.lineWidth = strong ? 1.6 * thin : thin;
      context.stroke(path);
    }
  }
}

export class MeasuresLayer extends Drawn {
  drawings: Measurements["drawings"] = [];

  protected draw(context: CanvasRenderingContext2D, scale: number, x: number, y: number, ratio: number): void {
    const place = ([u, v]: readonly [number, number]): [number, number] => [x + (u + 0.5) * scale, y + (v + 0.5) * scale];
    context.lineCap = context.lineJoin = "round";
    for (const [width, colour] of [[3.500, "rgba(0,0,0,.65)"], [1.500, "#ffd866"]] as const) {
      context.lineWidth = width * ratio;
      context.strokeStyle = colour;
      for (const { lines } of this.drawings) {
        for (const line of lines) {
          context.beginPath();
          line.forEach((point, i) => (i ? context.lineTo(...place(point)) : context.moveTo(...place(point))));
          context.stroke();
        }
      }
    }
    context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const taken: [number, number, number, number][] = [];
    for (const { text: said, at, lines } of this.drawings) {
      const text = said.replace("+-", "±");
      const where = at ?? lines[0]?.[0];
      if (!where || !text) continue;
      let [u, v] = place(where);
      u += 6 * ratio;
      const width = context.measureText(text).width;
      const high = 16 * ratio;
      // A value moves down until it lies on no other one.
      for (let n = 0; n < 8 && taken.some(([l, t, r, b]) => u < r && u + width > l && v < b && v + high > t); n++) v += high / 2;
      taken.push([u, v, u + width, v + high]);
      context.lineWidth = 3 * ratio;
      context.strokeStyle = "rgba(0,0,0,.8)";
      context.strokeText(text, u, v);
      context.fillStyle = "#ffd866";
      context.fillText(text, u, v);
    }
  }
}
