"""Fits what ``ossa.inference.judge`` judges by, from true hands and from predictions whose Dice is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.inference.judge import SIGNS, covered_shares
from ossa.segmentation.segmentation import Segmentation

Float = NDArray[np.float64]

#: Signs of anatomy, which may condemn a bone alone. Doubt and blur may not: a whole film can be blurred.
ALONE = ("size", "length", "shape", "place", "order", "cover")

#: A sign alone condemns a bone beyond what all but this share of right bones show.
RARE = 0.0005


def fit_cover(truths: Sequence[Segmentation]) -> Float:
    """(C, 2): mean and SD of the share of a bone that another one covers, over true hands that have it."""
    rows = []
    for truth in truths:
        shares = covered_shares(truth)
        absent = [i for i, name in enumerate(truth.schema.names) if name not in truth.regions]
        shares[absent] = np.nan
        rows.append(shares)
    table = np.stack(rows)
    good = np.isfinite(table)
    count = np.maximum(good.sum(axis=0), 1)
    mean = np.where(good, table, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(good, (table - mean) ** 2, 0).sum(axis=0) / count)
    return np.stack([mean, spread], axis=1)


def fit_confidence(signs: Float, right: NDArray[np.bool_], ridge: float = 1.0) -> tuple[Float, Float, Float]:
    """(weights, centre, spread) of a logistic regression of ``right`` (N,) on signs (N, S), by Newton's method.

    A sign may only speak against a bone: weights that come out positive are set to 0 and the rest is fitted again.
    A sign that is not known of a bone (NaN) is taken to be what right bones show on average. ``ridge`` keeps weights
    finite when a sign separates perfectly. Raises ConfigError when all or none are right.
    """
    if right.all() or not right.any():
        raise ConfigError("quality is fitted on right and on wrong bones", found="only one kind")
    centre = _means(signs[right])
    signs = np.where(np.isnan(signs), centre, signs)
    spread = np.maximum(signs.std(axis=0), 1e-6)
    x = np.c_[(signs - centre) / spread, np.ones(len(signs))]
    free = np.ones(x.shape[1], bool)
    while True:
        weights = np.zeros(x.shape[1])
        weights[free] = _newton(x[:, free], right.astype(np.float64), ridge)
        wrong_way = free & (weights > 0)
        wrong_way[-1] = False
        if not wrong_way.any():
            return weights, centre, spread
        free &= ~wrong_way


def _means(signs: Float) -> Float:
    """(S,) mean of each sign over the rows that know it, 0 where none does."""
    known = np.isfinite(signs)
    total: Float = np.where(known, signs, 0.0).sum(axis=0)
    out: Float = total / np.maximum(known.sum(axis=0), 1)
    return out


def _newton(x: Float, y: Float, ridge: float) -> Float:
    weights = np.zeros(x.shape[1])
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 0.0
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (y - p) - penalty * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-8:
            break
    return weights


def fit_limits(signs: Float, right: NDArray[np.bool_]) -> Float:
    """(signs,) beyond which a sign alone makes a bone doubtful; infinite for those that may not."""
    out = np.full(signs.shape[1], 1e9)
    for k, name in enumerate(SIGNS):
        if name in ALONE:
            out[k] = float(np.nanquantile(signs[right, k], 1 - RARE)) * 1.02 + 1e-6
    return out


def fit_hand(hands: Float, others: Float) -> float:
    """The evidence below which there is no hand: between what hands and what other pictures show, on a log scale.

    Where the two overlap, a hand is rather kept: at most the 0.5 % quantile of hands.
    """
    low = max(float(np.quantile(hands, 0.005)), 1e-3)
    high = max(float(np.quantile(others, 0.99)), 1e-3)
    return float(min(low, np.sqrt(low * high)))
