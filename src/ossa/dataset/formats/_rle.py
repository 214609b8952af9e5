"""COCO run lengths: column by column, alternating background and bone, plain or as COCO's compressed text.

The text is a signed base-32 code, each count from the third on written as the difference to the one two before
(cocoapi, common/maskApi.c: rleToString, rleFrString).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.segmentation import Region


def counts_from_text(text: str) -> NDArray[np.int64]:
    """Counts from compressed text. Raises ValueError when the text is malformed."""
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64:
            raise ValueError(f"letter {letter!r} is outside the code")
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            if shift > 60:
                raise ValueError("a count is too long")
            continue
        if code & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the text ends inside a count")
    return np.array(counts, dtype=np.int64)


def text_from_counts(counts: NDArray[np.int64]) -> str:
    """Compressed text of counts."""
    letters: list[str] = []
    plain = [int(c) for c in counts]
    for i, count in enumerate(plain):
        value = count - plain[i - 2] if i > 2 else count
        while True:
            code = value & 0x1F
            value >>= 5
            # Done when the rest is pure sign: 0 after a clear sign bit, -1 after a set one.
            more = value != (-1 if code & 0x10 else 0)
            letters.append(chr((code | 0x20 if more else code) + 48))
            if not more:
                break
    return "".join(letters)


def region_from_counts(counts: NDArray[np.int64], shape: tuple[int, int]) -> Region | None:
    """The region of column-major counts in a picture of ``shape`` (H, W), None when empty.

    Only the columns between the first and the last bone pixel are built. Raises ValueError when the counts do not
    add up to the picture.
    """
    height, width = shape
    total = int(counts.sum()) if counts.size else 0
    if counts.ndim != 1 or (counts.size and int(counts.min()) < 0) or total != height * width:
        raise ValueError(f"counts add up to {total}, the picture has {height}x{width} pixels")
    ends = np.cumsum(counts)
    starts, stops = ends[:-1][::2], ends[1::2]
    starts, stops = starts[stops > starts], stops[stops > starts]
    if starts.size == 0:
        return None
    first, last = int(starts[0]) // height, (int(stops[-1]) - 1) // height
    offset = first * height
    steps = np.zeros((last - first + 1) * height + 1, dtype=np.int8)
    steps[starts - offset] += 1
    steps[stops - offset] -= 1
    columns = np.cumsum(steps[:-1], dtype=np.int8).reshape(last - first + 1, height)
    return Region.tight(columns.T, 0, first)


def counts_from_region(region: Region, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Column-major counts of a region in a picture of ``shape`` (H, W)."""
    height, width = shape
    columns = np.zeros((region.mask.shape[1], height), dtype=np.int8)
    columns[:, region.top : region.bottom] = region.mask.T
    flat = columns.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=np.int8(0), append=np.int8(0))) + region.left * height
    edges = np.concatenate([[0], changes, [height * width]]).astype(np.int64)
    counts: NDArray[np.int64] = np.diff(edges)
    # A bone that ends on the last pixel leaves no background run behind it.
    return counts[:-1] if counts[-1] == 0 else counts
