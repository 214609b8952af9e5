"""Every loss against a library, its paper's slow definition or a number worked by hand."""

from __future__ import annotations

import math
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_known import known
from ossa.errors import ConfigError
from ossa.training.losses import LOSSES, Answer, WeightedLoss, signed_distance


def sample(seed: int, shape: tuple[int, ...] = (2, 3, 9, 7)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * 2, (torch.rand(shape, generator=generator) < 0.4).float()


def value(name: str, logits: torch.Tensor, target: torch.Tensor, **options: float) -> float:
    return float(WeightedLoss({name: {"weight": 1.0, **options}})(logits, target)[0])


def smp_losses() -> Any:
    from ossa.models._torchvision import ensure_torchvision

    if find_spec("segmentation_models_pytorch") is None:
        pytest.skip("segmentation_models_pytorch is not installed")
    ensure_torchvision()
    return pytest.importorskip("segmentation_models_pytorch").losses


def test_two_pixels_worked_by_hand() -> None:
    # p = .5 and .5, t = 1 and 0: I = .5, sum p = 1, sum t = 1.
    logits, target = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    assert value("bce", logits, target) == pytest.approx(math.log(2))
    assert value("bce", logits, target, positive=3) == pytest.approx(2 * math.log(2))
    assert value("dice", logits, target, smooth=0) == pytest.approx(0.5)
    assert value("dice", logits, target, smooth=1) == pytest.approx(1 - 2 / 3)
    assert value("dice_per_image", logits, target, smooth=0) == pytest.approx(0.5)
    assert value("iou", logits, target, smooth=0) == pytest.approx(1 - 0.5 / 1.5)
    assert value("jaccard", logits, target, smooth=0) == pytest.approx(1 - 0.5 / 1.5)
    assert value("tversky", logits, target, smooth=0) == pytest.approx(1 - 0.5 / (0.5 + 0.3 * 0.5 + 0.7 * 0.5))
    assert value("focal_tversky", logits, target, smooth=0, gamma=0.75) == pytest.approx(0.5**0.75)
    assert value("focal", logits, target) == pytest.approx(0.25 * math.log(2) * (0.25 + 0.75) / 2)
    # Errors m = 1 for both pixels; relu weights them with the Jaccard loss of "all wrong" = 1.
    assert value("lovasz", logits, target) == pytest.approx(1.0)
    # phi: 0 at the bone's only pixel, 1 px outside; diagonal sqrt(5).
    assert value("boundary", logits, target) == pytest.approx(0.5 * 1 / math.sqrt(5) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_against_segmentation_models_pytorch(seed: int) -> None:
    losses = smp_losses()
    logits, target = sample(seed)
    assert value("dice", logits, target, smooth=1.0) == pytest.approx(
        float(losses.DiceLoss("multilabel", smooth=0.5)(logits, target)), abs=1e-6
    )
    assert value("iou", logits, target, smooth=1.0) == pytest.approx(
        float(losses.JaccardLoss("multilabel", smooth=1.0)(logits, target)), abs=1e-6
    )
    assert value("tversky", logits, target, alpha=0.2, beta=0.6, smooth=1.0) == pytest.approx(
        float(losses.TverskyLoss("multilabel", alpha=0.2, beta=0.6, smooth=1.0)(logits, target)), abs=1e-6
    )
    assert value("focal", logits, target, gamma=1.5, alpha=0.3) == pytest.approx(
        float(losses.FocalLoss("multilabel", alpha=0.3, gamma=1.5)(logits, target)), abs=1e-6
    )
    one = logits[:1, :1], target[:1, :1]  # theirs pools bones and samples
    assert value("lovasz", *one) == pytest.approx(float(losses.LovaszLoss("multilabel")(*one)), abs=1e-5)


def test_dice_per_image_against_monai() -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = sample(4)
    theirs = monai.DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)(logits, target)
    assert value("dice_per_image", logits, target) == pytest.approx(float(theirs), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_lovasz_is_the_sum_over_level_sets(seed: int, height: int, width: int) -> None:
    """The Lovasz extension from its definition: sum over the order of m_i * (J(first i) - J(first i - 1))."""
    logits, target = sample(seed, (1, 1, height, width))
    z, t = logits.numpy().ravel(), target.numpy().ravel()
    errors = 1 - z * (2 * t - 1)
    order = np.argsort(-errors, kind="stable")

    def jaccard_loss(wrong: set[int]) -> float:
        predicted = {i for i in range(t.size) if (t[i] == 1) != (i in wrong)}
        truth = {i for i in range(t.size) if t[i] == 1}
        union = predicted | truth
        return 1 - len(predicted & truth) / len(union) if union else 0.0

    levels = [jaccard_loss(set(order[:k].tolist())) for k in range(t.size + 1)]
    slow = sum(max(errors[i], 0) * (b - a) for i, (a, b) in zip(order, pairwise(levels), strict=True))
    assert value("lovasz", logits, target) == pytest.approx(slow, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_signed_distance_against_all_pairs(seed: int) -> None:
    _, target = sample(seed, (1, 1, 6, 8))
    plane = target[0, 0].numpy() > 0.5
    got = signed_distance(target)[0, 0].numpy()
    if plane.all() or not plane.any():
        assert not got.any()
        return
    points = np.argwhere(np.ones_like(plane)).reshape(6, 8, 2)
    for y in range(6):
        for x in range(8):
            other = points[plane != plane[y, x]]
            nearest = np.hypot(*(other - (y, x)).T).min()
            assert got[y, x] == pytest.approx(-(nearest - 1) if plane[y, x] else nearest, abs=1e-4)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_bone_that_is_not_annotated_changes_nothing(name: str) -> None:
    logits, target = sample(7)
    annotated = torch.ones(2, 3)
    annotated[0, 1] = annotated[1, 2] = 0
    loss = WeightedLoss({name: 1.0})
    logits.requires_grad_()
    total, _ = loss(logits, target, annotated)
    total.backward()
    assert logits.grad is not None
    assert not logits.grad[0, 1].any()
    assert not logits.grad[1, 2].any()
    assert logits.grad[0, 0].any()
    changed_logits, changed_target = logits.detach().clone(), target.clone()
    changed_logits[0, 1] = 30
    changed_target[0, 1] = 1 - changed_target[0, 1]
    assert loss(changed_logits, changed_target, annotated)[0].item() == pytest.approx(total.item(), abs=1e-6)
    # Leaving a bone out everywhere equals not having the channel.
    annotated = torch.ones(2, 3)
    annotated[:, 2] = 0
    without = loss(logits[:, :2], target[:, :2])[0]
    assert loss(logits, target, annotated)[0].item() == pytest.approx(without.item(), abs=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_right_answers_cost_less_and_nothing_annotated_costs_nothing(name: str) -> None:
    _, target = sample(9, (2, 3, 16, 16))
    right = (target * 2 - 1) * 12
    good, bad = value(name, right, target), value(name, -right, target)
    assert good < 0.02 < bad
    nothing = WeightedLoss({name: 1.0})(right, target, torch.zeros(2, 3))[0]
    assert float(nothing) == 0.0


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_extreme_logits_stay_finite(name: str) -> None:
    target = torch.zeros(1, 2, 8, 8)
    target[0, 0, :4] = 1
    for size in (0.0, 80.0, 1e4):
        for sign in (1, -1):
            logits = (target * 2 - 1) * size * sign
            logits.requires_grad_()
            total, _ = WeightedLoss({name: 1.0})(logits, target)
            total.backward()
            assert torch.isfinite(total)
            assert torch.isfinite(known(logits.grad)).all()


def test_weighted_sum_and_its_mistakes() -> None:
    logits, target = sample(1)
    both, parts = WeightedLoss({"jaccard": 0.4, "bce": 0.3, "dice": {"weight": 0.3, "smooth": 0.5}})(logits, target)
    expected = 0.4 * parts["jaccard"] + 0.3 * parts["bce"] + 0.3 * parts["dice"]
    assert float(both) == pytest.approx(float(expected), abs=1e-6)
    with pytest.raises(ConfigError, match="perhaps 'dice'"):
        WeightedLoss({"dise": 1.0})
    with pytest.raises(ConfigError, match="perhaps 'gamma'"):
        WeightedLoss({"focal": {"gama": 1.0}})
    with pytest.raises(ConfigError, match="out of range"):
        WeightedLoss({"dice": -1.0})
    with pytest.raises(ConfigError, match="differ in shape"):
        WeightedLoss({"dice": 1.0})(logits, target[:, :2])


def test_answers_compute_the_probability_once() -> None:
    logits, target = sample(2)
    answer = Answer(logits, target, torch.ones(2, 3))
    assert answer.probability is answer.probability


def theirs(name: str, logits: torch.Tensor, target: torch.Tensor) -> float:
    """The reference pipeline's losses, from their formulas: every pixel of the batch in one long row."""
    p = [1 / (1 + math.exp(-z)) for z in logits.flatten().tolist()]
    t = target.flatten().tolist()
    both, total = sum(x * y for x, y in zip(p, t, strict=True)), sum(p) + sum(t)
    bce = -sum(y * math.log(x) + (1 - y) * math.log(1 - x) for x, y in zip(p, t, strict=True)) / len(p)
    tversky = 1 - (both + 1) / (both + 0.5 * (sum(p) - both) + 0.5 * (sum(t) - both) + 1)
    if name == "lovasz":
        errors = sorted(((1 - x * (2 * y - 1), y) for x, y in zip(p, t, strict=True)), key=lambda pair: -pair[0])
        before, value, seen, wrong = 0.0, 0.0, 0.0, 0.0
        for error, y in errors:
            seen, wrong = seen + y, wrong + 1 - y
            jaccard = 1 - (sum(t) - seen) / (sum(t) + wrong)
            value, before = value + max(error, 0) * (jaccard - before), jaccard
        return value
    if name == "combo":  # theirs subtracts Dice and wants probabilities
        rows = zip(p, t, strict=True)
        entropy = -sum(0.5 * (y * math.log(x) + 0.5 * (1 - y) * math.log(1 - x)) for x, y in rows) / len(p)
        return 0.5 * entropy - 0.5 * (2 * both + 1) / (total + 1) + 0.5
    return {
        "bce": bce,
        "dice": 1 - (2 * both + 1) / (total + 1),
        "iou": 1 - (both + 1) / (total - both + 1),
        "focal": 0.8 * (1 - math.exp(-bce)) ** 2 * bce,
        "tversky": tversky,
        "focal_tversky": tversky,
    }[name]


#: The reference pipeline's losses in a run file.
REFERENCE: dict[str, dict[str, float | str]] = {
    "bce": {},
    "dice": {"over": "batch"},
    "iou": {"over": "batch"},
    "focal": {"over": "batch", "alpha": 0.8},
    "tversky": {"over": "batch", "alpha": 0.5, "beta": 0.5},
    "focal_tversky": {"over": "batch", "alpha": 0.5, "beta": 0.5, "gamma": 1},
    "lovasz": {"over": "batch", "of": "probabilities"},
    "combo": {"positive": 0.5, "negative": 0.25},
}


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_pipelines_form_of_every_loss(name: str) -> None:
    logits, target = sample(11)
    found = WeightedLoss({name: {"weight": 1.0, **REFERENCE[name]}})
    assert float(found(logits.double(), target.double())[0]) == pytest.approx(theirs(name, logits, target), abs=1e-6)
    # What is not annotated is not there, in this form too.
    annotated = torch.tensor([[1, 1, 0], [1, 1, 0]])
    assert float(found(logits, target, annotated)[0]) == pytest.approx(
        float(found(logits[:, :2], target[:, :2])[0]), abs=1e-6
    )
    assert float(found(logits, target, torch.zeros(2, 3))[0]) == 0.0


def test_sums_with_bones_absent_from_the_batch_as_in_segmentation_models_pytorch() -> None:
    losses = smp_losses()
    logits, target = sample(12)
    target[:, 1] = 0
    bce = float(torch.nn.BCEWithLogitsLoss()(logits, target))
    jaccard = float(losses.JaccardLoss("multilabel")(logits, target))
    dice = float(losses.DiceLoss("multilabel")(logits, target))
    theirs_too: dict[str, float | str] = {"smooth": 0, "absent": "zero"}
    for shares in ((0.5, 0.5, 0.0), (0.4, 0.3, 0.3), (0.5, 0.0, 0.5)):
        ours = WeightedLoss(
            {
                "jaccard": {"weight": shares[0], **theirs_too},
                "bce": shares[1],
                "dice": {"weight": shares[2], **theirs_too},
            }
        )
        expected = shares[0] * jaccard + shares[1] * bce + shares[2] * dice
        assert float(ours(logits, target)[0]) == pytest.approx(expected, abs=1e-6)


def test_words_of_a_loss_are_checked() -> None:
    for options, said in (({"over": "plane"}, "one of bones, batch"), ({"smooth": "much"}, "a number")):
        with pytest.raises(ConfigError, match=said):
            WeightedLoss({"dice": {"weight": 1.0, **options}})


def test_ms_ssim_against_monai() -> None:
    monai = pytest.importorskip("monai.metrics")
    generator = torch.Generator().manual_seed(3)
    p, t = torch.rand((2, 2, 176, 180), generator=generator), torch.zeros(2, 2, 176, 180)
    t[:, :, 40:120, 60:150] = 1
    p = 0.3 * p + 0.6 * t
    one_by_one = p.flatten(0, 1)[:, None], t.flatten(0, 1)[:, None]
    expected = float(monai.MultiScaleSSIMMetric(spatial_dims=2, data_range=1.0)(*one_by_one).mean())
    assert value("ms_ssim", p.logit(), t) == pytest.approx(1 - expected, abs=1e-5)


def test_ssim_of_one_window_worked_slowly() -> None:
    """A plane as small as the window: one Gaussian-weighted mean, spread and product each."""
    logits, target = sample(5, (1, 1, 7, 7))
    p, t = logits.sigmoid()[0, 0].double().numpy(), target[0, 0].double().numpy()
    bell = np.exp(-((np.arange(7) - 3.0) ** 2) / (2 * 1.5**2))
    weight = np.outer(bell, bell) / bell.sum() ** 2
    mean_p, mean_t = (weight * p).sum(), (weight * t).sum()
    spread = (weight * p * p).sum() - mean_p**2 + (weight * t * t).sum() - mean_t**2
    together = (weight * p * t).sum() - mean_p * mean_t
    likeness = (2 * mean_p * mean_t + 1e-4) / (mean_p**2 + mean_t**2 + 1e-4)
    likeness *= (2 * together + 9e-4) / (spread + 9e-4)
    assert value("ms_ssim", logits, target) == pytest.approx(1 - max(likeness, 1e-7), abs=1e-5)
