"""Bones where they lie over the picture: what is projected, and where along a bone a point is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ossa.phantom.mesh import F64, I32
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.variation import long_axis


@dataclass(frozen=True, eq=False)
class PlacedBone:
    """One bone in picture space: ``points`` (V, 3) = (column, row, depth) in px, unit normals, faces.

    ``t`` (V,) runs from -1 at the near end to 1 at the far end, ``length`` and ``width`` are its own in mm.
    ``frame`` (3, 3) brings mm along the axes of a part at rest to px, as the bone lies. Normals are shorter where the
    cortex is thinner for a neighbour that has grown to it.
    """

    bone: str
    points: F64
    normals: F64
    faces: I32
    t: F64
    length: float
    width: float
    frame: F64 = field(default_factory=lambda: np.eye(3))

    @property
    def from_end(self) -> F64:
        """How far (V,) each vertex lies from the far end, along the bone: mm."""
        return np.asarray((1 - self.t) / 2 * self.length)


def placed(
    anatomy: Anatomy, frames: dict[str, tuple[F64, F64]], to_picture: tuple[F64, F64], mm: float
) -> list[PlacedBone]:
    """Bones in picture space; ``to_picture`` = (matrix (3, 3), shift (3,)) maps mm to px."""
    matrix, shift = to_picture
    out = []
    for body in anatomy.bodies:
        turn, origin = frames[body.bone]
        points = (body.mesh.vertices @ turn.T + origin) @ matrix.T + shift
        normals = body.mesh.normals() @ turn.T @ (matrix.T * mm)
        axis = long_axis(body.mesh.vertices)
        centred = body.mesh.vertices - body.mesh.vertices.mean(axis=0)
        along = centred @ axis
        length = max(float(np.ptp(along)), 1e-6)
        width = 2 * float(np.median(np.linalg.norm(centred - along[:, None] * axis, axis=1)))
        t = 2 * (along - along.min()) / length - 1
        out.append(PlacedBone(body.bone, points, normals, body.mesh.faces, t, length, width, matrix @ turn))
    return out


def axis_of(bone: PlacedBone) -> tuple[F64, F64, float]:
    """The bone's near end and unit direction in the picture, and its length in px."""
    reach = 0.05 * min(bone.length, 150.0)
    near = bone.points[bone.from_end > bone.length - reach, :2].mean(axis=0)
    far = bone.points[bone.from_end < reach, :2].mean(axis=0)
    length = float(np.linalg.norm(far - near))
    return near, (far - near) / max(length, 1e-6), length


def along_axis(bone: PlacedBone, box: tuple[int, int, int, int]) -> tuple[F64, F64, float]:
    """Coordinates along and across the bone's axis (h, w) in px from its near end, and its length in px."""
    near, direction, length = axis_of(bone)
    top, left, height, width = box
    y, x = np.mgrid[top : top + height, left : left + width].astype(np.float64)
    along = (x - near[0]) * direction[0] + (y - near[1]) * direction[1]
    across = (x - near[0]) * -direction[1] + (y - near[1]) * direction[0]
    return along, across, length
