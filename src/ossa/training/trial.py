"""A trial of a run before it begins: a few steps of its own network on its own pictures, timed.

What a step takes hangs on the network, the grid, the augmentation, the disk and whatever else the machine is doing; so
nothing of it is looked up, all of it is measured.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import numpy as np
import torch

from ossa.bundle.bundle import save_bundle
from ossa.bundle.card import Architecture, Card
from ossa.config import RunConfig
from ossa.errors import BundleError
from ossa.parallel import cores
from ossa.progress import Track, silent
from ossa.radiograph.prepare import Preparation
from ossa.schema import BoneSchema
from ossa.segmentation.compare import dice
from ossa.segmentation.decode import decode
from ossa.training.arithmetic import device_of, settled
from ossa.training.batches import make_batch
from ossa.training.deadline import WRITING
from ossa.training.material import Checks, Material
from ossa.training.objective import Objective
from ossa.training.optim import make_optimiser
from ossa.training.run import fold_config, make_network, memory_told, planned
from ossa.training.sampler import PlannedBatches

#: Steps that are timed after one to warm up.
STEPS = 3


@dataclass(frozen=True)
class Trial:
    """Seconds that a run takes per picture on this machine: ``sample`` trained on, ``check`` validated on, ``reading``
    one picture for the first time; and once each: ``saving`` a checkpoint, ``writing`` a fold's model. ``size`` of the
    grid and ``batch`` are those that were tried."""

    sample: float
    check: float
    reading: float
    size: int
    batch: int
    saving: float = 0.0
    writing: float = WRITING

    def epoch(self, samples: int, checks: int) -> float:
        """Seconds of an epoch that trains on ``samples`` pictures and validates on ``checks``."""
        return samples * self.sample + checks * self.check + 2 * self.saving  # last.ckpt, and perhaps best.ckpt


def try_out(
    config: RunConfig, schema: BoneSchema, material: Material, *, steps: int = STEPS, track: Track = silent
) -> Trial:
    """Time ``steps`` steps of the first fold of a run; nothing is kept but pictures in its cache.

    Raises DeviceError when memory runs out, and what ``make_network`` raises.
    """
    config = fold_config(config, 0)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    device = device_of(config)
    network = make_network(config, schema)
    config = settled(config, network)
    network = network.to(device).train()
    objective = Objective(network, config.model_copy(update={"distil": None}), schema, None).to(device)
    wanted = config.optimiser
    optimiser = make_optimiser(wanted.name, {**wanted.arguments(), "lr": wanted.lr}, network)
    data, order = planned(config, schema, material)
    batches = PlannedBatches(order, config.train.batch, lambda: 0)
    drawn, read, taken = [], [], []
    half = torch.autocast(device, dtype=torch.bfloat16, enabled=config.train.precision == "bf16")
    with memory_told(config):
        for step in track(range(1 + steps), 1 + steps, "timing steps"):
            keys = batches.at(step)
            start = time.perf_counter()
            make_batch(data, keys, step)
            again = time.perf_counter()
            batch = make_batch(data, keys, step)  # by now its pictures lie in the cache
            ready = time.perf_counter()
            batch = batch.to(device)
            inputs = batch.inputs()
            if config.train.channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            with half:
                loss, _ = objective(network, network, batch, inputs)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()  # waits for a GPU
            taken.append(time.perf_counter() - ready)
            drawn.append(ready - again)
            read.append(max(0.0, (again - start) - (ready - again)))
        check = _check(config, schema, material, network.eval(), device)
        saving = _saving(network, optimiser)
        writing = _writing(config, schema, network.cpu()) if config.folds.bundle else 0.0
    each = len(batches.at(0))
    sample = together(median(taken[1:]) / each, median(drawn[1:]) / each, config.data.workers, device)
    return Trial(sample, check, max(read) / each, config.data.size, config.train.batch, saving, writing)


def together(step: float, draw: float, workers: int, device: str) -> float:
    """Seconds of a sample whose step takes ``step`` and whose drawing ``draw``, done by ``workers`` processes.

    Workers draw while a GPU computes; on a CPU they take their share of its cores.
    """
    if workers == 0:
        return step + draw
    return step + draw / max(1, cores()) if device == "cpu" else max(step, draw / workers)


def _check(config: RunConfig, schema: BoneSchema, material: Material, network: torch.nn.Module, device: str) -> float:
    """Seconds to validate on one picture, the second time."""
    checks = Checks(material.checks, config.data.size, int(network.multiple))  # type: ignore[arg-type]
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        check = checks[0]
        with torch.inference_mode():
            logits = np.asarray(network(check.image[None].to(device))[0].float().cpu().numpy(), np.float32)
        found = decode(logits, check.placement, schema)
        for name in check.annotated:
            dice(found.get(name), check.truth.get(name))
        seconds = time.perf_counter() - start
    return seconds


def _saving(network: torch.nn.Module, optimiser: torch.optim.Optimizer) -> float:
    """Seconds to write a checkpoint: weights, and what the optimiser knows of each."""
    start = time.perf_counter()
    with TemporaryFile() as file:
        torch.save([network.state_dict(), optimiser.state_dict()], file)
    return time.perf_counter() - start


def _writing(config: RunConfig, schema: BoneSchema, network: torch.nn.Module) -> float:
    """Seconds to write a fold's model, its comparison with the network included."""
    given: Any = network
    card = Card(
        name="trial",
        schema=schema,
        architecture=Architecture(config.model.architecture, config.model.arguments()),
        stride=int(given.stride),
        preparation=Preparation(config.data.size, max(32, int(given.multiple))),
    )
    start = time.perf_counter()
    with TemporaryDirectory(prefix="ossa-trial-") as folder, suppress(BundleError):
        save_bundle(Path(folder) / "bundle", given, card)
    return time.perf_counter() - start
