"""What a command takes, for bench_programs.py: time, processor time, memory of all its processes together (Linux)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

#: Seconds between two looks at the memory.
EVERY = 0.1


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock and of processors (those of children too), and the most MB held at once."""

    wall: float
    processor: float
    memory: float


class Failed(Exception):
    """A command ended with an error: what it was, and the end of what it said."""


def take(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Taken:
    """Run ``command`` to its end, what it says into ``log``. Raises Failed.

    Its processes are those of the session that is opened for it. Pages that several of them share count once (PSS), as
    a program that starts helpers would otherwise be charged for every library as often as it has processes.
    """
    with log.open("w") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, env=dict(environment), start_new_session=True
        )
    most, over = [0.0], Event()
    watcher = Thread(target=_watch, args=(process.pid, most, over), daemon=True)
    watcher.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        over.set()
    wall = time.perf_counter() - began
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    return Taken(wall, usage.ru_utime + usage.ru_stime, most[0])


def _watch(session: int, most: list[float], over: Event) -> None:
    while not over.wait(EVERY):
        most[0] = max(most[0], sum(_megabytes(pid) for pid in _members(session)))


def _members(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                # After the name, which may hold anything, in brackets: state, parent, group, session.
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    found.append(int(entry))
    return found


def _megabytes(pid: int) -> float:
    """The proportional set size of a process, MB; 0 of one that has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) * 1024 / 1e6 if found else 0.0
