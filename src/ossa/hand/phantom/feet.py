"""Feet, ankles and shins from real meshes, as sprites: what a model of hands most readily mistakes for a hand.

The meshes are those of phantoms of feet (schema foot28), such as BodyParts3D's; the folder is read, never copied.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.hand.phantom.sprites import SIDE, Sprite, attenuated, bare_sprite
from ossa.phantom.mesh import F64, Mesh
from ossa.phantom.meshes import meshes
from ossa.phantom.options import FLAT
from ossa.phantom.part import part_of
from ossa.phantom.pose import Pose, place, rotation
from ossa.phantom.projection import F32, thickness
from ossa.phantom.scene import project
from ossa.phantom.skeleton import Anatomy
from ossa.schema import load_schema

#: How often a foot is drawn as phantoms of feet are; the others lie in ways that nobody poses.
_FILMED = 0.6

#: Turns of a foot that lies under the beam with its toes up: seen from its side, and from the front with the leg up.
_ASIDE = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
_FRONT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def load_foot(folder: str | Path) -> Anatomy:
    """What feet are made of: a folder of meshes as ``ossa phantom --schema foot28`` takes it. Raises AnatomyError."""
    foot = meshes([folder], SIDE, part_of(load_schema("foot28")))
    assert foot is not None  # a folder was given
    return foot


def foot_sprite(rng: np.random.Generator, foot: Anatomy) -> Sprite:
    """A foot from above, obliquely, or from the side; an ankle; a shin; or toes alone. Never a bone of a hand."""
    return _filmed(rng, foot) if rng.uniform() < _FILMED else _anyhow(rng, foot)


def _filmed(rng: np.random.Generator, foot: Anatomy) -> Sprite:
    """A foot as it is taken, from above or obliquely, with marrow, cortex and flesh like those of a hand's sprite."""
    scene = project(rng, SIDE, replace(FLAT, fill=(0.6, 1.5), aspect=(1.0, 1.0), treated=0.15), foot)
    mu = attenuated(rng, scene.cortex, scene.spongy, scene.soft, scene.metal)
    return bare_sprite(mu, scene.mm)


def _anyhow(rng: np.random.Generator, foot: Anatomy) -> Sprite:
    """Bare of marrow, stretched, from any side, with the leg or without."""
    uniform = rng.uniform
    side = np.diag([float(rng.choice((-1.0, 1.0))), 1.0, 1.0])
    scale = side * (uniform(0.85, 1.2, 3) * uniform(0.8, 1.1))
    kind = str(rng.choice(["above", "oblique", "aside", "front"], p=(0.5, 0.2, 0.15, 0.15)))
    turn = rotation((float(rng.normal(0, 0.15)), 0.0, 0.0))
    if kind == "oblique":
        turn = rotation((0.0, float(rng.choice((-1, 1)) * uniform(0.3, 0.9)), 0.0)) @ turn
    elif kind == "aside":
        turn = rotation((0.0, 0.0, float(rng.normal(0, 0.1)))) @ _ASIDE
    elif kind == "front":
        turn = rotation((float(rng.normal(0, 0.15)), float(rng.normal(0, 0.3)), 0.0)) @ _FRONT
    frames = place(foot, Pose())
    shafts = foot.part.shafts
    placed = {}
    for body in foot.bodies:
        if body.bone in shafts and kind in ("above", "oblique") and uniform() < 0.7:
            continue
        own, at = frames[body.bone]
        points = body.mesh.vertices @ own.T + at
        centre = points.mean(axis=0)
        points = (points - centre) @ rotation(tuple(rng.normal(0, 0.04, 3))).T + centre
        placed[body.bone] = Mesh(points @ (turn @ scale).T, body.mesh.faces)
    bones = np.concatenate([mesh.vertices for name, mesh in placed.items() if name not in shafts])
    if uniform() < 0.3:
        toes = [name for digit in foot.part.digits.values() for name in digit[1:]]
        names = toes if uniform() < 0.6 else list(foot.part.keys.centre)
        middle = np.concatenate([placed[name].vertices for name in names]).mean(axis=0)[:2]
        mm = uniform(80, 190) / SIDE
    else:
        low, high = bones[:, :2].min(axis=0) - 12, bones[:, :2].max(axis=0) + 12
        middle, mm = (low + high) / 2, float((high - low).max()) / SIDE * uniform(0.9, 1.3)
    return bare_sprite(attenuation(list(placed.values()), middle, mm, rng), mm)


def attenuation(meshes: list[Mesh], middle: F64, mm: float, rng: np.random.Generator) -> F32:
    """mu (S, S) of bones (vertices in mm, the beam along z) and of flesh around them; ``middle`` (2,) is centred."""
    uniform = rng.uniform
    bone = np.zeros((SIDE, SIDE), np.float32)
    shell = np.zeros_like(bone)
    for mesh in meshes:
        points = mesh.vertices / mm
        points = points - np.array([middle[0] / mm - SIDE / 2, middle[1] / mm - SIDE / 2, 0.0])
        top, left, full = thickness(points, mesh.faces, (SIDE, SIDE))
        if not full.size:
            continue
        full = np.clip(full * mm, 0, 60)
        y, x, inner = thickness(points - mesh.normals() * (uniform(0.6, 1.6) / mm), mesh.faces, (SIDE, SIDE))
        core = np.zeros_like(full)
        if inner.size:
            y0, x0 = max(y - top, 0), max(x - left, 0)
            part = inner[: full.shape[0] - y0, : full.shape[1] - x0] * mm
            core[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = np.clip(part, 0, None)
        core = np.minimum(core, full)
        box = (slice(top, top + full.shape[0]), slice(left, left + full.shape[1]))
        bone[box] += core
        shell[box] += full - core
    soft = flesh(bone + shell > 0.3, uniform(6, 14) / mm, mm)
    return np.asarray(
        uniform(0.03, 0.07) * shell + uniform(0.006, 0.02) * bone + uniform(0.012, 0.022) * soft, np.float32
    )


def flesh(mask: NDArray[np.bool_], around: float, mm: float) -> F32:
    """Flesh in mm along the beam around the True pixels of ``mask``, reaching ``around`` px beyond them."""
    import cv2

    inside = cv2.morphologyEx(np.asarray(mask, np.uint8), cv2.MORPH_CLOSE, np.ones((31, 31), np.uint8))
    beyond = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    depth = cv2.distanceTransform((beyond < around).astype(np.uint8), cv2.DIST_L2, 3) * mm
    round_ = np.clip(depth / 18.0, 0, 1)
    out = 36.0 * np.sqrt(1 - (1 - round_) ** 2)
    return np.asarray(cv2.GaussianBlur(out.astype(np.float32), (0, 0), 2.0), np.float32)
