"""Points of label files as outlines, checked; and outlines as the points that label files hold.

An outline costs time where it is long and memory where it is wide: what no bone can have is refused before it is
filled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.errors import LabelError
from ossa.labels.keyhole import keyhole_polygon
from ossa.segmentation.outlines import MAX_COORDINATE, Outline

Size = tuple[int, int]

#: Most points of one polygon. A bone of 5,000 px length that is traced pixel by pixel has some 15,000; what an
#: untrained network takes for one has more.
MAX_POINTS = 300_000

#: Most pixels of one bone's box. At 150 Mpx, the largest picture, a forearm has some 20 Mpx.
MAX_BOX_PIXELS = 64_000_000

#: The parts of a bone together may fill this many times the box around all of them.
_MOST_FILLS = 64


def size_of(height: object, width: object) -> Size | None:
    """(H, W) as a label file says it; None where it says nothing. Raises ValueError for what is no size."""
    if not height and not width:
        return None
    sides = (height, width)
    if any(isinstance(side, bool) or not isinstance(side, (int, float)) or side < 1 or side % 1 for side in sides):
        raise ValueError(f"{height!r} x {width!r} as the size of a picture")
    return int(height), int(width)  # type: ignore[call-overload]


def polygon(points: object, name: str, path: Path) -> NDArray[np.float64]:
    """Points of a label file as (N, 2) float64; LabelError for what is no polygon, or none that a bone can have."""
    if isinstance(points, list) and len(points) > MAX_POINTS:
        raise LabelError(
            f"the outline of '{name}' has too many points",
            path=path,
            found=f"{len(points):,}",
            expected=f"at most {MAX_POINTS:,}",
        )
    try:
        ring = np.array(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        ring = np.empty(0)
    if ring.ndim != 2 or ring.shape[1] != 2:
        few = isinstance(points, list) and not points
        raise LabelError(
            f"the outline of '{name}' has no points" if few else f"the outline of '{name}' is not a list of points",
            path=path,
            found=repr(points)[:60],
            expected="[[x, y], [x, y], [x, y], ...]",
        )
    if len(ring) < 3:
        raise LabelError(
            f"the outline of '{name}' has too few points", path=path, found=f"{len(ring)} points", expected="at least 3"
        )
    usable = (np.abs(ring) <= MAX_COORDINATE).all(axis=1)  # False for NaN too
    if not usable.all():
        at = int(np.argmin(usable))
        raise LabelError(
            f"point {at} of the outline of '{name}' is no position in a picture",
            path=path,
            found=f"({ring[at, 0]}, {ring[at, 1]})",
            expected="finite coordinates",
        )
    _check_length(ring, name, path)
    return ring


def _check_length(ring: NDArray[np.float64], name: str, path: Path) -> None:
    """A border cannot be longer than those of all pixels in its box, each walked once: such a polygon is no outline."""
    sides = np.ceil(np.ptp(ring, axis=0)) + 1
    length = float(np.hypot(*(ring - np.roll(ring, 1, axis=0)).T).sum())
    most = 4.0 * float(sides.prod()) + 1000.0
    if length > most:
        raise LabelError(
            f"the outline of '{name}' is a scribble",
            path=path,
            found=f"{length:,.0f} px of line in a box of {sides[1]:.0f}x{sides[0]:.0f}",
            expected=f"at most {most:,.0f} px",
        )


class Parts:
    """Outlines of a label file by the bones that they outline (several, where a set outlines them as one).

    A bone that is outlined over and over is refused while it is read: filling it would take hours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[tuple[str, ...], list[Outline]] = {}
        self._spent: dict[tuple[str, ...], Spent] = {}

    def add(self, targets: tuple[str, ...], name: str, part: Outline) -> None:
        """One more part of the bones ``targets``, called ``name`` in the file. Raises LabelError for one too many."""
        self._found.setdefault(targets, []).append(part)
        (left, top), (right, bottom) = part.exterior.min(axis=0).tolist(), part.exterior.max(axis=0).tolist()
        self._spent.setdefault(targets, Spent()).add(left, top, right + 1, bottom + 1, name, self._path)

    def found(self) -> dict[tuple[str, ...], tuple[Outline, ...]]:
        """All parts."""
        return {targets: tuple(parts) for targets, parts in self._found.items()}


@dataclass
class Spent:
    """How many pixels the boxes of a bone's parts have, against the box around all of them."""

    boxes: float = 0.0
    left: float = math.inf
    top: float = math.inf
    right: float = -math.inf
    bottom: float = -math.inf

    def add(self, left: float, top: float, right: float, bottom: float, name: str, path: Path) -> None:
        """One more box, last row and column excluded. Raises LabelError where filling all would take too long."""
        self.boxes += (right - left) * (bottom - top)
        self.left, self.top = min(self.left, left), min(self.top, top)
        self.right, self.bottom = max(self.right, right), max(self.bottom, bottom)
        if self.boxes > _MOST_FILLS * ((self.right - self.left) * (self.bottom - self.top) + 1000):
            raise LabelError(f"'{name}' is outlined over and over", path=path, expected="one outline for each part")


def check_box(height: int, width: int, name: str, path: Path) -> None:
    """Raise LabelError for a mask of ``height`` x ``width`` px that no bone can fill."""
    if height * width > MAX_BOX_PIXELS:
        raise LabelError(
            f"the mask of '{name}' is too large",
            path=path,
            found=f"{height}x{width}",
            expected=f"at most {MAX_BOX_PIXELS:,} px",
        )


def label_points(part: Outline) -> list[list[float]]:
    """One polygon as a label file holds it: keyholes for holes, whole numbers where they are whole."""
    ring = np.round(keyhole_polygon(part), 3)
    whole = ring.astype(np.int64)
    points: list[list[float]] = (whole if np.array_equal(ring, whole) else ring).tolist()
    while len(points) < 3:  # a single pixel or a line of pixels is a polygon too
        points.append(points[-1])
    return points
