"""``ossa train auto``: the recipe that it writes is the one that it gives, with a reason for each setting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from helpers_dataset import write_competition
from ossa.cli import cli
from ossa.config import load_config
from ossa.dataset.dataset import open_dataset
from ossa.dataset.fingerprint import Fingerprint, fingerprint
from ossa.errors import ConfigError, DatasetError
from ossa.pipeline.train_auto import planned_config
from ossa.training.plan import Machine, plan
from ossa.training.trial import Trial
from ossa.training.whole_plan import ENOUGH, plan_run, with_overrides

LAPTOP = Machine(2**33, 2)
SMALL = ["model.widths=[16, 16, 16, 16, 16]", "model.head=16", "model.depth=1", "data.workers=0", "data.size=64"]
SMALL += ["train.batch=2", "train.device=cpu", "train.threads=1"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_competition(tmp_path_factory.mktemp("auto") / "set", subjects=4, size=128)


@pytest.fixture(scope="module")
def measured(root: Path) -> Fingerprint:
    return fingerprint(open_dataset(root), 1)


def trial(seconds: float, size: int = 256) -> Trial:
    return Trial(sample=seconds, check=seconds / 3, reading=0.05, size=size, batch=2)


def test_a_recipe_is_told_written_and_given(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    told: list[str] = []
    wanted = [*SMALL, "train.epochs=2", f"output={tmp_path / 'out'}", "optimiser.lr=0.001"]
    planned = planned_config(root, wanted, minutes=20, machine=LAPTOP, workers=1, tell=told.append)
    assert planned.recipe == tmp_path / "out" / "planned.yaml"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["planned.yaml"]
    assert load_config(planned.recipe) == planned.config
    assert planned.config.train.epochs == 2
    assert planned.config.train.minutes is None  # somebody chose the length
    assert planned.config.optimiser.lr == 0.001
    assert any(line.startswith("train.batch: ") and "asked for" in line for line in told)
    assert any("expected to take about" in line and "of the 20 that there are" in line for line in told)
    lines = planned.recipe.read_text().splitlines()
    assert lines[lines.index("  size: 64") - 1] == "  # as it was asked for"
    again = planned_config(root, wanted, machine=LAPTOP, workers=1)
    assert again.recipe.name == "planned-2.yaml"
    with pytest.raises(ConfigError, match="too short for one epoch"):
        planned_config(root, [*SMALL, f"output={tmp_path}"], minutes=0.1, machine=LAPTOP, workers=1)


def test_a_short_time_costs_folds_before_the_grid(measured: Fingerprint) -> None:
    many = replace(measured, subjects=40, labelled=80)
    long, short = (plan_run(many, LAPTOP, trial(0.02), minutes) for minutes in (600, 4))
    assert long["folds.run"] == [0, 1, 2, 3, 4]
    assert 1 <= len(short["folds.run"]) < 5
    assert short["train.epochs"] >= ENOUGH
    assert any("folds are trained" in warning for warning in short.warnings)
    assert short["train.minutes"] == 4
    slow = replace(trial(0.02), writing=80.0)  # more than a run keeps for a fold's model by itself
    assert plan_run(many, LAPTOP, slow, 12, {"folds.run": [0]})["train.minutes"] == 11
    assert short.minutes is not None
    assert short.minutes <= 4
    asked = plan_run(many, LAPTOP, trial(0.02), 8, {"folds.run": [1, 2]})
    assert asked.minutes is not None
    assert asked.minutes <= 8
    with pytest.raises(KeyError):
        asked["folds.run"]  # with_overrides puts it in
    with pytest.raises(ConfigError, match=r"too short for one epoch; found 0\.4 minutes; expected"):
        plan_run(many, LAPTOP, trial(0.02), 0.4)
    with pytest.raises(ConfigError, match=r"found 3 minutes, 2\.8 of them for measuring"):
        plan_run(many, LAPTOP, trial(0.02), 0.2, spent=2.8)


def test_what_was_asked_for_stands_in_the_plan(measured: Fingerprint) -> None:
    first = plan(measured, LAPTOP)
    made = with_overrides(first, ["loss={dice: 1}", "data.augment.p_flip=0", "data.datasets.0.weight=2", "seed=3"])
    assert made["loss"] == {"dice": 1}
    assert made["data.datasets"] == [{"path": measured.root, "weight": 2}]
    settings = yaml.safe_load(made.to_yaml())
    assert settings == made.settings()
    assert settings["seed"] == 3
    assert settings["data"]["augment"]["p_flip"] == 0
    whole = with_overrides(first, ["train={epochs: 3}"]).settings()
    assert whole["train"] == {"epochs": 3}


def test_what_cannot_be_is_told_before_time_is_spent(measured: Fingerprint) -> None:
    with pytest.raises(DatasetError, match=r"folds\.count=9, 5 subjects"):
        plan(measured, LAPTOP, None, {"folds.count": 9})
    with pytest.raises(ConfigError, match="too little memory"):
        plan(measured, Machine(2**27, 2))
    with pytest.raises(ConfigError, match=r"too little memory.*2048 px"):
        plan(measured, Machine(2**31, 2), None, {"data.size": 2048})


def test_what_the_command_needs() -> None:
    wrong = [
        (["auto"], "ossa train auto ROOT"),
        (["laptop", "--minutes", "3"], "--minutes belongs"),
        (["laptop", "--dry-run"], "--dry-run belongs"),
        (["auto", "set", "--resume"], "without auto"),
    ]
    for arguments, word in wrong:
        result = CliRunner().invoke(cli, ["train", *arguments], prog_name="ossa")
        assert result.exit_code == 2
        assert word in result.stderr


def test_a_set_of_other_bones_is_planned_with_them(measured: Fingerprint) -> None:
    assert "bones" not in {line.key for line in plan(measured, LAPTOP, None, {}).lines}
    foot = replace(measured, schema="foot28")
    assert plan(foot, LAPTOP, None, {})["bones"] == "foot28"
    assert "bones" not in {line.key for line in plan(foot, LAPTOP, None, {"bones": "feet.toml"}).lines}
