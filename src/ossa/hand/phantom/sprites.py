"""Hands and other things as they attenuate the beam, without film or frame: what plates are composed of.

A ``Sprite`` is drawn once, upright, and laid onto many plates afterwards (``plates``): attenuations add up, so two
hands on one film are two sprites on one plate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ossa.hand.phantom.pose import DIGITS, FINGERS, sample_pose
from ossa.hand.phantom.soft import soft_tissue
from ossa.phantom.growth import CHILD, grown, sample_age
from ossa.phantom.mesh import F64
from ossa.phantom.options import PhantomOptions
from ossa.phantom.placed import PlacedBone, axis_of, placed
from ossa.phantom.pose import Pose, place, rotation
from ossa.phantom.projection import F32
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.tissue import add_bones, add_sesamoids
from ossa.phantom.treatment import hardware
from ossa.phantom.variation import long_axis, vary
from ossa.schema import load_schema

View = Literal["frontal", "oblique", "lateral", "other"]
VIEWS: tuple[View, ...] = ("frontal", "oblique", "lateral", "other")

#: How often each view is drawn. "other": fists, ball catchers, OK signs, bent fingers.
_VIEW_SHARES = (0.48, 0.16, 0.22, 0.14)

#: Side of a sprite in px.
SIDE = 448


@dataclass(frozen=True, eq=False)
class Sprite:
    """``mu`` (S, S) float32: attenuation, natural logarithm. Points are (x, y) in px, pixel centres whole numbers.

    ``ends`` (29, 2, 2): both ends of each bone, the elbow's first, in the schema's order; NaN for a bone that is not
    there. ``up`` (2,): unit vector from the carpus to the knuckles; ``length``: of the whole hand from the wrist to
    the middle finger's tip as if it lay flat, px; ``thumb_left``: the thumb is on the left when the fingers are up;
    ``mm``: size of a pixel. Without any bone it shows something that is no hand. ``open_ended``: what leaves the
    sprite at the bottom goes on beyond it as it is there; otherwise nothing is known of what lies outside.
    """

    mu: F32
    ends: F64
    view: View
    up: F64
    length: float
    thumb_left: bool
    mm: float
    open_ended: bool

    @property
    def is_hand(self) -> bool:
        """Whether any bone of a hand is there."""
        return bool(np.isfinite(self.ends).any())


def hand_sprite(rng: np.random.Generator, anatomy: Anatomy, close: bool) -> Sprite:
    """A hand in some view and pose: whole with its forearm, or (``close``) one part of it enlarged."""
    schema = load_schema("hand29")
    age = sample_age(0.4, 0.15, rng)
    hand, absent = grown(vary(anatomy, rng), age, rng)
    view: View = VIEWS[int(rng.choice(4, p=_VIEW_SHARES))]
    frames = place(hand, posed(rng, view))
    mirror = np.diag([float(rng.choice((-1.0, 1.0))), 1.0, 1.0])
    scale = np.clip(0.55 + 0.025 * age, 0.55, 1.0) if CHILD <= age < 18 else 1.0
    points = {
        b.bone: (b.mesh.vertices[::7] @ frames[b.bone][0].T + frames[b.bone][1]) @ mirror * scale for b in hand.bodies
    }
    mm, middle = _framing(rng, points, close)
    matrix = mirror * (scale / mm)
    shift = np.array([SIDE / 2 - middle[0] / mm, SIDE / 2 - middle[1] / mm, 0.0])
    everything = placed(hand, frames, (matrix, shift), mm)
    bones = [bone for bone in everything if bone.bone not in absent]
    shape = (SIDE, SIDE)
    cortex, spongy, _ = add_bones(bones, schema, shape, mm, age, rng)
    add_sesamoids(bones, cortex, spongy, mm, age, rng)
    soft = soft_tissue(everything, frozenset(), shape, mm, rng)
    metal = hardware(bones, shape, mm, 0.2, rng)
    mu = attenuated(rng, cortex, spongy, soft, metal)
    if rng.uniform() < 0.07:
        mu = mu + _cast(soft, mm, rng)
    ends = np.full((len(schema), 2, 2), np.nan)
    for bone in bones:
        near, direction, length = axis_of(bone)
        ends[schema.index(bone.bone)] = near, near + direction * length
    lengths = {b.bone: float(np.ptp(b.mesh.vertices @ long_axis(b.mesh.vertices))) for b in hand.bodies}
    whole = sum(lengths[n] for n in ("Lunate", "Capitate", *DIGITS[3])) * scale
    centres = {b.bone: b.points[:, :2].mean(axis=0) for b in everything}
    knuckles = np.mean([_far(everything, DIGITS[i][0]) for i in FINGERS], axis=0)
    up = knuckles - (centres["Capitate"] + centres["Lunate"]) / 2
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    aside = _near(everything, "finger-3") - _near(everything, "finger-19")
    thumb_left = float(up[0] * aside[1] - up[1] * aside[0]) < 0
    return Sprite(mu.astype(np.float32), ends, view, up, whole / mm, thumb_left, mm, not close)


def attenuated(rng: np.random.Generator, cortex: F32, spongy: F32, soft: F32, metal: F32) -> F32:
    """What path lengths (S, S) in mm attenuate, each by a coefficient that is drawn for the exposure."""
    u = rng.uniform
    mu = u(0.03, 0.08) * cortex + u(0.006, 0.028) * spongy + u(0.012, 0.026) * soft + 0.9 * metal
    return np.asarray(mu, np.float32)


def _far(bones: list[PlacedBone], name: str) -> F64:
    bone = next(b for b in bones if b.bone == name)
    near, direction, length = axis_of(bone)
    return np.asarray(near + direction * length)


def _near(bones: list[PlacedBone], name: str) -> F64:
    return axis_of(next(b for b in bones if b.bone == name))[0]


def _framing(rng: np.random.Generator, points: dict[str, F64], close: bool) -> tuple[float, F64]:
    """The pixel size in mm and what lies in the sprite's middle, (x, y) in mm."""
    hand = np.concatenate([p for n, p in points.items() if n not in ("Radius", "Ulna")])
    low, high = hand[:, :2].min(axis=0) - 12, hand[:, :2].max(axis=0) + 12
    if not close:
        # The forearm leaves at the bottom, at about two thirds of the hand's length.
        end = float(points["Radius"][:, 1].min()) + 0.65 * float(high[1] - low[1])
        extent = max(end - float(low[1]), float(high[0] - low[0]))
        bottom = end if extent == end - low[1] else low[1] + extent
        return extent / SIDE, np.array([(low[0] + high[0]) / 2, bottom - extent / 2])
    kind = rng.uniform()
    if kind < 0.35:
        names: tuple[str, ...] = ("Capitate", "Lunate")
        extent = rng.uniform(90, 190)
    elif kind < 0.8:
        names = DIGITS[int(rng.integers(1, 6))][int(rng.integers(1, 3)) :]
        # A finger alone is taken on a narrow field: nothing here is shown larger than that.
        extent = np.exp(rng.uniform(np.log(65), np.log(190)))
    else:
        names = tuple(DIGITS[i][0] for i in FINGERS)
        extent = rng.uniform(80, 190)
    middle = np.concatenate([points[n] for n in names])[:, :2].mean(axis=0) + rng.normal(0, 0.06, 2) * extent
    return float(extent) / SIDE, middle


def posed(rng: np.random.Generator, view: View) -> Pose:
    """A pose of one of the VIEWS; angles in radians, drawn wide."""
    pose = sample_pose(rng, PhantomOptions(bent_wrists=0.2, oblique_views=0.0))
    angles = dict(pose.angles)
    uniform = rng.uniform
    roll = {"frontal": rng.normal(0, 0.12), "oblique": rng.choice((-1, 1)) * uniform(0.35, 0.95)}.get(view, 0.0)
    if view == "lateral":
        roll = rng.choice((-1, 1)) * uniform(1.3, 1.85)
        fan = uniform() < 0.4
        for i in FINGERS:
            angles[f"mcp{i}_flexion"] += uniform(0, 0.9) if fan else uniform(0, 0.25)
            angles[f"pm{i}_flexion"] += uniform(0, 0.5) if fan else uniform(0, 0.15)
        angles["flexion"] = float(rng.normal(0, 0.3))
    elif view == "other":
        kind = uniform()
        roll = rng.choice((-1, 1)) * uniform(0.0, 1.2)
        for i in FINGERS:
            if kind < 0.4:  # a fist
                bend = (uniform(0.9, 1.5), uniform(1.2, 1.7), uniform(0.5, 1.1))
            elif kind < 0.7:  # an OK sign: the index bent, the others as they come
                bend = (uniform(0.4, 0.9), uniform(0.7, 1.2), uniform(0.3, 0.7)) if i == 2 else (uniform(0, 0.4),) * 3
            else:  # every finger bent by itself
                bend = (uniform(0, 1.2), uniform(0, 1.4), uniform(0, 0.8))
            for joint, angle in zip(("mcp", "pm", "md"), bend, strict=True):
                angles[f"{joint}{i}_flexion"] = float(angle)
        angles["mp_flexion"] = float(-uniform(0, 0.8))
        angles["ip_flexion"] = float(-uniform(0, 0.9))
    if uniform() < 0.15:  # palm up
        roll += np.pi
    tilt = rng.normal(0, 0.07) + (rng.choice((-1, 1)) * uniform(0.2, 0.6) if uniform() < 0.1 else 0.0)
    turned = rotation((0.0, float(roll), 0.0)) @ rotation((float(tilt), 0.0, 0.0))
    return replace(pose, angles=angles, view=turned)


def _cast(soft: F32, mm: float, rng: np.random.Generator) -> F32:
    """A cast or a dressing around a stretch of the limb: attenuation (S, S)."""
    import cv2

    wide = max(3, round(rng.uniform(4, 12) / mm) | 1)
    limb = cv2.morphologyEx((soft > 4).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((wide * 2 + 1, wide * 2 + 1)))
    outer = cv2.dilate(limb, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))).astype(np.float32)
    rim = cv2.GaussianBlur(outer, (0, 0), wide / 6) * (1.4 - 0.8 * cv2.GaussianBlur(limb.astype(np.float32), (0, 0), 3))
    top = int(rng.uniform(0.3, 0.7) * SIDE)
    rim[:top] = 0
    weave = cv2.GaussianBlur(rng.standard_normal(soft.shape).astype(np.float32), (0, 0), rng.uniform(0.8, 4))
    weave = weave * (rng.uniform(0.05, 0.3) / (float(weave.std()) + 1e-6))
    return np.asarray(rng.uniform(0.1, 0.7) * rim * (1 + weave), np.float32)


def bare_sprite(mu: NDArray[np.floating], mm: float = 0.5) -> Sprite:
    """Something that is no hand, by its attenuation (S, S)."""
    nothing = np.full((len(load_schema("hand29")), 2, 2), np.nan)
    return Sprite(np.asarray(mu, np.float32), nothing, "other", np.array([0.0, -1.0]), 1.0, False, mm, False)
