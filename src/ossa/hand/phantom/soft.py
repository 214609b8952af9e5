"""Soft tissue around the bones: the thickness of flesh along each ray, in mm.

Digits and palm are tapered capsules along the bones, the forearm a flat one around radius and ulna;
where they meet they blend. Drawn at a coarse step and enlarged, since flesh has no sharp detail
but its outline.
"""

from __future__ import annotations

import itertools

import numpy as np

from ossa.hand.phantom.pose import DIGITS
from ossa.phantom.mesh import F64
from ossa.phantom.placed import PlacedBone, axis_of
from ossa.phantom.projection import F32

#: Half widths of flesh in mm at both ends of each of a digit's bones, from the wrist to the tip; schematic.
RADII = {
    1: (13.0, 11.0, 10.5, 8.0),
    2: (12.0, 10.5, 9.2, 8.4, 6.6),
    3: (12.0, 10.5, 9.4, 8.5, 6.8),
    4: (12.0, 10.0, 8.8, 8.0, 6.4),
    5: (11.0, 9.0, 7.8, 7.0, 5.6),
}
#: Length in mm of the third metacarpal for which these are.
ADULT_METACARPAL = 64.6
#: Half depth of the forearm's flesh in mm where the modelled shafts end, beyond the elbow; schematic.
FOREARM_NEAR = 58.0


def soft_tissue(
    bones: list[PlacedBone], absent: frozenset[str], shape: tuple[int, int], mm: float, rng: np.random.Generator
) -> F32:
    """Flesh (H, W) in mm along each ray, bones included. Digits end where their bones are ``absent``; carpals that a
    child does not have yet are flesh all the same."""
    import cv2

    step = max(1, round(0.6 / mm))
    height, width = -(-shape[0] // step) + 1, -(-shape[1] // step) + 1
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) * step
    # Flesh is thick in proportion to the hand, whose size the third metacarpal tells.
    stout = rng.uniform(0.8, 1.3) * (ADULT_METACARPAL / next(b.length for b in bones if b.bone == "finger-11")) ** -0.8
    ends = {}
    for bone in bones:
        near, direction, length = axis_of(bone)
        ends[bone.bone] = (near, near + direction * length)
    total = np.zeros((height, width), np.float32)

    def capsule(a: F64, b: F64, ra: float, rb: float, flat: float) -> None:
        d = b - a
        reach = max(ra, rb) * stout / mm
        x0, y0 = (max(int((min(a[k], b[k]) - reach) / step), 0) for k in (0, 1))
        x1, y1 = (int((max(a[k], b[k]) + reach) / step) + 2 for k in (0, 1))
        if x1 <= x0 or y1 <= y0:
            return
        px, py = x[y0:y1, x0:x1] - np.float32(a[0]), y[y0:y1, x0:x1] - np.float32(a[1])
        dx, dy = np.float32(d[0]), np.float32(d[1])
        t = np.clip((px * dx + py * dy) / np.float32(max(float(d @ d), 1e-6)), 0, 1)
        off = ((px - t * dx) ** 2 + (py - t * dy) ** 2) * np.float32(mm**2)
        radius = (np.float32(ra) + np.float32(rb - ra) * t) * np.float32(stout)
        # Fourth powers add up: where capsules meet, the flesh blends instead of doubling.
        squared = np.float32(4 * flat * flat) * np.clip(radius**2 - off, 0, None)
        total[y0:y1, x0:x1] += squared**2

    for digit, names in DIGITS.items():
        radii = [r * rng.normal(1, 0.05) for r in RADII[digit]]
        names = tuple(name for name in names if name not in absent)
        for k, name in enumerate(names):
            a, b = ends[name]
            last = k == len(names) - 1
            tip = b + (b - a) / max(float(np.linalg.norm(b - a)), 1e-6) * (
                rng.uniform(-2.5, -0.5) / mm if last else 0.0
            )
            capsule(a, tip, radii[k], radii[k + 1], 0.95)
            if not last:
                capsule(b, ends[names[k + 1]][0], radii[k + 1], radii[k + 1], 0.95)
    knuckles = [ends[DIGITS[d][0]] for d in (2, 3, 4, 5)]
    for (a0, b0), (a1, b1) in itertools.pairwise(knuckles):
        for share in (0.0, 0.35, 0.7, 1.0):
            capsule(a0 + (b0 - a0) * share, a1 + (b1 - a1) * share, 12.0, 12.0, 1.0)
    # The ball of the little finger, beside the fifth metacarpal.
    (a, b), (a4, _) = ends["finger-19"], ends["finger-15"]
    aside = (a - a4) / max(float(np.linalg.norm(a - a4)), 1e-6) * rng.uniform(1.0, 5.0) / mm
    capsule(a + aside * 0.8, b + aside * 0.4, 14.0, 12.0, 1.0)
    # The ball of the thumb: the web between first and second metacarpal.
    thumb, index = ends["finger-3"], ends["finger-7"]
    for share in (0.2, 0.45, float(rng.uniform(0.55, 0.75))):
        capsule(thumb[0] + (thumb[1] - thumb[0]) * share, index[0] + (index[1] - index[0]) * share, 13.0, 12.0, 1.0)
    radius, ulna = ends["Radius"], ends["Ulna"]
    wrist = (ends["finger-11"][0] + ends["finger-15"][0]) / 2
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        near = radius[0] + (ulna[0] - radius[0]) * share
        far = radius[1] + (ulna[1] - radius[1]) * share
        capsule(near, far, FOREARM_NEAR, 15.0, 1.0)
        capsule(far, wrist + (far - (radius[1] + ulna[1]) / 2) * 0.7, 15.0, 14.0, 1.0)
    depth = np.sqrt(np.sqrt(total))
    tips = {digit: names[-1] for digit, names in DIGITS.items() if names[-1] not in absent}
    for digit, last_bone in tips.items():
        depth += _nail(x, y, *ends[last_bone], RADII[digit][-1] * stout / mm, rng.uniform(0.0, 1.2))
    sigma = max(rng.uniform(0.15, 0.9) / (mm * step), 0.3)
    depth = cv2.GaussianBlur(depth, (0, 0), sigma)
    wave = cv2.resize(rng.standard_normal((9, 9)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    depth = depth * (1 + rng.uniform(0, 0.08) * wave)
    full = cv2.resize(depth, (width * step, height * step), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(full[: shape[0], : shape[1]])


def _nail(x: F32, y: F32, near: F64, far: F64, half: float, thick: float) -> F32:
    """A finger nail, ``thick`` mm (H, W) of flesh: an oval of half width ``half`` px over the tip's bone."""
    direction = (far - near) / max(float(np.linalg.norm(far - near)), 1e-6)
    middle = far + direction * 0.15 * half
    along = (x - np.float32(middle[0])) * np.float32(direction[0]) + (y - np.float32(middle[1])) * np.float32(
        direction[1]
    )
    across = (y - np.float32(middle[1])) * np.float32(direction[0]) - (x - np.float32(middle[0])) * np.float32(
        direction[1]
    )
    outside = (along / np.float32(1.1 * half)) ** 2 + (across / np.float32(0.8 * half)) ** 2
    return np.asarray(thick * (outside < 1), np.float32)
