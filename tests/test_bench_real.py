"""How a model is judged on real hands: landmarks, matching of carpals, the tracings against themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from ossa.segmentation.segmentation import Region, Segmentation

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import _real  # type: ignore[import-not-found]  # noqa: E402

SIZE = 400


def test_landmarks_turn_with_the_hand_and_tips_lie_at_the_end() -> None:
    truth = segmentation(schematic_hand(SIZE, seed=1), SIZE)
    upright = _real.find_landmarks(truth)
    assert set(upright) == {m for _, marks in _real.DIGITS for m in marks}
    turned = _real.find_landmarks(Segmentation.from_planes(truth.planes()[:, ::-1, ::-1], SCHEMA))
    for mark, point in upright.items():
        assert turned[mark] == pytest.approx(SIZE - 1 - point, abs=1.5)
    tip = truth.regions["finger-8"]
    assert upright[28][1] <= tip.top + 2
    assert tip.left <= upright[28][0] <= tip.right


def test_joints_lie_between_their_bones() -> None:
    truth = segmentation(schematic_hand(SIZE, seed=2), SIZE)
    found = _real.find_landmarks(truth)
    for bones, marks in _real.DIGITS:
        for near, far, mark in zip(bones, bones[1:], marks[1:], strict=False):
            a, b = (np.mean(np.nonzero(truth.plane(n)), axis=1)[::-1] for n in (near, far))
            share = (found[mark] - a) @ (b - a) / ((b - a) @ (b - a))
            assert 0.25 < share < 0.75


def test_a_speck_does_not_move_a_tip() -> None:
    truth = segmentation(schematic_hand(SIZE, seed=3), SIZE)
    planes = truth.planes()
    planes[SCHEMA.index("finger-8"), 2:5, 2:5] = True
    moved = _real.find_landmarks(Segmentation.from_planes(planes, SCHEMA))
    assert moved[28] == pytest.approx(_real.find_landmarks(truth)[28])


def test_carpals_match_by_overlap_merged_ones_with_unions_and_each_bone_once() -> None:
    truth = segmentation(schematic_hand(SIZE, seed=4), SIZE)
    merged = Region.tight(truth.plane("Trapezium") | truth.plane("Trapezoid"))
    assert merged is not None
    instances = {21: truth.regions["Lunate"], 22: merged, 23: truth.regions["Capitate"], 24: truth.regions["Capitate"]}
    wrist = _real.Wrist("w", Path("w.jpg"), instances)
    found = _real.match_carpals(truth, wrist)
    assert found[21] == ("Lunate", 1.0)
    assert found[22] == ("Trapezium+Trapezoid", 1.0)
    assert found[23] == ("Capitate", 1.0)
    assert found[24][0] != "Capitate"  # used already
    assert found[24][1] < 0.5


@pytest.mark.real
def test_the_tracings_are_perfect_and_their_tips_close_to_the_experts(tmp_path: Path) -> None:
    if _real.real_folder() is None:
        pytest.skip("no real hands here")
    command = [sys.executable, str(BENCHMARKS / "bench_real.py"), "--truth", "--no-carpals", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["overlap"]["mean_dice"] > 0.9999
    assert figures["landmarks"]["tips"]["median_mm"] < 0.5
    assert figures["landmarks"]["tips"]["found"] == 10
    assert (tmp_path / "hands.png").stat().st_size > 100_000


@pytest.mark.real
def test_the_carpal_instances_are_six_or_seven() -> None:
    root = _real.real_folder()
    if root is None:
        pytest.skip("no real hands here")
    wrists = _real.read_wrists(root)
    assert len(wrists) == 24
    assert all(len(w.instances) in (6, 7) for w in wrists)
