"""How a hand lies under the beam: joint angles, carpal motion, and the view. Angles in radians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ossa.phantom.mesh import F64
from ossa.phantom.skeleton import Anatomy, Body

View = Literal["frontal", "oblique", "lateral"]

#: Share of a radio-ulnar deviation that the proximal carpal row takes; the midcarpal joint takes the
#: rest (equal shares in ulnar, more at the midcarpal joint in radial deviation: K. Imamura, Nihon
#: Seikeigeka Gakkai Zasshi 61(5):499-510, 1987).
PROXIMAL_ROW_SHARE = 0.45

#: Digit (1: thumb) -> its hand29 bones from the metacarpal to the tip.
DIGITS = {
    1: ("finger-3", "finger-2", "finger-1"),
    2: ("finger-7", "finger-6", "finger-5", "finger-4"),
    3: ("finger-11", "finger-10", "finger-9", "finger-8"),
    4: ("finger-15", "finger-14", "finger-13", "finger-12"),
    5: ("finger-19", "finger-18", "finger-17", "finger-16"),
}
FINGERS = (2, 3, 4, 5)
METACARPALS = {digit: DIGITS[digit][0] for digit in FINGERS}
#: Where the pisiform lies (mm: towards the thumb, towards the elbow) against its place in the meshes, where it stands
#: nearer to the fingers: on two traced films it lies before the triquetrum's middle.
PISIFORM_PLACE = (1.2, 3.4)
CARPALS = ("Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform")


@dataclass(frozen=True)
class Pose:
    """``angles`` by joint name; ``turn``: extra rotation vectors (3,) of a body and all beyond it,
    about its proximal end; ``shift``: extra displacement in mm (3,) of a body and all beyond it;
    ``nudge``: (rotation vector, displacement mm) of one bone alone; ``view``: rotation (3, 3) of the
    whole hand before projection, ``kind`` its name.
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


def sample_pose(rng: np.random.Generator, bend_share: float = 0.15, oblique_share: float = 0.12) -> Pose:
    """A pose as seen in PA hand films: mostly flat, some wrists bent 17-60 degrees, some oblique by 14-46 degrees.

    ``bend_share`` and ``oblique_share`` (0..1) are the shares of bent wrists and oblique views. Angles in radians,
    displacements in mm. The ranges are schematic, chosen so that the pictures look like films of positioned hands.
    """
    normal, uniform = rng.normal, rng.uniform
    bent = uniform() < bend_share
    # Towards the little finger (negative here) a wrist bends farther than towards the thumb.
    ulnar = uniform() < 0.75
    strong = -uniform(0.35, 1.05) if ulnar else uniform(0.3, 0.6)
    deviation = float(strong if bent else normal(-0.04, 0.13))
    angles = {
        "deviation": PROXIMAL_ROW_SHARE * deviation, "midcarpal": (1 - PROXIMAL_ROW_SHARE) * deviation,
        "flexion": float(normal(0, 0.10)),
        "cmc_abduction": float(uniform(-0.35, 0.55)), "cmc_flexion": float(uniform(-0.65, 0.35)),
        "mp_flexion": float(normal(-0.1, 0.2)), "ip_flexion": float(normal(-0.12, 0.2)),
    }  # fmt: skip
    curl = abs(normal(0, 0.10)) if uniform() < 0.88 else uniform(0.1, 0.55)
    spread = normal(0.085, 0.06)
    for i in FINGERS:
        angles[f"mcp{i}_flexion"] = float(max(-0.15, curl * uniform(0.3, 1.2) + normal(-0.02, 0.08)))
        angles[f"mcp{i}_abduction"] = float(normal(0, 0.045) + spread * (3.3 - i))
        angles[f"pm{i}_flexion"] = float(max(-0.05, curl * uniform(0.3, 1.5) + normal(0.02, 0.08)))
        angles[f"md{i}_flexion"] = float(max(-0.10, curl * uniform(0.0, 1.0) + normal(0.0, 0.07)))
    turn: dict[str, F64] = {bone: np.array([normal(0, 0.05), 0.0, normal(0, 0.035)]) for bone in METACARPALS.values()}
    for bone in ("finger-6", "finger-10", "finger-14", "finger-18"):
        turn[bone] = np.array([0.0, normal(0, 0.10), 0.0])
        for step in (1, 2):
            turn[f"finger-{int(bone.split('-')[1]) - step}"] = np.array([0.0, normal(0, 0.05), normal(0, 0.05)])
    # The thumb turns about its own length more than any other digit.
    turn["finger-3"] = np.array([normal(0, 0.12), normal(0, 0.30), normal(0, 0.10)])
    beyond_knuckles = [f"finger-{k}" for k in range(1, 20) if k not in (3, 7, 11, 15, 19)]
    shift = {b: np.array([normal(0, 0.25), uniform(-0.9, 0.5), normal(0, 0.2)]) for b in beyond_knuckles}
    # Radius and ulna meet the carpus closer than in the mesh's rest position; ulnar variance differs.
    shift["Lunate"] = np.array([normal(0, 1.0), uniform(1.2, 5.2), normal(0, 0.8)])
    for bone in METACARPALS.values():
        shift[bone] = np.array([normal(0, 0.4), uniform(-0.4, 2.2), normal(0, 0.4)])
    # On a flat hand the thumb's column lies beside the trapezoid rather than before it.
    shift["Trapezium"] = normal((1.8, 0.3, 0.0), (1.6, 1.0, 0.8))
    nudge: dict[str, tuple[F64, F64]] = {c: (normal(0, 0.09, 3), normal(0, 0.55, 3)) for c in CARPALS}
    # In radial deviation the scaphoid flexes and looks shorter, in ulnar deviation it stands up
    # (Wheeless' Textbook of Orthopaedics, kinematics of the wrist).
    tilt = -0.5 * np.clip(deviation, -0.5, 0.5)
    nudge["Scaphoid"] = (normal(0, 0.10, 3) + np.array([tilt, 0, 0]), normal(0, 0.55, 3))
    # The triquetrum slides along the hamate, from beneath it to clear of it.
    nudge["Triquetrum"] = (normal(0, 0.12, 3), normal((-0.7, 1.4, 0.0), (0.9, 1.4, 0.6)))
    nudge["Pisiform"] = (normal(0, 0.25, 3), normal((*PISIFORM_PLACE, 0.0), (1.5, 1.8, 0.5)))
    nudge["Ulna"] = (
        np.array([0.0, normal(0, 0.2), normal(0, 0.015)]),
        np.array([normal(0, 1.2), normal(0.5, 1.7), normal(0, 1.0)]),
    )
    nudge["Radius"] = (np.array([0.0, normal(0, 0.08), normal(0, 0.01)]), np.zeros(3))
    oblique = uniform() < oblique_share
    roll = float(rng.choice((-1, 1)) * uniform(0.25, 0.8)) if oblique else float(normal(0, 0.12))
    view = rotation((0.0, roll, 0.0)) @ rotation((normal(0, 0.07), 0.0, 0.0))
    return Pose(angles, turn, shift, nudge, view, "oblique" if oblique else "frontal")


def place(anatomy: Anatomy, pose: Pose) -> dict[str, tuple[F64, F64]]:
    """Each bone's rotation (3, 3) and position (3,) in mm: a vertex v goes to R v + t."""
    frames: dict[str | None, tuple[F64, F64]] = {None: (np.eye(3), np.zeros(3))}
    out = {}
    for body in anatomy.bodies:
        turn, origin = frames[body.parent]
        origin = origin + turn @ (np.asarray(body.offset) + pose.shift.get(body.bone, np.zeros(3)))
        for name, axis, centre in _joints(body):
            angle = pose.angles.get(name, 0.0)
            if angle:
                unit = np.asarray(axis) / np.linalg.norm(axis)
                origin, turn = _about(origin, turn, np.asarray(centre), rotation(unit * angle))
        if body.bone in pose.turn:
            origin, turn = _about(origin, turn, proximal_end(body), rotation(pose.turn[body.bone]))
        frames[body.bone] = (turn, origin)
        if body.bone in pose.nudge:
            vector, displacement = pose.nudge[body.bone]
            origin, turn = _about(origin, turn, body.mesh.vertices.mean(axis=0), rotation(vector))
            origin = origin + displacement
        out[body.bone] = (pose.view @ turn, pose.view @ origin)
    return out


def _joints(body: Body) -> list[tuple[str, tuple[float, float, float], tuple[float, float, float]]]:
    """A body's hinges as (name, axis, centre in mm); the capitate gets the midcarpal one, 4 mm inside its head."""
    joints = [(j.name, j.axis, j.centre) for j in body.joints]
    if body.bone == "Capitate":
        head = proximal_end(body)
        joints.append(("midcarpal", (0.0, 0.0, 1.0), (float(head[0]), float(head[1]) - 4.0, float(head[2]))))
    return joints


def _about(origin: F64, turn: F64, centre: F64, by: F64) -> tuple[F64, F64]:
    """Rotate a frame by ``by`` about a point given in the frame itself."""
    return origin + turn @ (centre - by @ centre), turn @ by


def proximal_end(body: Body) -> F64:
    """The middle (3,) of the bone's end that is nearer to the elbow, in its body's frame."""
    points = body.mesh.vertices
    near = points[points[:, 1] >= np.quantile(points[:, 1], 0.93)]
    return np.asarray(near.mean(axis=0))
