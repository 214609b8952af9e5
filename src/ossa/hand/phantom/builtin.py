"""A hand made from numbers, so that phantoms need nothing else on the disk. Lengths in mm.

Bone lengths are the means of Buryanov & Kotiuk, "Proportions of hand segments", Int. J. Morphol.
28(3):755-758, 2010 (radiographs of 66 adults). The carpals are ellipsoids of this project's own
layout, in the order of size that Patterson et al. measured (J. Hand Surg. 20A:923-929, 1995:
capitate, hamate, scaphoid, trapezium, lunate, trapezoid, triquetrum, pisiform). Widths are
schematic. A hand from real meshes looks more alike; see ``load_anatomy``.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ossa.hand.phantom.forearm import long_shaft, with_styloid
from ossa.hand.phantom.pose import DIGITS, MIDCARPAL
from ossa.phantom.mesh import F64, Mesh, ellipsoid, tube
from ossa.phantom.part import default_part
from ossa.phantom.skeleton import Anatomy, Body, Joint, triple

Triple = tuple[float, float, float]

#: Digit -> lengths of metacarpal and phalanges from the wrist to the tip (Buryanov & Kotiuk 2010).
LENGTHS = {digit: tuple(default_part().keys.length[bone] for bone in bones) for digit, bones in DIGITS.items()}
#: Schematic (base, waist, head) widths in mm per row, before the digit's factor.
WIDTHS = {
    "metacarpal": (15.0, 8.5, 14.5),
    "proximal": (15.0, 9.0, 11.5),
    "middle": (12.8, 8.0, 10.5),
    "distal": (11.0, 5.2, 8.2),
}
#: The width of a digit's bones against the index finger's, and the gap of a joint on a film in mm; schematic.
DIGIT_WIDTH = {1: 1.08, 2: 1.0, 3: 1.02, 4: 0.92, 5: 0.84}
JOINT_SPACE = 1.6

#: Carpals: centre and half axes around the lunate's centre, and the turn in the picture's plane.
CARPALS: dict[str, tuple[Triple, Triple, float]] = {
    "Lunate": ((0.0, 0.0, 0.0), (6.9, 6.4, 8.0), 0.15),
    "Scaphoid": ((12.6, -6.2, -1.0), (5.8, 10.6, 6.2), 0.75),
    "Triquetrum": ((-12.2, -6.6, -1.0), (6.0, 7.6, 5.8), -0.55),
    "Pisiform": ((-13.8, -7.0, -10.0), (4.6, 6.0, 4.8), 0.2),
    "Capitate": ((2.0, -16.0, 1.5), (6.6, 11.2, 7.6), 0.05),
    "Hamate": ((-9.4, -17.0, -0.5), (7.2, 9.6, 7.6), -0.3),
    "Trapezoid": ((12.8, -19.2, 0.5), (5.9, 5.9, 7.4), 0.3),
    "Trapezium": ((21.0, -16.2, -6.0), (7.0, 8.6, 7.0), 0.7),
}
#: Where each ray starts, from the lunate's centre, and its direction (degrees from -y towards the thumb).
RAYS: dict[int, tuple[Triple, float]] = {
    1: ((25.0, -24.5, -10.0), 36.0),
    2: ((14.0, -26.0, 1.0), 6.0),
    3: ((2.6, -28.5, 2.0), 0.5),
    4: ((-7.0, -27.6, 1.0), -6.0),
    5: ((-14.4, -26.0, -2.0), -13.0),
}


def long_bone(length: float, base: float, waist: float, head: float, flat: float = 0.85) -> Mesh:
    """A tube along -y from 0 to -``length``: base, waist and head are full widths along x;
    ``flat`` is depth over width."""
    at = np.array([0.0, 0.03, 0.09, 0.18, 0.32, 0.5, 0.66, 0.8, 0.9, 0.965, 1.0])
    half = np.array([0.55, 0.86, 1.0, 0.93, 0.0, 0.0, 0.0, 0.93, 1.0, 0.82, 0.45])
    width = np.where(at < 0.25, base * half, head * half)
    width[4], width[5], width[6] = waist * 1.08, waist, waist * 1.04
    fine = np.linspace(0, 1, 41)
    radius = np.interp(fine, at, width) / 2
    radius = np.convolve(np.pad(radius, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    phi = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    rings = np.stack(
        [
            np.outer(radius, np.cos(phi)),
            np.repeat(-fine[:, None] * length, len(phi), 1),
            np.outer(radius * flat, np.sin(phi)),
        ],
        axis=-1,
    )
    return tube(rings)


def _turned(mesh: Mesh, angle: float) -> Mesh:
    """Turned by ``angle`` in the picture's plane, so that what points along -y leans towards +x."""
    c, s = np.cos(angle), np.sin(angle)
    return Mesh(mesh.vertices @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T, mesh.faces)


def _forearm() -> list[Body]:
    """Radius and ulna (schematic) in the ulna's frame, whose origin is the lunate's centre."""
    y = np.array([0.0, 2.5, 7.0, 14.0, 26.0, 45.0, 80.0, 150.0])

    def shaft(x: list[float], half: list[float], depth: list[float], low: float) -> Mesh:
        """A tube from ``low`` on: middle ``x``, half width and half depth at each of ``y``, all in mm."""
        phi = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        fine = np.concatenate([np.linspace(0, 30, 25), np.linspace(34, 150, 20)])
        middle, wide, deep = (np.interp(fine, y, v) for v in (x, half, depth))
        rings = np.stack(
            [
                middle[:, None] + np.outer(wide, np.cos(phi)),
                np.repeat((low + fine)[:, None], len(phi), 1),
                np.outer(deep, np.sin(phi)),
            ],
            axis=-1,
        )
        return tube(rings)

    radius = shaft(
        [9.0, 9.5, 9.8, 9.6, 8.6, 7.8, 7.5, 7.0],
        [11.5, 14.5, 15.4, 14.2, 10.4, 8.0, 7.0, 7.0],
        [5.5, 8.5, 9.4, 8.8, 7.2, 6.4, 6.2, 6.2],
        10.5,
    )
    # The distal end of the radius slopes: its styloid, on the thumb's side, reaches about 10 mm beyond the rest.
    slope = np.clip((16.0 - (radius.vertices[:, 1] - 10.5)) / 16.0, 0, 1) * 0.36
    points = radius.vertices.copy()
    points[:, 1] -= slope * (points[:, 0] - 9.0)
    ulna = shaft(
        [-15.5, -15.5, -15.3, -15.0, -14.5, -14.0, -13.5, -12.0],
        [5.0, 7.6, 7.8, 6.8, 5.6, 5.8, 6.2, 6.8],
        [5.0, 7.4, 7.6, 6.6, 5.6, 5.8, 6.0, 6.4],
        12.0,
    )
    return [
        Body("Ulna", None, (0.0, 0.0, 0.0), (), with_styloid(long_shaft(ulna))),
        Body("Radius", "Ulna", (0.0, 0.0, 0.0), (), long_shaft(Mesh(points, radius.faces))),
    ]


@cache
def builtin_anatomy() -> Anatomy:
    """The built-in hand: 29 closed meshes and the joints that MyoHand also names."""
    bodies = _forearm()
    wrist = (Joint("deviation", (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)), Joint("flexion", (1.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
    hinges = {"Lunate": wrist, "Capitate": (MIDCARPAL,)}
    for name, (centre, half, angle) in CARPALS.items():
        parent = (
            "Radius"
            if name == "Lunate"
            else "Lunate"
            if name in ("Scaphoid", "Triquetrum", "Pisiform", "Capitate")
            else "Capitate"
        )
        origin = np.array(CARPALS["Capitate"][0]) if parent == "Capitate" else np.zeros(3)
        offset = np.array(centre) - origin
        bodies.append(Body(name, parent, triple(offset), hinges.get(name, ()), _turned(ellipsoid(half, 14), angle)))
    for digit, (start, degrees) in RAYS.items():
        carpal = "Trapezium" if digit == 1 else "Capitate"
        bodies += _ray(digit, np.array(start) - np.array(CARPALS[carpal][0]), np.deg2rad(degrees), carpal)
    return Anatomy("built-in", tuple(bodies))


def _ray(digit: int, offset: F64, angle: float, carpal: str) -> list[Body]:
    """Metacarpal and phalanges of one digit, each starting at the end of the last."""
    rows = ("metacarpal", "proximal", "distal") if digit == 1 else ("metacarpal", "proximal", "middle", "distal")
    along = np.array([np.sin(angle), -np.cos(angle), 0.0])
    across = triple(np.array([np.cos(angle), np.sin(angle), 0.0]))
    z = (0.0, 0.0, 1.0)
    names = {
        1: (("cmc_abduction", z), ("cmc_flexion", across), ("mp_flexion", z), ("ip_flexion", z)),
    }.get(
        digit,
        (
            (f"mcp{digit}_flexion", across),
            (f"mcp{digit}_abduction", z),
            (f"pm{digit}_flexion", across),
            (f"md{digit}_flexion", across),
        ),
    )
    at_row = {
        "metacarpal": names[:2] if digit == 1 else (),
        "proximal": names[2:3] if digit == 1 else names[:2],
        "middle": names[2:3],
        "distal": names[3:],
    }
    out, parent = [], carpal
    factor = DIGIT_WIDTH[digit]
    for bone, row, length in zip(DIGITS[digit], rows, LENGTHS[digit], strict=True):
        base, waist, head = (w * factor for w in WIDTHS[row])
        mesh = _turned(long_bone(length - JOINT_SPACE, base, waist, head), angle)
        joints = tuple(Joint(name, axis, (0.0, 0.0, 0.0)) for name, axis in at_row[row])
        out.append(Body(bone, parent, triple(offset), joints, mesh))
        parent, offset = bone, along * length
    return out
