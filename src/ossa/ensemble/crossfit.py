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


def judged(by_half: Sequence[Table], subjects: Sequence[str]) -> Table:
    """The score (N, ...) of every image by what was fitted on the subjects of the other half.

    ``by_half`` holds the scores (N, ...) of all images by the fit on the first and by the one on the second half of
    ``both_ways``. A mean over the result is a mean over images, however unevenly a bone is annotated.
    """
    (first, _), _ = both_ways(subjects)
    by_first, by_second = by_half
    out: Table = np.where(first.reshape(-1, *(1,) * (by_first.ndim - 1)), by_second, by_first)
    return out
