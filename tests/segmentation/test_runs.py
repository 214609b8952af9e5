"""Votes of run lengths against sets of pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ossa.errors import ConfigError
from ossa.segmentation import rle, runs
from ossa.segmentation.segmentation import Region

SHAPE = (6, 7)
plane = hnp.arrays(bool, SHAPE)


def runs_of(mask: np.ndarray) -> rle.Runs:
    return rle.runs_from_text(rle.text_from_region(Region.tight(mask), mask.shape[1]), mask.shape)


def mask_of(found: rle.Runs) -> np.ndarray:
    region = rle.region_from_runs(found, SHAPE[1])
    return np.zeros(SHAPE, bool) if region is None else region.plane(SHAPE)


@given(plane, plane)
@settings(deadline=None, max_examples=120)
def test_two_masks(a: np.ndarray, b: np.ndarray) -> None:
    both = (runs_of(a), runs_of(b))
    assert both[0].lengths.sum() == a.sum()
    np.testing.assert_array_equal(mask_of(runs.vote(both, (1.0, 1.0), 1.0)), a & b)
    np.testing.assert_array_equal(mask_of(runs.vote(both, (1.0, 1.0), 0.5)), a | b)


@given(st.lists(plane, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=120)
def test_weighted_vote(masks: list[np.ndarray], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 10), min_size=len(masks), max_size=len(masks)).filter(any))
    share = data.draw(st.integers(1, 20))
    got = runs.vote([runs_of(m) for m in masks], [w / 10 for w in weights], share / 20)
    expected = np.zeros(SHAPE, bool)
    for y in range(SHAPE[0]):
        for x in range(SHAPE[1]):  # whole numbers, so that no rounding decides
            carried = sum(w for w, m in zip(weights, masks, strict=True) if m[y, x])
            expected[y, x] = carried * 20 >= share * sum(weights)
    np.testing.assert_array_equal(mask_of(got), expected)
    # separate, ascending runs: what text_from_runs writes, runs_from_text takes
    assert rle.runs_from_text(rle.text_from_runs(got), SHAPE) is not None
    assert (got.starts[1:] > got.starts[:-1] + got.lengths[:-1]).all()


def test_every_mask_has_its_say() -> None:
    """The reference's vote kept only its last file."""
    a, b, c = (rle.runs_from_text(text, SHAPE) for text in ("1 10", "5 10", "20 3"))
    assert rle.text_from_runs(runs.vote([a, b, c], [1, 1, 1], 0.5)) == "5 6"
    assert rle.text_from_runs(runs.vote([a, b, c], [1, 1, 3], 0.5)) == "20 3"


@pytest.mark.parametrize(
    ("weights", "threshold"),
    [([1.0], 0.5), ([], 0.5), ([1, -1], 0.5), ([1, float("nan")], 0.5), ([0, 0], 0.5), ([1, 1], 0), ([1, 1], 1.1)],
)
def test_a_senseless_vote_is_refused(weights: list[float], threshold: float) -> None:
    one = rle.runs_from_text("1 10", SHAPE)
    with pytest.raises(ConfigError):
        runs.vote([one, one], weights, threshold)


def test_a_vote_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError):
        runs.vote([], [], 0.5)
