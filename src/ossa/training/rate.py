"""Finding a learning rate: a few steps at rates that climb from tiny to too large, and where the loss falls fastest.

Source: Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ossa.config import RunConfig
from ossa.errors import TrainingError
from ossa.progress import Track, silent
from ossa.schema import BoneSchema
from ossa.training.arithmetic import device_of
from ossa.training.batches import make_batch
from ossa.training.material import Material
from ossa.training.objective import Objective
from ossa.training.optim import make_optimiser
from ossa.training.run import first_shares, make_network, planned
from ossa.training.sampler import PlannedBatches

#: Rates that are tried.
LOWEST, HIGHEST = 1e-6, 1.0

#: How much of the smoothed loss is the past, and how many times the least loss ends the search.
_PAST, _TOO_MUCH = 0.9, 3.0


@dataclass(frozen=True)
class Rates:
    """The ``rate`` at which the loss fell fastest, and (rate, smoothed loss) of every step that was taken."""

    rate: float
    curve: tuple[tuple[float, float], ...]


def find_rate(
    config: RunConfig, schema: BoneSchema, material: Material, steps: int = 100, track: Track = silent
) -> Rates:
    """Try ``steps`` rates on batches of the run, each with one step of its optimiser, in 32 bit; nothing is written.

    The network, its first weights and the batches are those with which the run begins. Raises TrainingError when the
    loss falls at no rate.
    """
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    data, plan = planned(config, schema, material)
    shares = first_shares(config, data, material)
    device = device_of(config)
    network = make_network(config, schema, shares).to(device).train()
    objective = Objective(network, config.model_copy(update={"distil": None}), schema, shares).to(device)
    trained = network if objective.levels is None else torch.nn.ModuleList([network, objective.levels])
    wanted = config.optimiser
    optimiser = make_optimiser(wanted.name, {**wanted.arguments(), "lr": LOWEST}, trained)
    batches = PlannedBatches(plan, config.train.batch, lambda: 0)
    curve: list[tuple[float, float]] = []
    smooth = 0.0
    for step in track(range(steps), steps, "trying learning rates"):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(1, steps - 1))
        for group in optimiser.param_groups:
            group["lr"] = rate
        keys = batches.at(step)
        batch = make_batch(data, keys, keys[0][1] // config.train.batch).to(device)
        torch.manual_seed(config.seed + step)
        loss, _ = objective(network, network, batch, batch.inputs())
        optimiser.zero_grad()
        loss.backward()
        if config.train.clip:
            torch.nn.utils.clip_grad_norm_(trained.parameters(), config.train.clip)
        optimiser.step()
        smooth = _PAST * smooth + (1 - _PAST) * float(loss.detach())
        now = smooth / (1 - _PAST ** (step + 1))
        if not math.isfinite(now):
            break
        curve.append((rate, now))
        if now > _TOO_MUCH * min(value for _, value in curve):
            break
    return Rates(steepest(curve), tuple(curve))


def steepest(curve: list[tuple[float, float]]) -> float:
    """The rate before the least loss at which the loss falls fastest along the logarithm of the rate.

    Raises TrainingError when the loss never falls.
    """
    losses = [loss for _, loss in curve]
    end = losses.index(min(losses)) if losses else 0
    falls = [(losses[i + 1] - losses[i - 1], curve[i][0]) for i in range(1, end)]
    if not falls or min(falls)[0] >= 0:
        raise TrainingError(
            "the loss falls at no learning rate",
            found=f"{len(curve)} steps, from {losses[0]:.4g} to {losses[-1]:.4g}" if losses else "no step",
            remedy="Look at the labels (ossa data sheet) and the loss, or try more steps",
        )
    return min(falls)[1]
