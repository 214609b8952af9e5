"""A folder with one page on which a whole data set, or what models made of it, can be looked at.

Pictures with their segmentations go in, one at a time and in parallel; a static folder comes out
that opens from the disk: thumbnails, the page's pictures, and per picture a small script file with
the outlines of truth and predictions, which the page draws itself. No server, no foreign host.

    index.html, gallery.css, gallery.js     the page
    data.js                                 names, sides, folds, flags and scores of every picture
    thumbs/N.jpg, images/N.jpg, items/N.js  picture number N
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, reason_of
from ossa.pages.page import asset, page_of_files, script_json
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

#: Below this Dice a value is printed in red.
BAD_DICE = 0.8


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


@dataclass(frozen=True)
class _Metric:
    """A column of scores: stored as whole numbers, ``unit`` of which make 1."""

    label: str
    kind: str
    set: int
    higher: bool
    unit: int
    digits: int
    bad: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "set": self.set,
            "higher": self.higher,
            "unit": self.unit,
            "digits": self.digits,
            "bad": self.bad,
        }


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
    settings = options if options is not None else Options()
    root = Path(folder)
    (root / "index.html").unlink(missing_ok=True)
    with_truth = False
    rows: list[dict[str, Any]] = []
    failed: list[tuple[str, str]] = []
    metrics = _metrics(sets)
    jobs = (partial(_one, root, n, item, metrics, schema, settings) for n, item in enumerate(items))
    done = in_order(jobs, settings.workers)
    for item, (row, problems) in zip(items, track(done, len(items), "Writing the gallery"), strict=True):
        rows.append(row)
        with_truth = with_truth or bool(row.pop("truth", False))
        failed += [(item.name, problem) for problem in problems]
    kept = [m for m in metrics if any(v is not None for row in rows for v in row["values"][m.kind][m.set])]
    for row in rows:
        row["values"] = [row["values"][m.kind][m.set] for m in kept]
    data = {
        "title": settings.title,
        "truth": with_truth,
        "quantum": QUANTUM,
        "sets": list(sets),
        "metrics": [m.to_json() for m in kept],
        "bones": [{"name": b.name, "title": b.title, "row": b.row, "colour": list(b.colour)} for b in schema.bones],
        "items": rows,
    }
    write_text(root / "data.js", f"window.OSSA = {script_json(data)};\n")
    for name in ("gallery.css", "gallery.js"):
        write_text(root / name, asset(name))
    body = asset("gallery.html")
    write_text(root / "index.html", page_of_files(settings.title, body, "gallery.css", ("data.js", "gallery.js")))
    _remove_others(root, len(rows))
    return Written(root / "index.html", len(rows), failed)


def _remove_others(root: Path, count: int) -> None:
    """Remove the files of an earlier gallery that had more pictures, and what killed runs left half-written."""
    for folder in ("images", "thumbs", "items"):
        clear_leftovers(root / folder)
        for path in (root / folder).glob("[0-9]" * 6 + ".*"):
            if int(path.stem) >= count:
                path.unlink()


def _metrics(sets: Sequence[str]) -> list[_Metric]:
    """Every metric that could be shown; those without a value are left out later."""
    out = []
    for i, name in enumerate(sets):
        of = f", {name}" if len(sets) > 1 else ""
        out.append(_Metric(f"Dice{of}", "dice", i, True, 1000, 3, BAD_DICE * 1000))
        out.append(_Metric(f"Agreement with the others{of}", "agreement", i, True, 1000, 3, BAD_DICE * 1000))
        out.append(_Metric(f"Confidence{of}", "confidence", i, True, 1000, 2, None))
    out.append(_Metric("Area in % of the picture", "area", 0, True, 1000, 2, None))
    return out


def _one(
    root: Path, number: int, item: Item, metrics: Sequence[_Metric], schema: BoneSchema, settings: Options
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write one picture's files; give its row of data.js and what could not be read."""
    row: dict[str, Any] = {
        "name": item.name,
        "file": f"{number:06d}",
        "subject": item.subject,
        "side": item.side,
        "fold": item.fold,
        "flags": list(item.flags),
    }
    try:
        content = item.load()
    except Exception as error:  # whatever one picture does, the others are shown
        reason = reason_of(error, item.name)
        row |= {"error": reason, "flags": [*item.flags, "cannot be read"]}
        nothing = [None] * len(schema)
        row["values"] = {kind: [nothing] * max(1, len(metrics)) for kind in ("dice", "agreement", "confidence", "area")}
        return row, (reason,)
    notes = [note for s in content.sets if s is not None for note in s.notes]
    shown = _fit(content.grey, settings.size)
    scale = (shown.shape[1] / content.shape[1], shown.shape[0] / content.shape[0])
    parts: dict[str, Any] = {}
    if content.truth is not None:
        parts["truth"] = _outlines(content.truth, scale)
        parts["unknown"] = [schema.index(name) for name in schema.names if name in content.unknown]
    parts["sets"] = [None if s is None else _outlines(s, scale) for s in content.sets]
    drawn: dict[str, Any] = next((p for p in [*parts["sets"], parts.get("truth")] if p), {})
    _renew(root / "images" / f"{row['file']}.jpg", jpeg(shown))
    _renew(root / "thumbs" / f"{row['file']}.jpg", jpeg(_thumbnail(shown, drawn, schema, settings.thumbnail), 80))
    _renew(root / "items" / f"{row['file']}.js", f"OSSA.item({number},{script_json(parts)});\n".encode())
    row |= {
        "flags": list(dict.fromkeys([*item.flags, *content.flags, *notes])),
        "side": item.side or content.side,
        "width": content.shape[1],
        "height": content.shape[0],
        "shownWidth": shown.shape[1],
        "shownHeight": shown.shape[0],
        "truth": content.truth is not None,
        "values": _values(content, schema),
    }
    return row, content.problems


def _renew(path: Path, data: bytes) -> None:
    with renewing(path) as temporary:
        temporary.write_bytes(data)


def _values(content: Content, schema: BoneSchema) -> dict[str, list[list[int | None]]]:
    """Per kind of metric and set, a whole number per bone or None."""
    names = schema.names
    truth = content.truth
    out: dict[str, list[list[int | None]]] = {"dice": [], "agreement": [], "confidence": [], "area": []}
    for i, found in enumerate(content.sets):
        others = [s for k, s in enumerate(content.sets) if k != i and s is not None]
        scored: list[int | None] = [None] * len(names)
        agreed: list[int | None] = [None] * len(names)
        sure: list[int | None] = [None] * len(names)
        if found is not None:
            for b, name in enumerate(names):
                if truth is not None and name not in content.unknown:
                    scored[b] = round(1000 * dice(found.get(name), truth.get(name)))
                if others and truth is None:
                    agreed[b] = round(1000 * float(np.mean([dice(found.get(name), s.get(name)) for s in others])))
                if name in found.confidence:
                    sure[b] = round(1000 * found.confidence[name])
        out["dice"].append(scored)
        out["agreement"].append(agreed)
        out["confidence"].append(sure)
    subject = truth if truth is not None else next((s for s in content.sets if s is not None), None)
    pixels = content.shape[0] * content.shape[1]
    area = [None if subject is None or (r := subject.get(n)) is None else round(1e5 * r.area / pixels) for n in names]
    out["area"].append(area)
    return out


def _fit(grey: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """The picture for the eye, its longest side at most ``size``."""
    import cv2

    height, width = grey.shape[:2]
    scale = size / max(height, width)
    if scale < 1.0:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, target, interpolation=cv2.INTER_AREA)
    return for_the_eye(grey)


def _thumbnail(shown: NDArray[np.uint8], parts: dict[str, Any], schema: BoneSchema, size: int) -> NDArray[np.uint8]:
    """(h, w, 3) RGB with thin outlines."""
    import cv2

    scale = min(1.0, size / max(shown.shape))
    target = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    small = cv2.resize(shown, target, interpolation=cv2.INTER_AREA)
    tile: NDArray[np.uint8] = np.repeat(small[..., None], 3, axis=2).astype(np.uint8)
    for index, bone_parts in parts.items():
        colour = schema.bones[int(index)].colour
        for rings in bone_parts:
            for ring in rings:
                points = (np.array(ring, np.float64).reshape(-1, 2) / QUANTUM + 0.5) * scale - 0.5
                cv2.polylines(tile, [np.rint(points * 16).astype(np.int32)], True, colour, 1, cv2.LINE_AA, shift=4)
    return tile


def _outlines(segmentation: Segmentation, scale: tuple[float, float]) -> dict[str, list[list[list[int]]]]:
    """Bone index -> parts -> rings -> x, y, x, y, ... in 1/QUANTUM shown pixels."""
    schema = segmentation.schema
    return {str(schema.index(name)): _rings(region, scale) for name, region in segmentation}


def _rings(region: Region, scale: tuple[float, float]) -> list[list[list[int]]]:
    """The border of a region's pixels, thinned: even-odd filling of all rings gives the region at screen accuracy.

    All rings go into one part, because even-odd filling does not care which hole belongs to which part.
    """
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
    return [rings]
