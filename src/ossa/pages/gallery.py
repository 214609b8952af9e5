"""A folder with one page on which a whole data set, or what models made of it, can be looked at.

Pictures with their segmentations go in, one at a time and in parallel; a static folder comes out
that opens from the disk: thumbnails, and per picture a script file with the picture and the outlines
of truth and predictions, which the page draws itself. No server, no foreign host.

    index.html, gallery.css, gallery.js     the page: the studio's viewer (pages.viewer), with the licences of its parts
    data.js                                 names, sides, folds, flags and scores of every picture
    thumbs/N.jpg, items/N.js                picture number N (from the disk a page may read scripts, but no pixels)
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, reason_of
from ossa.pages.page import asset, page_of_files, script_json
from ossa.pages.report.words import LANGUAGES
from ossa.pages.viewer import bones_of, notice
from ossa.parallel import in_order
from ossa.progress import Track, silent
from ossa.radiograph.display import for_the_eye, jpeg
from ossa.safety import clear_leftovers, renewing, write_text
from ossa.schema import BoneSchema
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Region, Segmentation

#: Outlines are stored in 1/4 px of the shown picture: finer than an eye or a screen resolves.
QUANTUM = 4

#: Outline points may be left out where the line moves by less than this many shown pixels.
TOLERANCE = 0.6

#: What the page is made of, beside what it shows.
PAGE = ("gallery.css", "gallery.js", "licences.txt")

#: The source that is the truth; predictions are "set0", "set1", ...
TRUTH = "truth"


#: Bone index -> rings of x, y, x, y, ...
Drawn = dict[str, list[list[int]]]


@dataclass(frozen=True, eq=False)
class Content:
    """What is shown of one picture: ``grey`` (h, w) uint8 or uint16, perhaps reduced; the full ``shape`` (H, W).

    ``truth`` is None when there is none; ``unknown`` are bones that nobody annotated. ``sets`` holds one prediction
    per set of the gallery, None where a set lacks the picture. ``problems``: what could not be read for it.
    """

    grey: NDArray[Any]
    shape: tuple[int, int]
    truth: Segmentation | None
    sets: Sequence[Segmentation | None]
    unknown: frozenset[str] = frozenset()
    flags: tuple[str, ...] = ()
    side: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Item:
    """One picture of the gallery; ``load`` is called once, in a worker thread."""

    name: str
    load: Callable[[], Content]
    subject: str = ""
    side: str = ""
    fold: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """``size``: longest side in px of the pictures that a click shows; ``thumbnail``: of those in the grid."""

    title: str = "Gallery"
    size: int = 1024
    thumbnail: int = 220
    workers: int | None = None

    def __post_init__(self) -> None:
        if not 64 <= self.size <= 8192 or not 32 <= self.thumbnail <= 8192:
            raise ConfigError("gallery: a picture size is out of range", found=f"{self.size}, {self.thumbnail}")


@dataclass
class Written:
    """What was written: ``pictures`` in all, and (name, reason) of pictures and labels that could not be read."""

    page: Path
    pictures: int
    failed: list[tuple[str, str]] = field(default_factory=list)


def write_gallery(
    folder: str | Path,
    items: Sequence[Item],
    schema: BoneSchema,
    sets: Sequence[str] = (),
    options: Options | None = None,
    track: Track = silent,
) -> Written:
    """Write the folder; ``sets`` names the predictions that every ``Content.sets`` holds, in the same order.

    A picture that cannot be read stays in the gallery with its reason. The page is written last and an earlier one
    removed first, so that an interrupted run leaves no page that lacks pictures. Raises OutputError when something
    cannot be written.
    """
    from ossa import __version__

    settings = options if options is not None else Options()
    root = Path(folder)
    (root / "index.html").unlink(missing_ok=True)
    rows: list[dict[str, Any]] = []
    failed: list[tuple[str, str]] = []
    jobs = (partial(_one, root, n, item, schema, settings) for n, item in enumerate(items))
    done = in_order(jobs, settings.workers)
    for item, (row, problems) in zip(items, track(done, len(items), "Writing the gallery"), strict=True):
        rows.append(row)
        failed += [(item.name, problem) for problem in problems]
    sources = [{"id": f"set{k}", "title": name, "kind": "predictions"} for k, name in enumerate(sets)]
    if any(TRUTH in row["sources"] for row in rows):
        sources.insert(0, {"id": TRUTH, "title": "Truth", "kind": "truth"})
    data = {
        "title": settings.title,
        "version": __version__,
        "notice": notice(schema),
        "languages": list(LANGUAGES),
        "quantum": QUANTUM,
        "sources": sources,
        "bones": bones_of(schema),
        "items": rows,
    }
    write_text(root / "data.js", f"window.OSSA = {script_json(data)};\n")
    for name in PAGE:
        write_text(root / name, asset(name))
    text = page_of_files(
        settings.title,
        '<div id="app"></div><noscript>This page needs JavaScript.</noscript>',
        "gallery.css",
        ("data.js", "gallery.js"),
    )
    write_text(root / "index.html", text)
    _remove_others(root, len(rows))
    return Written(root / "index.html", len(rows), failed)


def _remove_others(root: Path, count: int) -> None:
    """Remove the files of an earlier gallery that had more pictures, and what killed runs left half-written."""
    for folder in ("thumbs", "items"):
        clear_leftovers(root / folder)
        for path in (root / folder).glob("[0-9]" * 6 + ".*"):
            if int(path.stem) >= count:
                path.unlink()


def _one(
    root: Path, number: int, item: Item, schema: BoneSchema, settings: Options
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write one picture's files; give its row of data.js and what could not be read."""
    row: dict[str, Any] = {
        "name": item.name,
        "file": f"{number:06d}",
        "subject": item.subject,
        "side": item.side,
        "fold": item.fold,
        "flags": list(item.flags),
        "sources": [],
    }
    try:
        content = item.load()
    except Exception as error:  # whatever one picture does, the others are shown
        reason = reason_of(error, item.name)
        return row | {"error": reason, "flags": [*item.flags, "cannot be read"]}, (reason,)
    said = {f"set{k}": one for k, one in enumerate(content.sets) if one is not None}
    if content.truth is not None:
        said = {TRUTH: content.truth, **said}
    shown = _fit(content.grey, settings.size)
    scale = (shown.shape[1] / content.shape[1], shown.shape[0] / content.shape[0])
    bones = {source: _outlines(one, scale) for source, one in said.items()}
    parts = {
        "size": [shown.shape[1], shown.shape[0]],
        "bones": bones,
        "unknown": [schema.index(name) for name in schema.names if name in content.unknown],
        "image": base64.b64encode(jpeg(shown)).decode("ascii"),
    }
    drawn = next((bones[source] for source in (*sorted(set(bones) - {TRUTH}), TRUTH) if bones.get(source)), {})
    _renew(root / "thumbs" / f"{row['file']}.jpg", jpeg(_thumbnail(shown, drawn, schema, settings.thumbnail), 80))
    _renew(root / "items" / f"{row['file']}.js", f"OSSA.item({number},{script_json(parts)});\n".encode())
    notes = [note for one in content.sets if one is not None for note in one.notes]
    row |= {
        "flags": list(dict.fromkeys([*item.flags, *content.flags, *notes])),
        "side": item.side or content.side,
        "width": content.shape[1],
        "height": content.shape[0],
        "sources": list(said),
        "dice": _dice(said, content.unknown, schema),
        "confidence": {key: _confidence(one, schema) for key, one in said.items() if one.confidence},
        "area": {key: _area(one, schema) for key, one in said.items()},
    }
    return row, content.problems


def _renew(path: Path, data: bytes) -> None:
    with renewing(path) as temporary:
        temporary.write_bytes(data)


def _dice(said: Mapping[str, Segmentation], unknown: frozenset[str], schema: BoneSchema) -> dict[str, list[int | None]]:
    """ "set0|truth" and so on -> Dice in thousandths, bone by bone; None for what nobody judged.

    Predictions are compared with the truth; where there is none, each with every other one.
    """
    names = [key for key in said if key != TRUTH]
    pairs = [(key, TRUTH) for key in names] if TRUTH in said else list(combinations(names, 2))
    judged = [TRUTH not in said or name not in unknown for name in schema.names]
    return {
        f"{one}|{other}": [
            round(1000 * dice(said[one].get(name), said[other].get(name))) if told else None
            for name, told in zip(schema.names, judged, strict=True)
        ]
        for one, other in pairs
    }


def _confidence(found: Segmentation, schema: BoneSchema) -> list[int | None]:
    """Thousandths, bone by bone."""
    return [round(1000 * found.confidence[name]) if name in found.confidence else None for name in schema.names]


def _area(found: Segmentation, schema: BoneSchema) -> list[int | None]:
    """Hundred-thousandths of the picture, bone by bone."""
    pixels = found.shape[0] * found.shape[1]
    return [None if (region := found.get(name)) is None else round(1e5 * region.area / pixels) for name in schema.names]


def _fit(grey: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """The picture for the eye, its longest side at most ``size``."""
    import cv2

    height, width = grey.shape[:2]
    scale = size / max(height, width)
    if scale < 1.0:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, target, interpolation=cv2.INTER_AREA)
    return for_the_eye(grey)


def _thumbnail(shown: NDArray[np.uint8], bones: Drawn, schema: BoneSchema, size: int) -> NDArray[np.uint8]:
    """(h, w, 3) RGB with thin outlines."""
    import cv2

    scale = min(1.0, size / max(shown.shape))
    target = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    small = cv2.resize(shown, target, interpolation=cv2.INTER_AREA)
    tile: NDArray[np.uint8] = np.repeat(small[..., None], 3, axis=2).astype(np.uint8)
    for index, rings in bones.items():
        colour = schema.bones[int(index)].colour
        for ring in rings:
            points = (np.array(ring, np.float64).reshape(-1, 2) / QUANTUM + 0.5) * scale - 0.5
            cv2.polylines(tile, [np.rint(points * 16).astype(np.int32)], True, colour, 1, cv2.LINE_AA, shift=4)
    return tile


def _outlines(segmentation: Segmentation, scale: tuple[float, float]) -> Drawn:
    """Every bone's rings in 1/QUANTUM shown pixels."""
    schema = segmentation.schema
    return {str(schema.index(name)): _rings(region, scale) for name, region in segmentation}


def _rings(region: Region, scale: tuple[float, float]) -> list[list[int]]:
    """The border of a region's pixels, thinned: even-odd filling of all rings gives the region at screen accuracy."""
    import cv2

    # At twice the size the border runs half a pixel outside the pixel centres of thin bones, as it should.
    framed = cv2.copyMakeBorder(region.mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    contours, _ = cv2.findContours(
        framed, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(region.left - 1, region.top - 1)
    )
    tolerance = TOLERANCE / max(min(scale), 1e-9)
    rings = []
    for contour in contours:
        thin = cv2.approxPolyDP(contour, tolerance, True).reshape(-1, 2)
        if len(thin) < 3:
            thin = contour.reshape(-1, 2)
        points = (thin + 0.5) * scale - 0.5
        rings.append(np.rint(points * QUANTUM).astype(np.int64).ravel().tolist())
    return rings
