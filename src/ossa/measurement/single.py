"""Measurements of one bone: ``OF_A_BONE`` names the function of each. All raise Unmeasured where there is no number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ossa.hand.bones import ROOTS, ROWS, SHAFTS, SHORT
from ossa.measurement.anatomy import Bones, Unmeasured, once
from ossa.measurement.trace import Float, Scale, Trace, end, left_of, sides_at, strip
from ossa.measurement.types import Stroke

#: Half the thickness of a slice across a shaft, as a share of the bone's length.
_SLICE = 0.02

#: Bases and heads lie in this share of a tubular bone's length.
_QUARTER = 0.25

#: A joint is measured over this share of its width, in so many lines.
_JOINT, _LINES = 0.5, 9


@dataclass(frozen=True, slots=True)
class Found:
    """A number in the units of the bones' scale, and what to draw."""

    value: float
    strokes: tuple[Stroke, ...] = ()


def area(bones: Bones, name: str) -> Found:
    """The area inside the outline."""
    return Found(bones.whole(name).area)


def length(bones: Bones, name: str) -> Found:
    """From end to end along the bone's axis, where both ends show."""
    found = extent(bones, name)
    if name in bones.unseen:
        raise Unmeasured(bones.unseen[name])
    return found


@once
def extent(bones: Bones, name: str) -> Found:
    """From end to end of the outline along the bone's axis; an end that does not show is where it was guessed."""
    bone, axis = bones.whole(name), axis_of(bones, name)
    return Found(bone.extent(axis), (_span(bone, axis, bones.scale),))


def width(bones: Bones, name: str) -> Found:
    """A carpal's extent across its greatest diameter."""
    if name in bones.directions or bones.schema.bone(name).row in SHAFTS:
        raise Unmeasured("a tubular bone has widths of base, middle and head")
    bone, across = bones.whole(name), left_of(axis_of(bones, name))
    return Found(bone.extent(across), (_span(bone, across, bones.scale),))


def width_base(bones: Bones, name: str) -> Found:
    """The greatest extent across the axis in the proximal quarter."""
    return _end_width(bones, name, -1.0)


def width_head(bones: Bones, name: str) -> Found:
    """The greatest extent across the axis in the distal quarter."""
    return _end_width(bones, name, 1.0)


@once
def width_middle(bones: Bones, name: str) -> Found:
    """The extent across the axis at half the length."""
    bone, axis = bones.whole(name), _direction(bones, name)
    low, high = bone.ends(axis)
    at = (low + high) / 2
    found = sides_at(bone, axis, at, max(_SLICE * (high - low), bones.scale.row))
    if found is None:
        raise Unmeasured("its outline has a gap at the middle")
    across, place = left_of(axis), bone.centre + at * axis
    ends = bones.scale.stroke(place + found[0] * across, place + found[1] * across)
    return Found(found[1] - found[0], (ends,))


def axis_angle(bones: Bones, name: str) -> Found:
    """Degrees from the picture's upward direction to the axis, clockwise."""
    bone = bones.part(name)
    if bones.schema.bone(name).row in SHAFTS:
        point, axis = bones.forearm(name)
    else:
        bone, axis = bones.whole(name), _direction(bones, name)
        point = bone.centre
    angle = float(np.degrees(np.arctan2(axis[0], -axis[1])))
    if not bones.scale.drawn:
        return Found(angle)
    t = (bone.points - point) @ axis
    return Found(angle, (bones.scale.stroke(point + t.min() * axis, point + t.max() * axis, help=True),))


def relative_length(bones: Bones, name: str) -> Found:
    """Length over that of the third metacarpal."""
    _direction(bones, name)
    return Found(length(bones, name).value / extent(bones, bones.metacarpal(3)).value)


def joint_space(bones: Bones, name: str) -> Found:
    """Between this bone's base and the head of the bone before it in its digit."""
    digit = bones.schema.bone(name).digit
    order = [] if digit is None else list(_ray(bones, digit))
    if name not in order or order.index(name) == 0:
        raise Unmeasured("no joint with a bone of the same digit lies at its base")
    far, near = bones.whole(name), bones.whole(order[order.index(name) - 1])
    axis = _direction(bones, name)
    across = left_of(axis)
    along = far.along(axis)
    base = np.flatnonzero(along < far.ends(axis)[0] + _QUARTER * far.extent(axis))
    apart = near.points - far.centre
    reach = apart @ axis
    last = float(reach.max())
    head = np.flatnonzero(reach > last - _QUARTER * (last - float(reach.min())))
    u, v = far.along(across).take(base), apart.take(head, axis=0) @ across
    low, high = max(u.min(), v.min()), min(u.max(), v.max())
    middle, half = (low + high) / 2, _JOINT * (high - low) / 2
    if half <= 0:
        raise Unmeasured("the two bones of the joint do not face each other")
    lines = middle + half * (2 * (np.arange(_LINES) + 0.5) / _LINES - 1)
    upper = _facing(u, along.take(base), middle, half, np.minimum, np.inf)
    lower = _facing(v, reach.take(head), middle, half, np.maximum, -np.inf)
    seen = np.flatnonzero(np.isfinite(upper) & np.isfinite(lower))
    if seen.size <= _LINES // 2:
        raise Unmeasured("the two bones of the joint do not face each other")
    gap = float((upper - lower)[seen].mean())
    if gap <= 0:
        raise Unmeasured("the outlines overlap: no space shows")
    strokes = []
    if not bones.scale.drawn:
        return Found(gap)
    for k in (seen[seen.size // 2], seen[0], seen[-1]):
        origin = far.centre + lines[k] * across
        strokes.append(bones.scale.stroke(origin + upper[k] * axis, origin + lower[k] * axis))
    return Found(gap, tuple(strokes))


def _facing(across: Float, along: Float, middle: float, half: float, take: np.ufunc, nothing: float) -> Float:
    """(_LINES,) the nearest edge in each of the lines side by side from ``middle`` - ``half`` to + ``half``."""
    at = np.floor((across - middle + half) / (2 * half) * _LINES).astype(np.intp)
    inside = (at >= 0) & (at < _LINES)
    out = np.full(_LINES, nothing)
    take.at(out, at[inside], along[inside])
    return out


@once
def axis_of(bones: Bones, name: str) -> Float:
    """A bone's axis: of a digit's bone its principal axis away from the elbow, of a carpal its greatest diameter."""
    if name in bones.directions:
        return bones.directions[name]
    if bones.schema.bone(name).row in SHAFTS:
        return bones.forearm(name)[1]
    return greatest_diameter(bones.traces[name])


def greatest_diameter(bone: Trace) -> Float:
    """The unit vector along the greatest distance between two points of the edge."""
    import cv2

    hull = cv2.convexHull(bone.points.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    x, y = hull.T
    apart = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    i, j = divmod(int(np.argmax(apart)), len(hull))
    line = hull[i] - hull[j]
    return np.asarray(line / max(float(np.hypot(*line)), 1e-12))


@once
def base_and_tip(bones: Bones, name: str) -> tuple[Float, Float]:
    """Where the axis of a digit's bone leaves it at the base, and its outermost place at the far end."""
    bone, axis = bones.whole(name), _direction(bones, name)
    middle = strip(bone.points, bone.centre, axis, 0.1 * bone.size)
    extent = bone.extent(axis)
    base = end(middle if len(middle) else bone.points, -axis, extent)
    return base, end(bone.points, axis, extent)


def _end_width(bones: Bones, name: str, way: float) -> Found:
    bone, axis = bones.whole(name), _direction(bones, name)
    across = left_of(axis)
    along = bone.along(axis)
    low, high = bone.ends(axis)
    near = along >= high - _QUARTER * (high - low) if way > 0 else along <= low + _QUARTER * (high - low)
    u = bone.along(across)[near]
    left, right = float(u.min()), float(u.max())
    if not bones.scale.drawn:
        return Found(right - left)
    # Level with the wider of the two sides, so that the drawn line is as long as the number.
    place = bone.centre + along[near][int(np.argmax(np.abs(u - (left + right) / 2)))] * axis
    return Found(right - left, (bones.scale.stroke(place + left * across, place + right * across),))


def _direction(bones: Bones, name: str) -> Float:
    bones.part(name)
    if name not in bones.directions:
        raise Unmeasured("only the bones of digits have a base and a head")
    return bones.directions[name]


def _ray(bones: Bones, digit: int) -> tuple[str, ...]:
    rows = {bone.row: bone.name for bone in bones.schema.bones if bone.digit == digit}
    return tuple(rows[row] for row in ROWS if row in rows)


def _span(bone: Trace, axis: Float, scale: Scale) -> Stroke:
    """The extent along ``axis`` as a line through the bone's centre."""
    if not scale.drawn:
        return scale.stroke()
    low, high = bone.ends(axis)
    return scale.stroke(bone.centre + low * axis, bone.centre + high * axis)


#: Name -> what measures it of a bone.
OF_A_BONE: Mapping[str, Callable[[Bones, str], Found]] = MappingProxyType(
    {
        "area": area,
        "length": length,
        "width": width,
        "width_base": width_base,
        "width_middle": width_middle,
        "width_head": width_head,
        "axis_angle": axis_angle,
        "relative_length": relative_length,
        "joint_space": joint_space,
    }
)


def applies(bones: Bones, measure: str, name: str) -> bool:
    """Whether a measurement has a meaning for a bone: a carpal has no head, a metacarpal no joint within its digit.

    Of radius and ulna a film of the hand shows an end alone: their size is none of the bone.
    """
    bone = bones.schema.bone(name)
    tubular = bone.digit is not None
    if measure in ("area", "length"):
        return bone.row not in SHAFTS
    if measure == "axis_angle":
        return tubular or bone.row in SHAFTS
    if measure == "width":
        return bone.row in SHORT
    if measure == "joint_space":
        return tubular and bone.row not in ROOTS
    return tubular
