"""Dice curves against decoding at each threshold; fits that find a planted optimum; an honest gain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from ossa.ensemble.calibrate import THRESHOLDS, OutOfFold, calibrate, dice_curve
from ossa.ensemble.crossfit import both_ways
from ossa.errors import ConfigError
from ossa.radiograph.prepare import Placement, Preparation, place
from ossa.segmentation.cleanup import Rule
from ossa.segmentation.compare import dice
from ossa.segmentation.decode import decode
from ossa.segmentation.segmentation import Segmentation

ALL = frozenset(SCHEMA.names)
LIMITS = (0.2, 0.4, 0.5, 0.7)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 70), st.integers(20, 70), st.sampled_from([32, 48, 64]))
def test_the_curve_is_that_of_decoding_at_each_threshold(seed: int, height: int, width: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    placement = place((height, width), Preparation(size, 16))
    shape = (placement.grid_shape[0] // 2, placement.grid_shape[1] // 2)
    logits = rng.normal(-1, 2, (len(SCHEMA), *shape)).astype(np.float32)
    logits[3] = -9.0
    truth = Segmentation.from_planes(rng.random((len(SCHEMA), height, width)) < 0.3, SCHEMA)
    for i in (0, 3, 28):
        name = SCHEMA.names[i]
        curve = dice_curve(logits[i], placement, truth.get(name), LIMITS)
        for value, threshold in zip(curve, LIMITS, strict=True):
            cut = decode(logits, placement, SCHEMA, {name: threshold})
            assert value == pytest.approx(dice(cut.get(name), truth.get(name)), abs=2e-3)


SIZE = 96


def samples(count: int, fault: str) -> tuple[list, list[str]]:
    """Schematic hands with a fault that one kind of choice mends; two pictures per subject."""
    placement = Placement((SIZE, SIZE), (SIZE, SIZE), (SIZE, SIZE), 1.0, 1.0)
    made = []
    for k in range(count):
        truth = segmentation(schematic_hand(SIZE, seed=k), SIZE)
        planes = truth.planes()
        logits = np.where(planes, 3.0, -5.0).astype(np.float32)
        i = SCHEMA.index("Radius")
        if fault == "halo":  # a rim of probability .6 around the bone: any threshold above .6 is right
            rim = (
                np.roll(planes[i], 2, 0)
                | np.roll(planes[i], -2, 0)
                | np.roll(planes[i], 2, 1)
                | np.roll(planes[i], -2, 1)
            )
            logits[i] = np.where(planes[i], 3.0, np.where(rim, 0.4, -5.0))
        if fault == "speck":
            logits[i, 2:6, 2:6] = 3.0
        if fault == "hole":
            ys, xs = np.nonzero(planes[i])
            y, x = int(np.median(ys)), int(np.median(xs))
            logits[i, y - 2 : y + 3, x - 1 : x + 2] = -5.0
        if fault == "noise":  # nothing to be learned: a wobble of its own in every picture
            logits += np.random.default_rng(k).normal(0, 1.2, logits.shape).astype(np.float32)
        sample = OutOfFold(logits, placement, truth, ALL)
        made.append(lambda sample=sample: sample)
    return made, [f"s{k // 2}" for k in range(count)]


@pytest.mark.parametrize(
    ("fault", "threshold", "rule"),
    [("halo", True, Rule()), ("speck", False, Rule(part=0.1)), ("hole", False, Rule(part=0.1, hole=1.0))],
)
def test_each_fault_is_mended_by_the_mildest_choice_that_mends_it(fault: str, threshold: bool, rule: Rule) -> None:
    readers, subjects = samples(8, fault)
    found = {c.bone: c for c in calibrate(readers, subjects, SCHEMA).choices}
    radius = found["Radius"]
    assert radius.gain > 0.005
    assert radius.with_rule == pytest.approx(1.0, abs=0.02)
    assert (radius.threshold > 0.55) == threshold
    assert radius.rule == rule
    others = [c for name, c in found.items() if name != "Radius"]
    assert all(c.threshold == 0.5 and c.rule == Rule() and c.gain == 0 for c in others)


def test_noise_promises_no_gain() -> None:
    """Fitting on the judged images themselves would show one; judged on others there is none to speak of."""
    readers, subjects = samples(6, "noise")
    result = calibrate(readers, subjects, SCHEMA)
    plain, _, both = result.means()
    assert abs(both - plain) < 0.01
    assert set(result.thresholds) <= {c.bone for c in result.choices if c.with_threshold > c.plain}
    assert result.images == 6
    assert result.subjects == 3


def contrary(kind: str) -> tuple[list, list[str]]:
    """Eight subjects; what helps the one half of them harms the other."""
    readers, _ = samples(8, "none")
    subjects = [f"s{k}" for k in range(8)]
    first = both_ways(subjects)[0][0]
    i = SCHEMA.index("Radius")
    made = []
    for k, reader in enumerate(readers):
        sample = reader()
        plane = sample.logits[i]
        inside = plane > 0
        if kind == "threshold":  # in one half the bone's own rim is hesitant, in the other a rim around it
            inner = cv2.erode(inside.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
            outer = cv2.dilate(inside.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
            core, rim = (inside, outer & ~inside) if first[k] else (inner, inside & ~inner)
            plane[...] = np.where(core, 3.0, np.where(rim, 0.4, -5.0))
        truth = sample.truth
        if kind == "rule":
            ys, xs = np.nonzero(inside)
            far = slice(max(0, int(ys.min()) - 8), max(1, int(ys.min()) - 3)), slice(int(xs.min()), int(xs.max()) + 1)
            plane[far] = 3.0
            if not first[k]:  # here the second part belongs to the bone
                planes = truth.planes()
                planes[i][far] = True
                truth = Segmentation.from_planes(planes, SCHEMA)
        kept = OutOfFold(sample.logits, sample.placement, truth, ALL)
        made.append(lambda kept=kept: kept)
    return made, subjects


def test_thresholds_are_judged_on_subjects_that_they_were_not_fitted_on() -> None:
    """A threshold fitted on everybody would seem to gain; fitted on the others it loses, and .5 stays."""
    readers, subjects = contrary("threshold")
    radius = {c.bone: c for c in calibrate(readers, subjects, SCHEMA).choices}["Radius"]
    assert radius.with_threshold < radius.plain - 0.02
    assert radius.threshold == 0.5


def test_rules_are_judged_on_subjects_that_they_were_not_fitted_on() -> None:
    readers, subjects = contrary("rule")
    radius = {c.bone: c for c in calibrate(readers, subjects, SCHEMA).choices}["Radius"]
    assert radius.with_rule < radius.with_threshold - 0.01
    assert radius.rule == Rule()


def test_only_annotated_bones_are_fitted() -> None:
    readers, subjects = samples(4, "halo")
    partial = [lambda r=r: OutOfFold(r().logits, r().placement, r().truth, ALL - {"Radius"}) for r in readers]
    radius = {c.bone: c for c in calibrate(partial, subjects, SCHEMA).choices}["Radius"]
    assert radius.images == 0
    assert radius.threshold == 0.5


def test_what_is_fitted_goes_into_a_card() -> None:
    readers, subjects = samples(4, "halo")
    result = calibrate(readers, subjects, SCHEMA)
    assert list(result.thresholds) == ["Radius"]
    assert result.thresholds["Radius"] in THRESHOLDS
    assert result.cleanup.to_json()["bones"] == {}


def test_one_subject_is_not_enough() -> None:
    readers, _ = samples(2, "halo")
    with pytest.raises(ConfigError, match="at least two"):
        calibrate(readers, ["a", "a"], SCHEMA)
    with pytest.raises(ConfigError, match=r"\.5"):
        calibrate(readers, ["a", "b"], SCHEMA, thresholds=(0.3, 0.7))
