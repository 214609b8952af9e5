"""How a hand lies under the beam: joint angles, carpal motion, and the view. Angles in radians."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ossa.hand.bones import CARPALS
from ossa.phantom.mesh import F64
from ossa.phantom.options import PhantomOptions
from ossa.phantom.part import default_part
from ossa.phantom.pose import Pose, View, place, rotation
from ossa.phantom.skeleton import Anatomy, Joint

#: Share of a radio-ulnar deviation that the proximal carpal row takes; the midcarpal joint takes the
#: rest (equal shares in ulnar, more at the midcarpal joint in radial deviation: K. Imamura, Nihon
#: Seikeigeka Gakkai Zasshi 61(5):499-510, 1987).
PROXIMAL_ROW_SHARE = 0.45

#: The hinge between the two carpal rows: the capitate turns on it, 4 mm inside its head.
MIDCARPAL = Joint("midcarpal", (0.0, 0.0, 1.0), (0.0, -4.0, 0.0), from_end=True)

#: Digit (1: thumb) -> its hand29 bones from the metacarpal to the tip.
DIGITS = default_part().digits
#: Least distance in mm of the thumb's end bones from the index finger's line when the thumb lies beside the hand.
THUMB_CLEARANCE = 13.0
FINGERS = (2, 3, 4, 5)
METACARPALS = {digit: DIGITS[digit][0] for digit in FINGERS}


def sample_pose(rng: np.random.Generator, options: PhantomOptions | None = None) -> Pose:
    """A pose as films show it: mostly flat, some wrists bent 17-60 degrees, some views oblique by 14-50 degrees or
    lateral, some fingers bent.

    ``options`` gives the shares. Angles in radians, displacements in mm. The ranges are schematic, chosen so that the
    pictures look like films of positioned hands.
    """
    chosen = options or PhantomOptions()
    normal, uniform = rng.normal, rng.uniform
    bent = uniform() < chosen.bent_wrists
    # Towards the little finger (negative here) a wrist bends farther than towards the thumb.
    ulnar = uniform() < 0.75
    strong = -uniform(0.35, 1.05) if ulnar else uniform(0.3, 0.6)
    deviation = float(strong if bent else normal(-0.04, 0.13))
    angles = {
        "deviation": PROXIMAL_ROW_SHARE * deviation, "midcarpal": (1 - PROXIMAL_ROW_SHARE) * deviation,
        "flexion": float(normal(0, 0.10)), **_thumb(rng),
    }  # fmt: skip
    angles |= _bent_fingers(rng) if uniform() < chosen.bent_fingers else _flat_fingers(rng)
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
        shift[bone] = np.array([normal(0, 0.4), uniform(-0.8, 1.0), normal(0, 0.4)])
    # On a flat hand the thumb's column lies beside the trapezoid rather than before it.
    shift["Trapezium"] = normal((1.8, 0.3, 0.0), (1.6, 1.0, 0.8))
    nudge: dict[str, tuple[F64, F64]] = {c: (normal(0, 0.09, 3), normal(0, 0.55, 3)) for c in CARPALS}
    # In radial deviation the scaphoid flexes and looks shorter, in ulnar deviation it stands up
    # (Wheeless' Textbook of Orthopaedics, kinematics of the wrist).
    tilt = -0.5 * np.clip(deviation, -0.5, 0.5)
    nudge["Scaphoid"] = (normal(0, 0.10, 3) + np.array([tilt, 0, 0]), normal(0, 0.55, 3))
    # The triquetrum slides along the hamate, from beneath it to clear of it.
    nudge["Triquetrum"] = (normal(0, 0.12, 3), normal((-0.7, 1.4, 0.0), (0.9, 1.4, 0.6)))
    nudge["Pisiform"] = (normal(0, 0.25, 3), normal((0.4, 1.4, 0.0), (1.5, 2.2, 0.5)))
    nudge["Ulna"] = (
        np.array([0.0, normal(0, 0.2), normal(0, 0.015)]),
        np.array([normal(0, 1.2), normal(0.5, 1.7), normal(0, 1.0)]),
    )
    nudge["Radius"] = (np.array([0.0, normal(0, 0.08), normal(0, 0.01)]), np.zeros(3))
    kind, roll = _view(rng, chosen)
    if kind == "lateral":
        angles |= _told_apart(rng, angles)
    view = rotation((0.0, roll, 0.0)) @ rotation((normal(0, 0.07), 0.0, 0.0))
    return Pose(angles, turn, shift, nudge, view, kind)


def _view(rng: np.random.Generator, options: PhantomOptions) -> tuple[View, float]:
    """The view's name and how far the hand is rolled about the forearm."""
    kind, way = rng.uniform(), float(rng.choice((-1, 1)))
    if kind < options.oblique_views:
        return "oblique", way * float(rng.uniform(0.25, 0.88))
    if kind < options.oblique_views + options.lateral_views:
        return "lateral", way * float(rng.normal(np.pi / 2, 0.17))
    return "frontal", float(rng.normal(0, 0.12))


def _thumb(rng: np.random.Generator) -> dict[str, float]:
    return {
        "cmc_abduction": float(rng.uniform(-0.35, 0.55)), "cmc_flexion": float(rng.uniform(-0.65, 0.35)),
        "mp_flexion": float(rng.normal(-0.1, 0.2)), "ip_flexion": float(rng.normal(-0.12, 0.2)),
    }  # fmt: skip


def _flat_fingers(rng: np.random.Generator) -> dict[str, float]:
    normal, uniform = rng.normal, rng.uniform
    curl = abs(normal(0, 0.10)) if uniform() < 0.88 else uniform(0.1, 0.55)
    spread = normal(0.085, 0.06)
    angles = {}
    for i in FINGERS:
        angles[f"mcp{i}_flexion"] = float(max(-0.15, curl * uniform(0.3, 1.2) + normal(-0.02, 0.08)))
        angles[f"mcp{i}_abduction"] = float(normal(0, 0.045) + spread * (3.3 - i))
        angles[f"pm{i}_flexion"] = float(max(-0.05, curl * uniform(0.3, 1.5) + normal(0.02, 0.08)))
        angles[f"md{i}_flexion"] = float(max(-0.10, curl * uniform(0.0, 1.0) + normal(0.0, 0.07)))
    return angles


def _bent_fingers(rng: np.random.Generator) -> dict[str, float]:
    """A fist, fingers bent more or less all together or each on its own (an OK sign bends one), or crossed."""
    normal, uniform = rng.normal, rng.uniform
    kind = rng.choice(["fist", "together", "apart", "crossed"], p=[0.25, 0.35, 0.25, 0.15])
    amount = {"fist": uniform(0.75, 1.0), "together": uniform(0.2, 0.75)}.get(str(kind), 0.0)
    angles = {}
    for i in FINGERS:
        own = amount + normal(0, 0.06)
        if kind == "apart":
            own = uniform(0.3, 0.9) if uniform() < 0.4 else abs(normal(0, 0.06))
        angles[f"mcp{i}_flexion"] = float(own * uniform(0.7, 1.35))
        angles[f"pm{i}_flexion"] = float(own * uniform(1.2, 1.85))
        angles[f"md{i}_flexion"] = float(own * uniform(0.4, 1.1))
        crossing = normal(0, 0.22) if kind == "crossed" else 0.06 * (3.3 - i) + normal(0, 0.05)
        angles[f"mcp{i}_abduction"] = float(crossing)
    return angles


def _told_apart(rng: np.random.Generator, angles: dict[str, float]) -> dict[str, float]:
    """The fingers of a lateral view: fanned so that they can be told apart, one of them stretched before a fist, or
    one behind the other as they are."""
    uniform = rng.uniform
    kind = rng.choice(["fan", "one", "together"], p=[0.45, 0.25, 0.3])
    if kind == "together":
        return {}
    changed = {"flexion": float(rng.normal(0, 0.2))}
    if kind == "fan":
        step, first = uniform(0.12, 0.35), uniform(0.0, 0.2)
        # Most films spread them from the stretched little finger to the bent index, some the other way round.
        order = FINGERS if uniform() < 0.25 else FINGERS[::-1]
        for k, i in enumerate(order):
            changed[f"mcp{i}_flexion"] = angles[f"mcp{i}_flexion"] + first + k * step + float(rng.normal(0, 0.06))
            changed[f"pm{i}_flexion"] = angles[f"pm{i}_flexion"] + k * step * uniform(0.2, 1.0)
        return changed
    stretched = int(rng.choice(FINGERS))
    for i in FINGERS:
        if i != stretched:
            changed[f"mcp{i}_flexion"] = uniform(0.7, 1.5)
            changed[f"pm{i}_flexion"] = uniform(0.9, 1.7)
            changed[f"md{i}_flexion"] = uniform(0.3, 1.0)
    return changed


def with_thumb_beside(hand: Anatomy, pose: Pose, rng: np.random.Generator) -> Pose:
    """The pose with the thumb's joints drawn anew until its end bones lie beside the hand, as films show it, and not
    over the fingers or the palm; of twelve tries the one that lies farthest out."""
    best, farthest = pose, -np.inf
    for _ in range(12):
        clear = _thumb_clearance(hand, place(hand, pose))
        if clear > farthest:
            best, farthest = pose, clear
        if clear > THUMB_CLEARANCE:
            break
        pose = replace(pose, angles={**pose.angles, **_thumb(rng)})
    return best


def posed_hand(hand: Anatomy, options: PhantomOptions, rng: np.random.Generator) -> Pose:
    """A pose of this hand, its thumb beside it in all but a share of ``thumb_across``."""
    pose = sample_pose(rng, options)
    if pose.kind != "lateral" and rng.uniform() >= options.thumb_across:
        pose = with_thumb_beside(hand, pose, rng)
    return pose


def _thumb_clearance(hand: Anatomy, frames: dict[str, tuple[F64, F64]]) -> float:
    """How far (mm, across the picture) the thumb's two end bones lie beyond the index finger's line."""
    ends = {}
    for body in hand.bodies:
        if body.bone in (*DIGITS[1][1:], *DIGITS[2]):
            turn, origin = frames[body.bone]
            ends[body.bone] = turn @ body.mesh.vertices.mean(axis=0) + origin
    line = [frames[DIGITS[2][0]][1], *(ends[bone] for bone in DIGITS[2])]
    little = frames[DIGITS[5][0]][1]
    outward = np.sign(line[0][0] - little[0]) or 1.0
    rows, columns = np.array([p[1] for p in line]), np.array([p[0] for p in line])
    order = np.argsort(rows)
    return min(
        float(outward * (ends[bone][0] - np.interp(ends[bone][1], rows[order], columns[order])))
        for bone in DIGITS[1][1:]
    )
