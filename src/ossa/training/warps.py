"""Moves that are no affine map: perspective, and an elastic one. Pictures and the points of outlines move alike.

A picture is moved backward (for each pixel of the result: where it was), points forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.outlines import Ring

#: Cells of the elastic grid along each side; its points' shifts are a share of a cell.
CELLS = 5

#: Largest shift of a grid point, cells: neighbours that move against each other still keep their order.
LIMIT = 0.2


@dataclass(frozen=True, eq=False)
class Warp:
    """First ``homography`` (3, 3), then ``field`` (h, w, 2): the source of a pixel is itself and its field's shift, px.

    Either may be None. ``forward`` inverts ``backward`` to some 1e-3 px.
    """

    homography: NDArray[np.float64] | None
    field: NDArray[np.float32] | None

    def backward(self, points: Ring) -> Ring:
        """Points (..., 2) of the moved picture to where they were."""
        if self.field is not None:
            points = points + _at(self.field, points)
        return (
            points
            if self.homography is None
            else _projected(points, np.asarray(np.linalg.inv(self.homography), np.float64))
        )

    def forward(self, points: Ring) -> Ring:
        """Points (..., 2) to where they are in the moved picture."""
        if self.homography is not None:
            points = _projected(points, self.homography)
        if self.field is None:
            return points
        # The field's slope is below 1, so that this converges (Banach).
        moved = points
        for _ in range(40):
            moved = points - _at(self.field, moved)
        return moved


def warp_of(corners: tuple[float, ...], elastic: float, seed: int, shape: tuple[int, int]) -> Warp | None:
    """The warp of a picture of ``shape`` (h, w); None when nothing moves.

    ``corners``: shifts x, y of the top left, top right, bottom right and bottom left corner, shares of the picture's
    sides. ``elastic``: SD of the shifts of a grid of 5 x 5 cells, as a share of a cell, drawn from ``seed`` and spread
    between by cubic interpolation (Simard et al., ICDAR 2003, with a grid for their blur).
    """
    homography = _homography(corners, shape) if corners else None
    field = _field(elastic, seed, shape) if elastic else None
    return None if homography is None and field is None else Warp(homography, field)


def _homography(corners: tuple[float, ...], shape: tuple[int, int]) -> NDArray[np.float64]:
    import cv2

    height, width = shape
    square = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    shifts = np.asarray(corners, np.float32).reshape(4, 2) * [width, height]
    return np.asarray(cv2.getPerspectiveTransform(square, (square + shifts).astype(np.float32)), np.float64)


def _field(sd: float, seed: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    import cv2

    height, width = shape
    shifts = np.random.default_rng(seed).standard_normal((CELLS + 1, CELLS + 1, 2)) * sd
    shifts = np.clip(shifts, -LIMIT, LIMIT) * [width / CELLS, height / CELLS]
    field: Any = cv2.resize(shifts.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field, np.float32)


def _at(field: NDArray[np.float32], points: Ring) -> NDArray[np.float64]:
    """The field's shifts at points (..., 2), bilinear; outside of the picture those of its edge."""
    height, width = field.shape[:2]
    x = np.clip(points[..., 0], 0, width - 1)
    y = np.clip(points[..., 1], 0, height - 1)
    left, top = np.minimum(x.astype(int), max(0, width - 2)), np.minimum(y.astype(int), max(0, height - 2))
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = (x - left)[..., None], (y - top)[..., None]
    upper = field[top, left] * (1 - u) + field[top, right] * u
    lower = field[below, left] * (1 - u) + field[below, right] * u
    shifts: NDArray[np.float64] = upper * (1 - v) + lower * v
    return shifts


def _projected(points: Ring, homography: NDArray[np.float64]) -> Ring:
    whole = points @ homography[:, :2].T + homography[:, 2]
    moved: Ring = whole[..., :2] / whole[..., 2:]
    return moved
