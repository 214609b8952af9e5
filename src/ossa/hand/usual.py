"""How the bones of a hand lie to each other: sizes and distances learned from phantoms, and how odd a result is.

A Segmentation flows in, numbers per bone flow out, free of the picture's scale, side and turn. What is
usual (``Anatomy``) was fitted to the truth of synthetic hands of many poses, ages and shapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Region, Segmentation

Float = NDArray[np.float64]

#: A bone is placed by its distances to so many others: those to which its distance varies least.
PARTNERS = 10

#: Deviations beyond this many standard deviations are all the same: wrong.
LIMIT = 8.0

#: Standard deviations (of logarithms) are never taken to be smaller: a phantom is more regular than people are.
FLOOR = 0.05


@dataclass(frozen=True, eq=False)
class Geometry:
    """Per bone (C,): ``centre`` (C, 2) x, y in px, ``area`` px, ``length`` and ``width`` px (4 SD along the axes),
    ``axis`` (C, 2) unit vectors; NaN for an absent bone. ``cut``: it touches the picture's border.
    """

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


def geometry(segmentation: Segmentation) -> Geometry:
    """The geometry of every bone of a segmentation."""
    count = len(segmentation.schema)
    centre, axis = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
    area, length, width = (np.full(count, np.nan) for _ in range(3))
    cut = np.zeros(count, bool)
    height, wide = segmentation.shape
    for name, region in segmentation:
        i = segmentation.schema.index(name)
        centre[i], area[i], length[i], width[i], axis[i] = _moments(region)
        cut[i] = region.top <= 1 or region.left <= 1 or region.bottom >= height - 1 or region.right >= wide - 1
    return Geometry(centre, area, length, width, axis, cut)


def _moments(region: Region) -> tuple[tuple[float, float], float, float, float, tuple[float, float]]:
    import cv2

    m = cv2.moments(region.mask.view(np.uint8), binaryImage=True)
    area = m["m00"]
    xx, yy, xy = m["mu20"] / area + 1 / 12, m["mu02"] / area + 1 / 12, m["mu11"] / area
    half, root = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    angle = 0.5 * float(np.arctan2(2 * xy, xx - yy))
    long, short = 4 * float(np.sqrt(half + root)), 4 * float(np.sqrt(max(half - root, 1 / 12)))
    place = (region.left + m["m10"] / area, region.top + m["m01"] / area)
    return place, area, long, short, (float(np.cos(angle)), float(np.sin(angle)))


def towards_fingers(centre: Float, schema: BoneSchema) -> Float | None:
    """The way (2,) in px from the middle of the forearm and carpal bones to that of the metacarpals and phalanges.

    ``centre`` (C, 2): x, y of every bone, NaN for an absent one. None when either group is missing.
    """
    found = np.isfinite(centre[:, 0])
    finger = np.array([bone.digit is not None for bone in schema.bones])
    far, near = centre[finger & found], centre[~finger & found]
    if not far.size or not near.size:
        return None
    way: Float = far.mean(axis=0) - near.mean(axis=0)
    return way


@dataclass(frozen=True, eq=False)
class Oddness:
    """Per bone (C,), NaN for an absent one. ``size``, ``length``, ``shape`` and ``place`` count standard deviations
    (0 to LIMIT); size, length and shape are 0 for a bone that the picture's border cuts. ``order``: the bone is out of
    its digit's order. ``scale``: px per unit of the model, NaN with fewer than three whole bones.
    """

    size: Float
    length: Float
    shape: Float
    place: Float
    order: Float
    scale: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What is usual for a schema's bones, all as natural logarithms relative to the hand's scale.

    ``size`` (C, 2): mean and SD of log sqrt(area); ``length`` (C, 2): of log length; ``shape`` (C, 2): of
    log(length / width); ``distance`` (C, C, 2): of the log distance of two centres.
    """

    schema: BoneSchema
    size: Float
    length: Float
    shape: Float
    distance: Float

    def oddness(self, measured: Geometry) -> Oddness:
        """How far each bone is from what is usual, given all the others."""
        found, whole = measured.found, measured.found & ~measured.cut
        nothing = np.where(found, 0.0, np.nan)
        with np.errstate(invalid="ignore"):
            root = 0.5 * np.log(measured.area)
        scale = float(np.median(root[whole] - self.size[whole, 0])) if whole.sum() >= 3 else np.nan
        if np.isnan(scale):
            return Oddness(nothing, nothing, nothing, np.where(found, LIMIT, np.nan), nothing, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = _deviation(root - scale, self.size)
            length = _deviation(np.log(measured.length) - scale, self.length)
            shape = _deviation(np.log(measured.length / measured.width), self.shape)
        size, length, shape = (np.where(whole, x, nothing) for x in (size, length, shape))
        return Oddness(size, length, shape, self._place(measured, scale), self._order(measured), float(np.exp(scale)))

    def _place(self, measured: Geometry, scale: float) -> Float:
        """Median deviation of a bone's distances to its steadiest partners: one wrong partner does not matter."""
        found = measured.found
        out = np.full(len(found), np.nan)
        gaps = np.linalg.norm(measured.centre[:, None] - measured.centre[None], axis=2)
        for i in np.flatnonzero(found):
            others = np.flatnonzero(found & (np.arange(len(found)) != i) & np.isfinite(self.distance[i, :, 1]))
            if others.size < 3:
                out[i] = LIMIT
                continue
            steady = others[np.argsort(self.distance[i, others, 1], kind="stable")[:PARTNERS]]
            logs = np.log(np.maximum(gaps[i, steady], 1.0)) - scale
            out[i] = float(np.median(_deviation(logs, self.distance[i, steady])))
        return out

    def _order(self, measured: Geometry) -> Float:
        """1 for a bone of a digit that does not lie between its neighbours along the digit, else 0."""
        out = np.where(measured.found, 0.0, np.nan)
        for ray in rays(self.schema):
            present = [i for i in ray if measured.found[i]]
            if len(present) < 3:
                continue
            for before, here, after in zip(present, present[1:], present[2:], strict=False):
                a, b, c = measured.centre[before], measured.centre[here], measured.centre[after]
                # A finger bends less than 90 degrees between neighbouring bones in any radiograph of a flat hand.
                if float((b - a) @ (c - b)) <= 0:
                    out[[before, here, after]] = 1.0
        return out

    def expected(self, measured: Geometry, bone: int) -> Float | None:
        """Where (x, y) an absent bone of a digit should lie, from its neighbours in the digit; None without two."""
        for ray in rays(self.schema):
            if bone not in ray:
                continue
            k = ray.index(bone)
            centre = measured.centre
            near = [i for i in ray if measured.found[i]]
            before, after = [i for i in near if ray.index(i) < k], [i for i in near if ray.index(i) > k]
            if before and after:
                out: Float = (centre[before[-1]] + centre[after[0]]) / 2
                return out
            if len(before) >= 2:
                return self._beyond(centre, before[-2], before[-1], bone)
            if len(after) >= 2:
                return self._beyond(centre, after[1], after[0], bone)
        return None

    def _beyond(self, centre: Float, far: int, near: int, bone: int) -> Float:
        """The line from ``far`` through ``near`` prolonged by the usual distance, relative to that of the two."""
        usual = float(np.exp(self.distance[near, bone, 0] - self.distance[far, near, 0]))
        out: Float = centre[near] + (centre[near] - centre[far]) * usual
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain lists, rounded to 1/10000."""
        return {
            "schema": self.schema.name,
            "bones": list(self.schema.names),
            **{key: _listed(getattr(self, key)) for key in ("size", "length", "shape", "distance")},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], schema: BoneSchema) -> Anatomy:
        """From ``to_json``. Raises ConfigError when it was made for other bones."""
        if value.get("bones") != list(schema.names):
            raise ConfigError("the anatomy is of other bones", found=value.get("schema"), expected=schema.name)
        arrays = {k: np.array(value[k], dtype=np.float64) for k in ("size", "length", "shape", "distance")}
        return cls(schema, **arrays)


def _listed(array: Float) -> Any:
    return (
        [_listed(x) for x in array] if array.ndim > 1 else [None if np.isnan(x) else round(float(x), 4) for x in array]
    )


def _deviation(values: Float, usual: Float) -> Float:
    out: Float = np.minimum(np.abs(values - usual[:, 0]) / np.maximum(usual[:, 1], FLOOR), LIMIT)
    return out


def rays(schema: BoneSchema) -> list[list[int]]:
    """The digits as lists of bone indices from the metacarpal to the tip."""
    order = ("metacarpal", "proximal", "middle", "distal")
    digits = sorted({bone.digit for bone in schema.bones if bone.digit is not None})
    return [
        [schema.index(bone.name) for row in order for bone in schema.bones if bone.digit == d and bone.row == row]
        for d in digits
    ]


def fit_anatomy(measured: Iterable[Geometry], schema: BoneSchema, rounds: int = 4) -> Anatomy:
    """What is usual, from the geometry of many true hands. Robust: medians, and SD from the 16th and 84th percentile.

    The scale of a hand is the median of its whole bones' log sqrt(area) minus their means; means and scales are found
    in turn.
    """
    hands = list(measured)
    if len(hands) < 20:
        raise ConfigError("too few hands to learn an anatomy from", found=len(hands), expected="at least 20")
    whole = np.stack([h.found & ~h.cut for h in hands])
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.where(whole, 0.5 * np.log(np.stack([h.area for h in hands])), np.nan)
        length = np.where(whole, np.log(np.stack([h.length for h in hands])), np.nan)
        shape = np.where(whole, np.log(np.stack([h.length / h.width for h in hands])), np.nan)
    scale = _nanmedian(root, axis=1)
    for _ in range(rounds):
        mean = _nanmedian(root - scale[:, None], axis=0)
        scale = _nanmedian(root - mean[None], axis=1)
    centre = np.stack([h.centre for h in hands])
    count = len(schema)
    distance = np.full((count, count, 2), np.nan)
    for i in range(count):
        gaps = np.linalg.norm(centre - centre[:, i : i + 1], axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log(np.maximum(gaps, 1.0)) - scale[:, None]
        distance[i] = _spread(logs)
        distance[i, i] = np.nan
    return Anatomy(schema, _spread(root - scale[:, None]), _spread(length - scale[:, None]), _spread(shape), distance)


def _spread(values: Float) -> Float:
    """(columns, 2): median and half the distance of the 16th and 84th percentile; NaN with fewer than 10 values."""
    out = np.full((values.shape[1], 2), np.nan)
    for k in range(values.shape[1]):
        good = values[np.isfinite(values[:, k]), k]
        if good.size >= 10:
            low, middle, high = np.percentile(good, (16, 50, 84))
            out[k] = middle, (high - low) / 2
    return out


def _nanmedian(values: Float, axis: int) -> Float:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an empty row is NaN, as it should be
        out: Float = np.nanmedian(values, axis=axis)
    return out
