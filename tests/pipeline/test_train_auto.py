"""``ossa train auto``: the recipe that it writes is the one that it gives, with a reason for each setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers_dataset import write_competition
from ossa.cli import cli
from ossa.config import load_config
from ossa.errors import ConfigError
from ossa.pipeline.train_auto import RECIPE, planned_config
from ossa.training.plan import Machine


def test_a_recipe_is_told_written_and_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_competition(tmp_path / "set", subjects=4, size=128)
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    machine = Machine(2**32, 2, seconds_per_px=4e-7)
    config = planned_config(root, ["train.epochs=2"], minutes=20, machine=machine, workers=1, tell=told.append)
    assert config.train.epochs == 2
    assert config.folds.count == 2
    assert any(line.startswith("train.batch: ") and "(" in line for line in told)
    assert load_config(tmp_path / "runs" / RECIPE).data == config.data
    with pytest.raises(ConfigError, match="too short for one epoch"):
        planned_config(root, minutes=0.001, machine=machine, workers=1)


def test_what_the_command_needs() -> None:
    for arguments, word in ((["auto"], "ossa train auto ROOT"), (["laptop", "--minutes", "3"], "--minutes belongs")):
        result = CliRunner().invoke(cli, ["train", *arguments], prog_name="ossa")
        assert result.exit_code == 2
        assert word in result.stderr
