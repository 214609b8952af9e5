"""How far two bones' borders lie apart, in px or mm: what HD95, ASSD and surface Dice are made of.

The border of a region is its pixels with a side neighbour outside it; what lies outside the picture is
outside the region. Distances run between pixel centres, from every border pixel of one region to the
nearest border pixel of the other, as in MONAI's ``get_mask_edges`` and ``get_surface_distance``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.radiograph import Spacing
from ossa.segmentation.segmentation import Region

Distances = NDArray[np.float64]

#: Numbers held at once by the sweeping search (8 bytes each).
_AT_ONCE = 4_000_000

#: Squared distance (px^2) up to which rounding makes OpenCV's float32 distances exact, with room to spare. On
#: several threads their error is half a unit in the last place, and d^2 is right up to 2^22; on one thread another
#: kernel runs, whose relative error of 7e-7 puts the first wrong d^2 at 783,226 (OpenCV 5.0).
_EXACT = 1 << 18

#: Longest side (px) of a box in which OpenCV's float32 sums of squares stay whole numbers.
_LONGEST = 4000

_FAR = 1 << 30


class Border(NamedTuple):
    """Border pixels of a region: their ``rows`` and ``columns`` in the picture, both (N,)."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def border(region: Region) -> Border:
    """The pixels of a region that have one of their four side neighbours outside it."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    mask = region.mask.view(np.uint8)
    inner = cv2.erode(mask, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    rows, columns = np.nonzero(mask != inner)
    return Border(rows + region.top, columns + region.left)


def surface_distances(a: Region, b: Region, spacing: Spacing | None = None) -> tuple[Distances, Distances]:
    """From each border pixel of ``a`` the distance to ``b``'s border, and from ``b``'s to ``a``'s.

    In px, or in mm when ``spacing`` is given; rows and columns may be spaced differently. Exact: with
    equal spacing the squared distance in px is a whole number, to which OpenCV's float32 is rounded.
    """
    first, second = border(a), border(b)
    row, column = (1.0, 1.0) if spacing is None else (spacing.row, spacing.column)
    longest = max(max(a.bottom, b.bottom) - min(a.top, b.top), max(a.right, b.right) - min(a.left, b.left))
    if row == column and longest <= _LONGEST:
        return _even(first, second) * row, _even(second, first) * row
    return _swept(first, second, row, column), _swept(second, first, row, column)


def _even(origin: Border, target: Border) -> Distances:
    """Distances in px from ``origin`` to the nearest of ``target``, by OpenCV's exact distance transform."""
    import cv2

    top = min(origin.rows[0], target.rows[0])
    left = min(origin.columns.min(), target.columns.min())
    shape = (
        max(origin.rows[-1], target.rows[-1]) - top + 1,
        max(origin.columns.max(), target.columns.max()) - left + 1,
    )
    free = np.ones(shape, dtype=np.uint8)
    free[target.rows - top, target.columns - left] = 0
    plane = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    squares = np.rint(np.square(plane[origin.rows - top, origin.columns - left], dtype=np.float64))
    found: Distances = np.sqrt(squares)
    far = squares > _EXACT
    if far.any():
        found[far] = _swept(Border(origin.rows[far], origin.columns[far]), target, 1.0, 1.0)
    return found


def _swept(origin: Border, target: Border, row: float, column: float) -> Distances:
    """Distances from ``origin`` to the nearest of ``target`` for any spacing and any size.

    The nearest target within each column is known from two sweeps down and up the rows; the nearest of
    those over all columns is the answer (Saito and Toriwaki 1994, read at the origin's pixels only).
    """
    rows, columns, step, across = origin.rows, target.columns, row, column
    target_rows, origin_columns = target.rows, origin.columns
    if np.ptp(target.columns) > np.ptp(target.rows):  # fewer rows than columns: sweep along the rows
        rows, columns, step, across = origin.columns, target.rows, column, row
        target_rows, origin_columns = target.columns, origin.rows
    top, left = int(min(rows.min(), target_rows.min())), int(columns.min())
    height = int(max(rows.max(), target_rows.max())) - top + 1
    index = np.arange(height)[:, None]
    above = np.full((height, int(columns.max()) - left + 1), -_FAR, dtype=np.int64)
    above[target_rows - top, columns - left] = target_rows - top
    below = np.where(above < 0, _FAR, above)
    above = index - np.maximum.accumulate(above, axis=0)
    below = np.minimum.accumulate(below[::-1], axis=0)[::-1] - index
    down = np.square(np.minimum(above, below) * step)
    places = np.arange(left, left + down.shape[1])
    found = np.empty(len(rows))
    batch = max(1, _AT_ONCE // down.shape[1])
    for first in range(0, len(rows), batch):
        part = slice(first, first + batch)
        sideways = np.square((origin_columns[part, None] - places) * across)
        found[part] = np.min(down[rows[part] - top] + sideways, axis=1)
    return np.sqrt(found)
