"""Midlines of the shafts of whole bones, of all bones of a hand at once: a bone by itself takes numpy thirty calls, and
their number, not the number of points, is what they cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ossa.measurement.trace import Float, Trace

#: A shaft is followed between these shares of a whole bone's length, in so many slices.
_SHAFT, _SLICES = (0.2, 0.8), 16

#: Where the slices lie, as shares of what is followed.
_MIDDLES = (np.arange(_SLICES) + 0.5) / _SLICES

#: A place just between two slices, or two sides, belongs to the latter, whatever rounding makes of it.
_HARDLY = 1e-9

#: With fewer slices a midline is none.
_FEWEST = _SLICES // 2


def midlines(bones: Sequence[Trace], starts: Sequence[Float]) -> list[Float]:
    """The direction of the midline of each bone's shaft, close to its start; the start itself where none is found.

    Unlike the principal axis it does not turn with a flared or half hidden end. A line through the middles of slices
    across the axis, twice, those middles left out that lie far from it.
    """
    if not bones:
        return []
    points = np.concatenate([bone.points - bone.centre for bone in bones])
    x, y = np.ascontiguousarray(points.T)
    counts = [len(bone.points) for bone in bones]
    which = np.repeat(np.arange(len(bones)), counts)
    first = np.cumsum([0, *counts[:-1]])
    axes = np.array(starts)
    known = np.ones(len(bones), bool)
    for _ in range(2):
        down, right = axes[:, 0], axes[:, 1]
        along = x * down.take(which) + y * right.take(which)
        across = x * right.take(which) - y * down.take(which)
        low, high = np.minimum.reduceat(along, first), np.maximum.reduceat(along, first)
        low, high = (low + share * (high - low) for share in _SHAFT)
        places = low[:, None] + _MIDDLES * (high - low)[:, None]
        slices = (along - low.take(which)) / np.maximum(high - low, 1e-12).take(which) * _SLICES
        slices = np.floor(slices + _HARDLY)
        inside = np.flatnonzero((slices >= 0) & (slices < _SLICES))
        at = slices.take(inside).astype(np.intp) + _SLICES * which.take(inside)
        middles, found = _middles(at, across.take(inside), len(bones))
        known &= found.sum(axis=1) >= _FEWEST
        slope = np.where(known, _slopes(places, middles, found), 0.0)
        turned = axes + slope[:, None] * np.stack([right, -down], axis=1)
        axes = turned / np.hypot(turned[:, 0], turned[:, 1])[:, None]
    return [axis if there else start for axis, there, start in zip(axes, known, starts, strict=True)]


def _middles(at: NDArray[np.intp], across: Float, bones: int) -> tuple[Float, NDArray[np.bool_]]:
    """(bones, slices) the middle between the means of both sides of each slice, 0 where there are none; and where there
    are."""
    left, right = np.full(bones * _SLICES, np.inf), np.full(bones * _SLICES, -np.inf)
    np.minimum.at(left, at, across)
    np.maximum.at(right, at, across)
    with np.errstate(invalid="ignore", divide="ignore"):
        halfway = (left + right) / 2 - _HARDLY * (right - left)
        bins = 2 * at + (across >= halfway.take(at))
        size = 2 * bones * _SLICES
        sides = (np.bincount(bins, across, size) / np.bincount(bins, minlength=size)).reshape(bones, _SLICES, 2)
        found = sides[..., 1] - sides[..., 0] > 0  # a side that is not there is no number
    return np.where(found, sides.sum(axis=2) / 2, 0.0), found


def _slopes(t: Float, m: Float, found: NDArray[np.bool_]) -> Float:
    """(bones,) slopes of the lines through places ``t`` and middles ``m`` (bones, slices), those ``found``."""
    slope, offset = _fits(t, m, found)
    away = np.where(found, np.abs(m - slope[:, None] * t - offset[:, None]), 0.0)
    count = found.sum(axis=1)
    far = 2 * np.sqrt((away * away).sum(axis=1) / np.maximum(count, 1)) + 1e-9
    kept = found & (away <= far[:, None])
    fewer = kept.sum(axis=1)
    again = (fewer >= 4) & (fewer < count)
    return np.where(again, _fits(t, m, kept)[0], slope) if again.any() else slope


def _fits(t: Float, m: Float, found: NDArray[np.bool_]) -> tuple[Float, Float]:
    count = np.maximum(found.sum(axis=1), 1)
    mean_t, mean_m = (np.where(found, one, 0.0).sum(axis=1) / count for one in (t, m))
    u = np.where(found, t - mean_t[:, None], 0.0)
    slope = (u * (m - mean_m[:, None])).sum(axis=1) / np.maximum((u * u).sum(axis=1), 1e-12)
    return slope, mean_m - slope * mean_t
