"""What outlines tell about a hand: which side it is, where its fingers point, how far the wrist is bent."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.radiograph import Side
from ossa.segmentation.outlines import Outlines, region_from_outlines

#: A wrist bent at least this far (degrees) counts as bent. Bent wrists of the competition lie at 20-60 degrees.
BENT = 20.0

#: Bones of hand29 that the measures below rest on.
THUMB_TIP, LITTLE_TIP, MIDDLE_METACARPAL, RADIUS, ULNA = "finger-1", "finger-16", "finger-11", "Radius", "Ulna"
CARPALS = ("Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform")

Vector = NDArray[np.float64]


def centre(outlines: Outlines, name: str) -> Vector | None:
    """The centroid (x, y) of a bone's polygons by the shoelace formula; None when it is not outlined."""
    parts = outlines.get(name, ())
    weight, moment = 0.0, np.zeros(2)
    for part in parts:
        a, b = part.exterior, np.roll(part.exterior, -1, axis=0)
        origin = a[0]
        a, b = a - origin, b - origin
        cross = a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]
        area = float(cross.sum()) / 2
        if abs(area) < 1e-9:
            area, local = 1e-9, a.mean(axis=0)
        else:
            local = ((a + b) * cross[:, None]).sum(axis=0) / (6 * area)
        weight += abs(area)
        moment += abs(area) * (local + origin)
    return moment / weight if parts else None


def area(outlines: Outlines, name: str) -> float:
    """The area (px^2) of a bone's polygons, holes taken off; 0 when it is not outlined."""
    total = 0.0
    for part in outlines.get(name, ()):
        for sign, ring in ((1.0, part.exterior), *((-1.0, hole) for hole in part.holes)):
            x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
            total += sign * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    return total


def middle_of(outlines: Outlines, names: tuple[str, ...]) -> Vector | None:
    """The mean of the centroids of those of ``names`` that are outlined; None when there is none."""
    found = [c for c in (centre(outlines, name) for name in names) if c is not None]
    return np.mean(found, axis=0) if found else None


def side_of(outlines: Outlines) -> Side | None:
    """The side, from where the thumb lies against the little finger (picture taken from the back of the hand).

    With fingers up, a thumb on the picture's left is a right hand. Where carpals and middle metacarpal tell which
    way the fingers point, the rule turns with the hand. None when thumb or little finger is not outlined.
    """
    thumb, little = centre(outlines, THUMB_TIP), centre(outlines, LITTLE_TIP)
    if thumb is None:
        thumb = middle_of(outlines, ("finger-2", "finger-3"))
    if little is None:
        little = middle_of(outlines, ("finger-17", "finger-18", "finger-19"))
    if thumb is None or little is None:
        return None
    up = np.array([0.0, -1.0])
    wrist, hand = middle_of(outlines, CARPALS), centre(outlines, MIDDLE_METACARPAL)
    if wrist is not None and hand is not None and float(np.hypot(*(hand - wrist))) > 0:
        up = hand - wrist
    towards = thumb - little
    return "R" if float(up[0] * towards[1] - up[1] * towards[0]) < 0 else "L"


def wrist_angle(outlines: Outlines) -> float | None:
    """The angle (degrees, -180..180) from the axis of the forearm to that of the middle metacarpal.

    0 is a straight wrist, positive bends towards the little finger (ulnar deviation). The forearm's axis is that
    of the radius. None when radius or middle metacarpal is not outlined.
    """
    radius, metacarpal = centre(outlines, RADIUS), centre(outlines, MIDDLE_METACARPAL)
    if radius is None or metacarpal is None:
        return None
    carpals, ulna = middle_of(outlines, CARPALS), centre(outlines, ULNA)
    joint = carpals if carpals is not None else (radius + metacarpal) / 2
    elbow = (radius + ulna) / 2 if ulna is not None else radius
    forearm = bone_axis(outlines, RADIUS, elbow - joint)
    hand = bone_axis(outlines, MIDDLE_METACARPAL, metacarpal - joint)
    if forearm is None or hand is None:
        return None
    # Axes have no direction of their own: both point from the elbow towards the fingers.
    if float(forearm @ (joint - radius)) < 0:
        forearm = -forearm
    if float(hand @ (metacarpal - joint)) < 0:
        hand = -hand
    turned = float(forearm[0] * hand[1] - forearm[1] * hand[0])
    angle = math.degrees(math.atan2(turned, float(forearm @ hand)))
    return -angle if side_of(outlines) == "L" else angle


def bone_axis(outlines: Outlines, name: str, towards: Vector, pixels: int = 200) -> Vector | None:
    """The unit vector along a long bone, of either direction; None when it is not outlined or has no length.

    A line through the midpoints of slices across the bone, which, unlike the principal axis of its area, does not
    turn with a flared end or with the cut of the picture's border. It starts from the direction ``towards`` and
    follows the slices three times, a tenth of the bone left off at either end. A stub that is less than 1.5 times
    as long as it is wide (a radius cut off close to the wrist) has no axis of its own and keeps ``towards``.
    The bone is drawn at ``pixels`` px length.
    """
    parts = outlines.get(name, ())
    length = float(np.hypot(*towards))
    if not parts or length == 0:
        return None
    points = np.concatenate([part.exterior for part in parts])
    low = points.min(axis=0)
    scale = pixels / max(1e-9, float((points.max(axis=0) - low).max()))
    small = [part.mapped(lambda ring: (ring - low) * scale) for part in parts]
    region = region_from_outlines(small, (pixels + 2, pixels + 2))
    if region is None:
        return None
    rows, columns = np.nonzero(region.mask)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    xy -= xy.mean(axis=0)
    start: Vector = towards / length
    axis = start
    for _ in range(3):
        across = np.array([-axis[1], axis[0]])
        along, offset = xy @ axis, xy @ across
        low_t, high_t = np.quantile(along, (0.1, 0.9))
        bins = np.floor((along - low_t) / max(1e-9, high_t - low_t) * 24).astype(int)
        slices = [(along[bins == k], offset[bins == k]) for k in range(24)]
        slices = [(t, w) for t, w in slices if t.size >= 3]
        if len(slices) < 4:
            return start
        middles = np.array([(t.mean(), (w.min() + w.max()) / 2) for t, w in slices])
        wide = float(np.median([w.max() - w.min() for _, w in slices])) + 1
        if np.ptp(along) < 1.5 * wide:
            return start
        axis = axis + float(np.polyfit(middles[:, 0], middles[:, 1], 1)[0]) * across
        axis = axis / float(np.hypot(*axis))
    return axis
