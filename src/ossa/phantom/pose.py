"""How a part lies under the beam: the angles of its joints, what else moves, and the view. Angles in radians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ossa.phantom.mesh import F64
from ossa.phantom.part import Part
from ossa.phantom.skeleton import Anatomy, Body

View = Literal["frontal", "oblique", "lateral"]


@dataclass(frozen=True)
class Pose:
    """``angles`` by joint name; ``turn``: extra rotation vectors (3,) of a body and all beyond it,
    about its proximal end; ``shift``: extra displacement in mm (3,) of a body and all beyond it;
    ``nudge``: (rotation vector, displacement mm) of one bone alone; ``view``: rotation (3, 3) of the
    whole part before projection, ``kind`` its name.
    """

    angles: Mapping[str, float] = field(default_factory=dict)
    turn: Mapping[str, F64] = field(default_factory=dict)
    shift: Mapping[str, F64] = field(default_factory=dict)
    nudge: Mapping[str, tuple[F64, F64]] = field(default_factory=dict)
    view: F64 = field(default_factory=lambda: np.eye(3))
    kind: View = "frontal"


def rotation(vector: F64 | tuple[float, float, float]) -> F64:
    """The rotation matrix of a rotation vector (axis times angle; Rodrigues' formula)."""
    v = np.asarray(vector, dtype=np.float64)
    angle = float(np.linalg.norm(v))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = v / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k)


def place(anatomy: Anatomy, pose: Pose) -> dict[str, tuple[F64, F64]]:
    """Each bone's rotation (3, 3) and position (3,) in mm: a vertex v goes to R v + t."""
    frames: dict[str | None, tuple[F64, F64]] = {None: (np.eye(3), np.zeros(3))}
    out = {}
    for body in anatomy.bodies:
        turn, origin = frames[body.parent]
        origin = origin + turn @ (np.asarray(body.offset) + pose.shift.get(body.bone, np.zeros(3)))
        for joint in body.joints:
            angle = pose.angles.get(joint.name, 0.0)
            if angle:
                unit = np.asarray(joint.axis) / np.linalg.norm(joint.axis)
                centre = np.asarray(joint.centre)
                centre = proximal_end(body) + centre if joint.from_end else centre
                origin, turn = _about(origin, turn, centre, rotation(unit * angle))
        if body.bone in pose.turn:
            origin, turn = _about(origin, turn, proximal_end(body), rotation(pose.turn[body.bone]))
        frames[body.bone] = (turn, origin)
        if body.bone in pose.nudge:
            vector, displacement = pose.nudge[body.bone]
            origin, turn = _about(origin, turn, _middle(body, anatomy.part), rotation(vector))
            origin = origin + displacement
        out[body.bone] = (pose.view @ turn, pose.view @ origin)
    return out


def _middle(body: Body, part: Part) -> F64:
    """Where a bone turns on its own (3,): about its middle, a shaft about its far end."""
    points = body.mesh.vertices
    if body.bone in part.shafts:
        points = points[points[:, 1] < points[:, 1].min() + 15.0]
    return np.asarray(points.mean(axis=0))


def _about(origin: F64, turn: F64, centre: F64, by: F64) -> tuple[F64, F64]:
    """Rotate a frame by ``by`` about a point given in the frame itself."""
    return origin + turn @ (centre - by @ centre), turn @ by


def proximal_end(body: Body) -> F64:
    """The middle (3,) of the bone's end that is nearer to the root, in its body's frame."""
    points = body.mesh.vertices
    near = points[points[:, 1] >= np.quantile(points[:, 1], 0.93)]
    return np.asarray(near.mean(axis=0))
