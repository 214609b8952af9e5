"""Votes of run lengths against sets of pixels."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ossa.errors import ConfigError
from ossa.segmentation import rle, runs
from ossa.segmentation.compare import intersection_area
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


@pytest.mark.parametrize("threshold", [0.3, 0.5, 1.0])
def test_votes_on_nothing_everything_single_pixels_and_borders(threshold: float) -> None:
    empty, full = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    corner, frame = empty.copy(), full.copy()
    corner[-1, -1], frame[1:-1, 1:-1] = True, False
    masks = [empty, full, corner, frame]
    for chosen in itertools.product(masks, repeat=3):
        got = runs.vote([runs_of(mask) for mask in chosen], (1, 1, 1), threshold)
        np.testing.assert_array_equal(mask_of(got), np.sum(chosen, axis=0) >= threshold * 3 - 1e-6)


@given(st.lists(plane, min_size=1, max_size=3), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_runs_that_touch_are_one_in_the_result(masks: list[np.ndarray], cut: int) -> None:
    """Some writers cut a run in two: level and mask do not change there."""
    cut_up = []
    for mask in masks:
        starts = np.flatnonzero(mask.ravel()).astype(np.int64)
        kept = np.append(True, (starts[1:] != starts[:-1] + 1) | (starts[1:] % 10 == cut))[: len(starts)]
        first = np.flatnonzero(kept)
        cut_up.append(rle.Runs(starts[first], np.diff(np.append(first, len(starts)))))
    one = [1.0] * len(masks)
    for got, wanted in zip(
        runs.vote(cut_up, one, 0.5), runs.vote([runs_of(mask) for mask in masks], one, 0.5), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


@given(st.lists(plane, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=60)
def test_votes_and_overlaps_against_rlemasklib(masks: list[np.ndarray], data: st.DataObject) -> None:
    """Its counts run down the columns: ossa's runs are the counts of the transposed picture."""
    rlemasklib = pytest.importorskip("rlemasklib")
    needed = data.draw(st.integers(1, len(masks)))
    theirs = rlemasklib.RLEMask.merge_count([rlemasklib.RLEMask(mask.T.astype(np.uint8)) for mask in masks], needed)
    got = runs.vote([runs_of(mask) for mask in masks], [1.0] * len(masks), needed / len(masks))
    np.testing.assert_array_equal(mask_of(got), theirs.to_array().T)
    edges = np.append(np.stack([got.starts, got.starts + got.lengths], 1).ravel(), SHAPE[0] * SHAPE[1])
    counts = np.diff(edges, prepend=0)
    assert theirs.counts.tolist() == (counts if counts[-1] or len(counts) == 1 else counts[:-1]).tolist()
    a, b = masks[0], masks[-1]
    both = rlemasklib.RLEMask(a.astype(np.uint8)) & rlemasklib.RLEMask(b.astype(np.uint8))
    assert intersection_area(Region.tight(a), Region.tight(b)) == both.area()


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
