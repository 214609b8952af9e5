"""``ossa gallery``: one folder to look at a data set, at predictions, or at several submissions side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import InputError, OssaError
from ossa.labels.match import without_ending
from ossa.labels.results import Entry, Results, find_pictures, line_up, open_results, picture_of
from ossa.progress import Track, silent
from ossa.safety import output_folder
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.pages.gallery import Content, Written
    from ossa.segmentation.segmentation import Segmentation


def gallery(
    sources: Sequence[str | Path],
    output: str | Path,
    *,
    truth: str | Path | None = None,
    images: str | Path | None = None,
    folds: str | Path | None = None,
    schema: BoneSchema | None = None,
    names: str | Path | None = None,
    title: str | None = None,
    size: int = 1024,
    workers: int | None = None,
    track: Track = silent,
) -> Written:
    """Write a gallery of ``sources``: data sets, folders of label files or submission CSVs.

    A data set that has labels is truth, unless ``truth`` names another one; everything else is a prediction. Pictures
    come from the data set, from beside the label files, or from the folder ``images``. ``folds`` is a folds file of
    ``ossa train``; ``names`` a file that maps names of labels to bones; ``size`` the longest side in px of the pictures
    that a click shows. Raises InputError when no picture can be found for any of the results, OutputError when
    ``output`` lies among them.
    """
    from ossa.pages.gallery import Item, Options, write_gallery

    bones = schema if schema is not None else load_schema()
    opened = [open_results(source, bones, names) for source in sources]
    annotated = open_results(truth, bones, names) if truth is not None else None
    if annotated is None:
        annotated = next((r for r in opened if r.kind.startswith("data set")), None)
    sets = [r for r in opened if r is not annotated]
    fold_of = _read_folds(folds) if folds is not None else {}
    rows = line_up([r for r in (annotated, *sets) if r is not None])
    if annotated is None:
        rows = [(None, *row) for row in rows]
    elif sets:  # what somebody says something about; of a data set alone, all of its pictures
        rows = [row for row in rows if any(row[1:])]
    found = find_pictures(images, rows) if images is not None else {}
    shown = [(row, picture) for i, row in enumerate(rows) if (picture := found.get(i, picture_of(row))) is not None]
    if not shown:
        first = next((entry.name for entry in rows[0] if entry is not None), "") if rows else ""
        raise InputError(
            "no picture was found for these results",
            path=", ".join(str(r.path) for r in opened),
            found=f"{len(rows)} results, the first called '{first}'" if rows else "no results",
            remedy="Name the folder of the pictures with --images",
        )
    items = []
    common = Counter(picture.name for _, picture in shown)
    for (known, *entries), picture in shown:
        about = [e for e in (known, *entries) if e is not None]
        subject = next((e.subject for e in about if e.subject), "")
        items.append(
            Item(
                name=picture.name if common[picture.name] == 1 else about[0].name,
                load=_loader(picture, known, entries, bones),
                subject=subject,
                side=next((e.side for e in about if e.side), ""),
                fold=fold_of.get(without_ending(picture.name), fold_of.get(subject, "")),
            )
        )
    settings = Options(title=title if title is not None else _title(opened), size=size, workers=workers)
    inputs = [path for path in (*sources, truth, images, folds) if path is not None]
    with output_folder(output, inputs, ("data.js",)):
        return write_gallery(output, items, bones, [_label(r, sets) for r in sets], settings, track)


def _title(opened: Sequence[Results]) -> str:
    return "Gallery of " + ", ".join(r.path.resolve().name for r in opened)


def _label(result: Results, among: Sequence[Results]) -> str:
    """The set's name on the page: as short as it can be told from the others."""
    same = [r for r in among if r.path.name == result.path.name]
    return result.path.name if len(same) < 2 else str(result.path)


def _read_folds(path: str | Path) -> dict[str, str]:
    """Subject or picture name -> fold, from a folds file."""
    from ossa.dataset.folds import read_folds

    return {subject: str(number) for subject, number in read_folds(path).fold_of.items()}


def _loader(picture: Path, known: Entry | None, entries: Sequence[Entry | None], schema: BoneSchema) -> Any:
    def load() -> Content:
        from ossa.pages.gallery import Content
        from ossa.radiograph.read import read_size

        shape = read_size(picture)
        problems: list[str] = []
        truth = None
        unknown = frozenset(schema.names) if known is not None else frozenset[str]()
        if known is not None and known.labelled:
            try:
                truth, judged = known.open().read(shape)
                unknown -= judged
            except OssaError as error:
                problems.append(f"truth cannot be read: {error}")
        found = []
        for entry in entries:
            try:
                found.append(entry.read(shape) if entry is not None and entry.labelled else None)
            except OssaError as error:
                found.append(None)
                problems.append(f"prediction cannot be read: {error}")
        flags = list(problems)
        for segmentation in found or ([truth] if truth is not None else []):
            if segmentation is not None and len(segmentation) < len(schema):
                missing = [n for n in schema.names if n not in segmentation.regions]
                flags.append("missing: " + ", ".join(missing) if len(missing) <= 4 else f"{len(missing)} bones missing")
        side = next((s for s in map(_side, (truth, *found)) if s), "")
        about = tuple(dict.fromkeys(flags)), side, tuple(dict.fromkeys(problems))
        return Content(read_small(picture), shape, truth, found, unknown, *about)

    return load


def _side(segmentation: Segmentation | None) -> str:
    """The side that the bones show, "" when they do not."""
    from ossa.hand.geometry import geometry
    from ossa.hand.sides import side_of

    return (side_of(geometry(segmentation)) or "") if segmentation is not None else ""


def read_small(path: Path) -> NDArray[np.generic]:
    """The grey picture as every command reads it, at half size where it is large: enough for a page.

    Raises ImageError when it cannot be read.
    """
    import cv2

    from ossa.radiograph.read import read_radiograph

    pixels = read_radiograph(path).pixels
    if max(pixels.shape) < 1600:
        return pixels
    return cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
