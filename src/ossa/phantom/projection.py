"""Projection of closed meshes along the beam: how many mm of bone each pixel's ray crosses.

Every triangle adds its depth with the sign of its orientation; over a closed surface that sum is
the length of the ray inside it (far minus near crossings), without sorting or ray casting.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import MissingExtraError
from ossa.phantom.mesh import F64, I32
from ossa.quiet import may_keep_beside

F32 = NDArray[np.float32]


def thickness(points: F64, faces: I32, shape: tuple[int, int]) -> tuple[int, int, F32]:
    """Length of bone along z at each pixel centre.

    ``points`` (V, 3) are (column, row, depth); the result has depth's unit. Returns (top, left,
    array) of the box that the mesh covers inside ``shape`` (H, W); an empty array when it covers none.
    """
    low = np.ceil(points[:, :2].min(axis=0)).astype(int)
    high = np.floor(points[:, :2].max(axis=0)).astype(int)
    left, top = max(int(low[0]), 0), max(int(low[1]), 0)
    right, bottom = min(int(high[0]) + 1, shape[1]), min(int(high[1]) + 1, shape[0])
    if right <= left or bottom <= top:
        return 0, 0, np.zeros((0, 0), np.float32)
    out = np.zeros((bottom - top, right - left), np.float32)
    _rasteriser()(points, faces, out, top, left)
    # Facing depends on how the picture's axes are turned; a solid's length is positive.
    return top, left, out if float(out.sum()) >= 0 else -out


_compiled: Any = None


def _rasteriser() -> Any:
    """The compiled kernel; numba is imported on first use."""
    global _compiled
    if _compiled is None:
        try:
            from numba import njit
        except ImportError as error:
            raise MissingExtraError.of("making phantoms", "phantom", error) from error
        _compiled = njit(cache=may_keep_beside(__file__), nogil=True)(_rasterise)
    return _compiled


def _rasterise(points: F64, faces: I32, out: F32, top: int, left: int) -> None:
    """Add every triangle's signed depth to ``out``, whose first pixel lies at (``top``, ``left``)."""
    height, width = out.shape
    for f in range(faces.shape[0]):
        ia, ib, ic = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = points[ia, 0] - left, points[ia, 1] - top, points[ia, 2]
        bx, by, bz = points[ib, 0] - left, points[ib, 1] - top, points[ib, 2]
        cx, cy, cz = points[ic, 0] - left, points[ic, 1] - top, points[ic, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12:
            continue
        sign = 1.0 if area > 0 else -1.0
        x0 = max(int(np.ceil(min(ax, bx, cx))), 0)
        x1 = min(int(np.floor(max(ax, bx, cx))), width - 1)
        y0 = max(int(np.ceil(min(ay, by, cy))), 0)
        y1 = min(int(np.floor(max(ay, by, cy))), height - 1)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                u = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                v = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                if u >= 0.0 and v >= 0.0 and u + v <= 1.0:
                    out[y, x] += sign * (az + u * (bz - az) + v * (cz - az))
