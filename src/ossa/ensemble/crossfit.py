"""Two-fold cross-fitting by subject: what is fitted on one half of the people is judged on the other half.

Subjects of images go in, rows to fit on and rows to judge on come out; shared by calibration and by ensemble weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.bool_]
Table = NDArray[np.float64]


def both_ways(subjects: Sequence[str]) -> tuple[tuple[Rows, Rows], tuple[Rows, Rows]]:
    """(fit, judge), then the same two exchanged: masks (N,) over the images whose ``subjects`` are given.

    Every other subject in the order of their names is in the first half, so no subject is on both sides and the
    order of the images does not matter. One subject alone leaves a half empty: the caller refuses that.
    """
    names = np.asarray(subjects, dtype=np.str_)
    first: Rows = np.isin(names, np.unique(names)[::2])
    return (first, ~first), (~first, first)


def mean_of_finite(table: Table) -> Table:
    """Mean over the images (first axis), NaN left out; 0 where no image counts."""
    finite = np.isfinite(table)
    mean: Table = np.where(finite, table, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    return mean
