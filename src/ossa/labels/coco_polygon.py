"""Polygons filled as the COCO API fills them, pixel for pixel.

COCO puts (0, 0) at the corner of the first pixel and takes a pixel by whether the border passes above its centre, with
a border that is walked in steps of a fifth of a pixel (cocodataset/cocoapi, common/maskApi.c, rleFrPoly). Other
rasterisers give other pixels: ``cv2.fillPoly`` makes every bone half a pixel larger all around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.errors import LabelError
from ossa.labels.coco_rle import region_from_counts
from ossa.segmentation.segmentation import Region

#: Steps per pixel, as in maskApi.c.
_STEPS = 5

#: Most steps along one polygon: a border of 800,000 px.
_MOST_STEPS = 4_000_000


def region_from_polygon(points: NDArray[np.float64], shape: tuple[int, int]) -> Region | None:
    """The pixels of a polygon, points (N, 2) as (x, y) in COCO's frame, in a picture of ``shape`` (H, W).

    None when it holds no pixel. Raises LabelError for a polygon that is far too long for a picture.
    """
    height, width = shape
    u, v = _walk(points)
    # Where the walk passes between two columns of steps, the border passes the centre of a column of pixels.
    left = np.minimum(u[1:], u[:-1])
    column = (left - _STEPS // 2) // _STEPS
    passes = (u[1:] != u[:-1]) & (left % _STEPS == _STEPS // 2) & (column >= 0) & (column < width)
    if not passes.any():
        return None
    y = (np.minimum(v[1:], v[:-1])[passes] + 0.5) / _STEPS - 0.5
    row, column = np.ceil(np.clip(y, 0, height)).astype(np.int64), column[passes]
    # From here in the box of the passages: a small bone of a large picture costs little.
    y0, x0 = int(row.min()), int(column.min())
    tall, wide = int(row.max()) - y0, int(column.max()) - x0 + 1
    if not tall:
        return None
    # Down a column the pixels turn from background to bone and back at every passage; two at one place undo each other.
    places, times = np.unique((column - x0) * tall + row - y0, return_counts=True)
    turns = places[times % 2 == 1]
    edges = np.append(turns[turns < tall * wide], tall * wide)
    region = region_from_counts(np.diff(edges, prepend=0), (tall, wide))
    return None if region is None else Region(region.top + y0, region.left + x0, region.mask)


def _walk(points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The border in whole steps: every step's place (u, v), both ends of every edge included."""
    corners = np.trunc(_STEPS * points + 0.5).astype(np.int64)
    following = np.roll(corners, -1, axis=0)
    far = np.abs(following - corners)
    count = far.max(axis=1) + 1
    length, most = int(count.sum()) // _STEPS, _MOST_STEPS // _STEPS
    if length > most:
        raise LabelError("a polygon is too long", found=f"{length:,} px", expected=f"at most {most:,} px")
    # Edges are always walked along their longer side towards larger numbers, then turned back: so do their roundings.
    across = far[:, 0] >= far[:, 1]
    along = np.where(across, 0, 1)
    rows = np.arange(len(corners))
    back = corners[rows, along] > following[rows, along]
    start = np.where(back[:, None], following, corners)
    end = np.where(back[:, None], corners, following)
    long = (end - start)[rows, along]
    slope = (end - start)[rows, 1 - along] / np.where(long == 0, 1, long)
    edge = np.repeat(rows, count)
    step = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count)
    step = np.where(back[edge], long[edge] - step, step)
    main = start[rows, along][edge] + step
    side = np.trunc(start[rows, 1 - along][edge] + slope[edge] * step + 0.5).astype(np.int64)
    return np.where(across[edge], main, side), np.where(across[edge], side, main)
