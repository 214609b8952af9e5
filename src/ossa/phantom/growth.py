"""Children: bones that are not there yet, small round ones, ends that growth plates part from their shafts.

Ages in years, lengths in mm. Ages at which a bone's centre is first seen stand in the schema; how fast centres
grow is schematic.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ossa.phantom.mesh import F64, Mesh
from ossa.phantom.part import Growth, Part
from ossa.phantom.skeleton import Anatomy, Body
from ossa.phantom.variation import long_axis

#: Up to this age the plates are gaps between bones; later they are thin lines (tissue.py).
CHILD = 9.0
#: Age at which all short bones are shaped like an adult's.
FORMED = 13.0
#: Breadth in mm of the rings of vertices that close the faces of a gap: more than the vertices' distance.
_RING = 0.8


def sample_age(young: float, children: float, rng: np.random.Generator) -> float:
    """1 to 9 in a share of ``children``, 9 to 22 in one of ``young``, otherwise up to 90."""
    kind = rng.uniform()
    if kind < children:
        return float(rng.uniform(1.0, CHILD))
    return float(rng.uniform(CHILD, 22) if kind < children + young else rng.uniform(22, 90))


def grown(whole: Anatomy, age: float, rng: np.random.Generator) -> tuple[Anatomy, frozenset[str]]:
    """The part at ``age``, and the bones that cannot be seen yet. From ``CHILD`` on the part itself, with all bones.

    A child is smaller as a whole. Every child is a little ahead or behind.
    """
    part = whole.part
    if age >= CHILD:
        return whole, frozenset()
    growth = part.keys.growth
    assert growth is not None  # nobody is a child where nothing is known of children (scene)
    bone_age = max(0.6, age + rng.normal(0, 0.08 * age))
    size = 0.42 + 0.045 * age
    absent, bodies = [], []
    for body in whole.bodies:
        seen = growth.seen.get(body.bone, 0.0) + (rng.normal(0, 0.4) if body.bone in part.short else 0.0)
        if bone_age < seen:
            absent.append(body.bone)
        if body.bone in part.short:
            points = _centre_of(body, bone_age, seen)
        else:
            points = _with_plate(body, part, growth, bone_age, rng)
        offset = (body.offset[0] * size, body.offset[1] * size, body.offset[2] * size)
        joints = tuple(
            j if j.from_end else replace(j, centre=(j.centre[0] * size, j.centre[1] * size, j.centre[2] * size))
            for j in body.joints
        )
        bodies.append(Body(body.bone, body.parent, offset, joints, Mesh(points * size, body.mesh.faces)))
    return replace(whole, bodies=tuple(bodies)), frozenset(absent)


def _centre_of(body: Body, age: float, seen: float) -> F64:
    """A short bone (V, 3) as a small round centre that grows into its shape."""
    share = float(np.clip((age - seen) / (FORMED - seen), 0.0, 1.0))
    scale, roundness = 0.35 + 0.6 * share**0.7, 0.9 * (1 - share)
    middle = body.mesh.vertices.mean(axis=0)
    local = body.mesh.vertices - middle
    radius = np.linalg.norm(local, axis=1, keepdims=True)
    ball = local / np.maximum(radius, 1e-6) * float(radius.mean())
    return np.asarray(middle + scale * (roundness * ball + (1 - roundness) * local))


def _with_plate(body: Body, part: Part, growth: Growth, age: float, rng: np.random.Generator) -> F64:
    """A long bone (V, 3) whose end is narrower than its shaft and parted from it, or not there yet."""
    points, heads = body.mesh.vertices, part.keys.heads
    axis = long_axis(points)
    along = points @ axis
    # Distance from the growing end, whichever end that is.
    depth = along.max() - along if body.bone in heads else along - along.min()
    into = -axis if body.bone in heads else axis
    shaft_bone = body.bone not in part.tubular
    deep = growth.deep.get(body.bone, 0.075 * float(np.ptp(along)) + 2.1)
    plate = deep + rng.normal(0, 0.06 * deep)
    if body.bone in heads and not shaft_bone:
        plate += 5.0
    seen = growth.ends.get(body.bone, growth.end) + rng.normal(0, 0.3)
    gap = plate * (0.12 + 0.02 * max(CHILD - age, 0)) * (0.5 if shaft_bone else 1.0) + 0.6
    shaft = depth >= plate
    if age < seen:
        # The end is cartilage: the shaft closes with a blunt face.
        flat = np.where(shaft, 0.0, plate - depth - 0.15 * np.minimum(plate - depth, 2.0))
        return np.asarray(points + flat[:, None] * into)
    share = float(np.clip((age - seen) / (11.0 - seen), 0.0, 1.0))
    wide, thick = 0.45 + 0.5 * share, 0.5 + 0.45 * share
    # Two rings of vertices close both faces of the gap; the end beyond shrinks towards the joint.
    end, far_face = depth < plate - 2 * _RING, plate - gap
    near_face = ~shaft & (depth >= plate - _RING)
    first = (1 - thick) * 0.5 * far_face
    moved_to = np.select(
        [shaft, near_face, end], [depth, plate, first + depth / (plate - 2 * _RING) * (far_face - first)], far_face
    )
    factor = np.select([shaft, end], [1.0, wide], 0.002)
    middle = points[np.abs(depth - plate) < 3.0].mean(axis=0)
    radial = points - middle - ((points - middle) @ axis)[:, None] * axis
    return np.asarray(points + (moved_to - depth)[:, None] * into + radial * (factor - 1)[:, None])
