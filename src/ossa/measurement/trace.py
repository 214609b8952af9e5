"""The edge of a bone as points, and what all measurements ask of it: extents, ends, slices, midlines, tangents.

Everything here is in the units of ``Scale`` (mm, or px of the picture's columns), y down as in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.measurement.types import Point, Stroke
from ossa.segmentation.segmentation import Region

Float = NDArray[np.float64]
Whole = NDArray[np.intp]

#: Parts of a bone smaller than this share of it are specks and move no end. Epiphyses are larger.
_SPECK = 0.03

#: A part of a bone that lies further from its largest part than this share of that part's size is something else: what
#: another finger has in common with it, in a look that took the one for the other. Epiphyses lie nearer.
_APART = 0.5

#: An end is the mean of the edge within this share of the bone's extent from its outermost point: a single stray pixel
#: does not place it.
_END = 0.01


_NOTHING = Stroke(())


@dataclass(frozen=True, slots=True)
class Scale:
    """Units per px: ``column`` across, ``row`` down. ``drawn``: whether anybody wants lines, which cost time."""

    column: float
    row: float
    drawn: bool = True

    def of(self, points: Float) -> Float:
        """(N, 2) px as units."""
        return points * (self.column, self.row)

    def point(self, place: Float) -> Point:
        """A place (2,) in units as px of the picture."""
        return float(place[0]) / self.column, float(place[1]) / self.row

    def stroke(self, *places: Float, help: bool = False) -> Stroke:  # noqa: A002
        """A line through places in units; an empty one where nobody wants any."""
        if not self.drawn:
            return _NOTHING
        return Stroke(tuple(self.point(place) for place in places), "help" if help else "measured")


@dataclass(frozen=True, eq=False)
class Trace:
    """A bone's edge: ``points`` (N, 2) halfway between its pixels and the others; ``area``, ``centre`` (2,) and
    ``axis`` (2,), the principal axis of its area, a unit vector of either direction.
    """

    points: Float
    area: float
    centre: Float
    axis: Float

    @cached_property
    def size(self) -> float:
        """The side of the square of the same area."""
        return float(np.sqrt(self.area))

    @cached_property
    def _seen(self) -> dict[bytes, tuple[Float, float, float]]:
        return {}

    @cached_property
    def _from_centre(self) -> Float:
        return self.points - self.centre

    def _along(self, axis: Float) -> tuple[Float, float, float]:
        key = axis.tobytes()
        if key not in self._seen:
            places = self._from_centre @ axis
            self._seen[key] = places, float(places.min()), float(places.max())
        return self._seen[key]

    def along(self, axis: Float) -> Float:
        """(N,) places of the edge along ``axis``, from the centre."""
        return self._along(axis)[0]

    def ends(self, axis: Float) -> tuple[float, float]:
        """The least and the greatest of the places ``along`` an axis."""
        return self._along(axis)[1:]

    def extent(self, axis: Float) -> float:
        """How long the bone is along ``axis``."""
        low, high = self.ends(axis)
        return high - low


def trace(region: Region, scale: Scale) -> Trace:
    """The edge of a region, specks left out.

    Centre and axis are those of the polygons through the middles of the outermost pixels; the area counts pixels.
    """
    import cv2

    framed = np.zeros((region.mask.shape[0] + 2, region.mask.shape[1] + 2), np.uint8)
    framed[1:-1, 1:-1] = region.mask
    rings = cv2.findContours(framed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    area = float(np.count_nonzero(region.mask))
    if len(rings) > 1:
        sizes = [cv2.contourArea(ring) for ring in rings]
        large = [k for k, size in enumerate(sizes) if size >= _SPECK * max(sizes)]
        kept = _near(rings, sizes, large) if len(large) > 1 else large
        area *= sum(sizes[k] + 0.5 for k in kept) / sum(size + 0.5 for size in sizes)
        rings = [rings[k] for k in kept]
    pixels: Whole = np.concatenate(rings).reshape(-1, 2).astype(np.intp)
    centre, axis = _moments(rings, pixels, scale)
    corner = np.array([region.left - 1.0, region.top - 1.0])
    return Trace(
        scale.of(_edge(framed, pixels) + corner),
        area * scale.column * scale.row,
        centre + scale.of(corner),
        axis,
    )


def _near(rings: Sequence[Any], sizes: Sequence[float], which: Sequence[int]) -> list[int]:
    """Those of the parts ``which`` that lie near the largest of all."""
    largest = int(np.argmax(sizes))
    main = rings[largest].reshape(-1, 2).astype(np.float64)
    # A point in so many is enough for a distance that need not be exact.
    main = main[:: max(1, len(main) // 64)]
    limit = _APART * float(np.sqrt(sizes[largest])) + float(np.ptp(main, axis=0).max()) / 16
    out = []
    for k in which:
        points = rings[k].reshape(-1, 2)[:: max(1, len(rings[k]) // 64)]
        apart = main[:, None] - points[None]
        if k == largest or float(np.hypot(apart[..., 0], apart[..., 1]).min()) <= limit:
            out.append(k)
    return out


def _edge(framed: NDArray[np.uint8], pixels: Whole) -> Float:
    """(N, 2) the middles of those sides of the outermost ``pixels`` (x, y) that lie between inside and outside."""
    width = framed.shape[1]
    inside, at = framed.ravel(), pixels @ np.array([1, width])
    free = [np.flatnonzero(inside.take(at + ahead) == 0) for ahead in (1, -1, width, -width)]
    out = pixels.take(np.concatenate(free), axis=0).astype(np.float64)
    first = 0
    for side, (axis, step) in zip(free, ((0, 0.5), (0, -0.5), (1, 0.5), (1, -0.5)), strict=True):
        out[first : first + len(side), axis] += step
        first += len(side)
    return out


def _moments(rings: Sequence[Any], pixels: Whole, scale: Scale) -> tuple[Float, Float]:
    """The centre and the principal axis of what rings enclose, in units; of a line or a dot those of its pixels."""
    import cv2

    total = np.zeros(6)
    for ring in rings:
        m = cv2.moments(ring)
        total += [m[key] for key in ("m00", "m10", "m01", "m20", "m02", "m11")]
    if total[0] < 1:
        x, y = pixels.astype(np.float64).T
        total = np.array([len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])
    _, mx, my, xx, yy, xy = total / total[0]
    xx, yy = (xx - mx * mx) * scale.column**2, (yy - my * my) * scale.row**2
    angle = 0.5 * np.arctan2(2 * (xy - mx * my) * scale.column * scale.row, xx - yy)
    return scale.of(np.array([mx, my])), np.array([np.cos(angle), np.sin(angle)])


def left_of(axis: Float) -> Float:
    """The direction at right angles to ``axis``, to the left of somebody who walks along it, as the picture is seen."""
    return np.array([axis[1], -axis[0]])


def pointing(axis: Float, towards: Float) -> Float:
    """``axis`` or its opposite, whichever leads ``towards``."""
    return axis if float(axis @ towards) >= 0 else -axis


def end(points: Float, direction: Float, extent: float) -> Float:
    """The outermost place (2,) of ``points`` in ``direction``, a mean over ``_END`` of a bone's ``extent``."""
    far = points @ direction
    return np.asarray(points[far >= far.max() - _END * extent].mean(axis=0))


def strip(points: Float, origin: Float, axis: Float, half: float) -> Float:
    """Those points that lie within ``half`` of the line through ``origin`` along ``axis``."""
    return points[np.abs((points - origin) @ left_of(axis)) <= half]


def sides_at(bone: Trace, axis: Float, at: float, half: float) -> tuple[float, float] | None:
    """Where a slice across ``axis`` at ``at`` (from the centre) begins and ends: means of either side over +- ``half``.

    None where one side has no edge there.
    """
    along = bone.along(axis)
    near = np.abs(along - at) <= half
    across = bone.along(left_of(axis))[near]
    if across.size < 2:
        return None
    middle = (across.min() + across.max()) / 2
    low, high = across[across < middle], across[across >= middle]
    return None if low.size == 0 or high.size == 0 else (float(low.mean()), float(high.mean()))


#: A shaft is followed in so many slices.
_SLICES = 16
_MIDDLES = (np.arange(_SLICES) + 0.5) / _SLICES


def shaft_axis(bone: Trace, towards: Float, least: float = 0.4) -> tuple[Float, Float] | None:
    """A point on, and the direction (unit, leading ``towards``) of, the midline of a shaft whose near end is cut off.

    The flared far end is left out. None where less than ``least`` times the width of that end shows of the shaft.
    """
    axis = towards / max(float(np.hypot(*towards)), 1e-12)
    point = bone.centre
    for _ in range(4):
        along, across = bone.along(axis), bone.along(left_of(axis))
        near, far = bone.ends(axis)
        wide = float(np.ptp(across[along > far - 0.6 * bone.size]))
        low, high = near + 0.1 * wide, far - 0.8 * wide
        if high - low < least * wide:
            return None
        found = _middles(along, across, low, high, 0.25 * wide)
        if len(found) < _SLICES // 2:
            return None
        slope, offset = _line(found)
        point = bone.centre + left_of(axis) * offset
        axis = _turned(axis, slope)
    return point, axis


def _middles(along: Float, across: Float, low: float, high: float, least: float = 0.0) -> Float:
    """(N, 2) place along the axis and middle across it of each slice from ``low`` to ``high`` whose two sides lie more
    than ``least`` apart."""
    slices = np.floor((along - low) / max(high - low, 1e-12) * _SLICES).astype(np.intp)
    inside = (slices >= 0) & (slices < _SLICES)
    at, u = slices[inside], across[inside]
    left, right = np.full(_SLICES, np.inf), np.full(_SLICES, -np.inf)
    np.minimum.at(left, at, u)
    np.maximum.at(right, at, u)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Bins of the one side of each slice, then of the other.
        bins = at + _SLICES * (u >= ((left + right) / 2).take(at))
        lower, upper = (np.bincount(bins, u, 2 * _SLICES) / np.bincount(bins, minlength=2 * _SLICES)).reshape(2, -1)
        known = upper - lower > least  # nor is a side that nothing is known of: it is no number
    out = np.empty((_SLICES, 2))
    out[:, 0], out[:, 1] = low + _MIDDLES * (high - low), (upper + lower) / 2
    return out[known]


def _line(middles: Float) -> tuple[float, float]:
    """Slope and offset of the line through (N, 2) middles, those left out that lie far from it."""
    slope, offset = _fit(middles)
    away = np.abs(middles[:, 1] - slope * middles[:, 0] - offset)
    kept = away <= 2 * float(np.sqrt(away @ away / len(away))) + 1e-9
    return _fit(middles[kept]) if 4 <= kept.sum() < len(kept) else (slope, offset)


def _fit(middles: Float) -> tuple[float, float]:
    mean = middles.sum(axis=0) / len(middles)
    t, m = (middles - mean).T
    slope = float(t @ m) / max(float(t @ t), 1e-12)
    return slope, float(mean[1] - slope * mean[0])


def _turned(axis: Float, slope: float) -> Float:
    out = axis + slope * left_of(axis)
    return np.asarray(out / float(np.hypot(*out)))


def tangent(one: Float, other: Float, outside: Float) -> tuple[Float, Float] | None:
    """Where a line touches both of two sets of points from ``outside`` (a direction away from them).

    None where the one hides the other from there.
    """
    import cv2

    # Only what faces that way can touch; hulls of the two keep the search small.
    hulls = [cv2.convexHull(p.astype(np.float32)).reshape(-1, 2).astype(np.float64) for p in (one, other)]
    both = np.concatenate(hulls)
    which = np.repeat([0, 1], [len(h) for h in hulls])
    order = [int(k) for k in cv2.convexHull(both.astype(np.float32), returnPoints=False).ravel()]
    best: tuple[float, Float, Float] | None = None
    for i, j in zip(order, [*order[1:], *order[:1]], strict=True):
        if which[i] == which[j]:
            continue
        first, second = (both[i], both[j]) if which[i] == 0 else (both[j], both[i])
        normal = left_of(second - first) / max(float(np.hypot(*(second - first))), 1e-12)
        if float((both.mean(axis=0) - first) @ normal) > 0:
            normal = -normal
        faces = float(normal @ outside)
        if faces > 0 and (best is None or faces > best[0]):
            best = faces, first, second
    return None if best is None else (best[1], best[2])


def angle_between(a: Float, b: Float) -> float:
    """Degrees, 0 to 180, between two directions."""
    return float(np.degrees(np.arctan2(abs(a[0] * b[1] - a[1] * b[0]), float(a @ b))))
