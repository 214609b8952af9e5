"""What treatment leaves on a film: rings, plates, screws and pins in mm of metal, casts and splints as attenuation.

Frequencies and sizes are schematic. Lengths in mm; pictures are (H, W).
"""

from __future__ import annotations

import numpy as np

from ossa.phantom.drawn import DrawnPart
from ossa.phantom.mesh import F64
from ossa.phantom.part import Part, default_part
from ossa.phantom.placed import PlacedBone, axis_of
from ossa.phantom.projection import F32


def hardware(
    bones: list[PlacedBone],
    shape: tuple[int, int],
    mm: float,
    treated: float,
    rng: np.random.Generator,
    part: Part | None = None,
) -> F32:
    """Metal on or in the part, in mm of its path (H, W): rings, and plates, screws and pins; none on bones that are not
    there.

    A share of ``treated`` carries one kind or two of the latter, beside the few of every world.
    """
    part = part or default_part()
    out = np.zeros(shape, np.float32)
    by_name = {bone.bone: bone for bone in bones}
    if rng.uniform() < 0.06 and (ringed := [b for b in part.keys.ringed if b in by_name]):
        _ring(out, by_name[str(rng.choice(ringed))], mm, rng)
    plated = [b for b in part.keys.plated if b in by_name]
    if not plated:
        return out
    if rng.uniform() < 0.03 + 0.25 * treated:
        _plate(out, by_name[str(rng.choice(plated))], part, mm, rng)
    if rng.uniform() < 0.25 * treated:
        bone = by_name[str(rng.choice(sorted(by_name)))]
        for _ in range(int(rng.integers(1, 4))):
            _pin(out, bone, mm, rng)
    return out


def _ring(out: F32, bone: PlacedBone, mm: float, rng: np.random.Generator) -> None:
    import cv2

    near, direction, length = axis_of(bone)
    centre = near + direction * length * rng.uniform(0.25, 0.7)
    angle = float(np.degrees(np.arctan2(direction[0], -direction[1])))
    axes = (max(1, int(rng.uniform(8, 10.5) / mm)), max(1, int(rng.uniform(0.8, 2.5) / mm)))
    cv2.ellipse(out, _point(centre), axes, angle, 0, 360, 3.0, max(1, int(rng.uniform(1.2, 4.0) / mm)))


def _plate(out: F32, bone: PlacedBone, part: Part, mm: float, rng: np.random.Generator) -> None:
    """A plate along the bone's far part, with holes or screws; on the loaded shaft with a broad head."""
    import cv2

    near, direction, length = axis_of(bone)
    span = min(length, rng.uniform(25, 60) / mm)
    start = near + direction * (length - span - rng.uniform(2, 8) / mm)
    side = np.array([-direction[1], direction[0]])
    width = rng.uniform(3, 8) / mm
    cv2.line(out, _point(start), _point(start + direction * span), 2.0, max(1, int(width)))
    if bone.bone in part.keys.loaded and rng.uniform() < 0.6:
        head = start + direction * span
        cv2.line(out, _point(head - side * 9 / mm), _point(head + side * 9 / mm), 2.0, max(1, int(1.4 * width)))
        for k in (-0.8, -0.3, 0.3, 0.8):
            peg = head + side * 9 * k / mm
            cv2.line(out, _point(peg), _point(peg + direction * rng.uniform(2, 9) / mm), 3.0, max(1, int(1.6 / mm)))
    for k in np.linspace(0.1, 0.9, int(rng.integers(3, 8))):
        p = start + direction * span * k
        if rng.uniform() < 0.5:
            cv2.circle(out, _point(p), max(1, int(0.3 * width)), 0.0, -1)
        tip = p + side * rng.uniform(-8, 8) / mm
        cv2.line(out, _point(p), _point(tip), 3.0, max(1, int(2.5 / mm)))


def _pin(out: F32, bone: PlacedBone, mm: float, rng: np.random.Generator) -> None:
    """A wire or a screw through the bone, at any angle to it."""
    import cv2

    near, direction, length = axis_of(bone)
    middle = near + direction * length * rng.uniform(0.1, 0.95)
    angle = rng.normal(0, 0.5) if rng.uniform() < 0.6 else rng.uniform(0, np.pi)
    c, s = np.cos(angle), np.sin(angle)
    way = np.array([[c, -s], [s, c]]) @ direction
    reach = rng.uniform(8, 40) / mm
    stop = middle + way * reach * rng.uniform(0.2, 1.0)
    cv2.line(
        out, _point(middle - way * reach), _point(stop), rng.uniform(1, 3), max(1, round(rng.uniform(0.8, 2.2) / mm))
    )
    if rng.uniform() < 0.25:
        cv2.circle(out, _point(stop), max(1, int(2.2 / mm)), 3.0, -1)


def cast(soft: F32, drawn: DrawnPart, mm: float, rng: np.random.Generator) -> F32:
    """A cast, splint or dressing around the part's centre: its attenuation (H, W), in units of the beam's logarithm."""
    import cv2

    kind = rng.choice(["cast", "splint", "dressing"], p=[0.5, 0.3, 0.2])
    shape = (soft.shape[0], soft.shape[1])
    way = np.array(drawn.towards_tips)
    centre = np.array(drawn.centre)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    along = (x - np.float32(centre[0])) * np.float32(way[0]) + (y - np.float32(centre[1])) * np.float32(way[1])
    across = (y - np.float32(centre[1])) * np.float32(way[0]) - (x - np.float32(centre[0])) * np.float32(way[1])
    low, high = -rng.uniform(0.3, 1.5) * drawn.length, rng.uniform(0.15, 0.65) * drawn.length
    within = ((along > low) & (along < high)).astype(np.float32)
    if kind == "splint":
        middle, half = rng.normal(0, 18) / mm, rng.uniform(8, 32) / mm
        slab = within * (np.abs(across - middle) < half)
        edge = within * (np.abs(np.abs(across - middle) - half) < max(1.0, rng.uniform(0.5, 2.5) / mm))
        return np.asarray(rng.uniform(0.1, 0.9) * slab + rng.uniform(0.0, 0.8) * edge, np.float32)
    reach = max(1, round(rng.uniform(4, 12) / mm))
    flesh = (soft > 1.0).astype(np.uint8)
    hull = cv2.dilate(flesh, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    if kind == "dressing":
        folds = cv2.resize(rng.standard_normal((40, 40)).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
        return np.asarray(hull * within * rng.uniform(0.02, 0.12) * np.abs(folds), np.float32)
    # A shell's path is long where the beam grazes it: bright at its rim, even inside.
    inside = np.minimum(cv2.distanceTransform(hull, cv2.DIST_L2, 3) / np.float32(reach), 10.0)
    shell = hull * (0.35 + 0.65 * np.exp(-(((inside - 0.55) / 0.4) ** 2)))
    weave = cv2.resize(
        rng.standard_normal((max(2, shape[0] // 4), max(2, shape[1] // 4))).astype(np.float32),
        shape[::-1],
        interpolation=cv2.INTER_LINEAR,
    )
    return np.asarray(shell * within * rng.uniform(0.1, 0.7) * (1 + rng.uniform(0, 0.3) * weave), np.float32)


def _point(at: F64) -> tuple[int, int]:
    return int(np.clip(round(float(at[0])), -30000, 30000)), int(np.clip(round(float(at[1])), -30000, 30000))
