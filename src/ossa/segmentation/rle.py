"""Run lengths of regions: the competition's "start length" text and the runs behind it.

Runs are taken from a region's own box and put back into one; no full plane is built either way.
Text is 1-based and row-major (C order), as the competition's; runs as arrays are 0-based.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ossa.errors import SubmissionError
from ossa.segmentation.segmentation import Region

IntArray = NDArray[np.int64]


class Runs(NamedTuple):
    """Ascending, separate runs over a flattened picture: 0-based first pixels and how many follow.

    Each run covers ``starts[i] .. starts[i] + lengths[i] - 1``; runs neither overlap nor touch when they
    come from this module.
    """

    starts: IntArray
    lengths: IntArray


def region_runs(region: Region, width: int) -> Runs:
    """The runs of a region in a picture ``width`` px wide, row-major, 0-based."""
    height, box = region.mask.shape
    if box == width:  # runs may go on from one row's end to the next row's start
        step, flat = box, np.zeros(height * box + 2, dtype=bool)
        flat[1:-1] = region.mask.reshape(-1)
    else:
        step, flat = box + 1, np.zeros(height * (box + 1) + 1, dtype=bool)
        flat[1:].reshape(height, box + 1)[:, :box] = region.mask
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    lengths = edges[1::2] - edges[0::2]
    rows, columns = np.divmod(edges[0::2], step)
    return Runs((rows + region.top) * width + (columns + region.left), lengths)


def encode_runs(runs: Runs) -> str:
    """Runs as text: "start length start length ...", starts 1-based; empty for no runs."""
    pairs = np.empty(2 * len(runs.starts), dtype=np.int64)
    pairs[0::2] = runs.starts + 1
    pairs[1::2] = runs.lengths
    return " ".join(map(str, pairs.tolist()))


def encode(region: Region | None, width: int) -> str:
    """The competition's run lengths of a region in a picture ``width`` px wide; "" when it is absent."""
    return "" if region is None else encode_runs(region_runs(region, width))


def decode_runs(text: str, shape: tuple[int, int]) -> Runs:
    """Runs from the competition's text for a picture of ``shape`` (H, W).

    Raises SubmissionError for an odd count, anything but whole numbers, a start or length below 1, runs
    that overlap or are not in ascending order, and runs that leave the picture.
    """
    tokens = text.split()
    if len(tokens) % 2:
        raise SubmissionError(
            "run lengths are not pairs", found=f"{len(tokens)} numbers", expected="start length start length ..."
        )
    if not tokens:
        return Runs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    joined = "".join(tokens)
    if not (joined.isascii() and joined.isdigit()):
        bad = next(t for t in tokens if not (t.isascii() and t.isdigit()))
        raise SubmissionError(
            "run lengths hold something that is no whole number", found=repr(_short(bad)), expected="digits"
        )
    longest = max(tokens, key=len)
    if len(longest) > 15:
        raise SubmissionError(
            "run lengths hold a number that is too large",
            found=_short(longest),
            expected=f"at most {shape[0] * shape[1]}",
        )
    numbers = np.array(list(map(int, tokens)), dtype=np.int64)
    runs = Runs(numbers[0::2] - 1, numbers[1::2])
    _check(runs, shape)
    return runs


def _check(runs: Runs, shape: tuple[int, int]) -> None:
    """Raise SubmissionError unless the runs are positive, ascending, separate and inside ``shape``."""
    ends = runs.starts + runs.lengths
    pixels = shape[0] * shape[1]
    problems = (
        ((runs.starts < 0) | (runs.lengths < 1), "a run starts or counts below 1", "starts and lengths of at least 1"),
        (ends > pixels, "a run leaves the picture", f"at most pixel {pixels} of {shape[0]}x{shape[1]}"),
        (np.append(False, runs.starts[1:] < runs.starts[:-1]), "runs are out of order", "ascending starts"),
        (np.append(False, runs.starts[1:] < ends[:-1]), "runs overlap", "separate runs"),
    )
    for wrong, what, expected in problems:
        if wrong.any():
            i = int(np.argmax(wrong))
            found = f"'{runs.starts[i] + 1} {runs.lengths[i]}' (pair {i + 1} of {len(wrong)})"
            raise SubmissionError(what, found=found, expected=expected)


def region_from_runs(runs: Runs, width: int) -> Region | None:
    """The region of ascending, separate runs in a picture ``width`` px wide; None for no runs."""
    if len(runs.starts) == 0:
        return None
    ends = runs.starts + runs.lengths
    rows, columns = np.divmod(runs.starts, width)
    last_rows, last_columns = np.divmod(ends - 1, width)
    top, bottom = int(rows[0]), int(last_rows[-1]) + 1
    if np.array_equal(rows, last_rows):
        left, box = int(columns.min()), int(last_columns.max()) + 1
        box -= left
    else:  # a run that goes on in the next row touches both sides of the picture
        left, box = 0, width
    # One spare cell per row keeps a run that ends at the box's right border from reaching the next row.
    step = box if box == width else box + 1
    marks = np.zeros((bottom - top) * step + 1, dtype=np.int8)
    first = (rows - top) * step + (columns - left)
    marks[first] = 1
    marks[first + runs.lengths] -= 1
    filled = np.cumsum(marks[:-1], dtype=np.int8).view(bool).reshape(bottom - top, step)
    return Region(top, left, np.ascontiguousarray(filled[:, :box]))


def decode(text: str, shape: tuple[int, int]) -> Region | None:
    """The region of the competition's run lengths in a picture of ``shape`` (H, W); None when empty.

    Raises SubmissionError as ``decode_runs`` does.
    """
    return region_from_runs(decode_runs(text, shape), shape[1])


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}... ({len(text)} characters)"
