"""``ossa data info``: the numbers of a made set, the page, and the recipe that it proposes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers_dataset import SCHEMA, schematic_hand, segmentation, write_competition
from ossa.cli import cli
from ossa.config import load_config
from ossa.dataset.dataset import open_dataset
from ossa.dataset.fingerprint import Fingerprint, Spread, fingerprint
from ossa.errors import ConfigError, DatasetError
from ossa.training.plan import Machine, plan

GB = 2**30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_competition(tmp_path_factory.mktemp("set") / "train_me", subjects=8, size=160)
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["ID", "나이", "성별"])
    for subject, age, sex in ((2, 30, "여"), (4, "41", "남"), (99, 5, "남")):
        book.active.append([subject, age, sex])
    book.save(root / "meta_data.xlsx")
    return root


@pytest.fixture(scope="module")
def measured(folder: Path) -> Fingerprint:
    return fingerprint(open_dataset(folder), workers=1)


def test_the_numbers(folder: Path, measured: Fingerprint) -> None:
    assert (measured.pictures, measured.labelled, measured.subjects) == (18, 16, 9)
    assert measured.sizes == {(160, 160): 18}
    assert measured.sides["L"] == measured.sides["R"] == 8
    assert measured.bent == 4
    assert measured.spacing is None
    assert len(measured.ages) == measured.sexes.get("F", 0) + measured.sexes.get("M", 0)
    radius = next(bone for bone in measured.bones if bone.name == "Radius")
    assert radius.drawn == radius.judged == 16
    areas = [segmentation(schematic_hand(160, seed=10 * k + h), 160)["Radius"].area for k in range(8) for h in (0, 1)]
    assert radius.area is not None
    assert abs(radius.area.median / np.median(areas) - 1) < 0.1
    pairs = {frozenset((pair.first, pair.second)) for pair in measured.overlaps}
    assert frozenset({"Triquetrum", "Pisiform"}) in pairs
    assert json.loads(json.dumps(measured.to_json(), allow_nan=False))["sizes"] == {"160x160": 18}


def test_spreads() -> None:
    assert Spread.of([]) is None
    assert Spread.of([float("nan"), 2.0]) == Spread(1, 2.0, 2.0, 2.0, 2.0, 2.0)


def test_the_command_writes_a_page_the_numbers_and_a_recipe(folder: Path, tmp_path: Path) -> None:
    arguments = ["data", "info", str(folder), "-o", str(tmp_path / "out"), "--workers", "1"]
    result = CliRunner().invoke(cli, arguments, prog_name="ossa")
    assert result.exit_code == 0, result.output
    assert "16 with labels, of 9 subjects" in result.stdout
    assert "train.batch" in result.stdout
    text = (tmp_path / "out" / "data.html").read_text()
    assert "Training that is proposed" in text
    assert re.search(r'src="(?!data:)', text) is None
    said = json.loads((tmp_path / "out" / "fingerprint.json").read_text())
    assert said["pictures"] == 18
    assert {line["key"] for line in said["plan"]} >= {"data.size", "train.batch", "folds.count"}
    config = load_config(tmp_path / "out" / "recipe.yaml")
    assert config.data.datasets[0].path == folder
    assert config.folds.count == 2
    result = CliRunner().invoke(cli, ["data", "info", str(folder), "--json", "--workers", "1"], prog_name="ossa")
    assert json.loads(result.stdout)["format"] == "competition"


def large(measured: Fingerprint, **changes: object) -> Fingerprint:
    """As if the pictures were those of the competition."""
    bones = tuple(
        replace(bone, width=Spread(16, *(5 * [bone.width.median * 2048 / 160]))) if bone.width else bone
        for bone in measured.bones
    )
    whole = replace(
        measured, longest=Spread(800, *(5 * [2048.0])), labelled=800, pictures=800, subjects=400, bones=bones
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_a_plan_follows_from_memory_subjects_and_time(measured: Fingerprint) -> None:
    laptop, card = Machine(8 * GB, 2), Machine(24 * GB, 16, "a card")
    here, there = plan(large(measured), laptop), plan(large(measured), card)
    assert here["model.architecture"] == "compact"
    assert there["model.architecture"] == "unet"
    assert here["folds.count"] == 5
    assert here["train.batch"] * here["train.accumulate"] >= 8
    small = plan(large(measured), Machine(1 * GB, 2))
    assert small["train.batch"] <= here["train.batch"]
    assert all(line.reason for line in here.lines)
    assert plan(large(measured, subjects=9), laptop)["folds.count"] == 2
    load_text = here.to_yaml()
    assert load_text.startswith("# Proposed by ossa")
    # About what two cores take: an epoch of 640 samples takes a minute.
    quick = replace(laptop, seconds_per_px=4e-7)
    long, short = (plan(large(measured), quick, budget) for budget in (600.0, 30.0))
    assert long["train.epochs"] > short["train.epochs"]
    assert long.minutes is not None
    assert long.minutes <= 600
    with pytest.raises(ConfigError, match="too short for one epoch"):
        plan(large(measured), quick, 0.01)


def test_a_batch_is_no_larger_than_an_epoch(measured: Fingerprint) -> None:
    few = plan(replace(measured, labelled=10, subjects=2), Machine(8 * GB, 2))
    assert few["train.batch"] * few["train.accumulate"] <= 5


def test_what_cannot_be_planned(measured: Fingerprint) -> None:
    with pytest.raises(DatasetError, match="no labelled picture"):
        plan(replace(measured, labelled=0), Machine(GB, 1))
    with pytest.raises(DatasetError, match="one person only"):
        plan(replace(measured, subjects=1), Machine(GB, 1))


def test_bones_that_nobody_drew_are_told(measured: Fingerprint) -> None:
    bones = tuple(replace(b, drawn=0) if b.name == "Pisiform" else b for b in measured.bones)
    title = SCHEMA.bone("Pisiform").title
    assert any(title in warning for warning in plan(replace(measured, bones=bones), Machine(4 * GB, 2)).warnings)
