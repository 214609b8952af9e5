"""What each way to steer a training is worth: short trainings of one set with it and without it, three seeds each.

    python benchmarks/bench_steering.py DATA WORK [--record] [--minutes 30] [--only NAME ...] [--seeds 1 2 3]

DATA is a labelled data set, such as that of ``ossa phantom OUT --rehearsal``; its pictures are brought to a small grid
by the ordinary cache, and one of five folds is held out. Dice is taken there on that grid. Every row is the plain
recipe with one thing changed, at the same number of steps (SAM at half of them, as its steps cost twice). A seed's rows
come before those of the next, so that a sweep that is cut off has whole seeds; WORK/results.json keeps what is done.
The distilled row's teachers are the plain models of the other seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _record import record
from ossa.bundle.bundle import save_bundle
from ossa.bundle.card import Architecture, Card
from ossa.config import RunConfig, check
from ossa.dataset.cache import GreyCache
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import make_folds, strata_of
from ossa.radiograph.prepare import Preparation, place
from ossa.safety import write_json
from ossa.schema import load_schema
from ossa.segmentation.outlines import segmentation_from_outlines
from ossa.segmentation.segmentation import Segmentation
from ossa.training.material import Material, Weighted
from ossa.training.run import train_fold
from ossa.training.samples import CaseSource, RawSample

SIZE = 128
WIDTHS = [24, 32, 48, 96, 128]
EPOCHS = 5
SAMPLES = 128
BATCH = 8

#: The plain recipe: the laptop's, shorter.
PLAIN: dict[str, Any] = {
    "data": {"size": SIZE, "augment": {"p_mixup": 0, "rotate": 15, "p_blur": 0.1}},
    "model": {"architecture": "compact", "widths": WIDTHS},
    "loss": {"bce": 5, "dice": 1},
    "optimiser": {"name": "AdamW", "lr": 4e-3, "weight_decay": 1e-4},
    "scheduler": {"name": "OneCycleLR", "pct_start": 0.1},
    "train": {
        "epochs": EPOCHS,
        "samples": SAMPLES,
        "batch": BATCH,
        "clip": 5,
        "device": "cpu",
        "threads": 1,
        "validate_every": EPOCHS,
        "precision": "32",
    },
    "logging": {"every": 1000},
}

#: Name of a row -> the (dotted) keys that it changes.
ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without the prior": {"model.prior": False},
    "EMA 0.97": {"train.ema": 0.97},
    "SWA, last half": {"train.swa": {"start": 0.5}},
    "SAM, half the steps": {"train.sam": {"rho": 0.05}, "train.samples": SAMPLES // 2},
    "carpals weigh 2": {"train.bone_weights": {"carpal": 2}},
    "hardest half of the bones": {"train.hard_share": 0.5},
    "deep supervision": {"train.deep_supervision": {}},
    "loss at stride 1": {"train.loss_stride": 1},
    "MixUp 0.3": {"data.augment.p_mixup": 0.3},
    "CutMix 0.3": {"data.augment.p_cutmix": 0.3},
    "pasted bones 0.3": {"data.augment.p_copy_paste": 0.3},
    "parts 0.3": {"data.augment.p_crop": 0.3},
    "perspective 0.3": {"data.augment.p_perspective": 0.3},
    "elastic 0.3": {"data.augment.p_elastic": 0.3},
    "lower resolution 0.3": {"data.augment.p_low_resolution": 0.3},
    "distilled": {"distil.models": []},
}


@dataclass
class Small:
    """A source's pictures with their truth on the training grid."""

    source: CaseSource

    def __len__(self) -> int:
        return len(self.source)

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        raw = self.source.sample(index, rng)
        placement = place(raw.image.shape, Preparation(max(raw.image.shape), 32))
        return RawSample(raw.image, raw.outlines, raw.bits, raw.annotated, placement, raw.id)

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        raw = self.sample(index, np.random.default_rng(0))
        assert raw.outlines is not None
        return segmentation_from_outlines(raw.outlines, self.source.schema, raw.image.shape), raw.annotated


def material_of(data: Path, work: Path) -> Material:
    """Four fifths of the subjects to train on, one to judge by."""
    schema = load_schema()
    cases = tuple(open_dataset(data, schema).labelled)
    cache = GreyCache(work / "cache", Preparation(SIZE, 32))
    problems = cache.build([case.image for case in cases], 1)
    cases = tuple(case for case in cases if case.image not in {Path(problem.path) for problem in problems})
    training, held_out = make_folds(strata_of(cases, schema), 5, 1).split(cases, 0)
    own = CaseSource(tuple(training), schema, cache)
    return Material((Weighted(own, 1.0),), Small(CaseSource(tuple(held_out), schema, cache)))


def config_of(changes: dict[str, Any], seed: int, teachers: list[str]) -> RunConfig:
    values = json.loads(json.dumps({**PLAIN, "seed": seed}))
    for key, value in changes.items():
        at = values
        *parents, last = key.split(".")
        for part in parents:
            at = at.setdefault(part, {})
        at[last] = teachers if key == "distil.models" else value
    return check(values)


def bundled(network: Any, folder: Path) -> None:
    if folder.exists():
        return
    card = Card(
        name=folder.name,
        schema=load_schema(),
        architecture=Architecture("compact", {"widths": WIDTHS}),
        stride=int(network.stride),
        preparation=Preparation(SIZE, 32),
    )
    save_bundle(folder, network, card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", nargs="+", default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * given.minutes
    given.work.mkdir(parents=True, exist_ok=True)
    material = material_of(given.data, given.work)
    kept = given.work / "results.json"
    done: dict[str, list[float]] = json.loads(kept.read_text()) if kept.exists() else {}
    order = [(name, seed) for seed in given.seeds for name in given.only if name != "distilled"]
    order += [("distilled", seed) for seed in given.seeds if "distilled" in given.only]
    for name, seed in order:
        key = f"{name}/{seed}"
        if key in done:
            continue
        if time.monotonic() > end:
            break
        teachers = [str(given.work / f"plain{s}") for s in given.seeds if s != seed]
        if name == "distilled" and not all(Path(path).exists() for path in teachers):
            continue
        began = time.process_time()
        folder = given.work / f"run-{len(done):03d}"
        result = train_fold(config_of(ROWS[name], seed, teachers), load_schema(), material, folder)
        done[key] = [result.dice, time.process_time() - began]
        if name == "plain":
            bundled(result.network, given.work / f"plain{seed}")
        write_json(kept, done)
        print(key, f"{result.dice:.4f}", f"{done[key][1]:.0f} s", flush=True)
    lines = table(done, given.seeds, len(material.checks), material.lengths[0])
    if given.record:
        record("What each way to steer a training is worth (bench_steering.py)", lines)
    else:
        print("\n".join(lines))


def table(done: dict[str, list[float]], seeds: list[int], apart: int, count: int) -> list[str]:
    steps = EPOCHS * SAMPLES // BATCH
    lines = [
        f"{count} pictures at {SIZE} px, {steps} steps of {BATCH}, compact network {WIDTHS}, Dice on {apart} held-out "
        "pictures of other subjects, on that grid; gain: over plain with the same seed",
        "",
        "| changed | seeds | mean Dice | SD over seeds | mean gain (each seed's) | processor s |",
        "|---|---|---|---|---|---|",
    ]
    for name in ROWS:
        own = {seed: done[f"{name}/{seed}"] for seed in seeds if f"{name}/{seed}" in done}
        if not own:
            lines.append(f"| {name} | 0 | not run | | | |")
            continue
        dice = [value for value, _ in own.values()]
        gains = [value - done[f"plain/{seed}"][0] for seed, (value, _) in own.items() if f"plain/{seed}" in done]
        spread = f"{statistics.stdev(dice):.3f}" if len(dice) > 1 else "-"
        each = ", ".join(f"{gain:+.3f}" for gain in gains)
        gain = "" if name == "plain" or not gains else f"{statistics.mean(gains):+.3f} ({each})"
        seconds = statistics.mean(value for _, value in own.values())
        lines.append(f"| {name} | {len(own)} | {statistics.mean(dice):.3f} | {spread} | {gain} | {seconds:.0f} |")
    return lines


if __name__ == "__main__":
    main()
