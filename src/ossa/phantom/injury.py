"""Broken and displaced bones, joints out of place, digits that are lost. Lengths in mm, angles in radians."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ossa.phantom.mesh import F64, Mesh
from ossa.phantom.part import Part
from ossa.phantom.pose import Pose, rotation
from ossa.phantom.skeleton import Anatomy, triple
from ossa.phantom.variation import long_axis

#: Breadth in mm over which a broken surface passes from one fragment to the other.
_STEP = 1.2


def injured(whole: Anatomy, pose: Pose, rng: np.random.Generator) -> tuple[Anatomy, Pose]:
    """The part after an accident: one bone broken and displaced, or one joint out of place."""
    digits = whole.part.digits
    if rng.uniform() < 0.3:
        bone = str(rng.choice([b for bones in digits.values() for b in bones[1:]]))
        out = np.array([rng.choice((-1, 1)) * rng.uniform(2, 7), rng.uniform(-1, 4), rng.normal(0, 3)])
        return whole, replace(pose, shift={**pose.shift, bone: pose.shift.get(bone, np.zeros(3)) + out})
    often = [bone for bone, times in whole.part.keys.broken.items() for _ in range(times)]
    return broken(whole, pose, str(rng.choice([*often, *(bone for bones in digits.values() for bone in bones)])), rng)


def broken(whole: Anatomy, pose: Pose, bone: str, rng: np.random.Generator) -> tuple[Anatomy, Pose]:
    """The part with the far end of ``bone`` shifted and turned against the near one, and all beyond it with it."""
    body = next(b for b in whole.bodies if b.bone == bone)
    points = body.mesh.vertices
    axis = long_axis(points)
    along = points @ axis
    length = float(np.ptp(along))
    at = along.max() - (rng.uniform(12, 60) if bone in whole.part.shafts else rng.uniform(0.2, 0.85) * length)
    away = np.abs(along - at)
    # Of a coarse mesh no corner may lie at the break: the nearest ones then.
    here = points[away < 3.0] if (away < 3.0).any() else points[np.argsort(away, kind="stable")[:8]]
    middle = here.mean(axis=0)
    width = float(np.linalg.norm(here - middle, axis=1).mean())
    turn = rng.normal(0, 0.30, 3) * (1.0, 0.4, 1.0)
    aside = rng.normal(0, 0.45, 3) * width
    aside = aside - (aside @ axis + rng.uniform(-0.5, 3.0)) * axis
    matrix = rotation(turn)

    def moved(values: F64) -> F64:
        return np.asarray((values - middle) @ matrix.T + middle + aside)

    # The break runs obliquely across the bone.
    slope = np.cross(axis, rng.normal(size=3)) * rng.uniform(0, 0.9)
    share = np.clip((along - at + (points - middle) @ slope) / _STEP + 0.5, 0, 1)[:, None]
    mesh = Mesh(points * (1 - share) + moved(points) * share, body.mesh.faces)
    bodies = []
    turns = dict(pose.turn)
    for other in whole.bodies:
        if other.bone == bone:
            other = replace(other, mesh=mesh)
        elif other.parent == bone:
            other = replace(other, offset=triple(moved(np.asarray(other.offset)[None])[0]))
            turns[other.bone] = turns.get(other.bone, np.zeros(3)) + turn
        bodies.append(other)
    return replace(whole, bodies=tuple(bodies)), replace(pose, turn=turns)


def lost(part: Part, rng: np.random.Generator) -> frozenset[str]:
    """The bones of one or two digits, from some level on: an amputation, or a ray that never grew."""
    digits = rng.choice([*part.digits], int(rng.integers(1, 3)), replace=False)
    gone: set[str] = set()
    for digit in digits:
        bones = part.digits[int(digit)]
        gone |= set(bones[int(rng.integers(0 if rng.uniform() < 0.2 else 1, len(bones))) :])
    return frozenset(gone)
