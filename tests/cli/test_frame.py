"""The frame: listing, errors as one line, exit codes, interruption, a reader that goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import ossa
from ossa import cli as frame
from ossa.errors import ConfigError, OutputError

OSSA = [sys.executable, "-m", "ossa"]


def run_with(monkeypatch: pytest.MonkeyPatch, body: Callable[[], None], *arguments: str) -> Result:
    """Call a command ``probe`` whose body is ``body``."""
    module = type(sys)("ossa.cli.probe")
    module.command = click.command("probe")(body)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ossa.cli.probe", module)
    monkeypatch.setitem(frame.COMMANDS, "probe", ("probe", "A probe."))
    return CliRunner().invoke(frame.cli, ["probe", *arguments], prog_name="ossa")


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(frame.cli, ["--help"])
    assert result.exit_code == 0
    for name, (_, line) in frame.COMMANDS.items():
        assert name in result.output
        assert line.split()[0] in result.output


@pytest.mark.parametrize("name", list(frame.COMMANDS))
def test_every_command_can_be_imported_and_explains_itself(name: str) -> None:
    result = CliRunner().invoke(frame.cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "--debug" in result.output


def test_the_real_program() -> None:
    run = subprocess.run([*OSSA, "--version"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, f"ossa {ossa.__version__}\n")


def test_no_arguments_show_the_help() -> None:
    run = subprocess.run(OSSA, capture_output=True, text=True, check=False)
    assert "Usage: ossa" in run.stdout + run.stderr


def test_a_misspelt_command_is_answered_with_the_nearest() -> None:
    result = CliRunner().invoke(frame.cli, ["predcit"])
    assert result.exit_code == 2
    assert "Did you mean 'predict'?" in result.stderr


def test_an_unknown_option_is_refused() -> None:
    result = CliRunner().invoke(frame.cli, ["info", "--nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


@pytest.mark.parametrize("error", [ConfigError, OutputError])
def test_an_ossa_error_is_one_line_without_traceback(
    monkeypatch: pytest.MonkeyPatch, error: type[ossa.OssaError]
) -> None:
    def body() -> None:
        raise error("is wrong", path="x.png", found="a", expected="b", remedy="Do c")

    result = run_with(monkeypatch, body)
    assert result.exit_code == 2
    assert result.stderr == "Error: x.png: is wrong; found a; expected b. Do c\n"
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["probe", "--debug"], ["--debug", "probe"]])
def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    def body() -> None:
        raise ConfigError("is wrong")

    run_with(monkeypatch, body)  # registers the command
    result = CliRunner().invoke(frame.cli, arguments)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "Error: is wrong" in result.stderr


def test_a_defect_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_with(monkeypatch, lambda: [][1])
    assert result.exit_code == 3
    assert "IndexError" in result.stderr
    assert "defect in ossa" in result.stderr
    assert "Traceback" not in result.stderr


def test_too_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def body() -> None:
        raise MemoryError

    result = run_with(monkeypatch, body)
    assert result.exit_code == 2
    assert "Not enough memory" in result.stderr


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def body() -> None:
        raise KeyboardInterrupt

    result = run_with(monkeypatch, body)
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr


#: A program whose one command waits.
PROBE = (
    # Started from a shell's background, a process inherits "ignore SIGINT", under nohup "ignore SIGHUP"; a terminal's
    # does not.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "if hasattr(signal, 'SIGHUP'): signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    "import sys, time, click, ossa.cli as frame\n"
    "module = type(sys)('ossa.cli.probe')\n"
    "def body():\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(float(sys.argv[2]))\n"
    "module.command = click.command('probe')(click.argument('seconds')(lambda seconds: body()))\n"
    "sys.modules['ossa.cli.probe'] = module\n"
    "frame.COMMANDS['probe'] = ('probe', 'A probe.')\n"
    "frame.main()\n"
)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_real_interrupt(name: str) -> None:
    """A signal to the program itself, in the middle of a command."""
    if not hasattr(signal, name):
        pytest.skip("not on this system")
    words = [sys.executable, "-c", PROBE, "probe", "60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        process.send_signal(getattr(signal, name))
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")
def test_nohup_outlives_its_terminal() -> None:
    code = PROBE.replace("frame.main()", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nframe.main()")
    with subprocess.Popen([sys.executable, "-c", code, "probe", "0.5"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")
def test_a_terminal_that_is_closed_stops_no_writing(tmp_path: Path) -> None:
    """What is written when a command is interrupted is written though nobody hears of it any more."""
    import fcntl
    import pty
    import termios

    main, terminal = pty.openpty()
    body = (
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped', flush=True)\n"
        f"        open({str(tmp_path / 'written')!r}, 'w').close()\n"
    )
    code = PROBE.replace("    print('ready', flush=True)\n    time.sleep(float(sys.argv[2]))\n", body)
    with subprocess.Popen(
        [sys.executable, "-c", code, "probe", "0"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(terminal)
        assert os.read(main, 5) == b"ready"
        os.close(main)
        process.wait(30)
    assert (tmp_path / "written").exists()


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """``ossa ... | head -1`` ends without noise."""
    label = tmp_path / "label.json"
    label.write_text('{"annotations": []}')
    run = subprocess.run(
        f"{sys.executable} -m ossa info {label} | true", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in run.stderr
    assert "BrokenPipe" not in run.stderr
