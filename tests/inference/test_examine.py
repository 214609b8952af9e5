"""Turning pictures and results by quarters, and a predictor that finds a hand which lies upside down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from helpers_dataset import SCHEMA, draw, schematic_hand, segmentation
from ossa.inference import examine as module
from ossa.inference.examine import examine, turned, turned_back
from ossa.inference.quality import Assessment
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.segmentation.segmentation import Segmentation


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_result_comes_back_to_where_its_bones_lie(turns: int) -> None:
    truth = Segmentation.from_planes(segmentation(schematic_hand(200, seed=1), 200).planes()[:, 10:, 25:], SCHEMA)
    turned_truth = Segmentation.from_planes(np.rot90(truth.planes(), turns, (1, 2)), SCHEMA)
    back = turned_back(turned_truth, turns, truth.shape)
    assert back.shape == truth.shape
    assert np.array_equal(back.planes(), truth.planes())


def test_spacing_turns_with_the_picture() -> None:
    picture = Radiograph(np.zeros((4, 6), np.uint8), Spacing(0.1, 0.2, "user"))
    assert turned(picture, 1).spacing == Spacing(0.2, 0.1, "user")
    assert turned(picture, 2).spacing == Spacing(0.1, 0.2, "user")
    assert turned(picture, 1).shape == (6, 4)


@dataclass(frozen=True)
class UprightOnly:
    """Stands in for a predictor that knows one picture, and only the way it lies."""

    picture: np.ndarray
    truth: Segmentation
    asked: list[int] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    views: tuple = ()

    def logits(self, radiograph: Radiograph):
        self.asked.append(1)
        return np.array_equal(radiograph.pixels, self.picture), radiograph.shape

    def decode(self, known: bool, shape: tuple[int, int]) -> Segmentation:
        return self.truth if known else replace(self.truth, regions={}, shape=shape)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_hand_is_found_however_the_picture_lies(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    outlines = schematic_hand(128, seed=2)
    picture, truth = draw(outlines, 128)[:, 14:], segmentation(outlines, 128)
    truth = Segmentation.from_planes(truth.planes()[:, :, 14:], SCHEMA)
    predictor = UprightOnly(picture, truth)

    def fake(found, *_):
        sure = np.where([n in found.regions for n in SCHEMA.names], 0.95, np.nan)
        return Assessment(sure, np.zeros((29, 10)), 1.0 if len(found) else 0.0, (), ())

    monkeypatch.setattr(module, "assess", fake)
    monkeypatch.setattr(module, "second_look", lambda *_: None)
    monkeypatch.setattr(module, "judged", lambda found, *_: found)
    lying = Radiograph(np.ascontiguousarray(np.rot90(picture, turns)))
    judge = type("J", (), {"hand": 0.2})()
    found = examine(predictor, lying, judge)
    assert np.array_equal(found.planes(), np.rot90(truth.planes(), turns, (1, 2)))
    assert len(predictor.asked) == {0: 1, 2: 2, 3: 3, 1: 4}[turns]
