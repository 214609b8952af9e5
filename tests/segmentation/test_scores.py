"""Means, intervals and worst cases of score tables, against plain loops and known coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ossa.errors import ConfigError, InputError
from ossa.schema import Bone, BoneSchema
from ossa.segmentation.compare import METRICS, compare
from ossa.segmentation.scores import Scores, bootstrap, finite_mean
from ossa.segmentation.segmentation import Segmentation


def table(values: np.ndarray, subjects: tuple[str, ...] | None = None, metric: str = "dice") -> Scores:
    n, c = values.shape
    names = tuple(f"i{k}" for k in range(n))
    return Scores(names, subjects or names, tuple(f"b{k}" for k in range(c)), {metric: values})


def test_means_leave_out_what_is_not_scored() -> None:
    scores = table(np.array([[1.0, np.nan], [0.5, np.nan], [np.nan, np.nan]]))
    assert scores.per_bone("dice")[0] == 0.75
    assert math.isnan(scores.per_bone("dice")[1])
    assert scores.per_image("dice")[:2].tolist() == [1.0, 0.5]
    assert math.isnan(scores.per_image("dice")[2])
    assert scores.mean("dice") == 0.75


def test_infinite_distances_are_counted_and_not_averaged() -> None:
    scores = table(np.array([[2.0, np.inf], [4.0, 6.0]]), metric="hd95")
    assert scores.per_bone("hd95").tolist() == [3.0, 6.0]
    assert scores.infinite("hd95") == 1
    assert scores.worst("hd95", 2) == [(0, 1), (1, 1)]  # infinite is the worst distance, then the largest


@pytest.mark.parametrize("metric", METRICS)
def test_the_worst_of_every_measure_is_its_worst(metric: str) -> None:
    """Of an exact and a shifted bone the shifted one is worse, whichever way the metric counts."""
    bone = np.zeros((2, 40, 40), dtype=bool)
    bone[:, 10:20, 10:20] = True
    moved = np.roll(bone, 4, axis=2)
    two = BoneSchema("two", "two", tuple(Bone(n, n, "carpal", None, (0, 0, 0), None, n) for n in "ab"))
    truth = Segmentation.from_planes(bone, two)
    pairs = [compare(Segmentation.from_planes(found, two), truth) for found in (bone, moved)]
    scores = Scores(("same", "moved"), ("s", "s"), two.names, {metric: np.stack([getattr(p, metric) for p in pairs])})
    assert scores.worst(metric, 1)[0][0] == 1


def test_worst_cases_of_dice_come_lowest_first_without_unscored_pairs() -> None:
    scores = table(np.array([[0.9, 0.2], [np.nan, 0.7]]))
    assert scores.worst("dice", 10) == [(0, 1), (1, 1), (0, 0)]


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="do not fit"):
        Scores(("a",), ("a",), ("x", "y"), {"dice": np.zeros((1, 3))})
    with pytest.raises(InputError, match="subject"):
        Scores(("a",), (), ("x",), {"dice": np.zeros((1, 1))})


def test_the_bootstrap_resamples_subjects_together() -> None:
    """Against a slow loop with the same draws: sample subjects, take all their pictures, average."""
    generator = np.random.default_rng(3)
    values = generator.random((12, 2))
    subjects = [f"s{k // 3}" for k in range(12)]
    per_bone, overall = bootstrap(values, subjects, draws=400, seed=7)
    weights = np.random.default_rng(7).multinomial(4, [0.25] * 4, size=400)
    means = []
    for row in weights:
        chosen = [k for s, times in enumerate(row) for _ in range(times) for k in range(3 * s, 3 * s + 3)]
        means.append(values[chosen].mean())
    assert overall.mean == pytest.approx(values.mean())
    assert (overall.low, overall.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert [b.mean for b in per_bone] == pytest.approx(values.mean(axis=0).tolist())


def test_pictures_of_one_subject_widen_the_interval() -> None:
    """Twins that always agree carry half the information: treating them as independent would be too sure."""
    values = np.repeat(np.random.default_rng(0).random((20, 1)), 2, axis=0)
    together = bootstrap(values, [f"s{k // 2}" for k in range(40)])[1]
    apart = bootstrap(values, [f"s{k}" for k in range(40)])[1]
    assert together.high - together.low > 1.2 * (apart.high - apart.low)


def test_intervals_cover_the_true_mean() -> None:
    """Nominal 90 % intervals of 30 subjects cover the mean about nine times in ten (loosely)."""
    generator = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        values = generator.normal(0.8, 0.1, size=(30, 1))
        interval = bootstrap(values, [str(k) for k in range(30)], draws=300, seed=trial, level=0.9)[1]
        hits += interval.low <= 0.8 <= interval.high
    assert 165 <= hits <= 195


def test_one_subject_and_no_scores() -> None:
    per_bone, overall = bootstrap(np.array([[0.5, np.nan], [0.7, np.nan]]), ["a", "a"])
    assert (overall.mean, overall.low, overall.high) == pytest.approx((0.6, 0.6, 0.6))
    assert math.isnan(per_bone[1].mean)
    assert math.isnan(per_bone[1].low)
    with pytest.raises(ConfigError):
        bootstrap(np.ones((2, 2)), ["a", "b"], level=1.5)


def test_finite_mean_against_a_loop() -> None:
    array = np.array([[1.0, np.nan, np.inf], [3.0, 5.0, np.nan]])
    assert finite_mean(array, 0)[:2].tolist() == [2.0, 5.0]
    assert math.isnan(finite_mean(array, 0)[2])
    assert finite_mean(array[0], 0) == 1.0
    assert math.isnan(finite_mean(np.array([np.nan]), 0))
