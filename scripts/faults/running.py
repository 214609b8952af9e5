"""Starting a command in a session of its own, killing it, and looking whether anything of it lives on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"

#: Seconds that processes of a killed command have to see that it is gone.
LINGER = 10.0

#: Longest any command of these inputs may take, seconds; then it hangs.
LONGEST = 300.0


class Hung(Exception):
    """A command did not end."""


@dataclass(frozen=True)
class Fault:
    """What the hook does inside a command: see hook/sitecustomize.py."""

    under: Path
    count: Path
    at: int
    do: str = "kill"

    def text(self) -> str:
        """The value of OSSA_FAULT."""
        return json.dumps({"under": str(self.under), "count": str(self.count), "at": self.at, "do": self.do})


@dataclass
class Command:
    """A command at work: its process leads a session, ``log`` hears what it says.

    ``code``: how it ended (below 0: by which signal), after ``seconds`` of processor time, with those it waited for.
    """

    nursery: Nursery
    process: int
    log: Path
    code: int | None = None
    seconds: float = 0.0

    def wait(self, seconds: float = LONGEST) -> int | None:
        """How it ended (below 0: by which signal); None when it is still at work after ``seconds``."""
        if self.code is None and (found := self.nursery.ask({"wait": self.process, "seconds": seconds})) is not None:
            self.code, self.seconds = found
        return self.code

    def at_work(self, seconds: float, longest: float = LONGEST) -> bool:
        """Let it have ``seconds`` of processor time, whatever else is at work here, or ``longest`` by the wall's clock.

        False when it ended before.
        """
        clock = (~self.process << 3) | 2  # Linux's clock of another process, as clock_getcpuclockid(3) makes it
        end = time.monotonic() + longest
        while self.wait(0.0) is None:
            try:
                if time.clock_gettime(clock) >= seconds or time.monotonic() >= end:
                    return True
            except OSError:
                continue
            time.sleep(0.002)
        return False

    def finish(self) -> int:
        """How it ended. Raises Hung."""
        code = self.wait()
        if code is None:
            self.kill()
            raise Hung(f"no end after {LONGEST:g} s; it said: {self.said()[-500:]}")
        return code

    def send(self, number: int, everybody: bool = False) -> None:
        """A signal to the process, or to all of its session."""
        with suppress(ProcessLookupError):
            (os.killpg if everybody else os.kill)(self.process, number)

    def kill(self, everybody: bool = True) -> None:
        """SIGKILL, and wait for the end."""
        self.send(signal.SIGKILL, everybody)
        self.wait()

    def rest(self, seconds: float = LINGER) -> list[str]:
        """What still lives of the session after ``seconds``; it is killed then."""
        end = time.monotonic() + seconds
        while (alive := _session(self.process)) and time.monotonic() < end:
            time.sleep(0.02)
        for process, _ in alive:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return [name for _, name in alive]

    def said(self) -> str:
        """All that it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


class Nursery:
    """Forks commands off a process that has read ``modules`` (see nursery.py); ``folder`` holds their logs."""

    def __init__(self, folder: Path, modules: Sequence[str] = ()) -> None:
        self.folder = folder
        self.started = 0
        paths = [str(HERE / "hook"), str(HERE), str(SOURCE), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        environment.pop("OSSA_FAULT", None)
        self._program = subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py"), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=folder,
            text=True,
        )
        assert self._answer() == "ready"

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.wait()
        self._program.stdout.close()

    def ask(self, asked: dict[str, Any]) -> Any:
        """One question, one answer."""
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(asked) + "\n")
        self._program.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        if not line:
            raise RuntimeError(f"the nursery has ended with {self._program.wait()}")
        return json.loads(line)

    def start(
        self, words: Sequence[str], fault: Fault | None = None, limits: dict[str, int] | None = None, **more: str
    ) -> Command:
        """Begin ``ossa WORDS``; ``limits``: of resources ("AS", "FSIZE") in bytes, ``more``: its environment."""
        self.started += 1
        log = self.folder / f"{self.started:05d}.log"
        environment = {"OSSA_FAULT": fault.text() if fault else "", **more}
        asked = {"words": list(words), "log": str(log), "environment": environment, "limits": limits or {}}
        return Command(self, int(self.ask(asked)), log)

    def run(self, words: Sequence[str], **more: Any) -> Command:
        """``start``, and wait for the end. Raises Hung."""
        command = self.start(words, **more)
        command.finish()
        return command


def _session(leader: int) -> list[tuple[int, str]]:
    """(number, words) of the processes of a session that are alive."""
    out = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, ValueError):
            continue
        if int(session) == leader and state not in ("Z", "X"):
            out.append((int(entry.name), words.strip()))
    return out
