"""How run lengths may have been meant: two ways of writing them that other programs use look right and score badly.

A file may count pixels from 0 instead of 1: every bone then lies a pixel to the left. Or it may go down the columns:
every bone is then torn. Neither can be seen in the file alone, both show beside a truth. Nothing is corrected here: a
score is that of the file as it stands, and the reader is told how it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.compare import dice
from ossa.segmentation.rle import region_from_runs, runs_from_region
from ossa.segmentation.segmentation import Region, Segmentation

#: Mean Dice below which the other way of reading is tried, and what it must gain to be told.
_POOR, _GAIN = 0.5, 0.2

#: Median offset (px) of a file that counts from 0, and how uncertain it may be (interquartile range by root of count).
_LEAST, _MOST, _UNSURE = 0.7, 1.3, 0.25

#: Fewer bones than these say nothing.
_BONES = 5


@dataclass(frozen=True, eq=False)
class Look:
    """How one picture's run lengths lie against its truth. ``offsets`` (N, 2): by how many px (x, y) the centre of
    each bone is off. ``dice`` as they stand; ``columns`` and ``column_offsets``, when it is poor, as if they went down
    the columns."""

    offsets: NDArray[np.float64]
    dice: float
    columns: float | None = None
    column_offsets: NDArray[np.float64] | None = None


def look(rows: Segmentation, other: Segmentation) -> Look:
    """Compare what was read from run lengths with another source of the same picture."""
    score = _mean_dice(rows, other)
    if score >= _POOR:
        return Look(_offsets(rows, other), score)
    turned = by_columns(rows)
    return Look(_offsets(rows, other), score, _mean_dice(turned, other), _offsets(turned, other))


def by_columns(rows: Segmentation) -> Segmentation:
    """The same run lengths read down the columns."""
    height, width = rows.shape
    regions = {}
    for name, region in rows:
        turned = region_from_runs(runs_from_region(region, width), height)
        if turned is not None:
            regions[name] = Region(turned.left, turned.top, np.ascontiguousarray(turned.mask.T))
    return Segmentation(rows.schema, rows.shape, regions)


def suspicion(looks: Sequence[Look]) -> str | None:
    """One sentence on how all pictures' run lengths look; None where they look as they should."""
    if not looks:
        return None
    as_they_stand = float(np.mean([one.dice for one in looks]))
    columns = [one.columns for one in looks if one.columns is not None]
    if len(columns) == len(looks) and float(np.mean(columns)) > as_they_stand + _GAIN:
        offsets = np.concatenate([one.column_offsets for one in looks if one.column_offsets is not None])
        also = ", and to count from 0" if _counts_from_zero(offsets[:, ::-1]) else ""
        return (
            f"look as if they went column by column{also}: mean Dice {as_they_stand:.4f} as they stand, "
            f"{float(np.mean(columns)):.4f} if they did"
        )
    if _counts_from_zero(np.concatenate([one.offsets for one in looks])):
        return "look as if they counted from 0: the bones lie one pixel to the left of the others"
    return None


def _counts_from_zero(offsets: NDArray[np.float64]) -> bool:
    """Whether bones are one pixel back along the runs (first column) and nowhere across them."""
    if len(offsets) < _BONES:
        return False
    low, along, high = np.percentile(offsets[:, 0], (25, 50, 75))
    across = float(np.median(offsets[:, 1]))
    sure = (high - low) / np.sqrt(len(offsets)) <= _UNSURE
    return bool(sure and _LEAST <= -along <= _MOST and abs(across) < 1 - _LEAST)


def _mean_dice(a: Segmentation, b: Segmentation) -> float:
    names = [name for name in a.schema.names if name in a.regions or name in b.regions]
    return float(np.mean([dice(a.get(name), b.get(name)) for name in names])) if names else 1.0


def _offsets(a: Segmentation, b: Segmentation) -> NDArray[np.float64]:
    both = [(a.regions[name], b.regions[name]) for name in a.regions if name in b.regions]
    return np.array([_centre(one) - _centre(other) for one, other in both]).reshape(-1, 2)


def _centre(region: Region) -> NDArray[np.float64]:
    rows, columns = region.mask.sum(axis=1, dtype=np.int64), region.mask.sum(axis=0, dtype=np.int64)
    x = np.average(np.arange(len(columns)), weights=columns) + region.left
    y = np.average(np.arange(len(rows)), weights=rows) + region.top
    return np.array([x, y])
