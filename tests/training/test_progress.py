"""What a person sees of a training: bars on a terminal, lines in the log anywhere."""

from __future__ import annotations

import io
import logging
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch")
if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

import helpers_training as tiny
from ossa.training.progress import make_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_bars_that_go_away_and_standard_output_stays_free(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with caplog.at_level(logging.INFO, "ossa.train"):
        tiny.train(tiny.tiny_config(train={"epochs": 2}), tmp_path, callbacks=make_progress("fold 0"))
    assert "Epoch 2/2" in terminal.getvalue()
    assert "Epoch 0" not in terminal.getvalue()
    assert "train/loss" in terminal.getvalue()
    assert capsys.readouterr().out == ""
    assert re.search(r"fold 0 epoch 2/2: loss \d+\.\d+, val Dice \d\.\d{4}", caplog.text)


def test_a_pipe_gets_lines_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(make_progress("fold 0")) == 1
    tiny.train(tiny.tiny_config(train={"epochs": 1}), tmp_path, callbacks=make_progress("fold 0"))
    assert "Epoch 0" not in capsys.readouterr().err
