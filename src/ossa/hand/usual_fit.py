"""Fits what ``hand.usual`` calls usual, from the bones of many true hands (scripts/fit_usual.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ossa.errors import ConfigError
from ossa.hand.align import Complex, anchors_of
from ossa.hand.bones import palm, row, towards_fingers
from ossa.hand.geometry import Float, Geometry
from ossa.hand.sides import side_of
from ossa.hand.usual import FLOOR, Usual
from ossa.schema import BoneSchema

#: Places are fitted to no fewer hands, spreads to no fewer bones.
_FEWEST = 10

#: The spread of a place is told by the distance within which this share of the hands lie: further out than the median,
#: for the poses that few hands have.
_QUANTILE = 0.9


def fit_usual(measured: Iterable[Geometry], schema: BoneSchema, rounds: int = 4) -> Usual:
    """What is usual, from the geometry of many true hands. Robust: medians, and SD from the 16th and 84th percentile.

    The scale of a hand is the median of its whole bones' log sqrt(area) minus their means; means and scales are found
    in turn.
    """
    hands = list(measured)
    if len(hands) < 20:
        raise ConfigError("too few hands to learn what is usual from", found=len(hands), expected="at least 20")
    whole = np.stack([h.found & ~h.cut for h in hands])
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.where(whole, 0.5 * np.log(np.stack([h.area for h in hands])), np.nan)
        length = np.where(whole, np.log(np.stack([h.length for h in hands])), np.nan)
        shape = np.where(whole, np.log(np.stack([h.length / h.width for h in hands])), np.nan)
    scale = _nanmedian(root, axis=1)
    for _ in range(rounds):
        mean = _nanmedian(root - scale[:, None], axis=0)
        scale = _nanmedian(root - mean[None], axis=1)
    centre = np.stack([h.centre for h in hands])
    count = len(schema)
    distance = np.full((count, count, 2), np.nan)
    for i in range(count):
        gaps = np.linalg.norm(centre - centre[:, i : i + 1], axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log(np.maximum(gaps, 1.0)) - scale[:, None]
        distance[i] = _spread(logs)
        distance[i, i] = np.nan
    sizes = Usual(
        schema,
        size=_spread(root - scale[:, None]),
        length=_spread(length - scale[:, None]),
        shape=_spread(shape),
        distance=distance,
        place=np.full((count, 3), np.nan),
    )
    return replace(sizes, place=fit_places(hands, sizes))


def fit_places(hands: Sequence[Geometry], usual: Usual) -> Float:
    """(C, 3) the places and spreads of the bones in the unit of ``usual``, whose sizes are known.

    The hands whose palm is whole are laid over each other in turn (generalised Procrustes), left ones mirrored. All
    NaN with too few of them.
    """
    schema = usual.schema
    points = np.stack([_upright_anchors(hand) for hand in hands])
    scale = np.array([usual.scale(hand) for hand in hands])
    core = palm(schema)
    usable = np.isfinite(points[:, core]).all(axis=1) & np.isfinite(scale)
    if usable.sum() < _FEWEST:
        return np.full((len(schema), 3), np.nan)
    points, scale = points[usable], scale[usable]
    mean = points[0] * np.exp(-scale[0])
    for _ in range(10):
        aligned, sizes = _laid_over(points, mean, core)
        mean = _nanmedian(aligned.real, axis=0) + 1j * _nanmedian(aligned.imag, axis=0)
        # In the model's unit, on average over the hands.
        mean *= np.exp(float(np.median(np.log(sizes) - scale)))
        mean -= mean[core].mean()
        centre = np.stack([mean.real, mean.imag], axis=1)
        up = towards_fingers(centre, schema)
        if up is not None:
            mean *= -1j * float(np.hypot(*up)) / complex(*up)
    aligned, _ = _laid_over(points, mean, core)
    away = np.abs(aligned - mean)
    out = np.full((len(schema), 3), np.nan)
    for i in range(len(schema)):
        good = away[np.isfinite(away[:, i]), i]
        if good.size >= _FEWEST:
            spread = float(np.quantile(good, _QUANTILE)) / np.sqrt(-2 * np.log(1 - _QUANTILE))
            out[i] = mean[i].real, mean[i].imag, max(spread, FLOOR)
    return out


def _upright_anchors(hand: Geometry) -> Complex:
    """A hand's anchors as a right hand's; NaN for bones that the border cuts, those of the forearm excepted."""
    out = anchors_of(hand)
    cut = hand.cut.copy()
    cut[row(hand.schema, "forearm")] = False
    out[cut] = np.nan
    return -out.conjugate() if side_of(hand) == "L" else out


def _laid_over(points: Complex, mean: Complex, core: list[int]) -> tuple[Complex, Float]:
    """Hands (N, C) turned, sized and shifted onto ``mean`` (C,) by their core bones; and their px per unit (N,)."""
    p, m = points[:, core], mean[core]
    centre = p.mean(axis=1, keepdims=True)
    a = ((p - centre) * (m - m.mean()).conjugate()).sum(axis=1) / (np.abs(m - m.mean()) ** 2).sum()
    return (points - centre) / a[:, None] + m.mean(), np.abs(a)


def _spread(values: Float) -> Float:
    """(columns, 2): median and half the distance of the 16th and 84th percentile; NaN with fewer than 10 values."""
    out = np.full((values.shape[1], 2), np.nan)
    for k in range(values.shape[1]):
        good = values[np.isfinite(values[:, k]), k]
        if good.size >= 10:
            low, middle, high = np.percentile(good, (16, 50, 84))
            out[k] = middle, (high - low) / 2
    return out


def _nanmedian(values: Float, axis: int) -> Float:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an empty row is NaN, as it should be
        out: Float = np.nanmedian(values, axis=axis)
    return out
