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

#: Where a digit's farther bones are missing, its last one is taken to be cut for less: a shaft that the field's edge
#: crosses runs along it for .5 to .6 of the root, a whole head for .2 to .3.
_RUN_END = 0.45

#: A side that cuts one bone cuts the others that run along it for this share, a slender bone's width; so does a side
#: along which bones of several digits do. Those of one straight finger have their own sides in a line.
_RUN_TOO, _SEVERAL = 0.3, 3

#: A bone this much longer than wide has straight sides of its own: an edge within so many degrees of its axis cuts it
#: only where it runs along this share of its length.
_SLENDER, _BESIDE, _SHAVED = 1.5, 25.0, 0.8

#: Points an outline is followed by.
_STEPS = 200


@dataclass(frozen=True, eq=False)
class Cut:
    """``bones`` (C,): those that are cut; ``ends`` (C,): those and the ones that seem cut if what follows them is not
    there. ``lines`` (K, 3): x, y of the outward normal and the distance from the origin of each straight edge that
    cuts bones, the picture's own border left out.
    """

    bones: NDArray[np.bool_]
    ends: NDArray[np.bool_]
    lines: Float

    def holds(self, place: complex, margin: float = 0.0) -> bool:
        """Whether a place (px) lies ``margin`` px inside of all edges that cut bones."""
        return bool((self.lines[:, 0] * place.real + self.lines[:, 1] * place.imag < self.lines[:, 2] - margin).all())

    def field(self, shape: tuple[int, int], scale: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.bool_]:
        """Which px of ``shape`` (H, W) lie inside of all edges that cut bones; ``scale``: px of it per px (x, y)."""
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        out = np.ones(shape, bool)
        for a, b, reach in self.lines:
            out &= a * x / scale[0] + b * y / scale[1] < reach
        return out


def find_cut(outlines: Outlines, schema: BoneSchema, shape: tuple[int, int]) -> Cut:
    """What is cut off of the outlined bones of a picture of ``shape`` (H, W)."""
    height, width = shape
    bones, ends, lines = np.zeros(len(schema), bool), np.zeros(len(schema), bool), np.zeros((0, 3))
    dense = {name: _dense([part.exterior for part in parts]) for name, parts in outlines.items() if parts}
    if not dense:
        return Cut(bones, ends, lines)
    sides = _hull_sides(np.concatenate([points for points, _, _ in dense.values()]))
    along, roots = np.zeros((len(dense), len(sides))), np.zeros((len(dense), 1))
    for k, (points, step, area) in enumerate(dense.values()):
        depth = sides[:, 2:] - sides[:, :2] @ points.T
        roots[k] = np.sqrt(max(area, 1.0))
        along[k] = ((depth < max(_LEAST, _TOLERANCE * float(roots[k, 0]))) * step).sum(axis=1)
        own, length = _own_sides(points, sides)
        along[k][own & (along[k] < _SHAVED * length)] = 0.0
    used = (along > _RUN * roots + _CHANCE).any(axis=0)
    run_to = along > _RUN_TOO * roots + _CHANCE
    used |= _rays(schema, list(dense), run_to) >= _SEVERAL
    at_end = np.asarray((along > _RUN_END * roots + _CHANCE).any(axis=1), bool)
    for run, end, (name, (points, _, _)) in zip(run_to, at_end, dense.items(), strict=True):
        low, high = points.min(axis=0), points.max(axis=0)
        border = low.min() <= _LEAST or high[0] >= width - 1 - _LEAST or high[1] >= height - 1 - _LEAST
        bones[schema.index(name)] = border or bool(run[used].any())
        ends[schema.index(name)] = bones[schema.index(name)] or bool(end)
    return Cut(bones, ends, sides[used])


def _axes(points: Float) -> tuple[Float, Float]:
    """The deviations (2,) of (N, 2) points along its principal axes, and these as rows (2, 2), the longer last."""
    centred = points.T - points.T.mean(axis=1)[:, None]
    values, vectors = np.linalg.eigh(centred @ centred.T / (len(points) - 1))  # numpy.cov, in a quarter of its time
    return np.sqrt(np.maximum(values, 1e-12)), np.asarray(vectors.T)


def _own_sides(points: Float, sides: Float) -> tuple[NDArray[np.bool_], float]:
    """(K,) which sides of the hull lie along the axis of a slender bone, and its length; none and 0 of another."""
    deviation, axes = _axes(points)
    if deviation[1] < _SLENDER * deviation[0]:
        return np.zeros(len(sides), bool), 0.0
    own = np.asarray(np.abs(sides[:, :2] @ axes[1]) < np.sin(np.radians(_BESIDE)), bool)
    return own, float(np.ptp(points @ axes[1]))


def _rays(schema: BoneSchema, names: list[str], run: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(K,) of how many digits, carpals and bones of the forearm some run (bones, K) along each side."""
    rays = [schema.bone(name).digit or -1 - k for k, name in enumerate(names)]
    member = np.array([[own == ray for own in rays] for ray in sorted(set(rays))], np.intp)
    return np.asarray(np.count_nonzero(member @ run.astype(np.intp), axis=0), np.intp)


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
