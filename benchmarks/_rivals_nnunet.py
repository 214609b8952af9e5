"""nnU-Net v2 (2d) for bench_rivals.py: its fingerprint, plan, preprocessing, network, augmentation, loss and optimiser.

bench_programs.py has its sets written and planned here too.

Bones overlap, so the set is written for region-based training: every set of bones that meet in a pixel has a number of
its own, every bone is the region of the numbers that hold it, and the network has a sigmoid per bone. Its logits are
taken as they are, since its label maps would let later bones cover earlier ones.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from _rivals_common import BATCH, Grey, Pictures, Planes, Spent, Trained
from _rivals_loops import spoken

NAME = "Dataset001_Hands"

#: The variable by which nnU-Net learns how many processes may draw batches.
PROCESSES = "nnUNet_n_proc_DA"


def write_raw(prepared: Iterable[tuple[Grey, Planes]], names: Sequence[str], folder: Path) -> None:
    """Pictures (h, w) with planes (bones, h, w) of 0 and 1 as nnU-Net's raw data set with a region for each name."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    numbers: dict[int, int] = {0: 0}
    count = 0
    for k, (image, planes) in enumerate(prepared):
        sets = np.zeros(image.shape, np.int64)
        for i, plane in enumerate(planes):
            sets |= plane.astype(np.int64) << i
        label = np.zeros(image.shape, np.uint16)
        for value in np.unique(sets).tolist():
            label[sets == value] = numbers.setdefault(value, len(numbers))
        cv2.imwrite(str(folder / "imagesTr" / f"hand{k:03d}_0000.png"), image)
        cv2.imwrite(str(folder / "labelsTr" / f"hand{k:03d}.png"), label)
        count = k + 1
    regions = {name: [number for value, number in numbers.items() if value >> i & 1] for i, name in enumerate(names)}
    whole = {
        "channel_names": {"0": "radiograph"},
        "labels": {"background": 0, **regions},
        "regions_class_order": list(range(1, len(names) + 1)),
        "numTraining": count,
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(whole))


def have_folders(root: Path) -> None:
    """nnU-Net's three folders in ``root``, named to it as it wants: before its first import."""
    for part in ("raw", "preprocessed", "results"):
        (root / part).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{part}"] = str(root / part)


def planned(root: Path, name: str) -> Path:
    """Fingerprint, plan and preprocessed pictures of the raw set ``name`` ("Dataset001_Hands"); the plan's file."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    number = int(name.removeprefix("Dataset")[:3])
    api.extract_fingerprints([number], num_processes=1, show_progress_bar=False)
    identifier = api.plan_experiments([number])
    api.preprocess([number], identifier, configurations=("2d",), num_processes=(1,))
    return root / "preprocessed" / name / f"{identifier}.json"


def nnunet(pictures: Pictures, spent: Spent, seed: int) -> Trained:
    """Its default trainer, step by step, on all training pictures, its batches drawn in this process.

    Its own are the planned network and patch, its augmentation, Dice and BCE with deep supervision, SGD at 1e-2 with
    Nesterov momentum .99 and clipping at 12; not its own: batches of 8, and a polynomial decay that ends with the
    budget instead of after 250,000 steps. No mirrored looks when it is scored.
    """
    root = pictures.work / f"nnunet-{pictures.size}-{len(pictures.training)}"
    have_folders(root)
    os.environ[PROCESSES] = "1"  # the planner makes this torch's threads
    from ossa.models._torchvision import ensure_torchvision

    ensure_torchvision()
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    ready = root / "plans.json"  # written last: a set that is prepared is taken as it is
    if not ready.exists():
        shutil.rmtree(root / "raw")
        write_raw(pictures.prepared(), pictures.schema.names, root / "raw" / NAME)
        shutil.copy(planned(root, NAME), ready)
    plans = json.loads(ready.read_text())
    own_batch = plans["configurations"]["2d"]["batch_size"]
    plans["configurations"]["2d"]["batch_size"] = BATCH
    patch = plans["configurations"]["2d"]["patch_size"]
    told = json.loads((root / "raw" / NAME / "dataset.json").read_text())
    os.environ[PROCESSES] = "0"
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - its augmentation draws from there
    trainer = nnUNetTrainer({**plans, "continue_training": False}, "2d", "all", told, torch.device("cpu"))
    trainer.initialize()
    trainer.set_deep_supervision_enabled(True)
    batches, _ = trainer.get_dataloaders()
    trainer.network.train()
    steps = 0
    spent.start()
    while spent.share < 1:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - min(spent.share, 1.0)) ** 0.9
        trainer.train_step(next(batches))
        steps += 1
    seconds = spent.used
    trainer.set_deep_supervision_enabled(False)
    note = f"patch {patch[0]}x{patch[1]}; its plan has batches of {own_batch}"
    return Trained(steps, steps * BATCH, seconds, spoken(trainer.network, scaled), note)


def scaled(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """As nnU-Net's ZScoreNormalization."""
    out: Any = image.astype(np.float32)
    return (out - out.mean()) / max(float(out.std()), 1e-8)
