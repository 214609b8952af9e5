"""Means of saved probabilities and weights per bone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ossa.ensemble.crossfit import both_ways
from ossa.ensemble.vote import mean_logits, mean_probabilities, same_images, select_weights, soft_vote
from ossa.errors import ConfigError, InputError
from ossa.inference.networks import member_weights
from ossa.labels.store import Store
from ossa.radiograph.prepare import Preparation, place
from ossa.schema import BoneSchema
from ossa.segmentation.decode import decode, resample_logits


def store_of(
    folder: Path, schema: BoneSchema, seed: int, images: list[str], size: int = 64, shape: tuple[int, int] = (60, 80)
) -> Store:
    rng = np.random.default_rng(seed)
    placement = place(shape, Preparation(size, 16))
    made = Store.create(folder, schema, {"seed": seed})
    for image in images:
        logits = rng.normal(0, 2, (len(schema), placement.grid_shape[0] // 2, placement.grid_shape[1] // 2))
        made.write(image, logits.astype(np.float32), placement)
    return made


def test_soft_vote_is_the_weighted_mean(tmp_path: Path, few: BoneSchema) -> None:
    stores = [store_of(tmp_path / str(i), few, i, ["a.png", "b.png"]) for i in range(3)]
    weights = np.array([[1, 0, 2], [1, 1, 1], [2, 0, 1]], float)
    voted = {image: found for image, (found,) in soft_vote(stores, weights, [{"c": 0.3}])}
    assert list(voted) == ["a.png", "b.png"]
    saved = [store.read("b.png") for store in stores]
    logits = np.stack([s.logits() for s in saved])
    mean = (logits * (weights / weights.sum(axis=0))[:, :, None, None]).sum(axis=0).astype(np.float32)
    expected = decode(mean, saved[0].placement, few, {"c": 0.3})
    differing = (voted["b.png"].planes() != expected.planes()).sum()
    assert differing <= 2  # single precision at the threshold itself


def test_the_mean_of_probabilities_is_no_mean_of_logits(tmp_path: Path, few: BoneSchema) -> None:
    """One store very sure of bone, two that doubt it: bone by the mean of logits, none by that of probabilities."""
    placement = place((16, 16), Preparation(16, 16))
    stores = []
    for k, value in enumerate((9.0, -2.0, -2.0)):
        stores.append(Store.create(tmp_path / str(k), few, {"k": k}))
        stores[-1].write("a", np.full((len(few), 16, 16), value, np.float32), placement)
    ((_, (by_logits,)),) = soft_vote(stores)
    ((_, (by_probability,)),) = soft_vote(stores, average=mean_probabilities)
    assert len(by_logits) == len(few)
    assert len(by_probability) == 0  # (1.00 + 2 x .12) / 3 = .41
    ((_, (same, lower)),) = soft_vote(stores, thresholds=[{}, {"a": 0.4}], average=mean_probabilities)
    assert (list(same.regions), list(lower.regions)) == ([], ["a"])
    weighted, _ = mean_probabilities(stores, "a", member_weights([2, 1, 1], 3, len(few)))
    expected = 0.5 / (1 + np.exp(-9.0)) + 0.5 / (1 + np.exp(2.0))
    np.testing.assert_allclose(1 / (1 + np.exp(-weighted)), expected, atol=0.01)


def test_one_store_is_itself(tmp_path: Path, few: BoneSchema) -> None:
    store = store_of(tmp_path / "s", few, 0, ["a"])
    saved = store.read("a")
    ((_, (voted,)),) = soft_vote([store])
    assert np.array_equal(voted.planes(), decode(saved.logits(), saved.placement, few).planes())


def test_stores_at_different_grids(tmp_path: Path, few: BoneSchema) -> None:
    coarse = store_of(tmp_path / "c", few, 0, ["a"], size=32)
    fine = store_of(tmp_path / "f", few, 1, ["a"], size=96)
    logits, placement = mean_logits([coarse, fine], "a", member_weights([1, 3], 2, 3))
    one, two = coarse.read("a"), fine.read("a")
    assert placement == two.placement
    expected = 0.25 * resample_logits(one.logits(), one.placement, two.placement, two.shape) + 0.75 * two.logits()
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_pictures_of_another_size(tmp_path: Path, few: BoneSchema) -> None:
    stores = [store_of(tmp_path / "a", few, 0, ["x"]), store_of(tmp_path / "b", few, 0, ["x"], shape=(61, 80))]
    with pytest.raises(InputError, match="another size; found 61x80; expected 60x80"):
        list(soft_vote(stores))


def test_unequal_image_sets(tmp_path: Path, few: BoneSchema) -> None:
    stores = [store_of(tmp_path / "a", few, 0, ["x", "y"]), store_of(tmp_path / "b", few, 0, ["y", "z"])]
    with pytest.raises(InputError, match=r"a lacks 1 of 3: z; .*b lacks 1 of 3: x"):
        next(soft_vote(stores))
    with pytest.raises(InputError, match="lacks 9 of 9: 0, 1, 2, 3, 4 and 4 more"):
        same_images({"one": [], "two": [str(i) for i in range(9)]})
    with pytest.raises(ConfigError):
        same_images({})


class Dice:
    """Made-up out-of-fold scores: quality of the mean is the mean of qualities, plus what diversity adds."""

    def __init__(self, quality: np.ndarray, noise: float = 0.0, seed: int = 0) -> None:
        self.quality = quality  # (members, bones)
        self.calls = 0
        self.noise = np.random.default_rng(seed).normal(0, noise, (40, *quality.shape))

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        self.calls += 1
        return ((self.quality + self.noise) * weights).sum(axis=1)


GROUPS = [f"subject{i // 2}" for i in range(40)]


def test_a_better_member_is_found_per_bone() -> None:
    quality = np.full((3, 4), 0.9)
    quality[0, 1] = 0.96
    quality[2, 3] = 0.95
    score = Dice(quality, 0.001)
    chosen = select_weights(score, GROUPS, 3, 4)
    assert chosen.weights[:, 1].argmax() == 0
    assert chosen.weights[0, 1] == pytest.approx(1)
    assert chosen.weights[2, 3] == pytest.approx(1)
    assert chosen.gain[1] > 0.03
    np.testing.assert_allclose(chosen.weights.sum(axis=0), 1)


def test_chance_is_not_taken_for_quality() -> None:
    """Members that differ by noise only: what is kept must have gained on images that were not searched."""
    chosen = select_weights(Dice(np.full((4, 29), 0.9), 0.05, seed=3), GROUPS, 4, 29)
    lost = chosen.gain <= 0
    assert lost.any()
    np.testing.assert_allclose(chosen.weights[:, lost], 0.25)
    assert abs(chosen.gain.mean()) < 0.01


def test_absent_bones_do_not_count() -> None:
    base = Dice(np.array([[0.9, 0.5], [0.8, 0.6]]))

    def score(weights: np.ndarray) -> np.ndarray:
        table = base(weights)
        table[:20, 0] = np.nan
        return table

    chosen = select_weights(score, GROUPS, 2, 2)
    assert chosen.weights[0, 0] == pytest.approx(1)
    assert chosen.weights[1, 1] == pytest.approx(1)


@pytest.mark.parametrize("annotated", [range(20), range(0, 40, 2), range(0, 40, 4), range(38, 40)])
def test_a_bone_that_few_have_is_worth_what_it_is_where_it_is(annotated: range) -> None:
    """Worth .9 on the images that have it, whichever and however few these are; half of that would be a sham."""
    base = Dice(np.array([[0.9, 0.5], [0.9, 0.6]]))

    def score(weights: np.ndarray) -> np.ndarray:
        table = base(weights)
        table[[n for n in range(40) if n not in annotated], 0] = np.nan
        return table

    chosen = select_weights(score, GROUPS, 2, 2)
    assert chosen.uniform[0] == pytest.approx(0.9)
    assert chosen.selected[0] == pytest.approx(0.9)
    np.testing.assert_allclose(chosen.weights[:, 0], 0.5)
    assert chosen.weights[1, 1] == pytest.approx(1)


def test_a_bone_that_none_has_keeps_equal_weights() -> None:
    base = Dice(np.array([[0.9, 0.5], [0.8, 0.6]]))

    def score(weights: np.ndarray) -> np.ndarray:
        table = base(weights)
        table[:, 0] = np.nan
        return table

    chosen = select_weights(score, GROUPS, 2, 2)
    assert chosen.uniform[0] == chosen.selected[0] == 0
    np.testing.assert_allclose(chosen.weights[:, 0], 0.5)


def test_weights_are_judged_on_subjects_that_they_were_not_fitted_on() -> None:
    """Each half of the subjects has its own best member, the worst of the other half: the honest gain is a loss."""
    halves = both_ways(GROUPS)[0][0]

    def score(weights: np.ndarray) -> np.ndarray:
        return np.where(halves[:, None], 0.9 * weights[0] + 0.5 * weights[1], 0.5 * weights[0] + 0.91 * weights[1])

    chosen = select_weights(score, GROUPS, 2, 1)
    assert chosen.selected[0] == pytest.approx(0.5)
    np.testing.assert_allclose(chosen.weights[:, 0], 0.5)


def test_too_little_to_select_from() -> None:
    with pytest.raises(ConfigError, match="1 members"):
        select_weights(Dice(np.ones((1, 2))), GROUPS, 1, 2)
    with pytest.raises(ConfigError, match="1 subjects"):
        select_weights(Dice(np.ones((2, 2))), ["s"] * 40, 2, 2)
    with pytest.raises(ConfigError, match="does not fit"):
        select_weights(Dice(np.ones((2, 2))), GROUPS[:10], 2, 2)
