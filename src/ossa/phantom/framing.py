"""Where on the picture a part lies: how much of it, how large and which way up. Lengths in mm."""

from __future__ import annotations

import numpy as np

from ossa.phantom.mesh import F64
from ossa.phantom.options import PhantomOptions
from ossa.phantom.part import Part
from ossa.phantom.pose import rotation
from ossa.phantom.skeleton import Anatomy
from ossa.radiograph.radiograph import Side

Frames = dict[str, tuple[F64, F64]]


def frame(
    whole: Anatomy,
    frames: Frames,
    shape: tuple[int, int],
    options: PhantomOptions,
    side: Side,
    rng: np.random.Generator,
) -> tuple[tuple[F64, F64], float]:
    """The map from mm to a picture of ``shape`` (matrix (3, 3), shift (3,)), and the pixel size in mm."""
    roll = rng.uniform(-np.pi, np.pi) if rng.uniform() < options.turned else rng.normal(0, np.deg2rad(options.tilt))
    # The anatomy has digit 1 towards +x; mirrored, it is on the picture's left, where films have that of a right part.
    turn = rotation((0.0, 0.0, float(roll))) @ np.diag([-1.0 if side == "R" else 1.0, 1.0, 1.0])
    points = {b.bone: (b.mesh.vertices @ frames[b.bone][0].T + frames[b.bone][1]) @ turn.T for b in whole.bodies}
    kind = rng.uniform()
    if kind < options.centre_only:
        centre, mm, target = _centre(points, whole.part, shape, rng)
    elif kind < options.centre_only + options.digits_only:
        centre, mm, target = _digits(points, whole.part, shape, rng)
    elif kind < options.centre_only + options.digits_only + options.parts:
        centre, mm, target = _part(points, whole.part, shape, rng)
    elif kind < options.centre_only + options.digits_only + options.parts + options.one_digit:
        centre, mm, target = _filling(_digit_points(points, whole.part, rng), shape, rng)
    else:
        centre, mm, target = _whole(points, whole.part, shape, options, rng)
    shift = np.array([target[0] - centre[0] / mm, target[1] - centre[1] / mm, 0.0])
    return (turn / mm, shift), mm


def _centre(
    points: dict[str, F64], part: Part, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[F64, float, F64]:
    """(point of the part in mm, pixel size, where that point lies in the picture) of its centre alone."""
    centre = points[part.keys.centre[-1]][:, :2].mean(axis=0) + rng.normal(0, 6, 2)
    return centre, float(rng.uniform(70, 130)) / max(shape), np.array([shape[1] / 2, shape[0] / 2])


def _digits(
    points: dict[str, F64], part: Part, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[F64, float, F64]:
    """The same of the digits side by side, or of the one apart with the others' roots, with some room around them."""
    if rng.uniform() < 0.5 or part.keys.apart is None:
        seen = [b for d in part.together for b in part.digits[d][1:]]
    else:
        seen = [*part.digits[part.keys.apart], *(part.digits[d][0] for d in part.together)]
    low, extent = _box(np.concatenate([points[b][:, :2] for b in seen]))
    mm = max(float(extent[1]) / shape[0], float(extent[0]) / shape[1]) / rng.uniform(0.72, 1.0)
    target = np.array([shape[1] / 2, shape[0] / 2]) + rng.normal(0, 0.03, 2) * max(shape)
    return low + extent / 2, mm, target


def _whole(
    points: dict[str, F64], part: Part, shape: tuple[int, int], options: PhantomOptions, rng: np.random.Generator
) -> tuple[F64, float, F64]:
    """The same of a whole part without its shafts, which show as far as the picture reaches."""
    uniform = rng.uniform
    bones = np.concatenate([p[:, :2] for name, p in points.items() if name not in part.shafts])
    low, extent = _box(bones)
    fill = uniform(*options.fill)
    mm = max(float(extent[1]) / (shape[0] * fill), float(extent[0]) / (shape[1] * min(1.06, fill + 0.15)))
    room = np.maximum(0, np.array([shape[1], shape[0]]) - extent / mm)
    # The shafts need room at the bottom: what they carry lies higher in its picture.
    target = np.array([shape[1] / 2 + uniform(-0.45, 0.45) * room[0], shape[0] / 2 + uniform(-0.5, 0.25) * room[1]])
    return low + extent / 2, mm, target


def _part(
    points: dict[str, F64], part: Part, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[F64, float, F64]:
    """The same of some bones, which fill the picture; what lies beside them is cut off by the border."""
    return _filling(_part_points(points, part, rng), shape, rng)


def _filling(seen: F64, shape: tuple[int, int], rng: np.random.Generator) -> tuple[F64, float, F64]:
    """The same of points (N, 2), which fill the picture more or less."""
    low, extent = _box(seen)
    fill = rng.uniform(0.75, 1.1)
    mm = max(float(extent[1]) / shape[0], float(extent[0]) / shape[1]) / fill
    target = np.array([shape[1] / 2, shape[0] / 2]) + rng.normal(0, 0.04, 2) * max(shape)
    return low + extent / 2, mm, target


def _part_points(points: dict[str, F64], part: Part, rng: np.random.Generator) -> F64:
    """Points (N, 2) of what a close view is taken of."""
    digits, last = part.digits, max(part.digits)
    kind = rng.choice(["digits", "digit", "roots", "no short bones", "shafts"], p=[0.25, 0.25, 0.15, 0.15, 0.2])
    if kind == "digits":
        first = int(rng.integers(2, last))
        some = range(first, min(first + int(rng.integers(1, 4)), last + 1))
        return np.concatenate([points[b][:, :2] for d in some for b in digits[d][1:]])
    if kind == "digit":
        names = digits[int(rng.integers(1, last + 1))]
        return np.concatenate([points[b][:, :2] for b in names[int(rng.integers(0, 2)) :]])
    if kind == "roots":
        apart = [] if part.keys.apart is None else [digits[part.keys.apart][0]]
        wide = [b for d in part.together for b in digits[d][:2]] + apart
        return np.concatenate([points[b][:, :2] for b in wide])
    if kind == "no short bones":
        tips = np.concatenate([points[b][:, :2] for d in digits for b in digits[d][1:]])
        roots = np.concatenate([points[digits[d][0]][:, :2] for d in part.together])
        # The border cuts the roots at any height.
        towards = tips.mean(axis=0) - roots.mean(axis=0)
        along = (roots - roots.mean(axis=0)) @ towards / float(np.linalg.norm(towards))
        return np.concatenate([tips, roots[along > np.quantile(along, rng.uniform(0.05, 0.95))]])
    short = np.concatenate([points[b][:, :2] for b in part.short])
    shaft = points[(part.keys.loaded or part.shafts)[0]][:, :2]
    away = np.linalg.norm(shaft - short.mean(axis=0), axis=1)
    root = digits[part.keys.middle_digit][0]
    return np.concatenate([short, shaft[away < rng.uniform(60, 230)], points[root][:, :2]])


def _digit_points(points: dict[str, F64], part: Part, rng: np.random.Generator) -> F64:
    """Points (N, 2) of one digit, mostly without its root, at times of its end alone."""
    names = part.digits[int(rng.integers(1, max(part.digits) + 1))]
    first = int(rng.choice([0, 1, len(names) - 2], p=[0.2, 0.55, 0.25]))
    return np.concatenate([points[b][:, :2] for b in names[first:]])


def _box(points: F64) -> tuple[F64, F64]:
    """The low corner (2,) and the extent (2,) of points, about 5 mm of flesh around them included."""
    low, high = np.quantile(points, 0.001, axis=0), np.quantile(points, 0.999, axis=0)
    return low - 5.0, high - low + 10.0
