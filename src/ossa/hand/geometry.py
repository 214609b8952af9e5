"""Where each bone of a hand lies and how large it is, from pixels or from outlines: what all of ``hand`` works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, Outlines
from ossa.segmentation.segmentation import Region, Segmentation

Float = NDArray[np.float64]

#: Variance of a pixel's own square along each side, in px^2.
_PIXEL = 1 / 12


@dataclass(frozen=True, eq=False)
class Geometry:
    """Per bone (C,): ``centre`` (C, 2) x, y in px, ``area`` px, ``length`` and ``width`` px (4 SD along the axes),
    ``axis`` (C, 2) unit vectors; NaN for an absent bone. ``cut``: it touches the picture's border.
    """

    schema: BoneSchema
    centre: Float
    area: Float
    length: Float
    width: Float
    axis: Float
    cut: NDArray[np.bool_]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(C,) which bones are there."""
        return np.isfinite(self.area)

    def where(self, kept: NDArray[np.bool_]) -> Geometry:
        """Only the bones of ``kept`` (C,); the others are absent."""
        rows = np.where(kept, np.arange(len(kept)), -1)
        return self._taken(rows)

    def renamed(self, order: Mapping[str, str]) -> Geometry:
        """Every bone under the name that ``order`` gives it (label -> bone), the others under their own."""
        rows = np.arange(len(self.schema))
        for label, bone in order.items():
            rows[self.schema.index(bone)] = self.schema.index(label)
        return self._taken(rows)

    def _taken(self, rows: NDArray[np.intp]) -> Geometry:
        """Bone i as bone ``rows[i]`` was, absent where that is -1."""
        out = _nothing(self.schema)
        there = rows >= 0
        for name in ("centre", "area", "length", "width", "axis", "cut"):
            getattr(out, name)[there] = getattr(self, name)[rows[there]]
        return out


def geometry(segmentation: Segmentation) -> Geometry:
    """The geometry of every bone of a segmentation."""
    out = _nothing(segmentation.schema)
    height, wide = segmentation.shape
    for name, region in segmentation:
        i = segmentation.schema.index(name)
        _put(out, i, *_region_moments(region))
        out.cut[i] = region.top <= 1 or region.left <= 1 or region.bottom >= height - 1 or region.right >= wide - 1
    return out


def geometry_of_outlines(outlines: Outlines, schema: BoneSchema, shape: tuple[int, int] | None = None) -> Geometry:
    """The geometry of every outlined bone, in the outlines' pixels; ``cut`` is known only with the picture's ``shape``.

    Areas and moments are those of the polygons (Green's theorem), holes taken off; parts add up, also where they
    overlap. An outline without any area lies at the mean of its points. Raises SchemaError for an unknown bone.
    """
    out = _nothing(schema)
    for name, parts in outlines.items():
        if not parts:
            continue
        i = schema.index(name)
        _put(out, i, *_outline_moments(parts))
        if shape is not None:
            points = np.concatenate([part.exterior for part in parts])
            low, high = points.min(axis=0), points.max(axis=0)
            out.cut[i] = low.min() <= 1 or high[1] >= shape[0] - 2 or high[0] >= shape[1] - 2
    return out


def middle_of(outlines: Outlines, names: tuple[str, ...]) -> Float | None:
    """The mean of the centres (x, y) of those of ``names`` that are outlined; None when there is none."""
    found = [_outline_moments(outlines[name])[1:3] for name in names if outlines.get(name)]
    return np.asarray(np.mean(found, axis=0)) if found else None


def _nothing(schema: BoneSchema) -> Geometry:
    count = len(schema)
    area, length, width = (np.full(count, np.nan) for _ in range(3))
    return Geometry(
        schema, np.full((count, 2), np.nan), area, length, width, np.full((count, 2), np.nan), np.zeros(count, bool)
    )


def _put(out: Geometry, i: int, area: float, x: float, y: float, xx: float, yy: float, xy: float) -> None:
    """Enter a bone from its area, its centre and its second central moments per area."""
    half, root = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    angle = 0.5 * float(np.arctan2(2 * xy, xx - yy))
    out.centre[i], out.area[i] = (x, y), area
    out.length[i], out.width[i] = 4 * float(np.sqrt(half + root)), 4 * float(np.sqrt(max(half - root, _PIXEL)))
    out.axis[i] = float(np.cos(angle)), float(np.sin(angle))


def _region_moments(region: Region) -> tuple[float, float, float, float, float, float]:
    import cv2

    m = cv2.moments(region.mask.view(np.uint8), binaryImage=True)
    area = m["m00"]
    return (
        area,
        region.left + m["m10"] / area,
        region.top + m["m01"] / area,
        m["mu20"] / area + _PIXEL,
        m["mu02"] / area + _PIXEL,
        m["mu11"] / area,
    )


def _outline_moments(parts: tuple[Outline, ...]) -> tuple[float, float, float, float, float, float]:
    # Relative to a point of the bone, so that nothing is lost to large coordinates.
    origin = parts[0].exterior[0]
    total = np.zeros(6)
    for part in parts:
        for sign, ring in ((1.0, part.exterior), *((-1.0, hole) for hole in part.holes)):
            total += sign * _ring_moments(ring - origin)
    m00, m10, m01, m20, m02, m11 = (float(v) for v in total)
    if m00 < 1e-9:
        x, y = np.concatenate([part.exterior for part in parts]).mean(axis=0)
        return 0.0, float(x), float(y), _PIXEL, _PIXEL, 0.0
    x, y = m10 / m00, m01 / m00
    # A hole drawn outside its bone could leave less than nothing.
    xx, yy = max(m20 / m00 - x * x, _PIXEL), max(m02 / m00 - y * y, _PIXEL)
    return m00, float(origin[0]) + x, float(origin[1]) + y, xx, yy, m11 / m00 - x * y


def _ring_moments(ring: Float) -> Float:
    """(6,) area, first (x, y) and second moments (xx, yy, xy) of a polygon, whichever way round it runs."""
    (x, y), (u, v) = ring.T, np.roll(ring, -1, axis=0).T
    cross = x * v - u * y
    out = np.array(
        [
            cross.sum() / 2,
            ((x + u) * cross).sum() / 6,
            ((y + v) * cross).sum() / 6,
            ((x * x + x * u + u * u) * cross).sum() / 12,
            ((y * y + y * v + v * v) * cross).sum() / 12,
            ((x * v + 2 * x * y + 2 * u * v + u * y) * cross).sum() / 24,
        ]
    )
    return -out if out[0] < 0 else out
