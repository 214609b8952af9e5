"""Averaged weights, which are validated and taken away in place of the live ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ossa.training._lightning import Callback, pl


class Average(Callback):
    """Averages of weights and norms' statistics: exponential ones (EMA), and the mean of the last epochs' (SWA).

    EMA, with ``decay`` above 0: after t steps the decay is min(decay, (1 + t) / (10 + t)), so that early weights fade
    (tf.train.ExponentialMovingAverage, num_updates).

    SWA, with ``start``: the mean of the weights at the end of every epoch from ``start`` (from 0) on; from then on it
    takes the place of the exponential one. Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, UAI 2018; its pass over the training data for the norms' statistics is left out, as they are
    averaged too.
    """

    def __init__(self, decay: float, start: int | None = None) -> None:
        self.decay = decay
        self.start = start
        self.steps = 0
        self.average: dict[str, Tensor] = {}
        self.count = 0
        self.mean: dict[str, Tensor] = {}
        self._live: dict[str, Tensor] | None = None

    @property
    def best(self) -> dict[str, Tensor] | None:
        """The average to validate and to take away; None before there is one."""
        return self.mean if self.count else (self.average or None)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Begin with the weights as they are, unless a checkpoint brought some."""
        del trainer
        own = pl_module.network.state_dict()
        if self.decay and not self.average:
            self.average = {name: value.detach().clone() for name, value in own.items()}
        self.average = {name: value.to(own[name].device) for name, value in self.average.items()}
        self.mean = {name: value.to(own[name].device) for name, value in self.mean.items()}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """Move the exponential average after every optimiser step, the mean after an epoch's last batch."""
        if self.start is not None and trainer.current_epoch >= self.start and _is_last(trainer):
            self.count += 1
            towards(self.mean, pl_module.network.state_dict(), 1 / self.count)
        if not self.decay or trainer.global_step <= self.steps:
            return
        self.steps = trainer.global_step
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        towards(self.average, pl_module.network.state_dict(), 1 - keep)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Validate the average."""
        del trainer
        if self.best is None:
            return
        own = pl_module.network.state_dict()
        self._live = {name: value.detach().clone() for name, value in own.items()}
        pl_module.network.load_state_dict(self.best)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Give the live weights back."""
        del trainer
        if self._live is not None:
            pl_module.network.load_state_dict(self._live)
            self._live = None

    def state_dict(self) -> dict[str, Any]:
        """The averages, the step of the one and the count of the other."""
        return {"steps": self.steps, "average": self.average, "count": self.count, "mean": self.mean}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.steps = int(state_dict["steps"])
        self.average = dict(state_dict["average"])
        self.count = int(state_dict.get("count", 0))
        self.mean = dict(state_dict.get("mean", {}))


def _is_last(trainer: pl.Trainer) -> bool:
    """Whether the batch in hand is its epoch's last."""
    return bool(trainer.fit_loop.epoch_loop.batch_progress.is_last_batch)


@torch.no_grad()
def towards(average: dict[str, Tensor], live: dict[str, Tensor], share: float) -> None:
    """Move ``average`` by ``share`` of the way to ``live``; counters are taken over."""
    for name, value in live.items():
        if name not in average:
            average[name] = value.detach().clone()
        elif value.is_floating_point():
            average[name].lerp_(value, share)
        else:
            average[name].copy_(value)


def averaged(trainer: pl.Trainer, module: Any) -> dict[str, Tensor]:
    """The weights to take away: the averaged ones where there are some, else the live ones."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Average) and callback.best is not None:
            return callback.best
    return dict(module.network.state_dict())
