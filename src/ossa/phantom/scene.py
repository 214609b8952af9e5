"""One synthetic radiograph with its perfect, overlapping truth, from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ossa.phantom.builtin import builtin_anatomy
from ossa.phantom.drawn import drawn_hand
from ossa.phantom.exposure import expose
from ossa.phantom.framing import frame
from ossa.phantom.growth import grown, sample_age
from ossa.phantom.injury import injured, lost
from ossa.phantom.options import PhantomOptions as PhantomOptions
from ossa.phantom.placed import placed
from ossa.phantom.pose import place, sample_pose, with_thumb_beside
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.soft import soft_tissue
from ossa.phantom.tissue import Projection, add_bones, add_sesamoids
from ossa.phantom.treatment import hardware
from ossa.phantom.variation import vary
from ossa.radiograph.radiograph import Provenance, Radiograph, Side, Spacing
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Segmentation


def generate(
    seed: int, size: int, options: PhantomOptions | None = None, anatomy: Anatomy | None = None
) -> tuple[Radiograph, Segmentation]:
    """A phantom whose longer side has ``size`` px, with truth; the same arguments give the same pixels.

    Without ``anatomy`` the built-in one is used.
    """
    picture, scene = render(seed, size, options or PhantomOptions(), anatomy)
    schema = load_schema("hand29")
    truth = Segmentation.from_bits(scene.bits, schema)
    spacing = Spacing(scene.mm, scene.mm, "phantom")
    return Radiograph(picture, spacing, scene.hand.side, Provenance(format="phantom", remarks=(f"seed {seed}",))), truth


def render(
    seed: int, size: int, options: PhantomOptions, anatomy: Anatomy | None = None
) -> tuple[NDArray[np.uint8], Projection]:
    """The picture (H, W) uint8 and the projection it was exposed from: its bits are the truth, its hand tells what
    was drawn where."""
    rng = np.random.default_rng(np.random.SeedSequence([20260101, seed]))
    scene = project(rng, size, options, anatomy)
    picture, seen = expose(scene, rng, options)
    bits = np.where(seen, scene.bits, np.uint32(0))
    if rng.uniform() < options.inverted:
        picture = 255 - picture
    return picture, replace(scene, bits=bits, hand=scene.hand.with_truth(bits, load_schema("hand29").names))


def project(rng: np.random.Generator, size: int, options: PhantomOptions, anatomy: Anatomy | None = None) -> Projection:
    """A hand drawn from ``rng``, posed, framed and projected; the longer side has ``size`` px."""
    schema = load_schema("hand29")
    shape = (size, max(32, round(size * rng.uniform(*options.aspect))))
    age = sample_age(options.young, options.children, rng)
    hand, absent = grown(vary(anatomy or builtin_anatomy(), rng), age, rng)
    pose = sample_pose(rng, options)
    if pose.kind != "lateral" and rng.uniform() >= options.thumb_across:
        pose = with_thumb_beside(hand, pose, rng)
    if rng.uniform() < options.injured:
        hand, pose = injured(hand, pose, rng)
    if rng.uniform() < options.missing:
        absent |= lost(rng)
    frames = place(hand, pose)
    side: Side = "R" if rng.uniform() < 0.5 else "L"
    to_picture, mm = frame(hand, frames, shape, options, side, rng)
    bones = placed(hand, frames, to_picture, mm)
    there = [bone for bone in bones if bone.bone not in absent]
    cortex, spongy, bits = add_bones(there, schema, shape, mm, age, rng)
    add_sesamoids(there, cortex, spongy, mm, age, rng)
    soft = soft_tissue(bones, absent, shape, mm, rng)
    metal = hardware(there, shape, mm, options.treated, rng)
    drawn = drawn_hand(bones, pose.kind, side).with_truth(bits, schema.names)
    return Projection(cortex, spongy, soft, metal, bits, mm, drawn)
