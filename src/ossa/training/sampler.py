"""Which samples make up which batch: a function of the seed and the batch's number, and of nothing else.

So a run that goes on after a crash draws what it would have drawn, whatever was prefetched before, and a batch
can be replayed by its number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    An entry is addressed by its place in all sources in a row (training.sources.Concat).
    """

    lengths: tuple[int, ...]
    weights: tuple[float, ...]
    samples: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.lengths) != len(self.weights) or sum(self._shares()) <= 0:
            raise ConfigError(
                "there is nothing to train on",
                found=f"{sum(self.lengths)} samples, weights {list(self.weights)}",
                expected="at least one source with samples and a weight above 0",
            )

    def _shares(self) -> list[float]:
        return [w if n else 0.0 for n, w in zip(self.lengths, self.weights, strict=True)]

    def counts(self) -> list[int]:
        """How many samples each source gives per epoch (largest remainders)."""
        shares = np.asarray(self._shares()) / sum(self._shares()) * self.samples
        counts = np.floor(shares).astype(int)
        rest = np.argsort(-(shares - counts), kind="stable")[: self.samples - int(counts.sum())]
        counts[rest] += 1
        return [int(c) for c in counts]

    def epoch(self, number: int) -> list[Key]:
        """The keys of epoch ``number`` in order. Every entry of a source comes once before any comes again."""
        drawn: list[int] = []
        starts = [0, *accumulate(self.lengths)]
        for source, count in enumerate(self.counts()):
            length = self.lengths[source]
            for k in range(number * count, (number + 1) * count):
                order = _order(self.seed, source, k // length, length)
                drawn.append(starts[source] + int(order[k % length]))
        shuffled = np.random.default_rng([self.seed, 1, number]).permutation(len(drawn))
        return [(number, position, drawn[i]) for position, i in enumerate(shuffled)]


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
