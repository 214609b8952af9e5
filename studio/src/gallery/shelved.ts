// A gallery's page: the files beside it answer, and its small pictures are read by the page itself.

import { answerWith } from "../kit/api";
import { filmsFrom } from "../look/film";
import { filmRoom } from "../look/planes";
import { LookView } from "../look/LookView";
import { screen } from "../look/screen";
import { overlaid } from "../look/style";
import { Shelf, type Data } from "./data";
import { fetchedFrom, files } from "./files";

const shelf = new Shelf((globalThis as unknown as { OSSA: Data }).OSSA);
answerWith(files(shelf));
filmsFrom((answer) => filmRoom(fetchedFrom(shelf), answer));
screen.value = LookView;

const kinds = new Set(shelf.data.sources.map((source) => source.kind));
overlaid.value = kinds.size > 1; // truth and prediction are what a gallery is opened for
const scored = shelf.data.items.some((item) => Object.keys(item.dice ?? {}).length > 0);
if (!location.hash && scored) location.hash = "#/?sort=score"; // the worst first
