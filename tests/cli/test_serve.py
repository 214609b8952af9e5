"""``ossa serve`` says in clear words why it does not begin."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from ossa.cli import cli


def refused(*arguments: str, **environment: str) -> str:
    done = CliRunner().invoke(cli, ["serve", *arguments], env={"OSSA_TOKEN": None, **environment})
    assert done.exit_code == 2, done.output
    return done.output


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "the port is in use" in refused("--port", str(taken.getsockname()[1]))


def test_a_model_that_does_not_load(tmp_path: Path) -> None:
    said = refused("--port", "0", "--model", str(tmp_path / "none"))
    assert "none" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "without a token"),
        (["--port", "70000"], "no such port"),
        (["--host", "no.such.host.invalid", "--new-token"], "no such address"),
        (["--allow-host", "http://here"], "is no name of a host"),
        (["--token-file", "absent"], "the token cannot be read"),
    ],
)
def test_what_cannot_be(arguments: list[str], words: str) -> None:
    assert words in refused(*arguments)


def test_a_token_too_short_to_protect(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("short\n")
    assert "too short" in refused("--host", "0.0.0.0", "--token-file", str(file))
    assert "too short" in refused("--host", "0.0.0.0", OSSA_TOKEN="short")


def test_a_folder_that_is_none(tmp_path: Path, bright_model: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refused("--port", "0", "--model", str(bright_model), "--fast", "--data", str(tmp_path / "file"))
    assert "the output folder cannot be written" in said
    (tmp_path / "jobs.sqlite").write_text("no database, " * 100)
    said = refused("--port", "0", "--model", str(bright_model), "--fast", "--data", str(tmp_path))
    assert "jobs cannot be kept here" in said
    assert "Traceback" not in said
