"""Arithmetic on masks as run lengths: areas, overlaps and votes without a pixel being unpacked.

Runs (see ``rle.Runs``) flow in and out: ascending, separate, 0-based over the flattened picture. All runs
of one call belong to pictures of the same size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.segmentation.rle import IntArray, Runs

#: Relative slack of a vote's comparison: weights such as .1 + .2 must reach .3.
_SLACK = 1e-9


def area(runs: Runs) -> int:
    """Pixels in the mask."""
    return int(runs.lengths.sum())


def intersection_area(a: Runs, b: Runs) -> int:
    """Pixels in both masks."""
    return int((_before(b, a.starts + a.lengths) - _before(b, a.starts)).sum())


def union_area(a: Runs, b: Runs) -> int:
    """Pixels in either mask."""
    return area(a) + area(b) - intersection_area(a, b)


def intersection(a: Runs, b: Runs) -> Runs:
    """The pixels in both masks."""
    return vote((a, b), (1.0, 1.0), 1.0)


def union(a: Runs, b: Runs) -> Runs:
    """The pixels in either mask."""
    return vote((a, b), (1.0, 1.0), 0.5)


def vote(masks: Sequence[Runs], weights: Sequence[float], threshold: float) -> Runs:
    """The pixels whose masks carry at least ``threshold`` (0..1] of the total weight.

    With equal weights .5 is a majority in which half is enough. Raises ConfigError when there is not one
    finite weight >= 0 per mask, when all weights are 0, or when the threshold is out of range.
    """
    total = _checked(masks, weights, threshold)
    positions = np.concatenate([part for runs in masks for part in (runs.starts, runs.starts + runs.lengths)])
    changes = np.repeat(
        np.array([change for weight in weights for change in (weight, -weight)], dtype=np.float64),
        [len(runs.starts) for runs in masks for _ in range(2)],
    )
    order = np.argsort(positions, kind="stable")
    positions, levels = positions[order], np.cumsum(changes[order])
    # Only the level after the last change at a position holds up to the next position.
    last = np.append(positions[1:] != positions[:-1], True)[: len(positions)]
    positions, inside = positions[last], levels[last] >= threshold * total - _SLACK * total
    flips = positions[np.flatnonzero(inside != np.append(False, inside[:-1])[: len(inside)])]
    return Runs(flips[0::2], flips[1::2] - flips[0::2])


def _before(runs: Runs, positions: IntArray) -> NDArray[np.int64]:
    """How many pixels of ``runs`` lie before each position."""
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(runs.lengths)])
    index = np.searchsorted(runs.starts, positions, side="right")
    starts = np.append(0, runs.starts)[index]
    lengths = np.append(0, runs.lengths)[index]
    # All runs that start at or before the position, less what of the last one lies at or after it.
    within: NDArray[np.int64] = total[index] - lengths + np.minimum(positions - starts, lengths)
    return within


def _checked(masks: Sequence[Runs], weights: Sequence[float], threshold: float) -> float:
    if len(masks) != len(weights) or not masks:
        raise ConfigError("a vote needs one weight per mask", found=f"{len(weights)} weights, {len(masks)} masks")
    if not all(np.isfinite(weight) and weight >= 0 for weight in weights):
        raise ConfigError(
            "a vote's weight is out of range", found=list(weights), expected="finite numbers of 0 or more"
        )
    total = float(sum(weights))
    if total <= 0:
        raise ConfigError("all weights of a vote are 0", expected="at least one above 0")
    if not 0 < threshold <= 1:
        raise ConfigError("a vote's threshold is out of range", found=threshold, expected="above 0, at most 1")
    return total
