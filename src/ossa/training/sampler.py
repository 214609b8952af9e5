"""Which samples make up which batch: a function of the seed and the batch's number, and of nothing else.

So a run that goes on after a crash draws what it would have drawn, whatever was prefetched before, and a batch
can be replayed by its number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from ossa.errors import ConfigError
from ossa.training.batches import Key


@dataclass(frozen=True)
class Plan:
    """Sources of ``lengths`` entries drawn in the proportion of ``weights``, ``samples`` per epoch.

    An entry is addressed by its place in all sources in a row (training.samples.Concat). Where ``kinds`` differ (one
    number per source), every ``together`` samples in a row, a batch of all devices, are of one kind.
    """

    lengths: tuple[int, ...]
    weights: tuple[float, ...]
    samples: int
    seed: int
    kinds: tuple[int, ...] = ()
    together: int = 1

    def __post_init__(self) -> None:
        if len(self.lengths) != len(self.weights) or sum(self._shares()) <= 0:
            raise ConfigError(
                "there is nothing to train on",
                found=f"{sum(self.lengths)} samples, weights {list(self.weights)}",
                expected="at least one source with samples and a weight above 0",
            )

    def _shares(self) -> list[float]:
        return [w if n else 0.0 for n, w in zip(self.lengths, self.weights, strict=True)]

    def _groups(self) -> list[list[int]]:
        """Sources that may share a batch."""
        kinds = self.kinds or (0,) * len(self.lengths)
        return [[i for i, kind in enumerate(kinds) if kind == one] for one in sorted(set(kinds))]

    def counts(self) -> list[int]:
        """How many samples each source gives per epoch (largest remainders); whole batches of each kind."""
        shares = self._shares()
        groups = self._groups()
        if len(groups) == 1:
            return _divided(shares, self.samples)
        batches = _divided([sum(shares[i] for i in group) for group in groups], self.samples // self.together)
        counts = [0] * len(shares)
        for group, number in zip(groups, batches, strict=True):
            if number:
                for i, count in zip(group, _divided([shares[i] for i in group], number * self.together), strict=True):
                    counts[i] = count
        return counts

    def epoch(self, number: int) -> list[Key]:
        """The keys of epoch ``number`` in order. Every entry of a source comes once before any comes again."""
        counts, starts = self.counts(), [0, *accumulate(self.lengths)]
        rng = np.random.default_rng([self.seed, 1, number])
        rows: list[list[int]] = []
        groups = self._groups()
        for group in groups:
            drawn = [starts[i] + entry for i in group for entry in self._entries(i, number, counts[i])]
            mixed = [drawn[k] for k in rng.permutation(len(drawn))]
            width = self.together if len(groups) > 1 else max(1, len(mixed))
            rows += [mixed[k : k + width] for k in range(0, len(mixed), width)]
        if len(groups) > 1:
            rows = [rows[k] for k in rng.permutation(len(rows))]
        return [(number, position, entry) for position, entry in enumerate(entry for row in rows for entry in row)]

    def _entries(self, source: int, number: int, count: int) -> list[int]:
        """The ``count`` entries that a source gives to epoch ``number``, from 0."""
        length = self.lengths[source]
        return [
            int(_order(self.seed, source, k // length, length)[k % length])
            for k in range(number * count, (number + 1) * count)
        ]


def _divided(shares: Sequence[float], total: int) -> list[int]:
    """``total`` things in proportion to ``shares``, whole ones (largest remainders)."""
    exact = np.asarray(shares, float) / sum(shares) * total
    counts = np.floor(exact).astype(int)
    counts[np.argsort(-(exact - counts), kind="stable")[: total - int(counts.sum())]] += 1
    return [int(c) for c in counts]


@lru_cache(maxsize=64)
def _order(seed: int, source: int, cycle: int, length: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 0, source, cycle]).permutation(length)


class PlannedBatches(Sampler[list[Key]]):
    """The batches of a run as lists of keys, one rank's part, starting wherever ``done`` says.

    ``done()``: how many batches this rank has trained on since the run began. An epoch that was interrupted goes on
    with its next batch; ``len`` stays that of a whole epoch.
    """

    def __init__(self, plan: Plan, batch: int, done: Callable[[], int], rank: int = 0, ranks: int = 1) -> None:
        self.plan = plan
        self.batch_size = batch
        self.count = plan.samples
        self.done = done
        self.rank = rank
        self.ranks = ranks
        if len(self) == 0:
            raise ConfigError(
                "an epoch has fewer samples than one batch",
                found=f"{plan.samples} samples, batches of {batch} on {ranks} device(s)",
                remedy="Lower train.batch or raise train.samples",
            )

    def __len__(self) -> int:
        return self.plan.samples // (self.batch_size * self.ranks)

    def at(self, number: int) -> list[Key]:
        """The keys of this rank's batch ``number`` since the run began."""
        epoch, position = divmod(number, len(self))
        return self._cut(self.plan.epoch(epoch), position)

    def _cut(self, keys: list[Key], position: int) -> list[Key]:
        start = (position * self.ranks + self.rank) * self.batch_size
        return keys[start : start + self.batch_size]

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, first = divmod(self.done(), len(self))
        keys = self.plan.epoch(epoch)
        for position in range(first, len(self)):
            yield self._cut(keys, position)
