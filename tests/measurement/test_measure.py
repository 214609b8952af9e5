"""Numbers of a hand made of bars, whose sizes and angles are known; bad bones; uncertainties."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_hands import BARS, SHAPE, made_hand, mirrored
from ossa.errors import InputError
from ossa.measurement.measure import DOUBTFUL, bones_of, measure_hand, measured_values
from ossa.measurement.trace import Scale
from ossa.measurement.types import HandMeasurements
from ossa.radiograph.radiograph import Provenance, Radiograph, Spacing
from ossa.segmentation.segmentation import Region, Segmentation


@pytest.fixture(scope="module")
def hand() -> HandMeasurements:
    return measure_hand(made_hand(), name="made")


def value(hand: HandMeasurements, name: str, bone: str | None = None) -> float:
    found = hand.get(name, bone)
    assert found is not None
    assert found.value is not None, found.reason
    return found.value


@pytest.mark.parametrize("bone", [name for name in BARS if name.startswith("finger")])
def test_bars_have_their_lengths_and_widths(hand: HandMeasurements, bone: str) -> None:
    base, tip, wide = BARS[bone]
    long = math.dist(base, tip)
    # A tilted bar's corners reach beyond its ends by what one pixel adds.
    assert value(hand, "length", bone) == pytest.approx(long, abs=2)
    assert value(hand, "width_middle", bone) == pytest.approx(wide, abs=1)
    assert value(hand, "width_base", bone) == pytest.approx(wide, abs=2)
    assert value(hand, "area", bone) == pytest.approx(long * wide, rel=0.06)
    angle = math.degrees(math.atan2(tip[0] - base[0], base[1] - tip[1]))
    assert value(hand, "axis_angle", bone) == pytest.approx(angle, abs=1.5)


def test_the_hand(hand: HandMeasurements) -> None:
    assert value(hand, "ulnar_variance") == pytest.approx(-10, abs=2)
    assert value(hand, "radial_height") == pytest.approx(58, abs=3)
    assert value(hand, "radial_inclination") == pytest.approx(math.degrees(math.atan2(58, 160)), abs=1.5)
    # From the third metacarpal's base (y 700) down to the radius below it, x 430.
    rim = 922 + 58 * (430 - 290) / 160
    assert value(hand, "carpal_height") == pytest.approx(rim - 700, abs=4)
    assert value(hand, "carpal_height_ratio") == pytest.approx((rim - 700) / 250, abs=0.02)
    assert abs(value(hand, "radius_metacarpal_angle")) < 4
    fingers = [
        math.dist(BARS[base][0], BARS[tip][1]) for base, tip in (("finger-6", "finger-4"), ("finger-14", "finger-12"))
    ]
    assert value(hand, "digit_ratio") == pytest.approx(fingers[0] / fingers[1], abs=0.01)
    lengths = sum(math.dist(*BARS[b][:2]) for b in ("finger-7", "finger-11", "finger-15", "finger-19"))
    widths = sum(BARS[b][2] for b in ("finger-7", "finger-11", "finger-15", "finger-19"))
    assert value(hand, "metacarpal_index") == pytest.approx(lengths / widths, abs=0.2)
    assert value(hand, "joint_space", "finger-10") == pytest.approx(10, abs=1.5)
    # The tangent to the fourth and fifth heads, at the third's head.
    (x4, y4), (x5, y5) = BARS["finger-15"][1], BARS["finger-19"][1]
    assert value(hand, "metacarpal_sign") < 0 or (y4 - y5) / (x4 - x5) > 0


def test_a_mirrored_hand_measures_the_same(hand: HandMeasurements) -> None:
    left = measure_hand(mirrored(made_hand()))
    assert (hand.side, left.side) == ("R", "L")
    for one in hand:
        other = left.get(one.name, one.bone)
        assert other is not None
        if one.value is None or one.name == "axis_angle":
            assert (other.value is None) == (one.value is None)
        else:
            assert other.value == pytest.approx(one.value, rel=2e-3, abs=0.05), one


def test_millimetres_follow_rows_and_columns(hand: HandMeasurements) -> None:
    wide = measure_hand(made_hand(), spacing=Spacing(0.1, 0.1, "user"))
    for one in hand:
        other = wide.get(one.name, one.bone)
        assert other is not None
        if one.value is not None:
            factor = {"px": 0.1, "px2": 0.01}.get(one.unit, 1.0)
            assert other.value == pytest.approx(one.value * factor, rel=1e-6, abs=1e-4)
            assert other.unit == {"px": "mm", "px2": "mm2"}.get(one.unit, one.unit)
    # Rows twice as far apart: what lies along them is twice as long.
    tall = measure_hand(made_hand(), spacing=Spacing(0.2, 0.1, "user"))
    assert value(tall, "length", "finger-11") == pytest.approx(2 * value(wide, "length", "finger-11"), rel=1e-6)
    assert value(tall, "width_middle", "finger-11") == pytest.approx(value(wide, "width_middle", "finger-11"), rel=1e-6)


def test_every_number_has_an_uncertainty_or_a_reason(hand: HandMeasurements) -> None:
    for one in hand:
        assert (one.value is None) == (one.reason is not None), one
        assert (one.value is None) == (one.uncertainty is None), one
        assert one.value is None or math.isfinite(one.value)


def test_of_the_forearm_only_the_end_at_the_wrist_is_measured(hand: HandMeasurements) -> None:
    assert {one.name for one in hand.of_bone("Radius")} == {"axis_angle"}
    assert value(hand, "axis_angle", "Radius") == pytest.approx(0, abs=2)


def test_a_cut_bone_gives_a_reason() -> None:
    whole = made_hand()
    low = 100  # through the tips of the fingers
    cut = {n: Region(max(r.top - low, 0), r.left, r.mask[max(low - r.top, 0) :]) for n, r in whole}
    hand = measure_hand(Segmentation(whole.schema, (SHAPE[0] - low, SHAPE[1]), cut))
    tip = hand.get("length", "finger-8")
    assert tip is not None
    assert tip.reason == "cut by the edge of the picture"
    assert "finger-8" in hand.cut
    assert value(hand, "length", "finger-10") == pytest.approx(170, abs=2)


def test_a_doubtful_bone_gives_no_number() -> None:
    found = replace(made_hand(), confidence={"finger-11": DOUBTFUL - 0.01, "Lunate": 0.9})
    hand = measure_hand(found)
    length = hand.get("length", "finger-11")
    assert length is not None
    assert length.reason == f"doubtful (confidence {DOUBTFUL - 0.01:.2f})"
    height = hand.get("carpal_height_ratio")
    assert height is not None
    assert height.reason == f"Third metacarpal: doubtful (confidence {DOUBTFUL - 0.01:.2f})"


@pytest.mark.parametrize(
    ("without", "name", "reason"),
    [
        (("Radius", "Ulna"), "radial_inclination", "Radius: not found"),
        (("Ulna",), "ulnar_variance", "Ulna: not found"),
        (("finger-12", "finger-13", "finger-14"), "digit_ratio", "Ring finger proximal phalanx: not found"),
        (("Lunate",), "carpal_angle", "Lunate: not found"),
        (("finger-19",), "metacarpal_sign", "Fifth metacarpal: not found"),
    ],
)
def test_what_is_missing_is_named(without: tuple[str, ...], name: str, reason: str) -> None:
    found = measure_hand(made_hand(without)).get(name)
    assert found is not None
    assert found.reason == reason


def test_a_hand_cut_at_the_wrist_says_that_its_radius_is_a_stub() -> None:
    whole = made_hand()
    cut = {n: r for n, r in whole if r.top < 1040}
    cut = {n: Region(r.top, r.left, r.mask[: 1040 - r.top]) for n, r in cut.items()}
    hand = measure_hand(Segmentation(whole.schema, (1040, SHAPE[1]), cut))
    found = hand.get("radial_inclination")
    assert found is not None
    assert found.reason == "Radius: too little of the shaft is in view for its axis"
    assert value(hand, "carpal_height") > 0


def test_nothing_and_one_bone_alone() -> None:
    nothing = measure_hand(Segmentation(made_hand().schema, SHAPE, {}))
    assert all(one.value is None for one in nothing)
    alone = measure_hand(made_hand(tuple(n for n in made_hand().regions if n != "finger-10")))
    assert {one.reason for one in alone.of_bone("finger-11")} == {"not found"}
    dot = Segmentation(made_hand().schema, SHAPE, {"finger-10": Region(5, 5, np.ones((1, 1), bool))})
    assert measure_hand(dot).get("length", "finger-10") is not None


def test_uncertainties_grow_with_what_the_edges_leave_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossa.measurement.uncertainty.fitted", lambda: {"length": {"metacarpal": (2.0, 0.01)}})
    found = made_hand()
    near = replace(found, plausible={name: (region, region, region) for name, region in found})
    bone = found["finger-11"]
    longer = Region(bone.top - 12, bone.left, np.pad(bone.mask, ((12, 0), (0, 0)), mode="edge"))
    far = replace(near, plausible={**near.plausible, "finger-11": (longer, bone)})
    small, large = (measure_hand(one).get("length", "finger-11") for one in (near, far))
    assert small is not None
    assert large is not None
    assert small.value == large.value
    least = 0.01 * math.sqrt(250 * 44)
    assert small.uncertainty == pytest.approx(least, rel=0.02)
    assert large.uncertainty == pytest.approx(math.hypot(2 * 12, least), rel=0.05)


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=5)
def test_numbers_that_are_wanted_are_those_of_all(seed: int) -> None:
    bones = bones_of(made_hand(), Scale(1.0, 1.0, drawn=False))
    every = measured_values(bones)
    rng = np.random.default_rng(seed)
    wanted = {key: value for key, value in every.items() if rng.random() < 0.3}
    assert measured_values(replace(bones, known={}), wanted) == wanted


def test_side_and_spacing_come_from_the_radiograph() -> None:
    origin = Provenance(notes=("a header that contradicts itself",))
    grey = np.zeros(SHAPE, np.uint8)
    hand = measure_hand(made_hand(), Radiograph(grey, Spacing(0.15, 0.15, "PixelSpacing"), "L", origin))
    assert hand.spacing_source == "PixelSpacing"
    assert (hand.side, hand.marked) == ("R", "L")
    assert hand.notes[0] == "a header that contradicts itself"
    assert "marked as a left hand" in hand.notes[1]
    assert measure_hand(made_hand(), Radiograph(grey)).spacing_source == "none: lengths in px"
    with pytest.raises(InputError, match="do not belong to this picture"):
        measure_hand(made_hand(), Radiograph(grey[:-1]))


def test_the_limit_of_doubt_is_the_judges() -> None:
    from ossa.inference.judge import default_judge

    judge = default_judge(made_hand().schema)
    assert judge is not None
    assert judge.unsure == DOUBTFUL


def test_a_radius_in_two_parts_gives_no_carpal_height_where_it_has_a_gap() -> None:
    hand = made_hand()
    radius = hand["Radius"]
    mask = radius.mask.copy()
    mask[:, 400 - radius.left : 460 - radius.left] = False  # the third metacarpal's axis is at 430
    gap = Region.tight(mask, radius.top, radius.left)
    assert gap is not None
    found = measure_hand(replace(hand, regions={**hand.regions, "Radius": gap})).get("carpal_height")
    assert found is not None
    assert found.reason == "the third metacarpal's axis passes beside the radius (a bent wrist)"
