"""Optimisers and schedules by name, with their arguments checked before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from ossa.config import check_arguments, unknown_name
from ossa.errors import ConfigError

#: Schedules whose authors step them once per batch; all others step once per epoch.
PER_STEP = ("OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts", "CosineAnnealingLR", "LinearLR", "PolynomialLR")

#: Schedules that are made of functions, which a run file cannot write down.
_NOT_FROM_A_FILE = ("LambdaLR", "MultiplicativeLR", "LRScheduler", "SWALR")

#: Schedules that are made of a list of others.
OF_OTHERS = ("SequentialLR", "ChainedScheduler")

#: Schedules that cannot be one of such a list: they set where the rate starts, or ask for the validation.
_ALONE = ("OneCycleLR", "CyclicLR", "ReduceLROnPlateau", *OF_OTHERS)

#: Optimisers of torch.optim that the training loop cannot use, and why.
_NOT_IN_THE_LOOP = {
    "LBFGS": "it computes the loss of a batch several times in a step",
    "SparseAdam": "it takes sparse gradients only, and a convolution's are dense",
}


def optimisers() -> dict[str, type[torch.optim.Optimizer]]:
    """Every optimiser of torch.optim that training can use, by its class name."""
    return _classes(torch.optim, torch.optim.Optimizer, ("Optimizer", *_NOT_IN_THE_LOOP))


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
    if name in _NOT_IN_THE_LOOP:
        raise ConfigError(
            f"optimiser '{name}' cannot train here: {_NOT_IN_THE_LOOP[name]}", remedy="Take AdamW, Adam or SGD"
        )
    if name not in known:
        raise unknown_name("optimiser", name, sorted(known))
    check_arguments("optimiser", name, dict(arguments), _arguments(known[name]))
    trained = [p for p in network.parameters() if p.requires_grad]
    if not trained:
        raise ConfigError("nothing is left to train", remedy="finetune.freeze names every parameter; name fewer")
    if name == "Muon" and (other := [p.ndim for p in trained if p.ndim != 2]):
        raise ConfigError(
            "optimiser 'Muon' takes matrices only",
            found=f"{len(other)} of the network's {len(trained)} parameters have another number of axes than 2",
            remedy="Take AdamW, Adam or SGD",
        )
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
    rate; ReduceLROnPlateau watches Dice, so its mode is "max". SequentialLR and ChainedScheduler take a list,
    ``schedulers``, of names with their arguments. Raises ConfigError as ``make_optimiser``.
    """
    if name is None:
        return Schedule(optimiser, None, "step", warmup)
    known = schedules()
    if name not in known:
        raise unknown_name("scheduler", name, sorted(known))
    own = _arguments(known[name])
    check_arguments("scheduler", name, dict(arguments), own)
    when = interval if interval != "auto" else _interval(name, arguments)
    if name == "ReduceLROnPlateau" and when == "step":
        raise ConfigError("scheduler 'ReduceLROnPlateau' steps after validation", expected="scheduler.interval=epoch")
    length = max(2, steps - warmup if when == "step" else epochs)
    try:
        made = _joined if name in OF_OTHERS else _single
        return Schedule(optimiser, made(name, arguments, optimiser, length), when, warmup)
    except (TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise ConfigError(f"scheduler '{name}' refuses its arguments", found=str(error)) from error


def _interval(name: str, arguments: Mapping[str, Any]) -> str:
    """When a schedule steps; one of others when they do, which must be one and the same."""
    if name not in OF_OTHERS:
        return "step" if name in PER_STEP else "epoch"
    each = {_interval(inner, {}) for inner, _ in _listed(name, arguments)}
    if len(each) > 1:
        raise ConfigError(
            f"scheduler '{name}': some of its schedulers step once per batch, others once per epoch",
            remedy="Say which with scheduler.interval=step or epoch; all of them then count so",
        )
    return each.pop()


def _listed(name: str, arguments: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and arguments of every schedule in a list."""
    out = []
    given = arguments.get("schedulers")
    for inner in given if isinstance(given, (list, tuple)) else ():
        options = dict(inner) if isinstance(inner, Mapping) else {"name": inner}
        out.append((str(options.pop("name", None)), options))
    if not out:
        raise ConfigError(
            f"scheduler '{name}' needs a list of schedulers",
            found=repr(given),
            expected="schedulers: [{name: LinearLR, start_factor: 0.1}, {name: CosineAnnealingLR}]",
        )
    known = schedules()
    for inner, options in out:
        if inner not in known:
            raise unknown_name("scheduler", inner, sorted(set(known) - set(_ALONE)))
        if inner in _ALONE:
            raise ConfigError(f"scheduler '{inner}' cannot be one of a list", found=f"in '{name}'")
        check_arguments("scheduler", inner, options, _arguments(known[inner]))
    return out


def _joined(name: str, arguments: Mapping[str, Any], optimiser: torch.optim.Optimizer, length: int) -> Any:
    """A schedule of others: one after the other, or all at once.

    ``milestones`` between 0 and 1 are shares of the run. A schedule of a sequence ends where the next begins.
    """
    inner = _listed(name, arguments)
    if name == "ChainedScheduler":
        made = [_single(one, options, optimiser, length) for one, options in inner]
        return torch.optim.lr_scheduler.ChainedScheduler(made)
    given = arguments.get("milestones")
    marks = [round(m * length) if 0 < m < 1 else int(m) for m in given] if isinstance(given, (list, tuple)) else []
    if len(marks) != len(inner) - 1 or [0, *marks] != sorted({0, *marks}):
        raise ConfigError(
            f"scheduler '{name}': milestones say when the next of its schedulers begins",
            found=f"{given!r} for {len(inner)} schedulers",
            expected=f"{len(inner) - 1} growing numbers above 0 (below 1: shares of the run)",
        )
    spans = [end - start for start, end in pairwise([0, *marks, max(length, marks[-1] + 2 if marks else 2)])]
    made = [_single(one, options, optimiser, span) for (one, options), span in zip(inner, spans, strict=True)]
    return torch.optim.lr_scheduler.SequentialLR(optimiser, made, marks)


def _single(name: str, arguments: Mapping[str, Any], optimiser: torch.optim.Optimizer, length: int) -> Any:
    """A schedule of ``length`` steps of its own."""
    kind = schedules()[name]
    own = _arguments(kind)
    rate = float(optimiser.param_groups[0]["lr"])
    fills: dict[str, Any] = {"total_steps": length, "T_max": length, "total_iters": length, "T_0": length}
    fills.update(max_lr=rate, base_lr=rate / 25, mode="max" if name == "ReduceLROnPlateau" else None)
    given = {key: value for key, value in fills.items() if key in own and value is not None}
    if name == "OneCycleLR" and ({"epochs", "steps_per_epoch"} & set(arguments)):
        given.pop("total_steps")
    given |= dict(arguments)
    if name == "OneCycleLR":
        whole = int(given.get("total_steps") or int(given.get("epochs", 0)) * int(given.get("steps_per_epoch", 0)))
        given["pct_start"] = _rise(float(given.get("pct_start", 0.3)), max(1, whole))
    if name == "CosineAnnealingLR" and not given["T_max"]:
        raise ValueError("T_max is 0")  # torch divides by it in the first step
    return kind(optimiser, **given)


def _rise(share: float, steps: int) -> float:
    """``share`` of ``steps`` as OneCycleLR can take it: torch 2.13 divides 0 by 0 where the first step has the peak."""
    return share - 1e-6 / steps if abs(share * steps - 1) < 1e-9 else share
