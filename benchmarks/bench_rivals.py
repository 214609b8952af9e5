"""ossa's default recipe and three other ways to train, given the same processor time on the same pictures.

    python benchmarks/bench_rivals.py [WORK] [--data DATA] [--minutes 4] [--size 256] [--only NAME ...] [--record]

Trains `ossa` (the recipe `default` on a data set), `reference` (smp's U-Net, full-size masks filled for every
sample), `monai` (a plain loop as in its tutorials) and `nnunet` (v2, 2d, trained on regions, as bones overlap), each in
a process of its own with one thread, and scores them on the same held-out pictures of other subjects: mean Dice over 29
bones at the pictures' full size. DATA is any labelled set that ossa reads; without it a small rehearsal of the
competition is drawn in WORK. What is done is kept there (NAME-SEED.json). Needs the extra [train]; `reference` needs
[models], `monai` monai, `nnunet` nnunetv2; one that fails is told and has no row.

Equal: pictures, grid, batches of 8, threads, processor time (user and system, of the training alone), the score: logits
on the whole grid, interpolated to full size, threshold .5, one look, nothing tidied. Before the clock starts, everybody
may prepare: pictures in ossa's cache, masks on the grid for MONAI, nnU-Net's plan and preprocessed set, labels read.
Only `reference` decodes and fills anew for every sample: that is its way. Counted for ossa: the trial steps from which
it learns how many there will be, and its first look at the bones' sizes.

Not equal, as each has it so: the network, the loss, the optimiser, the augmentation, the precision (ossa takes bf16 on
processors that have it; the others use float32 on a processor), who keeps freed memory. Nobody has pretrained weights.
Such short trainings say who learns fastest, not who ends highest: nnU-Net is made for 250,000 steps.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from _record import record

#: Name -> what it is, its module, its function.
RIVALS = {
    "ossa": ("ossa, recipe `default`", "_rivals_loops", "ossa_default"),
    "reference": ("the reference's loop (smp U-Net, ResNet-18)", "_rivals_loops", "reference"),
    "monai": ("a plain MONAI loop (residual UNet)", "_rivals_loops", "monai"),
    "nnunet": ("nnU-Net v2, 2d, regions", "_rivals_nnunet", "nnunet"),
}


def one(name: str, given: Any) -> None:
    """Train and score one of them in this process; WORK/NAME-SEED.json says what came of it."""
    warnings.simplefilter("ignore")
    import cv2
    import torch

    from _rivals_common import Spent, open_pictures, score

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pictures = open_pictures(given.data, given.work, given.size, given.pictures, given.held_out)
    _, module, function = RIVALS[name]
    run = getattr(importlib.import_module(module), function)
    done = run(pictures, Spent(60 * given.minutes), given.seed)
    row = {
        "steps": done.steps,
        "samples": done.samples,
        "seconds": done.seconds,
        "note": done.note,
        "dice": score(pictures, done.logits),
        "settings": settings(given),
    }
    kept(given, name).write_text(json.dumps(row))


def settings(given: Any) -> list[float]:
    return [given.minutes, given.size, given.pictures, given.held_out]


def kept(given: Any, name: str) -> Path:
    return Path(given.work) / f"{name}-{given.seed}.json"


def table(given: Any, rows: dict[str, dict[str, Any]]) -> list[str]:
    what = (
        f"{given.pictures} training pictures at {given.size} px, {given.minutes:g} processor minutes each, one thread"
    )
    lines = [
        f"{what}; mean Dice over 29 bones on {given.held_out} held-out pictures of other subjects at full size",
        "",
        "| | steps of 8 | samples a processor second | mean Dice | remarks |",
        "|---|---|---|---|---|",
    ]
    for name, (title, _, _) in RIVALS.items():
        if name not in rows:
            lines.append(f"| {title} | not run | | | |")
            continue
        row = rows[name]
        rate = row["samples"] / row["seconds"]
        lines.append(f"| {title} | {row['steps']} | {rate:.2f} | {row['dice']:.3f} | {row['note']} |")
    others = {name: row for name, row in rows.items() if name != "ossa"}
    if "ossa" in rows and others:
        own = rows["ossa"]
        rate = own["samples"] / own["seconds"]
        ratios = [
            f"{rate * row['seconds'] / row['samples']:.2f} times the samples per second of `{name}` and "
            f"{own['dice'] - row['dice']:+.3f} Dice"
            for name, row in others.items()
        ]
        lines += ["", "ossa has " + "; ".join(ratios) + ". Asked: 3 times the fastest, and more Dice than each."]
    if given.minutes < 2:
        lines += ["", "So short a training tells who begins to learn first, no more."]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", default=Path(tempfile.gettempdir()) / "ossa-rivals")
    parser.add_argument("--data", type=Path, help="a labelled data set; drawn when not given")
    parser.add_argument("--minutes", type=float, default=4.0, help="processor minutes for each")
    parser.add_argument("--size", type=int, default=256, help="grid in px")
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(RIVALS), default=list(RIVALS))
    parser.add_argument("--one", choices=list(RIVALS), help=argparse.SUPPRESS)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    given.work = given.work.resolve()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.data is None:
        from ossa.pipeline.rehearsal import make_rehearsal

        given.data = make_rehearsal(given.work / "drawn", train=32, test=2, seed=1).output
    whose = given.work / "data.txt"
    if whose.exists() and whose.read_text() != str(given.data.resolve()):
        raise SystemExit(f"{given.work} holds results of {whose.read_text()}; give another folder")
    whose.write_text(str(given.data.resolve()))
    if given.one:
        one(given.one, given)
        return
    rows = {}
    for name in RIVALS:
        path = kept(given, name)
        if name in given.only and not (path.exists() and json.loads(path.read_text())["settings"] == settings(given)):
            path.unlink(missing_ok=True)
            command = [sys.executable, __file__, str(given.work), "--data", str(given.data), "--one", name]
            for key in ("minutes", "size", "pictures", "held_out", "seed"):
                command += [f"--{key.replace('_', '-')}", str(getattr(given, key))]
            threads = {"OMP_NUM_THREADS": "1", "BLOSC_NTHREADS": "1"}
            if subprocess.run(command, env={**os.environ, **threads}, check=False).returncode:
                print(f"{name} failed", file=sys.stderr)
        if path.exists() and json.loads(path.read_text())["settings"] == settings(given):
            rows[name] = json.loads(path.read_text())
            print(name, json.dumps(rows[name]), flush=True)
    lines = table(given, rows)
    if given.record:
        record("Against other ways to train, at equal processor time (bench_rivals.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
