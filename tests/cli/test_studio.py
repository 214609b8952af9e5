"""``ossa studio`` from the command line: what is refused before anything is served."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers_dataset import write_prediction_folder
from ossa.cli import cli


def refused(*arguments: str) -> str:
    answer = CliRunner().invoke(cli, ["studio", "--no-browser", *arguments])
    assert answer.exit_code == 2, answer.output
    return answer.output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_prediction_folder(tmp_path / "set")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no picture" in refused(str(tmp_path / "empty"))
    assert "there is no such folder" in refused(str(tmp_path / "gone"))
    assert not (tmp_path / "empty-studio").exists()


def test_a_model_that_does_not_load(root: Path, tmp_path: Path) -> None:
    assert "is not a model bundle" in refused(str(root), "--model", str(tmp_path))
    assert not (tmp_path / "set-studio").exists()


def test_a_source_that_is_none(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    assert "mine.csv" in refused(str(root), "--csv", str(tmp_path / "mine.csv"))
    assert "out" in refused(str(root), "--predictions", str(tmp_path / "out"))


def test_an_output_in_the_data_set(root: Path) -> None:
    assert "one of the inputs" in refused(str(root), "-o", str(root))
    before = sorted(path.name for path in root.iterdir())
    assert before == ["hand0.json", "hand0.png", "hand1.json", "hand1.png"]


def test_another_address_needs_a_token(root: Path) -> None:
    assert "token" in refused(str(root), "--host", "0.0.0.0")


def test_a_port_in_use(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "the port is in use" in refused(str(root), "--port", str(taken.getsockname()[1]))
