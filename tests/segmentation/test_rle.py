"""Run lengths against a loop over pixels, and broken ones refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers_known import known
from ossa.errors import SubmissionError
from ossa.segmentation import rle
from ossa.segmentation.segmentation import Region

planes = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=13))


def slow_encode(plane: np.ndarray) -> str:
    """The competition's run lengths, one pixel after the other."""
    pairs: list[int] = []
    before = False
    for i, pixel in enumerate(plane.flatten(order="C").tolist(), start=1):
        if pixel and not before:
            pairs += [i, 1]
        elif pixel:
            pairs[-1] += 1
        before = pixel
    return " ".join(str(number) for number in pairs)


def slow_decode(text: str, shape: tuple[int, int]) -> np.ndarray:
    flat = [False] * (shape[0] * shape[1])
    numbers = [int(token) for token in text.split()]
    for start, length in zip(numbers[0::2], numbers[1::2], strict=True):
        for pixel in range(start - 1, start - 1 + length):
            flat[pixel] = True
    return np.array(flat).reshape(shape)


@given(planes)
@settings(deadline=None, max_examples=150)
def test_encode_and_decode_against_a_pixel_loop(plane: np.ndarray) -> None:
    region = Region.tight(plane)
    text = rle.text_from_region(region, plane.shape[1])
    assert text == slow_encode(plane)
    back = rle.region_from_text(text, plane.shape)
    if region is None:
        assert text == ""
        assert back is None
        return
    assert back is not None
    np.testing.assert_array_equal(back.plane(plane.shape), plane)
    # the box is tight
    assert (back.top, back.left, back.mask.shape) == (region.top, region.left, region.mask.shape)


@given(planes, st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None, max_examples=100)
def test_a_region_inside_a_larger_picture(plane: np.ndarray, above: int, beside: int) -> None:
    full = np.pad(plane, ((above, 2), (beside, 1)))
    assert rle.text_from_region(Region.tight(plane, above, beside), full.shape[1]) == slow_encode(full)


@given(planes, st.data())
@settings(deadline=None, max_examples=100)
def test_touching_runs_are_read_too(plane: np.ndarray, data: st.DataObject) -> None:
    """Some writers cut a run in two; the pixels are the same."""
    cut: list[int] = []
    numbers = [int(token) for token in slow_encode(plane).split()]
    for start, length in zip(numbers[0::2], numbers[1::2], strict=True):
        first = data.draw(st.integers(1, length))
        cut += [start, first] + ([start + first, length - first] if first < length else [])
    text = " ".join(map(str, cut))
    got = rle.region_from_text(text, plane.shape)
    expected = slow_decode(text, plane.shape)
    np.testing.assert_array_equal(np.zeros(plane.shape, bool) if got is None else got.plane(plane.shape), expected)


def test_the_last_pixel_and_the_whole_picture() -> None:
    assert rle.text_from_region(rle.region_from_text("12 1", (3, 4)), 4) == "12 1"
    assert known(rle.region_from_text("1 12", (3, 4))).mask.all()
    assert rle.text_from_region(rle.region_from_text("1 12", (3, 4)), 4) == "1 12"


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_empty_text_is_an_absent_bone(text: str) -> None:
    assert rle.region_from_text(text, (3, 4)) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1", "pairs"),
        ("1 2 3", "pairs"),
        ("1 a", "whole number"),
        ("1 2.0", "whole number"),
        ("1 -2", "whole number"),
        ("+1 2", "whole number"),
        ("1_0 2", "whole number"),
        ("٣ 2", "whole number"),
        ("nan nan", "whole number"),
        ("0 1", "below 1"),
        ("1 0", "below 1"),
        ("13 1", "leaves"),
        ("12 2", "leaves"),
        ("1 13", "leaves"),
        ("1 999999999999999", "leaves"),
        ("999999999999999 999999999999999", "leaves"),
        ("1 9999999999999999", "leaves"),
        ("1 " + "9" * 5000, "leaves"),
        ("9223372036854775807 9223372036854775807", "leaves"),
        ("1\x0b2", "whole number"),
        ("1 12 13", "pairs"),
        ("1 3 3 1", "overlap"),
        ("1 3 1 3", "overlap"),
        ("5 2 1 2", "order"),
        ("5 1 5 1", "overlap"),
    ],
)
def test_broken_runs_are_refused(text: str, word: str) -> None:
    with pytest.raises(SubmissionError, match=word) as caught:
        rle.region_from_text(text, (3, 4))
    assert len(str(caught.value)) < 300


@given(st.text(alphabet="0123456789 -.a\t\n\x0b", max_size=30))
@settings(deadline=None, max_examples=150)
def test_any_text_is_decoded_right_or_refused(text: str) -> None:
    try:
        region = rle.region_from_text(text, (5, 7))
    except SubmissionError:
        return
    got = np.zeros((5, 7), bool) if region is None else region.plane((5, 7))
    np.testing.assert_array_equal(got, slow_decode(text, (5, 7)))
