// What `ossa gallery` writes (src/ossa/pages/gallery.py): data.js for the list, a script for each picture. From the disk
// a page may load scripts and nothing else.

import { Refused } from "../kit/api";
import type { BoneKind, Language, Said, Source } from "../kit/types";
import { t } from "../kit/words";

/** One picture of the list. Numbers are whole: `dice` and `confidence` in thousandths, `area` in 1/100,000 of the picture. */
export interface Item {
  name: string;
  file: string;
  subject: string;
  side: string;
  fold: string;
  flags: string[];
  sources: string[];
  error?: string;
  width?: number;
  height?: number;
  /** "set0|truth" and so on. */
  dice?: Record<string, (number | null)[]>;
  confidence?: Record<string, (number | null)[]>;
  area?: Record<string, (number | null)[]>;
}

/** What is drawn of a picture, in pixels of the picture that is shown. */
export interface Parts {
  size: [number, number];
  /** Source -> number of the bone -> rings of x, y, x, y, ... in 1/quantum px. */
  bones: Record<string, Record<string, number[][]>>;
  /** Bones that nobody judged. */
  unknown: number[];
  /** A JPEG, base64. */
  image: string;
}

export interface Data {
  title: string;
  version: string;
  notice: Said;
  languages: Language[];
  quantum: number;
  sources: Source[];
  bones: BoneKind[];
  items: Item[];
  /** What the script of a picture calls. */
  item?: (number: number, parts: Parts) => void;
}

/** Pictures whose outlines and pixels are kept. */
const KEPT = 12;

/** Hands out what the scripts beside the page bring. */
export class Shelf {
  private readonly asked = new Map<number, Promise<Parts>>();
  private readonly waiting = new Map<number, (parts: Parts) => void>();

  constructor(readonly data: Data) {
    data.item = (number, parts) => this.waiting.get(number)?.(parts);
  }

  parts(number: number): Promise<Parts> {
    const asked = this.asked.get(number) ?? this.load(number);
    this.asked.delete(number);
    this.asked.set(number, asked); // the last one asked for goes last
    for (const old of this.asked.keys()) {
      if (this.asked.size <= KEPT) break;
      this.asked.delete(old);
    }
    return asked;
  }

  private load(number: number): Promise<Parts> {
    const name = `items/${this.data.items[number]!.file}.js`;
    return new Promise((done, refuse) => {
      const fail = (): void => {
        this.asked.delete(number);
        refuse(new Refused(404, { code: "not_found", message: t("file_missing", { name }), remedy: t("file_missing_remedy") }, null));
      };
      const script = document.createElement("script");
      this.waiting.set(number, done);
      script.onerror = fail;
      script.onload = () => {
        script.remove();
        this.waiting.delete(number);
        fail(); // does nothing where the script did its part
      };
      script.src = name;
      document.head.append(script);
    });
  }
}
