"""COCO's run lengths, both ways: plain lists of counts and their compressed text.

Counts alternate background, bone, background, ... and begin with background; they run column by column.
Format: cocodataset/cocoapi, common/maskApi.c (rleEncode, rleToString, rleFrString). Regions are transposed
in their own box, so that no full plane is built.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ossa.errors import LabelError
from ossa.labels.polygons import MAX_BOX_PIXELS
from ossa.safety import MAX_PIXELS
from ossa.segmentation.rle import IntArray, Runs, region_from_runs, runs_from_region
from ossa.segmentation.segmentation import Region

#: Five bits per character, and a count is below 2**31: no number takes more characters.
_MOST_CHARACTERS = 7


def counts_from_region(region: Region | None, shape: tuple[int, int]) -> list[int]:
    """COCO's counts of a region in a picture of ``shape`` (H, W); [H * W] when it is absent."""
    height, width = shape
    if region is None:
        return [height * width]
    turned = Region(region.left, region.top, np.ascontiguousarray(region.mask.T))
    runs = runs_from_region(turned, height)
    edges = np.empty(2 * len(runs.starts) + 1, dtype=np.int64)
    edges[0:-1:2], edges[1::2], edges[-1] = runs.starts, runs.starts + runs.lengths, height * width
    counts: list[int] = np.diff(edges, prepend=0).tolist()
    return counts if counts[-1] else counts[:-1]


def region_from_counts(counts: Sequence[int] | IntArray, shape: tuple[int, int]) -> Region | None:
    """The region of COCO's counts in a picture of ``shape`` (H, W); None when empty.

    Raises LabelError unless the counts are whole numbers of 0 or more that add up to H * W, and for a picture or a
    region larger than any that is read.
    """
    height, width = shape
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise LabelError("no picture has this size", found=f"{height}x{width}", expected=f"1 to {MAX_PIXELS:,} px")
    try:
        numbers = np.array(counts, dtype=object if len(counts) == 0 else None)
    except (TypeError, ValueError, OverflowError) as error:
        raise LabelError("run-length counts are not a list of whole numbers", found=str(error)) from error
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise LabelError(
            "run-length counts are not a list of whole numbers", found=f"{numbers.dtype} of shape {numbers.shape}"
        )
    pixels = height * width
    if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) > pixels):
        raise LabelError(
            "a run-length count is out of range",
            found=int(numbers.min()) if numbers.min() < 0 else int(numbers.max()),
            expected=f"0 to {pixels} in a picture of {height}x{width}",
        )
    ends = np.cumsum(numbers.astype(np.int64))
    total = int(ends[-1]) if ends.size else 0
    if total != pixels:
        raise LabelError(
            "run-length counts do not fill the picture", found=total, expected=f"{pixels} for {height}x{width}"
        )
    runs = _joined(ends[0:-1:2], ends[1::2])
    if not len(runs.starts):
        return None
    columns = (int(runs.starts[-1]) + int(runs.lengths[-1]) - 1) // height - int(runs.starts[0]) // height + 1
    if columns * height > MAX_BOX_PIXELS:
        raise LabelError(
            "a mask is too large for a bone", found=f"{height}x{columns}", expected=f"at most {MAX_BOX_PIXELS:,} px"
        )
    turned = region_from_runs(runs, height)
    assert turned is not None  # there are runs
    return Region(turned.left, turned.top, np.ascontiguousarray(turned.mask.T))


def _joined(starts: IntArray, ends: IntArray) -> Runs:
    """Runs from first and past-the-last pixels; empty runs dropped, touching ones (a count of 0) joined."""
    starts = starts[: len(ends)]
    kept = ends > starts
    starts, ends = starts[kept], ends[kept]
    apart = starts[1:] != ends[:-1]
    starts, ends = starts[np.append(True, apart)[: len(starts)]], ends[np.append(apart, True)[: len(ends)]]
    return Runs(starts, ends - starts)


def compress_counts(counts: Sequence[int]) -> str:
    """COCO's compressed text of counts: each less the one two before it, five bits a character, lowest first."""
    rest = np.array(counts, dtype=np.int64)
    rest[3:] -= np.array(counts, dtype=np.int64)[1:-2]
    going = np.ones(len(rest), dtype=bool)
    characters, valid = [], []
    while going.any():
        low = rest & 31
        rest >>= 5
        more = np.where(low & 16, rest != -1, rest != 0)
        valid.append(going)
        characters.append(low + 32 * more + 48)
        going = going & more
    if not characters:
        return ""
    data: bytes = np.stack(characters, axis=1)[np.stack(valid, axis=1)].astype(np.uint8).tobytes()
    return data.decode("ascii")


def decompress_counts(text: str | bytes) -> list[int]:
    """COCO's counts from their compressed text. Raises LabelError for text that is not such."""
    try:
        data = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, dtype=np.uint8)
    except UnicodeEncodeError as error:
        raise LabelError(
            "compressed run lengths hold a character they cannot", found=repr(error.object[error.start])
        ) from error
    if data.size == 0:
        return []
    if data.min() < 48 or data.max() > 111:
        bad = data[(data < 48) | (data > 111)][0]
        raise LabelError(
            "compressed run lengths hold a character they cannot", found=repr(chr(bad)), expected="'0' to 'o'"
        )
    bits = data.astype(np.int64) - 48
    ends = np.flatnonzero(bits & 32 == 0)
    if ends.size == 0 or ends[-1] != data.size - 1:
        raise LabelError("compressed run lengths stop within a number", expected="a complete string of counts")
    starts = np.append(0, ends[:-1] + 1)
    if int((ends - starts).max()) >= _MOST_CHARACTERS:
        raise LabelError("compressed run lengths hold a number that is too large", expected="counts below 2**31")
    places = np.arange(data.size) - np.repeat(starts, ends - starts + 1)
    numbers = np.add.reduceat((bits & 31) << (5 * places), starts)
    numbers -= np.where(bits[ends] & 16, np.int64(1) << (5 * (ends - starts + 1)), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    counts: list[int] = numbers.tolist()
    return counts
