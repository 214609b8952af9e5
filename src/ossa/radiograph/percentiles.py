"""Percentiles of a picture, the same to the last bit as numpy's and much sooner had: whole grey values are counted.

numpy sorts, and its first call in a process imports numpy.ma besides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def percentiles(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """The ``low`` and the ``high`` percentile (0..100) of all ``values``, as ``numpy.percentile`` has them: linear
    between the two values nearest to the place. NaN where one of the values is.

    >>> percentiles(np.arange(101, dtype=np.uint8), 0.5, 99.5)
    (0.5, 99.5)
    """
    places = [(values.size - 1) * (share / 100) for share in (low, high)]
    if values.dtype in (np.uint8, np.uint16) and values.ndim == 2:
        ordered = _counted(values)
    else:
        ordered = _sorted(values, places)
    first, second = (_between(ordered, place) for place in places)
    return first, second


def _between(ordered: Callable[[int], Any], place: float) -> float:
    """The value at a place of the sorted values, by the two beside it."""
    before = int(place)
    share = place - before
    a = ordered(before)
    if not share:
        return float(a)
    b = ordered(before + 1)
    # As numpy does it: from the nearer end, in the values' own precision.
    return float(b - (b - a) * np.float64(1 - share) if share >= 0.5 else a + (b - a) * np.float64(share))


def _counted(values: NDArray[Any]) -> Callable[[int], Any]:
    """What gives the k-th smallest of 8 or 16 bit values."""
    import cv2

    kinds = 256 if values.dtype == np.uint8 else 65536
    # OpenCV counts in float32, exact up to 2^24 of a kind: larger pictures are counted in parts.
    rows = max(1, (1 << 24) // max(1, values.shape[1]))
    count = np.zeros(kinds, np.int64)
    for top in range(0, values.shape[0], rows):
        part = np.ascontiguousarray(values[top : top + rows])
        count += cv2.calcHist([part], [0], None, [kinds], [0, kinds]).ravel().astype(np.int64)
    upto = count.cumsum()
    return lambda k: values.dtype.type(np.searchsorted(upto, k, side="right"))


def _sorted(values: NDArray[Any], places: list[float]) -> Callable[[int], Any]:
    """What gives the k-th smallest of any values, those beside ``places`` and the last one."""
    last = values.size - 1
    wanted = sorted({min(last, int(place) + step) for place in places for step in (0, 1)} | {last})
    part = np.partition(values.ravel(), wanted)
    return (lambda _: part[-1]) if part[-1] != part[-1] else part.__getitem__
