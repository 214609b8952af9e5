"""The annotations of one picture of a COCO or CVAT file, put together: one region per bone, in the picture's pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ossa.errors import LabelError
from ossa.labels.case import Merged, check_inside
from ossa.labels.coco_polygon import region_from_polygon
from ossa.labels.coco_rle import decompress_counts, region_from_counts
from ossa.labels.names import collect
from ossa.labels.polygons import Size, Spent, polygon, size_of
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, Outlines, outlines_from_region
from ossa.segmentation.segmentation import Region


class Drawing:
    """What is drawn in one picture. ``size`` (H, W) is what the label says of it, None until something says it.

    With ``scaled``, masks of another size are scaled to it; else they are refused.
    """

    def __init__(self, picture: str, path: Path, size: Size | None, scaled: bool) -> None:
        self.size = size
        self._picture = picture
        self._path = path
        self._scaled = scaled
        self._regions: dict[tuple[str, ...], Region] = {}
        self._others: dict[tuple[str, ...], tuple[Outline, ...]] = {}
        self._spent: dict[tuple[str, ...], Spent] = {}
        self._left_out: Counter[str] = Counter()

    def add(self, targets: tuple[str, ...], category: str, entry: Mapping[str, Any]) -> None:
        """Draw one annotation of the bones ``targets``. Raises LabelError for one that is malformed."""
        what = f"{category}' in '{self._picture}"
        value = entry.get("segmentation")
        if entry.get("iscrowd") in (1, True, "1"):
            self._left_out["regions of a crowd"] += 1
        elif value is None or value == [] or value == [[]]:
            self._left_out["annotations without an outline (boxes only)"] += 1
        elif isinstance(value, list):
            for flat in value:
                self._add_polygon(targets, flat, what)
        elif isinstance(value, dict) and "counts" in value:
            self._add_mask(targets, value, what)
        else:
            raise LabelError(
                f"the segmentation of '{what}' is neither polygons nor run lengths",
                path=self._path,
                found=type(value).__name__,
            )

    def add_region(self, targets: tuple[str, ...], category: str, region: Region | None) -> None:
        """Draw the pixels of one part of the bones ``targets``; None is a part without any."""
        self._draw(targets, f"{category}' in '{self._picture}", region)

    def _add_polygon(self, targets: tuple[str, ...], flat: object, what: str) -> None:
        points = polygon(_pairs(flat), what, self._path)
        # Where nobody says the picture's size, the polygon's own box does: nothing is cut off.
        high = points.max(axis=0)
        size = self.size or (max(1, int(np.ceil(high[1])) + 1), max(1, int(np.ceil(high[0])) + 1))
        check_inside({what: (Outline(points - 0.5),)}, size, self._path)
        try:
            region = region_from_polygon(points, size)
        except LabelError as error:
            raise LabelError(f"the outline of '{what}': {error.what}", path=self._path, found=error.found) from error
        self._draw(targets, what, region)

    def _add_mask(self, targets: tuple[str, ...], value: Mapping[str, Any], what: str) -> None:
        counts = value["counts"]
        try:
            sides = value.get("size", self.size)
            if not isinstance(sides, (list, tuple)) or len(sides) != 2 or (size := size_of(*sides)) is None:
                raise ValueError(f"{sides!r} as their size")
            runs = decompress_counts(counts) if isinstance(counts, (str, bytes)) else counts
            region = region_from_counts(runs, size)
        except (LabelError, ValueError, TypeError, OverflowError) as error:
            raise LabelError(f"the run lengths of '{what}' are malformed", path=self._path, found=str(error)) from error
        self.size = self.size or size
        if size == self.size:
            self._draw(targets, what, region)
        elif self._scaled and region is not None:
            factor = (self.size[1] / size[1], self.size[0] / size[0])
            parts = tuple(p.mapped(lambda ring: (ring + 0.5) * factor - 0.5) for p in outlines_from_region(region))
            self._others[targets] = self._others.get(targets, ()) + parts
        elif region is not None:
            raise LabelError(
                f"the mask of '{what}' is that of a picture of another size",
                path=self._path,
                found="{}x{}".format(*size),
                expected="{}x{}".format(*self.size),
                remedy="Take the label of this picture; if it shows the same, have labels scaled (--scale-labels)",
            )

    def _draw(self, targets: tuple[str, ...], what: str, region: Region | None) -> None:
        if region is None:
            self._left_out["outlines without a pixel"] += 1
            return
        spent = self._spent.setdefault(targets, Spent())
        spent.add(region.left, region.top, region.right, region.bottom, what, self._path)
        before = self._regions.get(targets)
        self._regions[targets] = region if before is None else _united(before, region)

    def outlines(self, schema: BoneSchema) -> tuple[Outlines, tuple[Merged, ...]]:
        """The outlines of single bones, in schema order, and of bones that are outlined as one."""
        found = dict(self._others)
        for targets, region in self._regions.items():
            found[targets] = outlines_from_region(region) + found.get(targets, ())
        return collect(found, schema)

    def left_out(self) -> tuple[str, ...]:
        """What of the label draws no bone, counted."""
        return tuple(f"{count} {what}: left out" for what, count in self._left_out.items())


def _united(a: Region, b: Region) -> Region:
    top, left = min(a.top, b.top), min(a.left, b.left)
    mask = np.zeros((max(a.bottom, b.bottom) - top, max(a.right, b.right) - left), dtype=bool)
    for one in (a, b):
        mask[one.top - top : one.bottom - top, one.left - left : one.right - left] |= one.mask
    return Region(top, left, mask)


def _pairs(flat: object) -> object:
    """[x0, y0, x1, y1, ...] as pairs; anything else as it is, for ``polygon`` to refuse."""
    if isinstance(flat, list) and len(flat) % 2 == 0 and not any(isinstance(v, list) for v in flat):
        return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    return flat
