"""Cortical thickness and index from the grey profile across the shaft of the second to fourth metacarpal: experimental.

The profile of many lines across the shaft, averaged along it, has a bright wall on either side of a darker canal. The
outer edge is the outline's, the inner one lies where the grey falls halfway from the wall to the canal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ossa.measurement.anatomy import Bones, Unmeasured
from ossa.measurement.single import Found
from ossa.measurement.trace import Float, left_of, sides_at
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.strips import sampled

#: Digits whose metacarpals are read (Barnett and Nordin read the second; DXR the second to fourth).
DIGITS = (2, 3, 4)

#: Half the length of shaft that is averaged, over the bone's length, and the number of lines in each of four parts.
_HALF, _LINES, _PARTS = 0.08, 8, 4

#: The canal must be darker than its walls by this share of the profile's range.
_CONTRAST = 0.08


@dataclass(frozen=True, slots=True)
class Cortex:
    """Both walls together, and their share of the width; each with the doubt of its four parts."""

    thickness: Found
    index: Found
    thickness_doubt: float
    index_doubt: float


def cortex(bones: Bones, name: str, radiograph: Radiograph) -> Cortex:
    """The cortices at the middle of a metacarpal. Raises Unmeasured where no canal shows."""
    bone = bones.whole(name)
    axis = bones.directions[name]
    across = left_of(axis)
    along = bone.along(axis)
    length = float(np.ptp(along))
    middle = float(along.min() + along.max()) / 2
    found = []
    for k in range(_PARTS):
        at = middle + length * _HALF * ((2 * k + 1) / _PARTS - 1)
        edge = sides_at(bone, axis, at, max(_HALF / _PARTS * length, bones.scale.row))
        if edge is None:
            continue
        low, high = edge
        u = np.linspace(low, high, 128)
        t = at + length * _HALF / _PARTS * (2 * (np.arange(_LINES) + 0.5) / _LINES - 1)
        places = bone.centre + t[:, None, None] * axis + u[None, :, None] * across
        walls = _walls(_sampled(radiograph, places / (bones.scale.column, bones.scale.row)).mean(axis=0))
        if walls is not None:
            found.append((low, high, *(low + (high - low) * np.array(walls))))
    if len(found) < _PARTS // 2:
        raise Unmeasured("no canal shows between two walls")
    low, high, inner, outer = np.array(found).T
    thick, wide = (inner - low) + (high - outer), high - low
    ends = [(float(a.mean()), float(b.mean())) for a, b in ((low, inner), (outer, high))]
    place = bone.centre + middle * axis
    strokes = tuple(bones.scale.stroke(place + a * across, place + b * across) for a, b in ends)
    doubt = 2.0 / np.sqrt(len(found))
    return Cortex(
        Found(float(thick.mean()), strokes),
        Found(float((thick / wide).mean()), strokes),
        float(doubt * thick.std() + 0.5 * bones.scale.column),
        float(doubt * (thick / wide).std() + 0.5 * bones.scale.column / wide.mean()),
    )


def _walls(profile: Float) -> tuple[float, float] | None:
    """Where the walls end, as shares of the width from its low side; None where there is no canal between two."""
    smooth = np.convolve(np.pad(profile, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    count = smooth.size
    near, far = int(0.4 * count), int(0.6 * count)
    first = int(np.argmax(smooth[:near]))
    last = far + int(np.argmax(smooth[far:]))
    canal = float(smooth[first:last].min())
    least = _CONTRAST * float(np.ptp(smooth) + 1e-9)
    if min(smooth[first], smooth[last]) - canal <= least or canal <= 0:
        return None
    inner = _falls(smooth[first:last], (float(smooth[first]) + canal) / 2)
    outer = _falls(smooth[first + 1 : last + 1][::-1], (float(smooth[last]) + canal) / 2)
    if inner is None or outer is None:
        return None
    left, right = (first + inner) / (count - 1), (last - outer) / (count - 1)
    return (left, right) if left < right else None


def _falls(values: Float, level: float) -> float | None:
    """Where values, which begin above ``level``, first fall to it, between two of them."""
    below = np.flatnonzero(values <= level)
    if below.size == 0 or below[0] == 0:
        return None
    k = int(below[0])
    return k - 1 + float((values[k - 1] - level) / max(float(values[k - 1] - values[k]), 1e-9))


def _sampled(radiograph: Radiograph, places: Float) -> Float:
    """Grey values (bilinear) at places (..., 2) x, y in px."""
    top, left = np.maximum(np.floor(places.reshape(-1, 2).min(axis=0)).astype(int)[::-1] - 1, 0)
    bottom, right = np.ceil(places.reshape(-1, 2).max(axis=0)).astype(int)[::-1] + 2
    box = np.ascontiguousarray(radiograph.pixels[top:bottom, left:right]).astype(np.float32)
    return np.asarray(sampled(box, places.astype(np.float32) - np.array([left, top], np.float32)), np.float64)
