"""Which bones of an outlined hand are cut off by the picture's border or by the edge of the exposed field.

A cut bone says nothing about its size or its place. The field is convex and all bones lie inside it, so where its edge
cuts bones, their outlines run along a straight side of the hull of the whole hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.hand.geometry import Float
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outlines

#: An outline runs along a line within this share of the root of the bone's area, at least so many px. A round end
#: stays that close for .37 of the root.
_TOLERANCE, _LEAST = 0.03, 1.0

#: A bone is cut where it runs along one side of the hull for this share of the root of its area, nearly its own width,
#: and so many px, which the round end of a bone of few pixels has by chance.
_RUN, _CHANCE = 0.6, 3.0

#: A side that cuts one bone cuts the others that run along it for this share, a slender bone's width; so does a side
#: along which several do.
_RUN_TOO, _SEVERAL = 0.3, 3

#: Points an outline is followed by.
_STEPS = 200


@dataclass(frozen=True, eq=False)
class Cut:
    """``bones`` (C,): those that are cut. ``lines`` (K, 3): x, y of the outward normal and the distance from the origin
    of each straight edge that cuts bones, the picture's own border left out.
    """

    bones: NDArray[np.bool_]
    lines: Float

    def holds(self, place: complex, margin: float = 0.0) -> bool:
        """Whether a place (px) lies ``margin`` px inside of all edges that cut bones."""
        return bool((self.lines[:, 0] * place.real + self.lines[:, 1] * place.imag < self.lines[:, 2] - margin).all())


def find_cut(outlines: Outlines, schema: BoneSchema, shape: tuple[int, int]) -> Cut:
    """What is cut off of the outlined bones of a picture of ``shape`` (H, W)."""
    height, width = shape
    bones, lines = np.zeros(len(schema), bool), np.zeros((0, 3))
    dense = {name: _dense([part.exterior for part in parts]) for name, parts in outlines.items() if parts}
    if not dense:
        return Cut(bones, lines)
    sides = _hull_sides(np.concatenate([points for points, _, _ in dense.values()]))
    along, roots = np.zeros((len(dense), len(sides))), np.zeros((len(dense), 1))
    for k, (points, step, area) in enumerate(dense.values()):
        depth = sides[:, 2:] - sides[:, :2] @ points.T
        roots[k] = np.sqrt(max(area, 1.0))
        along[k] = ((depth < max(_LEAST, _TOLERANCE * float(roots[k, 0]))) * step).sum(axis=1)
    used = (along > _RUN * roots + _CHANCE).any(axis=0)
    used |= (along > _RUN_TOO * roots + _CHANCE).sum(axis=0) >= _SEVERAL
    for run, (name, (points, _, _)) in zip(along > _RUN_TOO * roots + _CHANCE, dense.items(), strict=True):
        low, high = points.min(axis=0), points.max(axis=0)
        border = low.min() <= _LEAST or high[0] >= width - 1 - _LEAST or high[1] >= height - 1 - _LEAST
        bones[schema.index(name)] = border or bool(run[used].any())
    return Cut(bones, sides[used])


def _dense(rings: list[Float]) -> tuple[Float, Float, float]:
    """Points spread evenly along the rings, the length that each stands for, and the area inside."""
    points, steps, area = [], [], 0.0
    for ring in rings:
        closed = np.concatenate([ring, ring[:1]])
        length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
        at = np.linspace(0, length[-1], _STEPS, endpoint=False)
        points.append(np.stack([np.interp(at, length, closed[:, k]) for k in (0, 1)], axis=1))
        steps.append(np.full(_STEPS, length[-1] / _STEPS))
        (x, y), (u, v) = (ring - ring[0]).T, np.roll(ring - ring[0], -1, axis=0).T
        area += abs(float((x * v - u * y).sum())) / 2
    return np.concatenate(points), np.concatenate(steps), area


def _hull_sides(points: Float) -> Float:
    """(K, 3) the lines through the sides of the convex hull: outward normal, distance from the origin."""
    import cv2

    hull = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    along = np.roll(hull, -1, axis=0) - hull
    length = np.hypot(*along.T)
    hull, along = hull[length > 0], along[length > 0] / length[length > 0, None]
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1)
    outwards = np.where((normal * (hull - points.mean(axis=0))).sum(axis=1) < 0, -1.0, 1.0)
    normal *= outwards[:, None]
    return np.concatenate([normal, (normal * hull).sum(axis=1, keepdims=True)], axis=1)
