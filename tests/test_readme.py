"""The README says what is true: its example runs, its links lead somewhere, its table has every command."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from ossa.cli import COMMANDS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_in_the_table(name: str) -> None:
    assert f"| `ossa {name}" in TEXT


def test_no_command_is_in_the_table_that_does_not_exist() -> None:
    assert set(re.findall(r"\| `ossa (\w+)", TEXT)) <= set(COMMANDS)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", TEXT):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_two_commands_name_what_is_there() -> None:
    first, second = re.findall(r"^    (.+)$", TEXT, re.MULTILINE)[:2]
    assert "predict samples/hand.png -o out" in first
    assert (ROOT / "samples" / "hand.png").is_file()
    assert (ROOT / "constraints.txt").is_file()
    assert second == ".ci/run"
    assert os.access(ROOT / second, os.X_OK)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    exec(found.group(1), {})
    assert "Radius" in capsys.readouterr().out
    assert (tmp_path / "hand_overlay.png").is_file()
