"""What befalls a command besides SIGKILL, and how it must end: told in clear words, whole or not at all.

Each trouble is a function (ground, trip, draw) that brings it about once and gives the sentences that say what went
wrong, none when all is well. Afterwards the same command must bring the folder to what an undisturbed run writes.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rounds import Ground
from running import Command, Fault
from trips import AT_WORK, Trip, half_written, judged, tree

#: Seconds by which a clock was ahead before it was set back.
AHEAD = 3.0e7

Trouble = Callable[[Ground, Trip, random.Random], list[str]]


def signalled(number: signal.Signals) -> Trouble:
    """A signal that ends a command in order, at a random moment: nothing half-written stays, not even hidden."""

    def trouble(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
        with ground.fresh(trip) as out:
            command = ground.nursery.start(trip.words(ground.inputs, out))
            ground.let(command, trip, draw.uniform(0.2, 1.0))
            command.send(number)
            wrong = _ends_with(command, {130, 0})
            wrong += [f"left behind: {name}" for name in tree(out) if AT_WORK.search(name)]
            return wrong + _goes_on(ground, trip, out)

    return trouble


def full_disk(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """The disk is full from a random step on."""
    count = ground.folder / "steps"
    with ground.fresh(trip) as out:
        out.mkdir()
        count.unlink(missing_ok=True)
        ground.nursery.run(trip.words(ground.inputs, out), fault=Fault(out, count, 0, "log"))
        at = draw.randint(2, count.stat().st_size)
    with ground.fresh(trip) as out:
        out.mkdir()
        count.unlink()
        command = ground.nursery.run(trip.words(ground.inputs, out), fault=Fault(out, count, at, "full"))
        wrong = _ends_with(command, {0, 2}, "No space left|disk is full|Free some space")
        wrong += [f"not whole: {name}" for name in half_written(trip, tree(out), ground.whole(trip)[0])]
        return [f"full from step {at}: {one}" for one in wrong + _goes_on(ground, trip, out)]


def small_disk(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """A disk that is really full: of a size that a random share of the results fills."""
    whole, _ = ground.whole(trip)
    room = sum(len(data) for data in whole.values()) * draw.uniform(0.2, 0.8)
    with ground.fresh(trip) as out, mounted(out, f"size={max(4, int(room / 4096)) * 4096}"):
        command = ground.nursery.run(trip.words(ground.inputs, out))
        wrong = _ends_with(command, {0, 2}, "No space left|disk is full|Free some space|too little space")
        wrong += [f"not whole: {name}" for name in half_written(trip, tree(out), whole)]
        subprocess.run(["mount", "-o", "remount,size=64m", str(out)], check=True)
        return wrong + _goes_on(ground, trip, out)


def read_only(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """A disk that nobody may write to; it may be written to later."""
    del draw
    with ground.fresh(trip) as out, mounted(out, "size=64m"):
        subprocess.run(["mount", "-o", "remount,ro", str(out)], check=True)
        command = ground.nursery.run(trip.words(ground.inputs, out))
        wrong = _ends_with(command, {2}, "Read-only file system|may write to|cannot be made")
        subprocess.run(["mount", "-o", "remount,rw", str(out)], check=True)
        return wrong + _goes_on(ground, trip, out)


def clock_set_back(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """Killed while the clock was a year ahead."""
    with ground.fresh(trip) as out:
        command = ground.nursery.start(trip.words(ground.inputs, out))
        ground.let(command, trip, draw.uniform(0.2, 1.0))
        command.kill()
        for path in (out, *out.rglob("*")):
            if path.exists():
                os.utime(path, (time.time() + AHEAD,) * 2)
        return _goes_on(ground, trip, out)


def truncated(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """Every file of the cache has lost its end."""
    with ground.fresh(trip) as out:
        ground.nursery.run(trip.words(ground.inputs, out))
        for path in out.rglob("*"):
            if path.is_file():
                os.truncate(path, draw.randrange(path.stat().st_size))
        return _goes_on(ground, trip, out)


def two_at_once(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """A second process with the same command, a moment after the first: refused, or each does its part."""
    with ground.fresh(trip) as out:
        first = ground.nursery.start(trip.words(ground.inputs, out))
        ground.let(first, trip, draw.uniform(0.0, 0.6))
        first.send(signal.SIGSTOP)
        second = ground.nursery.start(trip.words(ground.inputs, out))
        at_work = (out / ".ossa-lock").exists()
        if at_work or second.wait(20.0) is None:
            first.send(signal.SIGCONT)
        wrong = _ends_with(second, {2}, "another run is writing") if at_work else []
        first.send(signal.SIGCONT)
        second.finish()
        wrong += _ends_with(first, {0, 2})
        return wrong + _goes_on(ground, trip, out)


def removed_input(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """A film disappears while a command is at work, and comes back."""
    films = sorted((ground.inputs / "films").iterdir())
    lost = draw.choice(films)
    kept = lost.read_bytes()
    stat = lost.stat()
    with ground.fresh(trip) as out:
        command = ground.nursery.start(trip.words(ground.inputs, out))
        ground.let(command, trip, draw.uniform(0.0, 0.8))
        lost.unlink()
        try:
            wrong = _ends_with(command, {0, 1})
        finally:
            lost.write_bytes(kept)
            os.utime(lost, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        return wrong + _goes_on(ground, trip, out)


def little_memory(ground: Ground, trip: Trip, draw: random.Random) -> list[str]:
    """Less address space than the command needs: it ends, or is killed, and what it wrote is whole."""
    with ground.fresh(trip) as out:
        limit = draw.randrange(200, 1200) * 1_000_000
        command = ground.nursery.start(trip.words(ground.inputs, out), limits={"AS": limit})
        command.finish()
        wrong = [f"not whole: {name}" for name in half_written(trip, tree(out), ground.whole(trip)[0])]
        return [f"{limit / 1e6:.0f} MB: {one}" for one in wrong + _goes_on(ground, trip, out)]


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """A small disk in memory at ``place``; only root can have one."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def may_mount() -> bool:
    """Whether this process may mount a disk."""
    place = Path("/run") if Path("/run").is_dir() else Path("/tmp")
    probe = place / f"ossa-faults-{os.getpid()}"
    try:
        with mounted(probe, "size=4096"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _ends_with(command: Command, codes: set[int], words: str = "") -> list[str]:
    """What is wrong with a command's end: its code is none of ``codes``, or it was refused in none of the words."""
    code = command.finish()
    said = command.said()
    rest = [f"alive: {one}" for one in command.rest()]
    if code not in codes:
        return [*rest, f"exit code {code}: {said[-400:]}"]
    if code == 2 and words and not any(word in said for word in words.split("|")):
        return [*rest, f"it does not say why: {said[-400:]}"]
    return rest


def _goes_on(ground: Ground, trip: Trip, out: Path) -> list[str]:
    """The same command once more, without trouble."""
    command = ground.nursery.run(trip.words(ground.inputs, out))
    if command.code != 0:
        return [f"it does not go on: exit code {command.code}: {command.said()[-400:]}"]
    verdict = judged(trip, tree(out), ground.whole(trip)[0])
    return [f"{kind}: {name}" for kind in ("lost", "corrupt", "left") for name in getattr(verdict, kind)][:4]


#: Name -> the trouble and the trips that it is brought upon.
TROUBLES: dict[str, tuple[Trouble, tuple[str, ...]]] = {
    "SIGTERM": (signalled(signal.SIGTERM), ("predict", "phantom", "phantom-j2", "gallery", "train")),
    "SIGHUP": (signalled(signal.SIGHUP), ("predict", "phantom", "phantom-j2", "gallery", "train")),
    "full disk": (full_disk, ("predict", "phantom", "cache", "gallery", "train")),
    "small disk": (small_disk, ("predict", "phantom", "cache", "gallery", "train")),
    "read-only": (read_only, ("predict", "phantom", "gallery", "train")),
    "clock set back": (clock_set_back, ("predict", "phantom", "cache", "gallery", "train")),
    "truncated": (truncated, ("cache",)),
    "two at once": (two_at_once, ("predict", "phantom", "cache", "gallery", "train")),
    "removed input": (removed_input, ("predict",)),
    "little memory": (little_memory, ("predict", "phantom", "gallery")),
}

#: Those that need a disk of their own.
OWN_DISK = ("small disk", "read-only")
