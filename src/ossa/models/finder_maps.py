"""What the planes of the finder's output mean: hands written into planes for training, and read from them again.

The finder (models.finder) gives ``PLANES`` planes on 1/STRIDE of its grid. A hand stands at the cell nearest to the
middle of its skeleton in view: a peak of the first plane, and there its numbers. Points are (x, y) in grid px, pixel
centres whole numbers. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

#: Grid px per cell of the output.
STRIDE = 8

VIEWS = ("frontal", "oblique", "lateral", "other")
PARTS = ("thumb", "index", "middle", "ring", "little", "carpus", "forearm")

# Planes: logits, but for OFFSET (cells), LENGTH (log of 1/UNIT grid px), UP and THUMB (unit vectors: to the fingers and
# across to the thumb) and BOX (shares of the length). Where the thumb lies is asked for as a direction in the picture:
# a network that was asked whether it is left or right of a hand that lies anyhow never learnt it.
HEAT = 0
OFFSET = slice(1, 3)
LENGTH = 3
UP = slice(4, 6)
BOX = slice(6, 10)
THUMB = slice(10, 12)
VIEW = slice(12, 16)
IN_VIEW = slice(16, 23)
NEGATIVE = 23
#: The same number in every cell: whether the picture shows a hand at all.
PRESENT = 24
PLANES = 25

#: Planes that hold a direction in the picture, (x, y).
VECTORS = (OFFSET, UP, THUMB)

#: Length in grid px whose logarithm counts as 0.
UNIT = 96.0

#: A peak below this probability is no hand.
LEAST = 0.3

#: Of two peaks nearer to each other than this share of a hand's length the lesser one is dropped.
APART = 0.22


class InPicture(Protocol):
    """A hand in a picture, as hand.phantom.plates.PlateHand describes it."""

    @property
    def centre(self) -> NDArray[np.float64]: ...
    @property
    def up(self) -> NDArray[np.float64]: ...
    @property
    def length(self) -> float: ...
    @property
    def box(self) -> NDArray[np.float64]: ...
    @property
    def thumb_left(self) -> bool: ...
    @property
    def view(self) -> str: ...
    @property
    def parts(self) -> NDArray[np.bool_]: ...


@dataclass(frozen=True, eq=False)
class Peak:
    """A hand read from the planes, in grid px: as ``InPicture``, with probabilities in place of what is certain.

    ``sure``: that there is a hand; ``thumb_left``; ``views`` (4,) by VIEWS; ``parts`` (7,) by PARTS; ``negative``: that
    its bones are dark.
    """

    sure: float
    centre: NDArray[np.float64]
    up: NDArray[np.float64]
    length: float
    box: NDArray[np.float64]
    thumb_left: float
    views: NDArray[np.float64]
    parts: NDArray[np.float64]
    negative: float


def planes_of(hands: Sequence[InPicture], negative: bool, shape: tuple[int, int]) -> tuple[Float, Float]:
    """Targets (PLANES, h, w) for a grid of ``shape`` (H, W), and how much each cell's numbers count (h, w).

    HEAT falls off around each hand's cell as a Gaussian; the other planes are written, and count, in the 3 x 3 cells
    around it.
    """
    height, width = shape[0] // STRIDE, shape[1] // STRIDE
    out = np.zeros((PLANES, height, width), np.float32)
    counts = np.zeros((height, width), np.float32)
    out[NEGATIVE], out[PRESENT] = negative, len(hands) > 0
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    for hand in hands:
        column, row = (np.asarray(hand.centre) + 0.5) / STRIDE - 0.5
        i, j = (int(np.clip(round(v), 0, n - 1)) for v, n in ((row, height), (column, width)))
        sigma = float(np.clip(0.07 * hand.length / STRIDE, 0.7, 2.5))
        out[HEAT] = np.maximum(out[HEAT], np.exp(-((x - j) ** 2 + (y - i) ** 2) / (2 * sigma**2)))
        share = np.exp(-((x - j) ** 2 + (y - i) ** 2)) * (np.maximum(abs(x - j), abs(y - i)) <= 1)
        mine = share > counts
        counts[mine] = share[mine]
        out[OFFSET, mine] = np.stack([column - x[mine], row - y[mine]])
        out[LENGTH, mine] = np.log(hand.length / UNIT)
        thumb = -_right_of(hand.up) if hand.thumb_left else _right_of(hand.up)
        box = np.asarray(hand.box) / hand.length
        for planes, values in ((UP, hand.up), (THUMB, thumb), (BOX, box), (IN_VIEW, hand.parts)):
            out[planes, mine] = np.asarray(values, np.float32)[:, None]
        out[VIEW, mine] = np.array([view == hand.view for view in VIEWS], np.float32)[:, None]
    return out, counts


def peaks(planes: NDArray[Any], least: float = LEAST) -> tuple[Peak, ...]:
    """The hands in the finder's output (PLANES, h, w), the surest first."""
    heat = _chance(planes[HEAT].astype(np.float64))
    height, width = heat.shape
    framed = np.pad(heat, 1, constant_values=-1.0)
    around = np.max([framed[a : a + height, b : b + width] for a in range(3) for b in range(3)], axis=0)
    rows, columns = np.nonzero((heat >= around) & (heat >= least))
    out: list[Peak] = []
    for k in np.argsort(-heat[rows, columns], kind="stable"):
        peak = _at(planes, int(rows[k]), int(columns[k]))
        if all(np.hypot(*(peak.centre - other.centre)) >= APART * max(peak.length, other.length) for other in out):
            out.append(peak)
    return tuple(out)


def _at(planes: NDArray[Any], row: int, column: int) -> Peak:
    cell = planes[:, row, column].astype(np.float64)
    length = UNIT * float(np.exp(np.clip(cell[LENGTH], -6, 6)))
    size = float(np.hypot(*cell[UP]))
    up = cell[UP] / size if size > 1e-6 else np.array([0.0, -1.0])
    views = np.exp(cell[VIEW] - cell[VIEW].max())
    return Peak(
        sure=float(_chance(cell[HEAT])),
        centre=(np.array([column, row]) + cell[OFFSET] + 0.5) * STRIDE - 0.5,
        up=up,
        length=length,
        box=np.clip(cell[BOX], 0.0, 1.5) * length,
        thumb_left=float(np.clip(0.5 - 0.5 * (_right_of(up) @ cell[THUMB]), 0.0, 1.0)),
        views=views / views.sum(),
        parts=_chance(cell[IN_VIEW]),
        negative=float(_chance(cell[NEGATIVE])),
    )


def presence(planes: NDArray[Any]) -> float:
    """The probability that the picture shows a hand at all."""
    return float(_chance(planes[PRESENT].astype(np.float64).mean()))


def mirrored(planes: NDArray[Any]) -> NDArray[Any]:
    """Planes (PLANES, h, w) of a picture as those of the same picture mirrored left to right.

    Its grid's width is a multiple of STRIDE: cells fall onto cells.
    """
    out = planes[..., ::-1].copy()
    for vector in VECTORS:
        out[vector.start] *= -1
    left, right = BOX.start + 2, BOX.start + 3
    out[[left, right]] = out[[right, left]]
    return out


def _right_of(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """The direction (2,) to the right of ``up``."""
    return np.array([-up[1], up[0]])


def _chance(logit: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0)))
