"""COCO run lengths against a loop over pixels and against pycocotools where it is installed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers_known import known
from ossa.errors import LabelError
from ossa.labels import coco_rle
from ossa.segmentation.segmentation import Region

planes = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=13))


def slow_counts(plane: np.ndarray) -> list[int]:
    counts, before = [0], False
    for pixel in plane.flatten(order="F").tolist():
        if pixel != before:
            counts.append(0)
        counts[-1] += 1
        before = pixel
    return counts


def plane_of(region: Region | None, shape: tuple[int, int]) -> np.ndarray:
    return np.zeros(shape, bool) if region is None else region.plane(shape)


@given(planes)
@settings(deadline=None, max_examples=150)
def test_counts_against_a_pixel_loop(plane: np.ndarray) -> None:
    counts = coco_rle.counts_from_region(Region.tight(plane), plane.shape)
    assert counts == slow_counts(plane)
    np.testing.assert_array_equal(plane_of(coco_rle.region_from_counts(counts, plane.shape), plane.shape), plane)


@given(st.lists(st.integers(0, 2**31 - 1), max_size=40))
@settings(deadline=None, max_examples=150)
def test_compressed_text_comes_back(counts: list[int]) -> None:
    text = coco_rle.compress_counts(counts)
    assert coco_rle.decompress_counts(text) == counts
    assert coco_rle.decompress_counts(text.encode()) == counts


@given(planes)
@settings(deadline=None, max_examples=120)
def test_against_pycocotools(plane: np.ndarray) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    theirs = coco.encode(np.asfortranarray(plane.astype(np.uint8)))["counts"]
    assert coco_rle.compress_counts(coco_rle.counts_from_region(Region.tight(plane), plane.shape)).encode() == theirs
    got = coco_rle.region_from_counts(coco_rle.decompress_counts(theirs), plane.shape)
    np.testing.assert_array_equal(plane_of(got, plane.shape), plane)


def test_a_large_mask_against_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(0)
    plane = np.zeros((1500, 1800), bool)
    plane[200:1400, 300:1700] = rng.random((1200, 1400)) < 0.5
    theirs = coco.encode(np.asfortranarray(plane.astype(np.uint8)))["counts"]
    assert coco_rle.compress_counts(coco_rle.counts_from_region(Region.tight(plane), plane.shape)).encode() == theirs
    got = coco_rle.region_from_counts(coco_rle.decompress_counts(theirs), plane.shape)
    np.testing.assert_array_equal(plane_of(got, plane.shape), plane)


def test_a_count_of_zero_joins_its_neighbours() -> None:
    got = known(coco_rle.region_from_counts([1, 2, 0, 1, 2, 0], (2, 3)))
    np.testing.assert_array_equal(got.plane((2, 3)).flatten(order="F"), [0, 1, 1, 1, 0, 0])
    assert coco_rle.region_from_counts([6, 0], (2, 3)) is None
    assert known(coco_rle.region_from_counts([0, 6], (2, 3))).mask.all()


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ([], "fill"),
        ([3], "fill"),
        ([3, 2], "fill"),
        ([7], "range"),
        ([-1, 7], "range"),
        ([3, 2**70], "whole"),
        ([3, 2**62], "range"),
        ([1.5, 4.5], "whole"),
        (["3", "3"], "whole"),
        ([[3], [3]], "whole"),
        ([3, [3]], "whole"),
        ([None], "whole"),
        ([True, False], "whole"),
    ],
)
def test_broken_counts_are_refused(counts: list[Any], word: str) -> None:
    with pytest.raises(LabelError, match=word):
        coco_rle.region_from_counts(counts, (2, 3))


@pytest.mark.parametrize(
    ("text", "word"),
    [("0 0", "character"), ("0p", "character"), ("ü", "character"), ("0P", "stop"), ("PPPPPPPP0", "too large")],
)
def test_broken_text_is_refused(text: str, word: str) -> None:
    with pytest.raises(LabelError, match=word):
        coco_rle.decompress_counts(text)


def test_no_counts() -> None:
    assert coco_rle.compress_counts([]) == ""
    assert coco_rle.decompress_counts("") == []
