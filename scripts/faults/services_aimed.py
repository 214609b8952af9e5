"""Services that are killed before a step on the disk, or meet a full disk or a signal: as ``rounds`` and ``troubles``
have it for commands that end by themselves.
"""

from __future__ import annotations

import math
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rounds import Ground, Tally
from running import Command, Fault
from services import PATIENCE, Make, Service, compare, to_the_end, undisturbed

#: Seconds that a service works on a full disk, while its clients bring what it refuses.
FULL = 2.0

#: The share of an undisturbed round's time in which a signal comes.
MOMENT = (0.1, 0.9)


#: What befalls a service once: (how it is made, the ground, moments, where to note what went wrong).
Trouble = Callable[[Make, Ground, random.Random, Tally], None]


@dataclass
class Round:
    """A service at work with its clients, for the first time."""

    service: Service
    client: threading.Thread
    command: Command


@contextmanager
def _begun(ground: Ground, make: Make, fault: Callable[[Service], Fault] | None = None) -> Iterator[Round]:
    """A service in an empty folder, in which ``fault`` lies; its clients bring their work."""
    service = make(ground)
    shutil.rmtree(service.out, ignore_errors=True)
    (ground.folder / "steps").unlink(missing_ok=True)
    client = threading.Thread(target=service.bring)
    try:
        command = service.start(None if fault is None else fault(service))
        client.start()
        yield Round(service, client, command)
    finally:
        service.close()
        client.join(PATIENCE)


def aimed(name: str, make: Make, ground: Ground, every: int = 1, until: float = math.inf) -> Tally:
    """Kill a service before each of its steps on the disk in turn (or each ``every``-th), and start it again."""
    tally = Tally(f"{name}, aimed")
    whole, _, _ = undisturbed(make, ground)
    at = 1
    while time.monotonic() < until:
        where = f"before step {at}"
        with _begun(ground, make, lambda service, at=at: Fault(service.out, ground.folder / "steps", at)) as round_:  # type: ignore[misc]
            if not _ended(round_):  # its last steps are those of its end
                round_.command.send(signal.SIGTERM)
                if round_.command.finish() == 0:
                    break
            if round_.command.code != -signal.SIGKILL:
                said = round_.command.said()[-300:]
                tally.note("corrupt", [f"exit code {round_.command.code}: {said}"], where)
            tally.rounds += 1
            tally.kills += 1
            tally.note("left", round_.command.rest(), f"{where}, processes of a killed service")
            _again(round_, whole, tally, where)
        at += every
    return tally


def _ended(round_: Round) -> bool:
    """Whether the service ends before it has answered everything."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if round_.command.wait(0.0) is not None:
            return True
        if _done(round_):
            return False
        time.sleep(0.05)
    raise TimeoutError(f"neither killed nor done after {PATIENCE:g} s: {round_.command.said()[-300:]}")


def _done(round_: Round) -> bool:
    return not round_.client.is_alive() and round_.service.done()


def _again(round_: Round, whole: Mapping[str, Any], tally: Tally, where: str) -> None:
    """Start it once more, without trouble, and compare what its clients have in the end."""
    command = round_.service.start()
    compare(tally, to_the_end(round_.service, round_.client, command, tally, where), whole, where)


def signalled(number: signal.Signals) -> Trouble:
    """A signal that ends a service in order, while it works."""

    def trouble(make: Make, ground: Ground, draw: random.Random, tally: Tally) -> None:
        whole, seconds, wall = undisturbed(make, ground)
        with _begun(ground, make) as round_:
            share = draw.uniform(*MOMENT)
            round_.command.at_work(share * seconds, share * wall)
            _in_order(round_, number, tally, signal.Signals(number).name)
            _again(round_, whole, tally, f"after {signal.Signals(number).name}")

    return trouble


def full_disk(make: Make, ground: Ground, draw: random.Random, tally: Tally) -> None:
    """The disk is full from a random step on: the service lives on, refuses what it cannot keep, and ends in order."""
    with _begun(ground, make, lambda service: Fault(service.out, ground.folder / "steps", 0, "log")) as round_:
        whole = to_the_end(round_.service, round_.client, round_.command, tally, "undisturbed")
        steps = steps_of(ground)
    at = draw.randint(2, steps)
    where = f"full from step {at} of {steps}"
    with _begun(ground, make, lambda service: Fault(service.out, ground.folder / "steps", at, "full")) as round_:
        while round_.command.wait(0.0) is None and steps_of(ground) < at and not _done(round_):
            time.sleep(0.02)
        if round_.command.wait(FULL) is None:
            _in_order(round_, signal.SIGTERM, tally, where)
        elif round_.command.code != 2:  # it could not even begin
            tally.note("corrupt", [f"exit code {round_.command.code}: {round_.command.said()[-300:]}"], where)
        _again(round_, whole, tally, where)


def steps_of(ground: Ground) -> int:
    """How many steps on the disk were taken so far."""
    count = ground.folder / "steps"
    return count.stat().st_size if count.exists() else 0


def _in_order(round_: Round, number: signal.Signals, tally: Tally, where: str) -> None:
    """End it by a signal; nothing that is not whole, and no process, may stay."""
    command = round_.command
    command.send(number)
    # Before a service has begun a signal ends it as it ends any process.
    if command.finish() not in (0, -number):
        tally.note("corrupt", [f"exit code {command.code}: {command.said()[-300:]}"], where)
    parts = [path.name for path in round_.service.out.rglob(".*.ossa-part")]
    tally.note("left", [*(parts if command.code == 0 else ()), *command.rest()], where)


TROUBLES: dict[str, Trouble] = {
    "SIGTERM": signalled(signal.SIGTERM),
    "SIGHUP": signalled(signal.SIGHUP),
    "full disk": full_disk,
}


def troubled(name: str, make: Make, ground: Ground, seed: int) -> Tally:
    """Every trouble once."""
    tally = Tally(f"{name}, troubles")
    for kind, trouble in TROUBLES.items():
        tally.rounds += 1
        trouble(make, ground, random.Random(f"{seed} {name} {kind}"), tally)
    return tally
