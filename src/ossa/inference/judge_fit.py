"""Fits what ``ossa.inference.judge`` judges by, from true hands and from predictions whose Dice is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.inference.judge import SIGNS, covered_shares
from ossa.inference.suspicion import FAR, Suspicion
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


def fit_suspicion(
    inputs: Float, right: NDArray[np.bool_], signs: int, hidden: int = 16, ridge: float = 2.0, seed: int = 0
) -> Suspicion:
    """What best tells ``right`` (N,) bones from wrong ones by inputs (N, I), the first ``signs`` of them signs.

    Likelihood with a ridge on all weights but the constant, by L-BFGS from a start drawn by ``seed``. What is not known
    of a bone (NaN) is taken to be what right bones show on average. Raises ConfigError when all or none are right.
    """
    if right.all() or not right.any():
        raise ConfigError("quality is fitted on right and on wrong bones", found="only one kind")
    import torch

    centre = _means(inputs[right])
    known = np.where(np.isnan(inputs), centre, inputs)
    spread = np.maximum(known.std(axis=0), 1e-6)
    z = torch.from_numpy(np.clip((known - centre) / spread, -FAR, FAR))
    y = torch.from_numpy(right.astype(np.float64))
    draw = torch.Generator().manual_seed(seed)

    def started(*shape: int) -> Any:
        return (0.5 * torch.randn(*shape, generator=draw, dtype=torch.float64)).requires_grad_()

    linear, of_signs, around = started(signs), started(hidden, signs), started(hidden, inputs.shape[1] - signs)
    offset, outer, constant = started(hidden), started(hidden), started(1)
    free = [linear, of_signs, around, offset, outer, constant]
    positive = torch.nn.functional.softplus

    def weights() -> list[Any]:
        return [positive(linear), torch.cat([positive(of_signs), around], 1), offset, positive(outer), constant]

    def loss() -> Any:
        own, within, shift, out, start = weights()
        logit = start - z[:, :signs] @ own - torch.tanh(z @ within.T + shift) @ out
        penalty = (own**2).sum() + (within**2).sum() + (out**2).sum()
        return torch.nn.functional.binary_cross_entropy_with_logits(logit, y) + ridge * penalty / (2 * len(y))

    search: Any = torch.optim.LBFGS(free, max_iter=500, line_search_fn="strong_wolfe")

    def step() -> Any:
        search.zero_grad()
        value = loss()
        value.backward()
        return value

    search.step(step)
    own, within, shift, out, start = (w.detach().numpy() for w in weights())
    return Suspicion(centre, spread, own, within, shift, out, float(start[0]))


def _means(table: Float) -> Float:
    """(I,) mean of each column over the rows that know it, 0 where none does."""
    known = np.isfinite(table)
    total: Float = np.where(known, table, 0.0).sum(axis=0)
    out: Float = total / np.maximum(known.sum(axis=0), 1)
    return out


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
