"""How far the wrist is bent: the angle from the axis of the forearm to that of the middle metacarpal."""

from __future__ import annotations

import math

import numpy as np

from ossa.hand.bones import middle, row
from ossa.hand.geometry import Float, geometry_of_outlines
from ossa.hand.sides import side_of
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, Outlines, region_from_outlines

#: A wrist bent at least this far (degrees) counts as bent. Bent wrists of the competition lie at 20-60 degrees.
BENT = 20.0

#: The digit whose metacarpal is the hand's axis.
_MIDDLE_FINGER = 3


def wrist_angle(outlines: Outlines, schema: BoneSchema) -> float | None:
    """The angle (degrees, -180..180) from the axis of the forearm to that of the middle metacarpal.

    0 is a straight wrist, positive bends towards the little finger (ulnar deviation). The forearm's axis is that
    of the radius. None when radius or middle metacarpal is not outlined.
    """
    measured = geometry_of_outlines(outlines, schema)
    metacarpal = next(
        (b.name for b in schema.bones if b.row == "metacarpal" and b.digit == _MIDDLE_FINGER and outlines.get(b.name)),
        None,
    )
    if metacarpal is None or not outlines.get("Radius"):
        return None
    hand_middle, radius = measured.centre[schema.index(metacarpal)], measured.centre[schema.index("Radius")]
    carpals, elbow = middle(measured.centre, row(schema, "carpal")), middle(measured.centre, row(schema, "forearm"))
    joint = carpals if carpals is not None else (radius + hand_middle) / 2
    forearm = bone_axis(outlines["Radius"], (radius if elbow is None else elbow) - joint)
    hand = bone_axis(outlines[metacarpal], hand_middle - joint)
    if forearm is None or hand is None:
        return None
    # Axes have no direction of their own: both point from the elbow towards the fingers.
    if float(forearm @ (joint - radius)) < 0:
        forearm = -forearm
    if float(hand @ (hand_middle - joint)) < 0:
        hand = -hand
    turned = float(forearm[0] * hand[1] - forearm[1] * hand[0])
    angle = math.degrees(math.atan2(turned, float(forearm @ hand)))
    return -angle if side_of(measured) == "L" else angle


def bone_axis(parts: tuple[Outline, ...], towards: Float, pixels: int = 200) -> Float | None:
    """The unit vector along a long bone, of either direction; None for no outline, or no length.

    A line through the midpoints of slices across the bone, which, unlike the principal axis of its area, does not
    turn with a flared end or with the cut of the picture's border. It starts from the direction ``towards`` and
    follows the slices three times, a tenth of the bone left off at either end. A stub that is less than 1.5 times
    as long as it is wide (a radius cut off close to the wrist) has no axis of its own and keeps ``towards``.
    The bone is drawn at ``pixels`` px length.
    """
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
    start: Float = towards / length
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
