"""A judged result: its confidences and notes, and the second look, on the first one's grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers_dataset import draw, schematic_hand
from helpers_judge import a_judge
from helpers_models import MakeBundle
from ossa.inference.judge import NO_HAND
from ossa.inference.predictor import Predictor
from ossa.radiograph.radiograph import Radiograph
from ossa.schema import BoneSchema


def test_a_judged_result_has_confidences_and_the_pixels_of_a_plain_one(bright_model: Path) -> None:
    picture = Radiograph(draw(schematic_hand(96, seed=1), 96))
    plain = Predictor.load(bright_model, "cpu", fast=True)
    found = plain.predict(picture)
    examined = replace(plain, judge=a_judge(0.0)).predict(picture)
    assert len(found) > 0
    assert found.regions.keys() == examined.regions.keys()
    assert all(np.array_equal(found.plane(name), examined.plane(name)) for name in found.regions)
    assert set(examined.confidence.values()) == {0.7311}


def test_too_little_evidence_is_no_hand(bright_model: Path) -> None:
    picture = Radiograph(draw(schematic_hand(96, seed=1), 96))
    result = replace(Predictor.load(bright_model, "cpu", fast=True), judge=a_judge(2.0)).predict(picture)
    assert len(result) == 0
    assert NO_HAND in result.notes


def test_the_second_look_lies_on_the_grid_of_the_first(bright_model: Path) -> None:
    picture = Radiograph(draw(schematic_hand(96, seed=1), 96)[:, 20:])
    predictor = Predictor.load(bright_model, "cpu", fast=True)
    networks = replace(predictor.networks, upright=False)
    prepared = networks.prepare(picture)
    look = networks.look(prepared)
    first, other = look.logits, replace(predictor, networks=networks).second_look(prepared, look)
    assert other.shape == first.shape
    inside = np.s_[0, 4:-4, 4:28]
    assert np.corrcoef(first[inside].ravel(), other[inside].ravel())[0, 1] > 0.8


def test_a_schema_without_a_judge_is_not_judged(tmp_path: Path, make_bundle: MakeBundle, few: BoneSchema) -> None:
    assert Predictor.load(make_bundle(tmp_path / "m", schema=few).path).judge is None
