"""Lengths against published ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers_hands import made_hand
from ossa.measurement.measure import measure_hand
from ossa.measurement.norms import LENGTHS, NO_SPACING
from ossa.radiograph.radiograph import Spacing
from ossa.schema import load_schema

SCHEMA = load_schema()


def test_every_tubular_bone_has_a_norm_and_no_other() -> None:
    tubular = {(bone.row, bone.digit) for bone in SCHEMA.bones if bone.digit is not None}
    assert set(LENGTHS) == tubular
    assert len(tubular) == 19


def test_a_score_is_the_length_less_the_mean_over_the_deviation() -> None:
    hand = measure_hand(made_hand(), spacing=Spacing(0.25, 0.25, "user"))
    length, score = hand.get("length", "finger-11"), hand.get("length_z", "finger-11")
    assert length is not None
    assert score is not None
    assert length.value is not None
    assert length.value == pytest.approx(62.5, abs=0.5)
    assert score.value == pytest.approx((length.value - 64.6) / 5.4)
    assert score.uncertainty == pytest.approx((length.uncertainty or 0) / 5.4)
    assert hand.get("length_z", "Capitate") is None
    assert hand.get("length_z", "Radius") is None


def test_without_millimetres_or_without_a_length_there_is_a_reason() -> None:
    px = measure_hand(made_hand()).get("length_z", "finger-11")
    assert px is not None
    assert (px.value, px.reason) == (None, NO_SPACING)
    doubted = replace(made_hand(), confidence={"finger-11": 0.1})
    gone = measure_hand(doubted, spacing=Spacing(0.1, 0.1, "user")).get("length_z", "finger-11")
    assert gone is not None
    assert gone.reason == "doubtful (confidence 0.10)"
