"""Run lengths of regions: the competition's "start length" text and the runs behind it.

Runs are taken from a region's own box and put back into one; no full plane is built either way.
Text is 1-based and row-major (C order), as the competition's; runs as arrays are 0-based.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ossa.errors import SubmissionError
from ossa.segmentation.segmentation import Region

IntArray = NDArray[np.int64]


#: All that run lengths are made of, as the bytes of UTF-8.
_NUMBERS = b"0123456789 \t\r\n"


class Runs(NamedTuple):
    """Ascending, separate runs over a flattened picture: 0-based first pixels and how many follow.

    Each run covers ``starts[i] .. starts[i] + lengths[i] - 1``; runs neither overlap nor touch when they
    come from this module.
    """

    starts: IntArray
    lengths: IntArray


def runs_from_region(region: Region, width: int) -> Runs:
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


def text_from_runs(runs: Runs) -> str:
    """Runs as text: "start length start length ...", starts 1-based; empty for no runs."""
    pairs = np.empty(2 * len(runs.starts), dtype=np.int64)
    pairs[0::2] = runs.starts + 1
    pairs[1::2] = runs.lengths
    return " ".join(map(str, pairs.tolist()))


def text_from_region(region: Region | None, width: int) -> str:
    """The competition's run lengths of a region in a picture ``width`` px wide; "" when it is absent."""
    return "" if region is None else text_from_runs(runs_from_region(region, width))


def runs_from_text(text: str, shape: tuple[int, int]) -> Runs:
    """Runs from the competition's text for a picture of ``shape`` (H, W).

    Raises SubmissionError for an odd count, anything but whole numbers, a start or length below 1, runs
    that overlap or are not in ascending order, and runs that leave the picture.
    """
    if not text.strip():
        return Runs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    if _foreign(text):
        bad = next(token for token in re.split("[ \t\r\n]+", text) if _foreign(token))
        raise SubmissionError(
            "run lengths hold something that is no whole number", found=repr(_short(bad)), expected="digits and spaces"
        )
    numbers = np.fromstring(text, dtype=np.int64, sep=" ")  # larger numbers become the largest int64
    if len(numbers) % 2:
        raise SubmissionError(
            "run lengths are not pairs", found=f"{len(numbers)} numbers", expected="start length start length ..."
        )
    if numbers.max() > shape[0] * shape[1]:
        raise SubmissionError(
            "a run leaves the picture",
            found=_short(max(text.split(), key=lambda token: (len(token), token))),
            expected=f"at most {shape[0] * shape[1]} in a picture of {shape[0]}x{shape[1]}",
        )
    runs = Runs(numbers[0::2] - 1, numbers[1::2])
    _check(runs, shape)
    return runs


def _foreign(text: str) -> bytes:
    """What of a text no run length is made of. (Bytes lose characters three times as fast as a str does.)"""
    return text.encode(errors="surrogatepass").translate(None, _NUMBERS)


def _check(runs: Runs, shape: tuple[int, int]) -> None:
    """Raise SubmissionError unless the runs (at least one) are positive, ascending, separate and inside ``shape``."""
    ends = runs.starts + runs.lengths
    pixels = shape[0] * shape[1]
    # Runs of at least 1 px of which each starts where the one before has ended are in order, and the last ends last.
    if runs.starts[0] >= 0 and runs.lengths.min() >= 1 and (runs.starts[1:] >= ends[:-1]).all() and ends[-1] <= pixels:
        return
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
    edges = np.empty(2 * len(rows) + 2, dtype=np.int64)
    edges[0], edges[-1] = 0, (bottom - top) * box
    edges[1:-1:2] = (rows - top) * box + (columns - left)
    edges[2:-1:2] = edges[1:-1:2] + runs.lengths
    inside = np.zeros(len(edges) - 1, dtype=bool)
    inside[1::2] = True
    return Region(top, left, np.repeat(inside, np.diff(edges)).reshape(bottom - top, box))


def region_from_text(text: str, shape: tuple[int, int]) -> Region | None:
    """The region of the competition's run lengths in a picture of ``shape`` (H, W); None when empty.

    Raises SubmissionError as ``runs_from_text`` does.
    """
    return region_from_runs(runs_from_text(text, shape), shape[1])


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}... ({len(text)} characters)"
