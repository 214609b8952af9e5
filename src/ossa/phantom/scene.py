"""One synthetic radiograph with its perfect, overlapping truth, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ossa.phantom import clutter
from ossa.phantom.drawn import drawn_hand
from ossa.phantom.exposure import expose
from ossa.phantom.mesh import F64
from ossa.phantom.placed import placed
from ossa.phantom.pose import place, rotation, sample_pose
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.soft import soft_tissue
from ossa.phantom.tissue import Projection, add_bones, add_sesamoids
from ossa.phantom.variation import vary
from ossa.radiograph.radiograph import Provenance, Radiograph, Side, Spacing
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Segmentation


@dataclass(frozen=True)
class PhantomOptions:
    """Shares (0..1) of the pictures in which something happens, and ranges of what all have.

    ``bent_wrists``, ``oblique_views``, ``wrist_only``, ``turned`` (any way up), ``inverted`` (negatives);
    ``clutter`` scales how often markers, frames and the like appear. ``young``: hands
    of ages 9 to 22, whose growth plates are open or just closed; the others are up to 90.
    ``fill``: the hand's length as a share of the picture's height. ``aspect``: width over height.
    """

    bent_wrists: float = 0.15
    oblique_views: float = 0.12
    wrist_only: float = 0.10
    turned: float = 0.15
    clutter: float = 1.0
    fill: tuple[float, float] = (0.55, 1.02)
    aspect: tuple[float, float] = (0.5, 1.0)
    young: float = 0.6
    inverted: float = 0.0


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
    return Radiograph(picture, spacing, scene.hand.side, Provenance(format="phantom", notes=(f"seed {seed}",))), truth


def render(
    seed: int, size: int, options: PhantomOptions, anatomy: Anatomy | None = None
) -> tuple[NDArray[np.uint8], Projection]:
    """The picture (H, W) uint8 and the projection it was exposed from: its bits are the truth, its hand tells what
    was drawn where."""
    rng = np.random.default_rng(np.random.SeedSequence([20260101, seed]))
    scene = project(rng, size, options, anatomy)
    picture, reached = expose(scene, rng, options.clutter)
    bits = np.where(reached, scene.bits, np.uint32(0))
    if rng.uniform() < options.inverted:
        picture = 255 - picture
    return picture, replace(scene, bits=bits, hand=scene.hand.with_truth(bits, load_schema("hand29").names))


def project(rng: np.random.Generator, size: int, options: PhantomOptions, anatomy: Anatomy | None = None) -> Projection:
    """A hand drawn from ``rng``, posed, framed and projected; the longer side has ``size`` px."""
    if anatomy is None:
        from ossa.phantom.builtin import builtin_anatomy

        anatomy = builtin_anatomy()
    schema = load_schema("hand29")
    aspect = rng.uniform(*options.aspect)
    shape = (size, max(32, round(size * aspect)))
    hand = vary(anatomy, rng)
    pose = sample_pose(rng, options.bent_wrists, options.oblique_views)
    frames = place(hand, pose)
    age = float(rng.uniform(9, 22) if rng.uniform() < options.young else rng.uniform(22, 90))
    # The anatomy has its thumb towards +x; mirrored, the thumb is on the picture's left: a right hand from the back.
    side: Side = "R" if rng.uniform() < 0.5 else "L"
    to_picture, mm = _framing(hand, frames, shape, options, side, rng)
    bones = placed(hand, frames, to_picture, mm)
    cortex, spongy, bits = add_bones(bones, schema, shape, mm, age, rng)
    add_sesamoids(bones, cortex, spongy, mm, rng)
    soft = soft_tissue(bones, shape, mm, rng)
    metal = clutter.hardware(bones, shape, mm, rng)
    drawn = drawn_hand(bones, pose.kind, side).with_truth(bits, schema.names)
    return Projection(cortex, spongy, soft, metal, bits, mm, drawn)


def _framing(
    hand: Anatomy,
    frames: dict[str, tuple[F64, F64]],
    shape: tuple[int, int],
    options: PhantomOptions,
    side: Side,
    rng: np.random.Generator,
) -> tuple[tuple[F64, F64], float]:
    """The map from mm to picture (matrix (3, 3), shift (3,)), and the pixel size in mm."""
    uniform = rng.uniform
    points = np.concatenate(
        [
            b.mesh.vertices @ frames[b.bone][0].T + frames[b.bone][1]
            for b in hand.bodies
            if b.bone not in ("Radius", "Ulna")
        ]
    )
    roll = uniform(-np.pi, np.pi) if uniform() < options.turned else rng.normal(0, 0.14)
    turn = rotation((0.0, 0.0, float(roll)))
    mirror = np.diag([-1.0 if side == "R" else 1.0, 1.0, 1.0])
    turned = points @ (turn @ mirror).T
    low, high = np.quantile(turned[:, :2], 0.001, axis=0), np.quantile(turned[:, :2], 0.999, axis=0)
    extent = high - low
    # Flesh beyond the finger tips, about 5 mm on each side.
    extent = extent + 10.0
    if uniform() < options.wrist_only:
        wrist = frames["Capitate"][1] @ (turn @ mirror).T
        mm = uniform(70, 130) / max(shape)
        centre = wrist[:2] + rng.normal(0, 6, 2)
        target = np.array([shape[1] / 2, shape[0] / 2])
    else:
        fill = uniform(*options.fill)
        mm = max(float(extent[1]) / (shape[0] * fill), float(extent[0]) / (shape[1] * min(1.06, fill + 0.15)))
        centre = (low + high) / 2
        room = np.maximum(0, np.array([shape[1], shape[0]]) - extent / mm)
        # The forearm needs room at the bottom: hands lie in the upper part of their pictures.
        target = np.array([shape[1] / 2 + uniform(-0.45, 0.45) * room[0], shape[0] / 2 + uniform(-0.5, 0.25) * room[1]])
    matrix = (turn @ mirror) / mm
    shift = np.array([target[0] - centre[0] / mm, target[1] - centre[1] / mm, 0.0])
    return (matrix, shift), mm
