"""No two people are alike: a person between those of the anatomy, and a size and proportions of its own. Lengths in mm.

Shapes come from the people whose bones the anatomy holds; lengths are drawn around published means. How far single
bones differ beyond that is schematic: a few percent in length per row and per bone, more in width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ossa.phantom.mesh import F64, Mesh
from ossa.phantom.part import Part
from ossa.phantom.skeleton import Anatomy, Body, triple


@dataclass(frozen=True)
class Build:
    """A person's own factors: ``width`` of the bones, ``short`` (one size for all short bones, which scale
    isometrically, J. Crisco et al., J Bone Joint Surg Am 87:2729-2740, 2005), ``closeness`` of the short bones to each
    other (below 1: thin cartilage), ``row``: lengths by ``Part.row_of``, and the person's
    ``place`` (P,) between the anatomy's people.
    """

    width: float
    short: float
    closeness: float
    row: tuple[float, ...]
    place: F64


def sample_build(people: int, rng: np.random.Generator) -> Build:
    """The factors of a person from an anatomy of ``people`` others beside the first."""
    width = rng.uniform(0.84, 1.2)
    row = tuple(float(rng.normal(1, 0.035)) for _ in range(5))
    # Evenly between all people, and up to a fifth of the way beyond each.
    shares = rng.dirichlet(np.ones(people + 1)) * 1.2 - 0.2 / (people + 1)
    return Build(
        float(width), float(width**0.4 * rng.normal(1.02, 0.035)), float(rng.uniform(0.94, 1.02)), row, shares[1:]
    )


def vary(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Another person's bones: between the anatomy's people in shape, each bone stretched, widened and bent a little.

    A bone's stretch moves the joint at its far end with it, so that neighbours still meet.
    """
    part = anatomy.part
    build = sample_build(max(len(body.forms) for body in anatomy.bodies), rng)
    stretch: dict[str | None, F64] = {None: np.eye(3)}
    reach: dict[str | None, F64] = {None: np.zeros(3)}
    bodies = []
    for body in anatomy.bodies:
        blended, tip = _blended(body, build, part, rng)
        matrix = _stretch(blended, build, part, rng)
        offset = stretch[body.parent] @ (np.asarray(body.offset) + reach[body.parent])
        if body.parent in part.short:
            offset = offset * build.closeness
        joints = tuple(
            j if j.from_end else replace(j, centre=triple(matrix @ np.asarray(j.centre))) for j in body.joints
        )
        points = _shaped(blended, part, rng) @ matrix.T
        bodies.append(Body(body.bone, body.parent, triple(offset), joints, Mesh(points, body.mesh.faces)))
        stretch[body.bone], reach[body.bone] = matrix, tip
    return replace(anatomy, bodies=tuple(bodies))


def long_axis(points: F64) -> F64:
    """The direction (3,) of greatest extent, pointing to the digits' tips (-y)."""
    centred = points - points.mean(axis=0)
    axis = np.linalg.svd(centred.T @ centred)[0][:, 0]
    return np.asarray(-axis if axis[1] > 0 else axis)


def _blended(body: Body, build: Build, part: Part, rng: np.random.Generator) -> tuple[Body, F64]:
    """The bone of the person at ``build.place``, a little nearer to one or the other on its own, and how far its far
    end (3,) has moved: a short bone stays about its middle, a long bone keeps its near end."""
    if not len(body.forms):
        return body, np.zeros(3)
    place = build.place + rng.normal(0, 0.12, len(build.place))
    points = body.mesh.vertices
    moved = np.tensordot(place, body.forms, axes=1)
    if body.bone not in part.tubular:
        moved = moved - moved.mean(axis=0)
        return replace(body, mesh=Mesh(points + moved, body.mesh.faces)), np.zeros(3)
    along = points @ long_axis(points)
    t = (along - along.min()) / max(float(np.ptp(along)), 1e-6)
    moved = moved - moved[t < 0.08].mean(axis=0)
    return replace(body, mesh=Mesh(points + moved, body.mesh.faces)), moved[t > 0.92].mean(axis=0)


def _stretch(body: Body, build: Build, part: Part, rng: np.random.Generator) -> F64:
    """A linear map (3, 3): lengths along the bone's axis, widths across it; short bones keep their proportions."""
    if body.bone in part.short:
        return np.asarray(np.diag(build.short * rng.normal(1, 0.04, 3)))
    axis = long_axis(body.mesh.vertices)
    length = build.row[part.row_of(body.bone)]
    # Shafts are lengthened alike: their ends stay side by side.
    if body.bone in part.tubular:
        length *= rng.normal(1, 0.03)
    if body.bone in part.keys.length:
        length *= part.keys.length[body.bone] / float(np.ptp(body.mesh.vertices @ axis))
    across = build.width * rng.normal(1, 0.05)
    if body.bone in part.tips:
        # A CT's threshold takes off the thin rim of a tip, which films show: all three people's are slim.
        across *= rng.normal(1.10, 0.06)
    return np.asarray(across * np.eye(3) + (length - across) * np.outer(axis, axis))


def _shaped(body: Body, part: Part, rng: np.random.Generator) -> F64:
    """Vertices (V, 3) after smooth random bulges, and, for long bones, another waist and other ends."""
    points = body.mesh.vertices
    centre = points.mean(axis=0)
    local = points - centre
    extent = float(np.abs(local).max())
    if body.bone in part.tubular:
        local = _reshaped_tube(local, long_axis(points), body.bone in part.tips, extent, rng)
        amplitude = 0.22 * rng.uniform(0.2, 1.3)
    elif body.bone in part.short:
        amplitude = 0.30 * rng.uniform(0.3, 1.3)
    else:
        extent, amplitude = 25.0, 0.5 * rng.uniform(0.3, 1.4)
    bulge = np.zeros_like(local)
    for _ in range(4):
        wave = rng.normal(size=3) * 1.6 / extent
        bulge += np.sin(local @ wave + rng.uniform(0, 2 * np.pi))[:, None] * rng.normal(size=3) * amplitude
    return np.asarray(centre + local + bulge)


def _reshaped_tube(local: F64, axis: F64, distal: bool, extent: float, rng: np.random.Generator) -> F64:
    """A long bone (V, 3) about its middle with another waist, other ends, a bow, and at tips another tuft."""
    along = local @ axis
    t = along / max(float(np.abs(along).max()), 1e-6)
    radial = local - along[:, None] * axis
    waist, far, near = rng.normal(0, 0.07), rng.normal(0, 0.06), rng.normal(0, 0.06)
    tuft = rng.normal(0.08, 0.12) if distal else 0.0
    factor = (
        1
        + waist * np.clip(1 - (t / 0.7) ** 2, 0, 1)
        + (far + tuft) * np.clip((t - 0.4) / 0.6, 0, 1)
        + near * np.clip((-t - 0.4) / 0.6, 0, 1)
    )
    side = np.cross(axis, rng.normal(size=3))
    side /= max(float(np.linalg.norm(side)), 1e-9)
    bow = rng.normal(0, 0.012) * extent * (1 - t**2)
    return np.asarray(along[:, None] * axis + radial * factor[:, None] + bow[:, None] * side)
