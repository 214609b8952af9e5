"""Measurements of the hand and the wrist: ``OF_A_HAND`` names the function of each. All raise Unmeasured.

Where several definitions of a measurement are in use, ``measurement.definitions`` names the one that is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ossa.measurement.anatomy import Bones, Unmeasured, once
from ossa.measurement.single import (
    Found,
    axis_of,
    base_and_tip,
    extent,
    width_middle,
)
from ossa.measurement.trace import Float, Trace, angle_between, end, left_of, strip, tangent
from ossa.measurement.types import Stroke

#: The ulna's styloid lies in this share of its width on the little finger's side, and is no part of its head.
_STYLOID = 0.4

#: Ends of bones that measurements look at reach so far, as a share of the root of the bone's area.
_NEAR = 0.8

#: Half the width of the strip around the third metacarpal's axis in which the radius is met, over its length.
_STRIP = 0.02


def metacarpal_sign(bones: Bones) -> Found:
    """How far the third metacarpal's head reaches beyond the tangent to those of the fourth and fifth."""
    names = [bones.metacarpal(digit) for digit in (3, 4, 5)]
    third, fourth, fifth = (_head(bones, name) for name in names)
    touched = tangent(fourth, fifth, bones.directions[names[1]])
    if touched is None:
        raise Unmeasured("no line touches the heads of the fourth and fifth metacarpals")
    a, b = touched
    line = a - b  # from the fifth to the fourth
    outside = left_of(line) / float(np.hypot(*line))
    outside = outside if float(outside @ bones.directions[names[0]]) > 0 else -outside
    beyond = (third - a) @ outside
    far = third[int(np.argmax(beyond))]
    foot = far - beyond.max() * outside
    tangent_line = bones.scale.stroke(b, foot, help=True)
    return Found(float(beyond.max()), (bones.scale.stroke(foot, far), tangent_line))


def digit_ratio(bones: Bones) -> Found:
    """The index's phalanges over those of the ring finger, each straight from base to tip."""
    lengths, strokes = [], []
    for digit in (2, 4):
        rows = bones.of_digit(digit)
        base = base_and_tip(bones, rows["proximal"])[0]
        tip = base_and_tip(bones, rows["distal"])[1]
        lengths.append(float(np.hypot(*(tip - base))))
        strokes.append(bones.scale.stroke(base, tip))
    return Found(lengths[0] / lengths[1], tuple(strokes))


@once
def carpal_height(bones: Bones) -> Found:
    """From the third metacarpal's base to the radius, along the metacarpal's axis."""
    name = bones.metacarpal(3)
    bone, radius = bones.whole(name), _distal_radius(bones)
    axis = bones.directions[name]
    half = _STRIP * bone.extent(axis)
    middle = strip(bone.points, bone.centre, axis, max(half, 0.1 * bone.size))
    base = end(middle if len(middle) else bone.points, -axis, bone.extent(axis))
    across = (radius.points - bone.centre) @ left_of(axis)
    met = strip(radius.points, bone.centre, axis, half)
    if across.min() > -half or across.max() < half or not len(met):  # a radius in two parts has a gap
        raise Unmeasured("the third metacarpal's axis passes beside the radius (a bent wrist)")
    rim = end(met, axis, radius.size)
    value = float((base - rim) @ axis)
    if value <= 0:
        raise Unmeasured("the third metacarpal and the radius overlap along its axis")
    foot = base - value * axis
    return Found(value, (bones.scale.stroke(base, foot), bones.scale.stroke(rim, foot, help=True)))


def carpal_height_ratio(bones: Bones) -> Found:
    """Carpal height over the third metacarpal's length."""
    height, metacarpal = carpal_height(bones), extent(bones, bones.metacarpal(3))
    return Found(height.value / metacarpal.value, (*height.strokes[:1], *metacarpal.strokes))


def carpal_height_ratio_nattrass(bones: Bones) -> Found:
    """Carpal height over the capitate's greatest length."""
    height, capitate = carpal_height(bones), extent(bones, "Capitate")
    return Found(height.value / capitate.value, (*height.strokes[:1], *capitate.strokes))


def carpal_angle(bones: Bones) -> Found:
    """Between the proximal tangents of scaphoid with lunate and of triquetrum with lunate."""
    scaphoid, lunate, triquetrum = (bones.whole(name) for name in ("Scaphoid", "Lunate", "Triquetrum"))
    lines = []
    for other in (scaphoid, triquetrum):
        touched = tangent(lunate.points, other.points, -bones.up)
        if touched is None:
            raise Unmeasured("no line touches the bones of the proximal row on the radius's side")
        lines.append(touched)
    (a, b), (c, d) = lines
    vertex = _meet(a, b - a, c, d - c)
    strokes = (bones.scale.stroke(b, vertex, d),)
    return Found(angle_between(b - a, d - c), strokes)


def radial_inclination(bones: Bones) -> Found:
    """Between the line from styloid to ulnar corner and a perpendicular to the radius's axis."""
    styloid, corner, axis = _radius(bones)
    across = left_of(axis)
    level = corner + float((styloid - corner) @ across) * across
    rise = float((styloid - corner) @ axis)
    angle = float(np.degrees(np.arctan2(rise, abs(float((styloid - corner) @ across)))))
    return Found(angle, (bones.scale.stroke(styloid, corner, level), _axis_line(bones, "Radius")))


def radial_height(bones: Bones) -> Found:
    """From the ulnar corner to the tip of the styloid, along the radius's axis."""
    styloid, corner, axis = _radius(bones)
    rise = float((styloid - corner) @ axis)
    foot = styloid - rise * axis
    return Found(rise, (bones.scale.stroke(styloid, foot), bones.scale.stroke(foot, corner, help=True)))


def ulnar_variance(bones: Bones) -> Found:
    """How far the head of the ulna reaches beyond the radius's ulnar corner, along the radius's axis."""
    _, corner, axis = _radius(bones)
    ulna = _uncut_end(bones, "Ulna")
    thumb = _thumbwards(bones, axis)
    along = ulna.along(axis)
    near = ulna.points[along > along.max() - _NEAR * ulna.size]
    across = near @ thumb
    head = near[across >= across.min() + _STYLOID * float(np.ptp(across))]
    rim = end(head, axis, ulna.size)
    value = float((rim - corner) @ axis)
    foot = rim - value * axis
    return Found(value, (bones.scale.stroke(foot, rim), bones.scale.stroke(corner, foot, help=True)))


def radius_metacarpal_angle(bones: Bones) -> Found:
    """From the radius's axis to the third metacarpal's, positive towards the little finger."""
    name = bones.metacarpal(3)
    bones.whole(name)
    _, axis = bones.forearm("Radius")
    metacarpal = bones.directions[name]
    size = angle_between(axis, metacarpal)
    towards_thumb = float(metacarpal @ _thumbwards(bones, axis)) > 0
    lines = (_axis_line(bones, "Radius"), bones.scale.stroke(*base_and_tip(bones, name), help=True))
    return Found(-size if towards_thumb else size, lines)


def metacarpal_index(bones: Bones) -> Found:
    """Lengths over middle widths of the second to fifth metacarpals, sum over sum."""
    names = [bones.metacarpal(digit) for digit in (2, 3, 4, 5)]
    lengths, widths = [extent(bones, n) for n in names], [width_middle(bones, n) for n in names]
    strokes = tuple(stroke for one in (*lengths, *widths) for stroke in one.strokes)
    return Found(sum(one.value for one in lengths) / sum(one.value for one in widths), strokes)


def _head(bones: Bones, name: str) -> Float:
    """The edge of a bone's distal quarter."""
    bone, along = bones.whole(name), bones.traces[name].along(axis_of(bones, name))
    return np.asarray(bone.points[along > along.max() - 0.25 * float(np.ptp(along))])


def _uncut_end(bones: Bones, name: str) -> Trace:
    """Radius or ulna, which the film usually cuts at the elbow's end. Raises Unmeasured where the hand's end is cut."""
    bone = bones.part(name)
    if name in bones.ends_cut:
        raise Unmeasured(f"{bones.schema.bone(name).title}: the edge of the picture cuts its end at the wrist")
    return bone


def _distal_radius(bones: Bones) -> Trace:
    return _uncut_end(bones, "Radius")


@once
def _radius(bones: Bones) -> tuple[Float, Float, Float]:
    """The tip of the radial styloid, the ulnar corner of the radius, and its axis towards the hand."""
    radius = _distal_radius(bones)
    _, axis = bones.forearm("Radius")
    thumb = _thumbwards(bones, axis)
    along = radius.along(axis)
    near = radius.points[along > along.max() - _NEAR * radius.size]
    across = near @ thumb
    middle = (across.min() + across.max()) / 2
    wide = float(np.ptp(across))
    styloid = end(near[across >= middle], axis, wide)
    corner = end(near[across < middle], axis - thumb, wide)
    return styloid, corner, axis


def _thumbwards(bones: Bones, axis: Float) -> Float:
    """At right angles to ``axis``, to the thumb's side."""
    across = left_of(axis)
    return across if float(across @ bones.thumbwards) > 0 else -across


def _axis_line(bones: Bones, name: str) -> Stroke:
    point, axis = bones.forearm(name)
    t = (bones.traces[name].points - point) @ axis
    return bones.scale.stroke(point + t.min() * axis, point + t.max() * axis, help=True)


def _meet(a: Float, along: Float, c: Float, other: Float) -> Float:
    """Where two lines meet; the middle of their starts for parallel ones."""
    cross = float(along[0] * other[1] - along[1] * other[0])
    if abs(cross) < 1e-9:
        return np.asarray((a + c) / 2)
    t = float((c - a)[0] * other[1] - (c - a)[1] * other[0]) / cross
    return np.asarray(a + t * along)


#: Name -> what measures it of a hand.
OF_A_HAND: Mapping[str, Callable[[Bones], Found]] = MappingProxyType(
    {
        "metacarpal_sign": metacarpal_sign,
        "digit_ratio": digit_ratio,
        "carpal_height": carpal_height,
        "carpal_height_ratio": carpal_height_ratio,
        "carpal_height_ratio_nattrass": carpal_height_ratio_nattrass,
        "carpal_angle": carpal_angle,
        "radial_inclination": radial_inclination,
        "radial_height": radial_height,
        "ulnar_variance": ulnar_variance,
        "radius_metacarpal_angle": radius_metacarpal_angle,
        "metacarpal_index": metacarpal_index,
    }
)
