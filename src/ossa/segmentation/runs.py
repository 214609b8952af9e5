"""Votes of masks as run lengths, without a pixel being unpacked.

Runs (see ``rle.Runs``) flow in and out: ascending, separate, 0-based over the flattened picture. All runs
of one call belong to pictures of the same size. (Areas and overlaps are counted in the bones' own boxes, in
``compare``. rlemasklib, compiled, merges masks of its own eight times as fast, without weights; but to bring a vote's
runs to its counts and back takes what is won by it: benchmarks/bench_rle.py measures the vote and the whole trip.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ossa.errors import ConfigError
from ossa.segmentation.rle import IntArray, Runs

#: Relative slack of a vote's comparison: weights such as .1 + .2 must reach .3.
_SLACK = 1e-9


def vote(masks: Sequence[Runs], weights: Sequence[float], threshold: float) -> Runs:
    """The pixels whose masks carry at least ``threshold`` (0..1] of the total weight.

    With equal weights .5 is a majority in which half is enough. Raises ConfigError when there is not one
    finite weight >= 0 per mask, when all weights are 0, or when the threshold is out of range.
    """
    total = _checked(masks, weights, threshold)
    positions = np.concatenate([part for runs in masks for part in (runs.starts, runs.starts + runs.lengths)])
    if not len(positions):
        return Runs(positions, positions)
    changes = np.repeat(
        [change for weight in weights for change in (weight, -weight)],
        [len(runs.starts) for runs in masks for _ in range(2)],
    )
    order = np.argsort(positions, kind="stable")  # merges what is sorted in parts
    positions = positions.take(order)
    inside = changes.take(order).cumsum() >= threshold * total - _SLACK * total
    flips = positions.take(np.flatnonzero(inside[1:] != inside[:-1]) + 1)
    if inside[0]:
        flips = np.append(positions[0], flips)
    return _paired(flips)


def _paired(flips: IntArray) -> Runs:
    """The runs between ascending positions at which the vote turns. Two turns at one position are none."""
    new = np.append(True, flips[1:] != flips[:-1])[: len(flips)]
    if not new.all():
        first = np.flatnonzero(new)
        odd = np.diff(np.append(first, len(flips))) % 2 == 1
        flips = flips[first[odd]]
    starts = flips[0::2]
    return Runs(starts, flips[1::2] - starts)


def _checked(masks: Sequence[Runs], weights: Sequence[float], threshold: float) -> float:
    if len(masks) != len(weights) or not masks:
        raise ConfigError("a vote needs one weight per mask", found=f"{len(weights)} weights, {len(masks)} masks")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise ConfigError(
            "a vote's weight is out of range", found=list(weights), expected="finite numbers of 0 or more"
        )
    total = float(sum(weights))
    if total <= 0:
        raise ConfigError("all weights of a vote are 0", expected="at least one above 0")
    if not 0 < threshold <= 1:
        raise ConfigError("a vote's threshold is out of range", found=threshold, expected="above 0, at most 1")
    return total
