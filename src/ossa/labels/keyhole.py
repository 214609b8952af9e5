"""Outlines with holes as single polygons, for label formats that know nothing but polygons.

A hole is joined to the ring around it by a bridge that is walked twice (there and back), as a keyhole is joined to
the edge of a lock. Filled by the even-odd rule, as every polygon tool does, the hole stays open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.outlines import Outline


def keyhole_polygon(outline: Outline) -> NDArray[np.float64]:
    """One polygon (N, 2) that fills the same pixels as ``outline`` with its holes.

    Bridges run straight to the left from the leftmost point of each hole, so that between two rings they pass over
    inside pixels only: a filled pixel-exact outline stays pixel-exact. Holes are joined from left to right, each to
    the nearest ring to its left, be it the exterior or an earlier hole (after D. Eberly, "Triangulation by Ear
    Clipping", 2002, section 3).
    """
    ring = np.asarray(outline.exterior, dtype=np.float64)
    holes = sorted(outline.holes, key=lambda hole: (float(hole[:, 0].min()), float(hole[:, 1].min())))
    for hole in holes:
        start = int(np.lexsort((hole[:, 1], hole[:, 0]))[0])
        loop = np.roll(hole, -start, axis=0)
        at, meeting = _nearest_left(ring, loop[0])
        ring = np.concatenate([ring[: at + 1], meeting[None], loop, loop[:1], meeting[None], ring[at + 1 :]])
    return ring


def _nearest_left(ring: NDArray[np.float64], point: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """The edge (its first index) that a ray to the left from ``point`` meets first, and where."""
    x, y = point
    a, b = ring, np.roll(ring, -1, axis=0)
    crosses = (np.minimum(a[:, 1], b[:, 1]) <= y) & (np.maximum(a[:, 1], b[:, 1]) >= y)
    rise = b[:, 1] - a[:, 1]
    level = rise == 0
    share = np.where(level, 0.0, (y - a[:, 1]) / np.where(level, 1.0, rise))
    meets = a[:, 0] + share * (b[:, 0] - a[:, 0])
    # A level edge on the row is met at its end nearest to the point, or at the point itself when it passes under it.
    left, right = np.minimum(a[:, 0], b[:, 0]), np.maximum(a[:, 0], b[:, 0])
    meets = np.where(level, np.where(left <= x, np.minimum(right, x), np.inf), meets)
    meets = np.where(crosses & (meets <= x), meets, -np.inf)
    at = int(np.argmax(meets))
    if np.isneginf(meets[at]):
        # A hole that is not inside its ring (hand-made outlines): bridge to the nearest vertex.
        at = int(np.argmin(((ring - point) ** 2).sum(axis=1)))
        return at, ring[at].copy()
    return at, np.array([meets[at], y])
