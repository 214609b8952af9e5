// The screen of one picture, with OpenLayers. In a studio it is a file of its own, so that the grid is there before it;
// in a gallery all is one file.

import { signal } from "@preact/signals";

export const screen = signal<((typeof import("./LookView"))["LookView"]) | null>(null);
