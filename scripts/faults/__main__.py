"""Kills commands of ossa and looks what comes of it: python scripts/faults [--rounds N] [--aimed] [COMMAND ...]

A round begins a command, kills it (SIGKILL) at a random moment, perhaps kills the next start too, gives the same
command again and compares what it wrote, byte by byte, with the work of a run that nobody disturbed. --aimed kills
before each step on the disk in turn instead. A table tells rounds and kills, and in how many rounds something was
lost, corrupt or left behind; exit 1 when anything was.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import services
import services_aimed
from rounds import Ground, Tally, aimed, at_random
from running import Nursery
from services import SERVICES
from trips import TRIPS, Trip, write_run
from troubles import OWN_DISK, TROUBLES, may_mount


def main() -> None:
    """Rounds for each command that is named, or for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join([*TRIPS, *SERVICES]))
    parser.add_argument("--rounds", type=int, default=100, help="how many per command")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--aimed", action="store_true", help="before each step in turn")
    parser.add_argument("--troubles", action="store_true", help="full disks, signals and others instead, once each")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after so long")
    parser.add_argument("--inputs", type=Path, help="folder for the inputs, used again where it is there")
    args = parser.parse_args()
    until = time.monotonic() + 60 * args.minutes
    known = [*TRIPS, *SERVICES]
    wrong = set(args.commands) - set(known)
    if wrong:
        parser.error(f"no such command: {', '.join(sorted(wrong))}; there are {', '.join(known)}")
    clean = True
    print("| command | rounds | kills | lost | corrupt | left behind | s |\n|---|---|---|---|---|---|---|")
    chosen = args.commands or known
    modules = {module for name in chosen for module in (services.MODULES if name in SERVICES else TRIPS[name].modules)}
    with (
        tempfile.TemporaryDirectory(prefix="ossa-faults-") as text,
        ground_in(Path(text), args.inputs, sorted(modules)) as ground,
    ):
        for name in chosen:
            begin = time.monotonic()
            if name in SERVICES and args.aimed:
                tally = services_aimed.aimed(name, SERVICES[name], ground, until=until)
            elif name in SERVICES and args.troubles:
                tally = services_aimed.troubled(name, SERVICES[name], ground, args.seed)
            elif name in SERVICES:
                tally = services.at_random(name, SERVICES[name], ground, args.rounds, args.seed, until)
            elif args.aimed:
                tally = aimed(ground, TRIPS[name], until=until)
            elif args.troubles:
                tally = troubled(ground, TRIPS[name], args.seed)
            else:
                tally = at_random(ground, TRIPS[name], args.rounds, args.seed, until)
            show(tally, time.monotonic() - begin)
            clean = clean and tally.clean
    sys.exit(0 if clean else 1)


@contextmanager
def ground_in(folder: Path, inputs: Path | None, modules: Sequence[str]) -> Iterator[Ground]:
    """A nursery, and the inputs, made in ``inputs`` (None: in ``folder``) where they are not there yet."""
    root = folder / "in" if inputs is None else inputs.resolve()
    for path in (folder / "logs", folder / "out", root):
        path.mkdir(exist_ok=True)
    with Nursery(folder / "logs", modules) as nursery:
        if not (root / "run.yaml").exists():
            made = nursery.run(["inputs:make", str(root)])
            if made.code != 0:
                raise RuntimeError(made.said())
            write_run(root)
        yield Ground(nursery, root, folder / "out")


def troubled(ground: Ground, trip: Trip, seed: int) -> Tally:
    """Every trouble once that may befall a trip; what went wrong counts as corrupt."""
    tally = Tally(f"{trip.name}, troubles")
    disk = may_mount()
    for name, (trouble, trips) in TROUBLES.items():
        if trip.name not in trips:
            continue
        if name in OWN_DISK and not disk:
            print(f"    {trip.name}: {name} is left out: only root may mount a disk", file=sys.stderr)
            continue
        tally.rounds += 1
        tally.note("corrupt", trouble(ground, trip, random.Random(f"{seed} {trip.name} {name}")), name)
    return tally


def show(tally: Tally, seconds: float) -> None:
    """A row of the table."""
    print(
        f"| {tally.name} | {tally.rounds} | {tally.kills} | {tally.lost} | {tally.corrupt} | {tally.left} "
        f"| {seconds:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
