"""A table of per-bone scores over many pictures, and what it says about a model.

``Scores`` holds one (N, C) array per metric (pictures x bones, NaN where a bone is not annotated);
means, bootstrap intervals over subjects and worst cases are computed from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, InputError

FloatArray = NDArray[np.float64]

#: Metrics for which a lower number is better: distances. Every other one is a share, of which more is better.
LOWER_IS_BETTER = frozenset({"hd95", "assd"})


@dataclass(frozen=True, eq=False)
class Interval:
    """A mean with its bootstrap percentile interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of ``images`` (N) by ``bones`` (C): metric name -> (N, C) float64; NaN says "not scored".

    ``subjects`` (N) groups pictures of one person. HD95 and ASSD are infinite where one of two masks is missing.
    """

    images: tuple[str, ...]
    subjects: tuple[str, ...]
    bones: tuple[str, ...]
    values: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        shape = (len(self.images), len(self.bones))
        if len(self.subjects) != len(self.images):
            raise InputError("every picture needs a subject", found=len(self.subjects), expected=len(self.images))
        for name, array in self.values.items():
            if array.shape != shape:
                raise InputError(f"the scores '{name}' do not fit", found=array.shape, expected=shape)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics."""
        return tuple(self.values)

    def per_bone(self, metric: str) -> FloatArray:
        """(C,) means over pictures; NaN for a bone that is scored nowhere. See ``finite_mean`` for HD95."""
        return finite_mean(self.values[metric], axis=0)

    def per_image(self, metric: str) -> FloatArray:
        """(N,) means over bones."""
        return finite_mean(self.values[metric], axis=1)

    def mean(self, metric: str) -> float:
        """The mean over all scored picture-bone pairs (the competition's score, for Dice)."""
        return float(finite_mean(self.values[metric].reshape(1, -1), axis=1)[0])

    def infinite(self, metric: str) -> int:
        """How many pairs are infinite: a bone that only one of prediction and truth has (HD95)."""
        return int(np.isinf(self.values[metric]).sum())

    def worst(self, metric: str, count: int) -> list[tuple[int, int]]:
        """The ``count`` worst (picture index, bone index) pairs, worst first."""
        array = self.values[metric]
        key = np.where(np.isnan(array), np.inf, -array if metric in LOWER_IS_BETTER else array).ravel()
        order = np.argsort(key, kind="stable")[:count]
        return [(int(i // array.shape[1]), int(i % array.shape[1])) for i in order if not np.isnan(array.ravel()[i])]


def finite_mean(values: FloatArray, axis: int) -> FloatArray:
    """Mean along ``axis`` of what is finite (NaN: not scored, infinite: no distance exists); NaN where nothing is.

    The one mean of scores in ossa: a caller that wants another word for "nothing scored" says so where it asks.
    """
    good = np.isfinite(values)
    count = good.sum(axis=axis)
    total = np.where(good, values, 0.0).sum(axis=axis)
    out: FloatArray = np.full(count.shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out


def bootstrap(
    values: FloatArray, subjects: Sequence[str], draws: int = 2000, seed: int = 0, level: float = 0.95
) -> tuple[list[Interval], Interval]:
    """Percentile bootstrap of the means of ``values`` (N, C): one interval per column, and one over everything.

    Subjects are drawn with replacement, all pictures of a subject together, because the two sides of a person are
    not independent (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13; cluster bootstrap: Field &
    Welsh, J. R. Stat. Soc. B 69, 2007). With one subject the interval is the mean itself. Non-finite entries are
    left out. Raises ConfigError for a ``level`` outside 0..1 or no draws.
    """
    if not 0.0 < level < 1.0 or draws < 1:
        raise ConfigError("a bootstrap needs draws and a level inside 0..1", found=f"{draws} draws, level {level}")
    names, group = np.unique(np.asarray(subjects, dtype=np.str_), return_inverse=True)
    good = np.isfinite(values)
    totals = np.zeros((len(names), values.shape[1] + 1))
    counts = np.zeros_like(totals)
    np.add.at(totals[:, :-1], group, np.where(good, values, 0.0))
    np.add.at(counts[:, :-1], group, good.astype(np.float64))
    totals[:, -1], counts[:, -1] = totals[:, :-1].sum(axis=1), counts[:, :-1].sum(axis=1)
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=draws).astype(np.float64)
    above, below = weights @ totals, weights @ counts
    drawn: FloatArray = np.full(above.shape, np.nan)
    np.divide(above, below, out=drawn, where=below > 0)
    tail = (1.0 - level) / 2.0
    out: list[Interval] = []
    for column in range(values.shape[1] + 1):
        seen = drawn[np.isfinite(drawn[:, column]), column]
        everything = float(counts[:, column].sum())
        if everything == 0 or seen.size == 0:
            out.append(Interval(float("nan"), float("nan"), float("nan")))
            continue
        low, high = np.quantile(seen, [tail, 1.0 - tail])
        out.append(Interval(float(totals[:, column].sum() / everything), float(low), float(high)))
    return out[:-1], out[-1]
