"""``ossa predict`` against whole programs that do such work, in turns: pictures per second, start-up, memory.

    python3.11 -m venv V, with V/lib/python3.11/site-packages/ossa.pth naming the site-packages where ossa is installed
    V/bin/pip install -c constraints.txt nnunetv2 totalsegmentator 'segmentation-models-pytorch' monai pandas
    V/bin/python benchmarks/bench_programs.py [WORK] [--pictures 12] [--slow 2] [--only NAME ...] [--record]

Each program runs in a process of its own, from a command to its end: on one picture, and on several of the same
phantoms of 2048 px. Just before, `ossa predict` does the same, and a row's ratios are taken from that pair. What a
picture costs is what each further one takes; what the first takes is the start. The memory is the most that all
processes of a program hold at once, shared pages counted once. WORK keeps phantoms and networks for the next run.

The others' networks are untrained, of the size that their own planner or their tutorials choose; ``--slow`` of them
take so many seconds a picture that they get fewer pictures. What they write is less than what ossa writes (outlines,
an overlay, run lengths, warnings), and where a mask's content would matter it is empty, which is quickest to write.
Nobody's threads are limited. nnU-Net reads and writes in one process each; its default of three is for more cores
than the two that these figures are of.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from _programs_measure import Failed, Taken, take
from _record import record

HERE = Path(__file__).parent
NNUNET = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as main; main()"

#: Variables that would limit somebody's threads.
LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

#: Pictures on the disk, the folder for results -> the command.
Command = Callable[[Path, Path], list[str]]


@dataclass(frozen=True)
class Program:
    """``weights``: its key in made.json. ``reads``: which form of the pictures. ``results``, ``each``: what it leaves
    for a picture, as a pattern and how many files; ``each`` 0: one file for all. ``pace``: "quick" (all pictures),
    "slow" (few), "once" (a single one)."""

    title: str
    weights: str
    reads: str
    command: Command
    results: str
    each: int
    pace: str = "quick"


def ossa(*options: str) -> Command:
    return lambda films, output: [sys.executable, "-m", "ossa", "predict", str(films), "-o", str(output), *options]


def nnunet(number: int, configuration: str, *options: str) -> Command:
    def command(films: Path, output: Path) -> list[str]:
        asked = ["-i", films, "-o", output, "-d", number, "-c", configuration, "-f", "all", "-device", "cpu"]
        return [sys.executable, "-c", NNUNET, *map(str, asked), "-npp", "1", "-nps", "1", *options]

    return command


def script(name: str, *given: str) -> Command:
    def command(films: Path, output: Path) -> list[str]:
        weights = [str(films.parent / f"{network}.pt") for network in given]
        return [sys.executable, str(HERE / name), *given, str(films), str(output), *weights]

    return command


OSSA = Program("`ossa predict`", "ossa", "png", ossa(), "*_overlay.png", 1)
ONE_LOOK = "--disable_tta"
RIVALS = {
    "fast": Program("`ossa predict --fast`", "ossa", "png", ossa("--fast"), "*_overlay.png", 1),
    "nnunet-mirrored": Program(
        "nnU-Net v2 as it comes: as it plans, 4 looks",
        "Dataset001_Full", "nnunet", nnunet(1, "2d"), "hand*.png", 1, "once",
    ),
    "nnunet": Program(
        "nnU-Net v2 as it plans, one look",
        "Dataset001_Full", "nnunet", nnunet(1, "2d", ONE_LOOK), "hand*.png", 1, "slow"
    ),
    "nnunet-slim-mirrored": Program(
        "nnU-Net v2 at 512 px with ossa's number of weights, 4 looks",
        "Dataset002_Grid slim", "nnunet", nnunet(2, "2d_slim"), "hand*.png", 1,
    ),
    "nnunet-slim": Program(
        "nnU-Net v2 at 512 px with ossa's number of weights, one look",
        "Dataset002_Grid slim", "nnunet", nnunet(2, "2d_slim", ONE_LOOK), "hand*.png", 1,
    ),
    "totalsegmentator": Program(
        "TotalSegmentator's pipeline at 512 px",
        "Dataset002_Grid", "nifti", script("_programs_totalseg.py"), "*/*.nii.gz", 29, "slow",
    ),
    "smp": Program(
        "a script around smp: U-Net of ResNet-34 at 512 px",
        "smp", "png", script("_programs_scripts.py", "smp"), "predictions.csv", 0,
    ),
    "monai": Program(
        "a script around MONAI: windows of 512 px",
        "monai", "png", script("_programs_scripts.py", "monai"), "*.png", 29, "slow",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A program on one picture, and on ``count``, more than one, or none (None)."""

    first: Taken
    many: Taken | None
    count: int

    @property
    def apart(self) -> bool:
        """Whether the start can be told from the pictures: not of one alone, nor where other work hid it."""
        many, first = self.many, self.first
        return many is not None and many.wall > first.wall and many.processor > first.processor

    def each(self, what: str) -> float:
        """What a further picture takes of "wall" or "processor"; if not ``apart``, with its share of the start."""
        first = float(getattr(self.first, what))
        if self.many is None:
            return first
        many = float(getattr(self.many, what))
        return (many - first) / (self.count - 1) if self.apart else many / self.count

    @property
    def memory(self) -> float:
        return max(self.first.memory, self.many.memory if self.many else 0.0)


def middle(runs: list[Run]) -> Run:
    """The medians of several runs of one program."""

    def of(takes: list[Taken]) -> Taken:
        return Taken(*(median(getattr(t, name) for t in takes) for name in ("wall", "processor", "memory")))

    return Run(of([run.first for run in runs]), of([run.many for run in runs if run.many]), runs[0].count)


def measured(program: Program, count: int, work: Path) -> Run:
    """Both runs of a program; its results are counted and removed. Raises Failed."""
    takes = []
    environment = {name: value for name, value in os.environ.items() if name not in LIMITS}
    for part in ("raw", "preprocessed", "results"):
        environment[f"nnUNet_{part}"] = str(work / "nnunet" / part)
    for pictures in sorted({1, count}):
        output = work / "results"
        shutil.rmtree(output, ignore_errors=True)
        command = program.command(work / f"{program.reads}-{pictures}", output)
        takes.append(take(command, environment, work / "said.txt"))
        found, expected = len(list(output.glob(program.results))), program.each * pictures or 1
        if found != expected:
            raise Failed(f"{program.title}: {found} of {expected} results, {program.results}")
        shutil.rmtree(output)
    return Run(takes[0], takes[1] if count > 1 else None, count)


def row(title: str, millions: float, run: Run, own: Run | None) -> str:
    """A line of the table; ``own``: what ossa took just before."""
    alone = "" if run.apart else " *"
    cells = [
        title,
        f"{millions:.1f}",
        f"{1 / run.each('wall'):.3g}{alone}",
        f"{run.each('processor'):.2f}{alone}",
        f"{run.first.wall:.1f}",
        f"{run.memory:.0f}",
    ]
    if own is not None:
        ratios = (
            run.each("wall") / own.each("wall"),
            run.each("processor") / own.each("processor"),
            run.first.wall / own.first.wall,
            run.memory / own.memory,
        )
        cells += [f"{ratio:.3g}x" for ratio in ratios]
    else:
        cells += ["1x"] * 4
    return f"| {' | '.join(cells)} |"


def table(made: dict[str, Any], pairs: dict[str, tuple[Run, Run] | None], pictures: int, slow: int) -> list[str]:
    """``pairs``: of each program what ossa took just before it, and what it took; None: it could not be run."""
    owns = [pair[0] for pair in pairs.values() if pair]
    lines = [
        f"Phantoms of 2048 px as PNG, {pictures} for each quick program and {slow} for a slow one after a run on one; "
        f"every program in processes of its own, each just after `ossa predict`. The last four columns: how many times "
        "as much the row takes as `ossa predict` in its pair.",
        "",
        "| program | million weights | pictures per second | processor s a picture | one picture from command to end, "
        "s | most memory, MB | time a picture | processor time | one picture | memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
        row(f"{OSSA.title} (median of {len(owns)})", made["ossa"], middle(owns), None),
    ]
    for name, pair in pairs.items():
        program = RIVALS[name]
        if pair is None:
            lines.append(f"| {program.title} | not run | | | | | | | | |")
        else:
            lines.append(row(program.title, made[program.weights], pair[1], pair[0]))
    tiles = [made[f"{name} tile"] for name in ("Dataset001_Full", "Dataset002_Grid")]
    lines += [
        "",
        "\\* its start included.",
        "",
        f"nnU-Net plans tiles of {tiles[0][0]} x {tiles[0][1]} px on the whole picture, {tiles[1][0]} x {tiles[1][1]} "
        "px on one brought to 512 px. TotalSegmentator's row is its own function (resampling, nnU-Net without mirrored "
        "looks, resampling back, a NIfTI for each class) with nnU-Net's network for 512 px in place of its weights, "
        "which are of organs in CT. All networks but ossa's are untrained and answer with empty masks; ossa's weights "
        "are those of the network and the finder, and its time includes looking at wrists and doubtful bones again, "
        "outlines, an overlay, run lengths and warnings.",
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", default=Path(tempfile.gettempdir()) / "ossa-programs")
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--slow", type=int, default=2, help="pictures of programs that take long")
    parser.add_argument("--only", nargs="+", choices=list(RIVALS), default=list(RIVALS))
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # a program that runs is to end too
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    paces = {"quick": given.pictures, "slow": given.slow, "once": 1}
    counts = sorted(set(paces.values()))
    ready = work / "made.json"
    if not ready.exists() or json.loads(ready.read_text())["counts"] != counts:
        subprocess.run([sys.executable, HERE / "_programs_models.py", work, *map(str, counts)], check=True)
    made = json.loads(ready.read_text())
    pairs: dict[str, tuple[Run, Run] | None] = {}
    for name in given.only:
        program = RIVALS[name]
        try:
            own = measured(OSSA, given.pictures, work)
            pairs[name] = own, measured(program, paces[program.pace], work)
            print(row(program.title, made[program.weights], *reversed(pairs[name])), flush=True)
        except Failed as error:
            pairs[name] = None
            print(f"{name}: {error}", file=sys.stderr)
    lines = table(made, pairs, given.pictures, given.slow)
    if given.record:
        record("Against whole programs (bench_programs.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
