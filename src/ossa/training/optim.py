"""Optimisers and schedules by name, with their arguments checked before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ossa.config import check_arguments, unknown_name
from ossa.errors import ConfigError

#: Schedules whose authors step them once per batch; all others step once per epoch.
PER_STEP = ("OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts", "CosineAnnealingLR", "LinearLR", "PolynomialLR")

#: Schedules that are made of other schedules or functions, which a run file cannot write down.
_NOT_FROM_A_FILE = ("LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler", "LRScheduler", "SWALR")


def optimisers() -> dict[str, type[torch.optim.Optimizer]]:
    """Every optimiser of torch.optim by its class name."""
    return _classes(torch.optim, torch.optim.Optimizer, ("Optimizer",))


def schedules() -> dict[str, type[Any]]:
    """Every schedule of torch.optim.lr_scheduler that a run file can name."""
    module = torch.optim.lr_scheduler
    found = _classes(module, module.LRScheduler, _NOT_FROM_A_FILE)
    return {**found, "ReduceLROnPlateau": module.ReduceLROnPlateau}


def _classes(module: Any, base: type, without: Iterable[str]) -> dict[str, type[Any]]:
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base) and not name.startswith("_") and name not in without
    }


def _arguments(kind: Any) -> list[str]:
    return [name for name in inspect.signature(kind).parameters if name not in ("self", "optimizer", "params")]


def make_optimiser(name: str, arguments: Mapping[str, Any], network: nn.Module) -> torch.optim.Optimizer:
    """``torch.optim.<name>`` over the trainable parameters.

    Weight decay spares biases and norms (parameters of one dimension). Raises ConfigError for an unknown name or
    argument, or one that the class refuses.
    """
    known = optimisers()
    if name not in known:
        raise unknown_name("optimiser", name, sorted(known))
    check_arguments("optimiser", name, dict(arguments), _arguments(known[name]))
    trained = [p for p in network.parameters() if p.requires_grad]
    if not trained:
        raise ConfigError("nothing is left to train", remedy="finetune.freeze names every parameter; name fewer")
    groups: list[dict[str, Any]] = [{"params": trained}]
    if arguments.get("weight_decay"):
        groups = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    try:
        make: Any = known[name]
        made: torch.optim.Optimizer = make([group for group in groups if group["params"]], **given)
        return made
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"optimiser '{name}' refuses its arguments", found=str(error)) from error


class Schedule:
    """A learning-rate schedule with linear warm-up, stepped by the module and saved with it.

    ``interval`` is "step" or "epoch". During the first ``warmup`` optimiser steps the rate climbs linearly to
    where the schedule starts, and the schedule itself stands still.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, scheduler: Any, interval: str, warmup: int) -> None:
        self.optimiser = optimiser
        self.scheduler = scheduler
        self.interval = interval
        self.warmup = warmup
        self.taken = 0
        self.start = [float(group["lr"]) for group in optimiser.param_groups]
        self._warm()

    def _warm(self) -> None:
        if self.taken < self.warmup:
            for group, rate in zip(self.optimiser.param_groups, self.start, strict=True):
                group["lr"] = rate * (self.taken + 1) / (self.warmup + 1)
        elif self.taken == self.warmup and self.warmup:
            for group, rate in zip(self.optimiser.param_groups, self.start, strict=True):
                group["lr"] = rate

    def after_step(self) -> None:
        """After every optimiser step."""
        self.taken += 1
        if self.taken <= self.warmup:
            self._warm()
        elif self.scheduler is not None and self.interval == "step" and not self._ended():
            self.scheduler.step()

    def after_epoch(self, metric: float | None) -> None:
        """After every epoch; ``metric`` is the validation Dice, None when there was no validation."""
        if self.scheduler is None or self.interval != "epoch" or self.taken <= self.warmup:
            return
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            if metric is not None:
                self.scheduler.step(metric)
        else:
            self.scheduler.step()

    def _ended(self) -> bool:
        total = getattr(self.scheduler, "total_steps", None)
        return total is not None and self.scheduler.last_epoch >= total - 1

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        inner = None if self.scheduler is None else self.scheduler.state_dict()
        return {"taken": self.taken, "start": self.start, "scheduler": inner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.taken = int(state["taken"])
        self.start = list(state["start"])
        if self.scheduler is not None and state["scheduler"] is not None:
            self.scheduler.load_state_dict(state["scheduler"])


def make_schedule(
    name: str | None,
    arguments: Mapping[str, Any],
    optimiser: torch.optim.Optimizer,
    *,
    interval: str = "auto",
    warmup: int = 0,
    steps: int,
    epochs: int,
) -> Schedule:
    """The schedule ``name`` of torch.optim.lr_scheduler for a run of ``steps`` optimiser steps in ``epochs``.

    Lengths that are not given follow from the run: total_steps, T_max, total_iters; max_lr is the optimiser's
    rate; ReduceLROnPlateau watches Dice, so its mode is "max". Raises ConfigError as ``make_optimiser``.
    """
    if name is None:
        return Schedule(optimiser, None, "step", warmup)
    known = schedules()
    if name not in known:
        raise unknown_name("scheduler", name, sorted(known))
    own = _arguments(known[name])
    check_arguments("scheduler", name, dict(arguments), own)
    when = interval if interval != "auto" else ("step" if name in PER_STEP else "epoch")
    if name == "ReduceLROnPlateau" and when == "step":
        raise ConfigError("scheduler 'ReduceLROnPlateau' steps after validation", expected="scheduler.interval=epoch")
    length = max(2, steps - warmup if when == "step" else epochs)
    rate = float(optimiser.param_groups[0]["lr"])
    fills: dict[str, Any] = {"total_steps": length, "T_max": length, "total_iters": length, "T_0": length}
    fills.update(max_lr=rate, base_lr=rate / 25, mode="max" if name == "ReduceLROnPlateau" else None)
    given = {key: value for key, value in fills.items() if key in own and value is not None}
    if name == "OneCycleLR" and ({"epochs", "steps_per_epoch"} & set(arguments)):
        given.pop("total_steps")
    given |= dict(arguments)
    if name == "OneCycleLR":
        given["pct_start"] = _rise(float(given.get("pct_start", 0.3)), int(given.get("total_steps") or length))
    try:
        return Schedule(optimiser, known[name](optimiser, **given), when, warmup)
    except (TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise ConfigError(f"scheduler '{name}' refuses its arguments", found=str(error)) from error


def _rise(share: float, steps: int) -> float:
    """``share`` of ``steps`` as OneCycleLR can take it: torch 2.13 divides 0 by 0 where the first step has the peak."""
    return share - 1e-6 / steps if abs(share * steps - 1) < 1e-9 else share
