"""Rounds of a trip: killed at a random moment or at a chosen step, looked at, gone on with, compared."""

from __future__ import annotations

import math
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from running import Command, Fault, Nursery
from trips import Tree, Trip, Verdict, half_written, judged, matches, tree

#: A run is killed at most so often in a round; after that it is let go to its end.
KILLS = 3


@dataclass
class Tally:
    """What rounds of a trip came to; ``told``: a sentence for each thing that was wrong."""

    name: str
    rounds: int = 0
    kills: int = 0
    lost: int = 0
    corrupt: int = 0
    left: int = 0
    told: list[str] = field(default_factory=list)

    def note(self, kind: str, names: tuple[str, ...] | list[str], where: str) -> None:
        """Count one finding of something "lost", "corrupt" or "left"."""
        if names:
            setattr(self, kind, getattr(self, kind) + 1)
            self.told.append(f"{self.name}, {where}: {kind}: {', '.join(names[:4])}")
            print(f"    {self.told[-1]}", file=sys.stderr, flush=True)

    @property
    def clean(self) -> bool:
        """Whether nothing was wrong."""
        return not self.told


@dataclass
class Ground:
    """Where rounds take place: ``inputs`` that commands read, a ``folder`` for what they write."""

    nursery: Nursery
    inputs: Path
    folder: Path
    wholes: dict[str, tuple[Tree, float]] = field(default_factory=dict)

    def whole(self, trip: Trip) -> tuple[Tree, float]:
        """What an undisturbed run writes, and the seconds that it takes: of processor time, but where others work."""
        if trip.name not in self.wholes:
            with self._place(trip) as out:
                command = self.nursery.start(trip.words(self.inputs, out))
                begin = time.monotonic()
                command.finish()
                if command.code != 0:
                    raise RuntimeError(f"{trip.name} cannot be run at all: {command.said()[-2000:]}")
                seconds = time.monotonic() - begin if trip.several else command.seconds
                self.wholes[trip.name] = tree(out), seconds
        return self.wholes[trip.name]

    def let(self, command: Command, trip: Trip, share: float) -> bool:
        """Let a command do about this ``share`` of its work; False when it ended before."""
        seconds = share * self.whole(trip)[1]
        return command.wait(seconds) is None if trip.several else command.at_work(seconds)

    @contextmanager
    def fresh(self, trip: Trip) -> Iterator[Path]:
        """A place for a trip's output, empty. What an undisturbed run makes of it is known by then."""
        self.whole(trip)
        with self._place(trip) as out:
            yield out

    @contextmanager
    def _place(self, trip: Trip) -> Iterator[Path]:
        """Always the same one, since outputs may name themselves."""
        out = self.folder / trip.name.partition("-")[0]
        shutil.rmtree(out, ignore_errors=True)
        yield out
        shutil.rmtree(out, ignore_errors=True)


def at_random(ground: Ground, trip: Trip, rounds: int, seed: int, until: float = math.inf) -> Tally:
    """Kill ``rounds`` runs at random moments, up to ``KILLS`` times each; half of them with all they started.

    No round is begun after ``until`` (of ``time.monotonic``).
    """
    tally = Tally(trip.name)
    whole, _ = ground.whole(trip)
    draw = random.Random(f"{seed} {trip.name}")
    while tally.rounds < rounds and time.monotonic() < until:
        where = f"round {tally.rounds + 1}"
        with ground.fresh(trip) as out:
            killed = 0
            for _ in range(draw.randint(1, KILLS)):
                command = ground.nursery.start(trip.words(ground.inputs, out))
                if not ground.let(command, trip, draw.random()):
                    break
                command.kill(everybody=draw.random() < 0.5)
                killed += 1
                tally.note("left", command.rest(), f"{where}, processes of a killed run")
                tally.note("corrupt", half_written(trip, tree(out), whole), f"{where}, right after a kill")
            if not killed:
                continue  # it was faster than its murderer
            tally.rounds += 1
            tally.kills += killed
            _resume(ground, trip, out, tally, where)
    return tally


def aimed(ground: Ground, trip: Trip, every: int = 1, until: float = math.inf) -> Tally:
    """Kill a run before each of its steps on the disk in turn (or each ``every``-th), and go on with it."""
    tally = Tally(f"{trip.name}, aimed")
    whole, _ = ground.whole(trip)
    at = 1
    while time.monotonic() < until:
        with ground.fresh(trip) as out:
            count = ground.folder / "steps"
            count.unlink(missing_ok=True)
            out.mkdir()
            command = ground.nursery.run(trip.words(ground.inputs, out), fault=Fault(ground.folder, count, at))
            if command.code == 0:
                break
            where = f"before step {at}"
            if command.code != -9:
                tally.note("corrupt", [f"exit code {command.code}: {command.said()[-300:]}"], where)
            tally.rounds += 1
            tally.kills += 1
            tally.note("left", command.rest(), f"{where}, processes of a killed run")
            tally.note("corrupt", half_written(trip, tree(out), whole), f"{where}, right after")
            _resume(ground, trip, out, tally, where)
        at += every
    return tally


def _resume(ground: Ground, trip: Trip, out: Path, tally: Tally, where: str) -> None:
    """Go on to the end, and compare."""
    whole, _ = ground.whole(trip)
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and matches(p.name, trip.keeps)}
    command = ground.nursery.run(trip.words(ground.inputs, out))
    if command.code != 0:
        tally.note("lost", [f"it does not go on: exit code {command.code}: {command.said()[-500:]}"], where)
        return
    again = [str(p.relative_to(out)) for p, time_ in kept.items() if not p.exists() or p.stat().st_mtime_ns != time_]
    tally.note("lost", [f"made again: {name}" for name in again], where)
    verdict: Verdict = judged(trip, tree(out), whole)
    tally.note("lost", verdict.lost, where)
    tally.note("corrupt", verdict.corrupt, where)
    tally.note("left", [*verdict.left, *command.rest()], where)
