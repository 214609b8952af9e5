"""What few people have: accessory ossicles, bones in two parts, neighbours grown together; the schema says how often.

Ossicles lie on the picture and are never in the truth. Both parts of a bone are its truth, the gap between them is not.
Bones that have grown together meet on a surface midway in their former gap, where each one's truth ends; there is no
cortex there. Sizes and shapes are schematic. Lengths in mm unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ossa.phantom.growth import FORMED
from ossa.phantom.mesh import F64, ellipsoid
from ossa.phantom.part import Bipartite, Ossicle, Part
from ossa.phantom.placed import PlacedBone
from ossa.phantom.pose import rotation
from ossa.phantom.projection import F32, thickness
from ossa.phantom.sheet import Sheet, across, below, both, terms

Generator = np.random.Generator

#: Joints that are wider than this where they are narrowest are not bridged; how far either bone grows to the other at
#: most; how thick an ossicle's cortex is.
_WIDEST, _GROWN, _SHELL = 4.0, 3.0, 0.4


@dataclass(frozen=True, eq=False)
class Variants:
    """What one person has. ``joined``: pairs of bones; ``ankylosed``: those which are joined if this person's joints
    are eroded; ``rng``: where sizes and places come from, apart from all else that is drawn."""

    ossicles: tuple[Ossicle, ...] = ()
    bipartite: tuple[Bipartite, ...] = ()
    joined: tuple[tuple[str, str], ...] = ()
    ankylosed: tuple[tuple[str, str], ...] = ()
    rng: Generator = field(default_factory=lambda: np.random.default_rng(0))


def sample_variants(part: Part, times: float, age: float, rng: Generator) -> Variants:
    """The variants of a person of this ``age`` in years, each ``times`` as often as published; none where bones are not
    formed yet."""
    if age < FORMED:
        return Variants(rng=rng)
    keys, sick = part.keys, part.keys.ankylosis

    def has(chance: float) -> bool:
        return bool(rng.uniform() < chance * times)

    ossicles = tuple(kind for kind in keys.ossicle if has(kind.chance))
    bipartite = tuple(kind for kind in keys.bipartite if has(kind.chance))
    joined = tuple(kind.bones for kind in keys.coalition if has(kind.chance))
    ankylosed: tuple[tuple[str, str], ...] = ()
    if sick is not None and has(sick.chance):
        count = int(rng.integers(2, sick.most + 1)) if rng.uniform() < sick.several else 1
        chosen = rng.permutation(len(sick.joints))[:count]
        ankylosed = tuple(sick.joints[int(k)] for k in chosen)
    return Variants(ossicles, bipartite, joined, ankylosed, rng)


def varied(bones: Sequence[PlacedBone], variants: Variants, eroded: bool, mm: float) -> list[PlacedBone]:
    """The bones in two parts, or joined; ``eroded``: arthritis has been at the joints, at ``mm`` per px."""
    by_name = {bone.bone: bone for bone in bones}
    for kind in variants.bipartite:
        if kind.bone in by_name:
            by_name[kind.bone] = parted(by_name[kind.bone], kind, mm, variants.rng)
    pairs = (*variants.joined, *variants.ankylosed) if eroded else variants.joined
    for first, second in dict.fromkeys(pairs):
        if first in by_name and second in by_name:
            by_name[first], by_name[second] = joined(by_name[first], by_name[second], mm, variants.rng)
    return [by_name[bone.bone] for bone in bones]


def parted(bone: PlacedBone, kind: Bipartite, mm: float, rng: Generator) -> PlacedBone:
    """The bone in two parts with rounded faces, each with its cortex, and a gap between them."""
    lower, upper = gap_of(bone, kind, mm, rng)
    return both(below(bone, lower), below(bone, upper.turned()))


def gap_of(bone: PlacedBone, kind: Bipartite, mm: float, rng: Generator) -> tuple[Sheet, Sheet]:
    """The two faces of the gap through a bone: the bone lies below the first and above the second."""
    if kind.axis is not None:
        axis = bone.frame @ np.asarray(kind.axis)
    else:
        axis = bone.points[bone.t > 0.6].mean(axis=0) - bone.points[bone.t < -0.6].mean(axis=0)
    axis = rotation(rng.normal(0, 0.12, 3)) @ (axis / np.linalg.norm(axis))
    along = bone.points @ axis
    at = along.min() + rng.uniform(*kind.at) * np.ptp(along)
    near = bone.points[np.abs(along - at) < 2.0 / mm]
    near = near if len(near) else bone.points
    centre = near.mean(axis=0)
    reach = float(np.linalg.norm(near - centre, axis=1).mean())
    sheet = Sheet(centre + (at - centre @ axis) * axis, across(axis), np.zeros(6))
    gap = rng.uniform(*kind.gap) / mm
    # One face is a little hollow, the other round; both are rounded off at their rims.
    common = rng.normal(0, 0.5 / mm / reach**2, 3) * (1.0, 0.5, 1.0)
    faces = []
    for side in (-1.0, 1.0):
        rounding = rng.uniform(0.3, 1.2) / mm / reach**2
        bend = common + side * rounding * np.array([1.0, 0.0, 1.0])
        faces.append(replace(sheet, curve=np.concatenate([[side * gap / 2, 0.0, 0.0], bend])))
    return faces[0], faces[1]


def joined(first: PlacedBone, second: PlacedBone, mm: float, rng: Generator) -> tuple[PlacedBone, PlacedBone]:
    """Two neighbours with bone in the joint between them, over part of their faces or all; the same bones where they
    lie too far apart."""
    found = midway(first, second, mm)
    if found is None:
        return first, second
    sheet, spread = found
    reach = rng.uniform(1.5, 3.2)
    aside = rng.normal(0, 0.35, 2)
    ends = []
    for bone, side in ((first, sheet), (second, sheet.turned())):
        above = side.above(bone.points)
        u, v, _ = side.axes @ (bone.points - side.origin).T
        out = np.hypot(u / spread[0] - aside[0], v / spread[1] - aside[1])
        weight = _step((reach - out) / 0.6) * _step(_GROWN - np.abs(above) * mm)
        weight *= _step((bone.normals @ side.axes[2] - 0.05) / 0.25)
        points = bone.points - (weight * above)[:, None] * side.axes[2]
        ends.append(replace(bone, points=points, normals=bone.normals * (1 - weight)[:, None]))
    return ends[0], ends[1]


def midway(first: PlacedBone, second: PlacedBone, mm: float) -> tuple[Sheet, F64] | None:
    """The surface midway between the faces that two bones turn to each other, first below and second above, and the
    faces' spread (2,) along its u and v in px; None where no joint is."""
    widest = _WIDEST / mm
    a, b = _beside(first, second, widest), _beside(second, first, widest)
    if min(len(a), len(b)) < 12:
        return None
    apart = _apart(first.points[a], second.points[b])
    gap, partner = apart.min(axis=1), b[apart.argmin(axis=1)]
    face = gap < gap.min() + 2.2 / mm
    if gap.min() > widest or face.sum() < 12:
        return None
    a, partner = a[face], partner[face]
    middle = (first.points[a] + second.points[partner]) / 2
    way = first.normals[a].mean(axis=0) - second.normals[partner].mean(axis=0)
    if np.linalg.norm(way) < 1e-6:
        return None
    centre, axes = middle.mean(axis=0), across(way)
    # u and v run along the face's own length and breadth.
    flat = (middle - centre) @ axes[:2].T
    turn = np.linalg.svd(flat, full_matrices=False)[2]
    axes = np.concatenate([turn @ axes[:2], axes[2:]])
    u, v, height = axes @ (middle - centre).T
    spread = np.maximum(np.array([u.std(), v.std()]), 1.0 / mm)
    # A plane at least: a bend is believed only as far as the face tells of it.
    scale = np.array([1, *spread, spread[0] ** 2, spread[0] * spread[1], spread[1] ** 2])
    system = np.concatenate([terms(u, v) / scale, np.diag([0, 0, 0, 1.0, 1.0, 1.0])])
    curve = np.linalg.lstsq(system, np.concatenate([height, np.zeros(6)]), rcond=None)[0] / scale
    return Sheet(centre, axes, curve), spread


def _apart(points: F64, others: F64) -> F64:
    """Distances (V, W) between points (V, 3) and others (W, 3)."""
    middle = points.mean(axis=0)
    p, q = points - middle, others - middle
    squared = (p**2).sum(axis=1)[:, None] + (q**2).sum(axis=1) - 2 * p @ q.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _beside(bone: PlacedBone, other: PlacedBone, reach: float) -> NDArray[np.intp]:
    """Which vertices of a bone lie less than ``reach`` px from the other's bounding box."""
    low, high = other.points.min(axis=0) - reach, other.points.max(axis=0) + reach
    return np.flatnonzero(((bone.points > low) & (bone.points < high)).all(axis=1))


def add_ossicles(bones: Sequence[PlacedBone], variants: Variants, cortex: F32, spongy: F32, mm: float) -> None:
    """Draw the person's ossicles into the path lengths (H, W) of cortical and spongy bone, in place."""
    by_name = {bone.bone: bone for bone in bones}
    rng = variants.rng
    for kind in variants.ossicles:
        if not set(kind.between) <= set(by_name):
            continue
        points, faces = ossicle([by_name[name] for name in kind.between], kind, mm, rng)
        top, left, crossed = thickness(points, faces, (cortex.shape[0], cortex.shape[1]))
        if crossed.size == 0:
            continue
        full, inner = np.clip(crossed * mm, 0, None), np.zeros_like(crossed)
        centre = points.mean(axis=0)
        least = float(np.linalg.norm(points - centre, axis=1).min())
        core = centre + (points - centre) * max(1 - _SHELL / mm / least, 0.0)
        y, x, crossed = thickness(core, faces, (cortex.shape[0], cortex.shape[1]))
        inner[y - top : y - top + crossed.shape[0], x - left : x - left + crossed.shape[1]] = crossed * mm
        inner = np.clip(inner, 0, full)
        box = (slice(top, top + full.shape[0]), slice(left, left + full.shape[1]))
        cortex[box] += full - inner
        spongy[box] += inner * rng.uniform(0.7, 1.0)


def ossicle(bones: Sequence[PlacedBone], kind: Ossicle, mm: float, rng: Generator) -> tuple[F64, NDArray[np.int32]]:
    """Vertices (V, 3) in px and faces of an ossicle between bones: a pebble that leaves them their room."""
    at = bones[-1].points.mean(axis=0)
    for _ in range(12):
        at = np.mean([_nearest(bone, at) for bone in bones], axis=0)
    lean = np.asarray(kind.out) * rng.uniform(0.7, 1.3) + rng.normal(0, 0.5, 3)
    at = at + bones[0].frame @ lean
    room = min(float(np.linalg.norm(_nearest(bone, at) - at)) for bone in bones) * mm
    radii = rng.uniform(*kind.size) * rng.uniform(0.65, 1.35, 3)
    radii *= min(1.0, max(room + 1.0, 1.1 * kind.size[0]) / radii.max())
    mesh = ellipsoid((float(radii[0]), float(radii[1]), float(radii[2])), 10)
    local = mesh.vertices @ rotation(rng.normal(0, 1.0, 3)).T
    wave = rng.normal(0, 0.5, (2, 3)) * (2.0 / radii.mean())
    bulge = 1 + 0.10 * np.sin(local @ wave.T + rng.uniform(0, 6, 2)).sum(axis=1)
    return at + local * bulge[:, None] / mm, mesh.faces


def _nearest(bone: PlacedBone, at: F64) -> F64:
    return np.asarray(bone.points[int(np.argmin(((bone.points - at) ** 2).sum(axis=1)))])


def _step(x: F64) -> F64:
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x))
