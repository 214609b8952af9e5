"""Votes of masks as run lengths, without a pixel being unpacked.

Runs (see ``rle.Runs``) flow in and out: ascending, separate, 0-based over the flattened picture. All runs
of one call belong to pictures of the same size. (Areas and overlaps are counted in the bones' own boxes, in
``compare``: a third of the time that run lengths took. rlemasklib votes seven times faster, but without weights, and
reading the text of a vote takes longer than the vote.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ossa.errors import ConfigError
from ossa.segmentation.rle import Runs

#: Relative slack of a vote's comparison: weights such as .1 + .2 must reach .3.
_SLACK = 1e-9


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
