"""A bone's outline as points with directions outwards, and the bone again after its outline moved.

A Region flows in and out. Points are (x, y) in px, a pixel's centre is a whole number; the edge of a region runs half a
pixel outside the centres of its border pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.segmentation import BoolArray, Region

Points = NDArray[np.float64]

#: A part whose border has fewer pixels has no outline that could be moved.
LEAST = 12

#: Fractional bits of the coordinates that are given to ``cv2.fillPoly``.
_SHIFT = 8


@dataclass(frozen=True, eq=False)
class Ring:
    """The outer edge of a region's largest part: ``points`` (N, 2) at equal steps, and ``outwards`` (N, 2), unit
    vectors across it. ``part`` (h, w) bool over the region's box: that part with its holes filled."""

    region: Region
    part: BoolArray
    points: Points
    outwards: Points


def ring(region: Region, step: float, smooth: float = 1.0) -> Ring | None:
    """The outer edge of the largest part of ``region`` at points about ``step`` px apart (at least 8 of them).

    The steps from pixel to pixel are smoothed out by a Gaussian of ``smooth`` px along the edge. None for a part
    with fewer than ``LEAST`` border pixels, or hardly longer than what smooths it.
    """
    import cv2

    found, _ = cv2.findContours(region.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    border = max(found, key=len)
    reach = int(4 * smooth)
    if len(border) < max(LEAST, 2 * reach + 2):
        return None
    part = np.zeros(region.mask.shape, np.uint8)
    cv2.drawContours(part, [border], 0, 1, cv2.FILLED)
    traced = border[:, 0].astype(np.float64)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / smooth) ** 2)
    closed = np.concatenate([traced[-reach:], traced, traced[:reach]]) if reach else traced
    traced = np.stack([np.convolve(closed[:, k], weights / weights.sum(), "valid") for k in (0, 1)], axis=1)
    once_round = np.concatenate([traced, traced[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(once_round, axis=0).T))])
    count = max(8, round(along[-1] / step))
    wanted = np.arange(count) * (along[-1] / count)
    points = np.stack([np.interp(wanted, along, once_round[:, k]) for k in (0, 1)], axis=1)
    tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    x, y = points.T
    clockwise = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0  # as seen on a picture, whose y points down
    outwards = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) * (1.0 if clockwise else -1.0)
    edge = points + 0.5 * outwards + (region.left, region.top)
    return Ring(region, part.view(bool), edge, outwards)


def moved(one: Ring, distance: NDArray[np.floating], shape: tuple[int, int], kept: float = 0.0) -> Region | None:
    """The region of ``one`` after its outer edge went outwards by ``distance`` (N,) px, in a picture of ``shape``.

    Holes and other parts stay as they are, and so does all that lies within ``kept`` px of the picture's border: where
    a film ends no bone does. None when nothing is left.
    """
    import cv2

    old = one.region
    # The polygon that fillPoly takes runs through the centres of the border pixels.
    x, y = one.points.T
    ended = (x < kept) | (y < kept) | (x > shape[1] - 1 - kept) | (y > shape[0] - 1 - kept)
    by = np.where(ended, 0.0, np.asarray(distance, np.float64))
    to = one.points + (by - 0.5)[:, None] * one.outwards
    low = np.minimum(np.floor(to.min(axis=0)).astype(int) - 1, (old.left, old.top))
    high = np.maximum(np.ceil(to.max(axis=0)).astype(int) + 2, (old.right, old.bottom))
    left, top = (int(v) for v in np.maximum(low, 0))
    right, bottom = (int(v) for v in np.minimum(high, shape[::-1]))
    new = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(new, [np.rint((to - (left, top)) * (1 << _SHIFT)).astype(np.int32)], 1, shift=_SHIFT)
    # Where the outline now crosses itself, as in a notch that closed, fillPoly leaves holes that the bone never had.
    outer, _ = cv2.findContours(new, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(new, outer, -1, 1, cv2.FILLED)
    box = (slice(old.top - top, old.bottom - top), slice(old.left - left, old.right - left))
    mask = new.view(bool)
    inner = mask[box]
    inner |= old.mask & ~one.part
    inner &= old.mask | ~one.part
    rows, columns = np.arange(top, bottom), np.arange(left, right)
    border = ((rows < kept) | (rows >= shape[0] - kept))[:, None] | ((columns < kept) | (columns >= shape[1] - kept))
    if border.any():
        before = np.zeros_like(mask)
        before[box] = old.mask
        mask = np.where(border, before, mask)
    return Region.tight(mask, top, left)
