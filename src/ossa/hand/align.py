"""Lays the usual hand over the bones of a picture, however they are turned, mirrored or sized, and even when some of
their labels are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.hand.bones import middle, palm, row
from ossa.hand.geometry import Float, Geometry
from ossa.hand.usual import Usual
from ossa.schema import BoneSchema

#: Residuals beyond this many spreads no longer pull a fit (Tukey's biweight).
_TUKEY = 6.0

#: An anchor further than this many spreads from its place counts no more than this in the choice of a fit.
_FAR = 7.0

#: The fewest bones that a hand can be laid over.
_FEWEST = 5

Complex = NDArray[np.complex128]


def anchors_of(measured: Geometry) -> Complex:
    """(C,) where each bone is held to lie, x + iy in px: its centre, for the forearm its end at the hand.

    The forearm's far end is cut off at any height, so its centre means nothing. Its end is taken to lie at the square
    root of three standard deviations towards the hand, which is the end of a bar. NaN for an absent bone.
    """
    schema, centre = measured.schema, measured.centre
    out = centre[:, 0] + 1j * centre[:, 1]
    wrist = middle(centre, row(schema, "carpal"))
    hand = wrist if wrist is not None else middle(centre, row(schema, "metacarpal", "proximal"))
    forearm = row(schema, "forearm")
    elbow = middle(centre, forearm)
    if hand is None or elbow is None or np.array_equal(hand, elbow):
        return out
    way = (hand - elbow) / float(np.hypot(*(hand - elbow)))
    for i in forearm:
        along, across = (
            float(way @ measured.axis[i]),
            float(way[0] * measured.axis[i, 1] - way[1] * measured.axis[i, 0]),
        )
        deviation = float(np.hypot(measured.length[i] / 4 * along, measured.width[i] / 4 * across))
        out[i] += np.sqrt(3) * deviation * complex(*way)
    return out


@dataclass(frozen=True, eq=False)
class Aligned:
    """The usual hand laid over a picture's bones.

    ``z`` (C,): how far each bone lies from its place, in spreads, NaN for an absent one; ``places`` (C,): where every
    bone of the schema belongs, x + iy in px; ``size``: px per unit.
    """

    schema: BoneSchema
    anchors: Complex
    z: Float
    places: Complex
    size: float
    mirrored: bool

    def nearest(self, bone: int) -> int:
        """The bone whose place is nearest to where ``bone`` lies."""
        return int(np.nanargmin(np.abs(self.places - self.anchors[bone])))


def align(measured: Geometry, usual: Usual) -> Aligned | None:
    """The best robust similarity fit (turn, size, shift, mirrored or not); None for fewer than five known bones.

    Weighted least squares over complex numbers, re-weighted by Tukey's biweight, from several starts: all bones, the
    palm, the digits, the wrist, and sets of four bones; the fit with the least median distance wins.
    """
    schema, anchors = measured.schema, anchors_of(measured)
    usable = np.flatnonzero(np.isfinite(anchors) & np.isfinite(usual.place[:, 2]))
    if len(usable) < _FEWEST:
        return None
    upright = usual.place[:, 0] + 1j * usual.place[:, 1]
    starts = _starts(schema, usable.tolist())
    # Every start twice: for the hand as it is and for its mirror image.
    places = np.repeat([upright[usable], -upright[usable].conjugate()], len(starts), axis=0)
    a, b, z = _refined(anchors[usable], places, usual.place[usable, 2], np.tile(starts, (2, 1)))
    score = np.median(z, axis=1) + 0.02 * np.minimum(z, _FAR).mean(axis=1)
    best = int(np.argmin(score))
    if not np.isfinite(score[best]):
        return None
    mirrored = best >= len(starts)
    out = np.full(len(schema), np.nan)
    out[usable] = z[best]
    placed = a[best] * (-upright.conjugate() if mirrored else upright) + b[best]
    return Aligned(schema, anchors, out, placed, float(abs(a[best])), mirrored)


def _starts(schema: BoneSchema, bones: Sequence[int]) -> Float:
    """First weights (S, N) of the bones: all, the palm, the digits, the wrist, and sets of four."""
    core = np.isin(bones, palm(schema)).astype(float)
    digits = np.array([schema.bones[i].digit is not None for i in bones], float)
    starts = [np.ones(len(bones)), core, digits, 1 - digits]
    rng = np.random.default_rng(0)
    for _ in range(12):
        weights = np.zeros(len(bones))
        weights[rng.permutation(len(bones))[:4]] = 1
        starts.append(weights)
    return np.stack([weights for weights in starts if weights.sum() >= 3])


def _refined(seen: Complex, places: Complex, spread: Float, weights: Float) -> tuple[Complex, Complex, Float]:
    """(a (S,), b (S,), z (S, N)) of seen = a * places + b after re-weighting from ``weights`` (S, N).

    A start that collapses (all bones on one spot, or too few left) ends with infinite z.
    """
    w = weights / spread**2
    a = b = np.zeros(len(weights), complex)
    z = np.full(weights.shape, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(12):
            total = w.sum(axis=1)
            mean_s, mean_p = (w * seen).sum(axis=1) / total, (w * places).sum(axis=1) / total
            centred = places - mean_p[:, None]
            above = (w * (seen - mean_s[:, None]) * centred.conjugate()).sum(axis=1)
            a = above / (w * np.abs(centred) ** 2).sum(axis=1)
            b = mean_s - a * mean_p
            z = np.abs((seen - b[:, None]) / a[:, None] - places) / spread
            z = np.where(np.isfinite(z), z, np.inf)
            # As wide as needed at first, so that a poor start can still move; then Tukey's width.
            width = np.maximum(_TUKEY, 2.5 * np.median(z, axis=1))[:, None]
            w = np.where(np.isfinite(z), np.clip(1 - (z / width) ** 2, 0, None) ** 2, 0) / spread**2
    return a, b, z
