"""What happens around the steps: checkpoints, stopping, leaving on Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from ossa.errors import InputError, TrainingError
from ossa.safety import replacing
from ossa.training._lightning import Callback, Checkpoint, TorchCheckpointIO, pl
from ossa.training.averages import averaged


class SafeCheckpoints(TorchCheckpointIO):
    """Checkpoints written whole or not at all, and read without running code in them."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write beside ``path``, then move over it: a kill while writing leaves the last one."""
        del storage_options
        with replacing(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Tensors and plain values only. Raises InputError naming the file."""
        del weights_only
        return _loaded(path, map_location=map_location or "cpu")


def steps_of(path: Path) -> int:
    """Optimiser steps that a run had done at a checkpoint. Raises InputError naming the file."""
    return int(_loaded(path, map_location="cpu", mmap=True).get("global_step", 0))


def _loaded(path: Any, **options: Any) -> dict[str, Any]:
    try:
        found = torch.load(path, weights_only=True, **options)
    except Exception as error:  # a broken zip, a pickle of objects, ... each raises its own
        raise InputError(
            "the checkpoint cannot be read",
            path=path,
            found=(str(error).strip().splitlines() or [type(error).__name__])[0][:200],
            remedy="Use best.ckpt, or start a new run",
        ) from error
    if not isinstance(found, dict):
        raise InputError("is not a checkpoint", path=path, found=type(found).__name__)
    return found


class Clock(Callback):
    """Tells the epoch (from 0) that begins."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self.tell = tell

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Tell."""
        del pl_module
        self.tell(trainer.current_epoch)


class Keeper(Checkpoint):
    """best.ckpt and best.safetensors when the monitored figure improves, last.ckpt after every epoch, early stopping.

    ``monitor`` is the figure's name, ``sign`` 1 where more of it is better and -1 where less is. ``best`` is its best
    value, ``dice`` the validation Dice of ``best_epoch`` and ``per_bone`` that of each bone; ``history``: the figure of
    every epoch (from 1) that had a validation. Lightning calls checkpoint callbacks after all others, so the schedule
    has stepped and the averaged weights are back in their place.
    """

    def __init__(
        self,
        folder: Path,
        patience: int = 0,
        min_delta: float = 0.0,
        every: int = 0,
        monitor: str = "val/dice",
        sign: int = 1,
    ) -> None:
        self.folder = folder
        self.patience = patience
        self.min_delta = min_delta
        self.every = every
        self.monitor = monitor
        self.sign = sign
        self.best = -1.0
        self.dice = -1.0
        self.best_epoch = 0
        self.waited = 0
        self.history: list[tuple[int, float]] = []
        self.per_bone: dict[str, float] = {}
        self._fresh = False
        #: Called when the epoch's checkpoints are written.
        self.after_epoch: Callable[[pl.Trainer], None] | None = None

    @property
    def last_path(self) -> Path:
        """The checkpoint to resume from."""
        return self.folder / "last.ckpt"

    @property
    def _waited_enough(self) -> bool:
        return self.patience > 0 and self.waited >= self.patience

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """A run that had stopped early and is resumed stays stopped."""
        del pl_module
        trainer.should_stop = trainer.should_stop or self._waited_enough

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """There is something to judge at the epoch's end, when all of its figures are known."""
        del pl_module
        self._fresh = self._fresh or not trainer.sanity_checking

    def _score(self, trainer: pl.Trainer) -> float:
        """The monitored figure; TrainingError when this epoch has none, NaN where it is no number."""
        found = trainer.callback_metrics.get(self.monitor)
        if found is None:
            raise TrainingError(
                f"train.monitor: '{self.monitor}' was not logged",
                path=self.folder,
                found=", ".join(sorted(name for name in trainer.callback_metrics if name.count("/") < 2)),
                remedy="Monitor one of these",
            )
        return float(found)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Save; stop when nothing was gained for long enough."""
        better = False
        if self._fresh:
            self._fresh = False
            score, epoch = self._score(trainer), trainer.current_epoch + 1
            self.history.append((epoch, score))
            gain = self.sign * (score - self.best)
            better = math.isfinite(score) and (self.best_epoch == 0 or gain > self.min_delta)
            if better:
                self.best, self.best_epoch, self.waited = score, epoch, 0
                self.dice = float(trainer.callback_metrics["val/dice"])
                self.per_bone = dict(pl_module.per_bone)
            else:
                self.waited += 1
                trainer.should_stop = trainer.should_stop or self._waited_enough
        if better:
            trainer.save_checkpoint(self.folder / "best.ckpt")
            if trainer.is_global_zero:
                save_weights(self.folder / "best.safetensors", averaged(trainer, pl_module))
        if self.every and (trainer.current_epoch + 1) % self.every == 0:
            trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch + 1:04d}.ckpt")
        # Last, as it says that the epoch is done: a run that was killed before it does the epoch again, and what
        # stands above with it.
        trainer.save_checkpoint(self.last_path)
        if self.after_epoch is not None:
            self.after_epoch(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        counts = {"best": self.best, "dice": self.dice, "best_epoch": self.best_epoch, "waited": self.waited}
        return {**counts, "history": self.history, "per_bone": self.per_bone}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.best = float(state_dict["best"])
        self.dice = float(state_dict.get("dice", self.best))
        self.best_epoch = int(state_dict["best_epoch"])
        self.waited = int(state_dict["waited"])
        self.history = [(int(e), float(s)) for e, s in state_dict["history"]]
        self.per_bone = {str(name): float(value) for name, value in state_dict["per_bone"].items()}


def save_weights(path: Path, state: dict[str, Tensor]) -> None:
    """A state dictionary as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, temporary)


#: Ctrl-C, what a scheduler sends, and what a closed terminal sends where there are such.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(Exception):
    """The run was left on one of the signals of ``ENDING``, with a checkpoint to go on from."""


class Interruption:
    """Ctrl-C, SIGTERM or SIGHUP: the batch in hand is finished, last.ckpt written, and the run left by ``Interrupted``.

    A second signal leaves at once; last.ckpt is then that of the last epoch. Only a process's main thread can take
    signals; elsewhere this does nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup: the run outlives its terminal
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def after_batch(self, trainer: pl.Trainer) -> None:
        """Leave, if that was asked of any of the run's processes. The module calls it after its own bookkeeping."""
        # An epoch's last batch is left to after_epoch: Lightning cannot resume between it and the validation.
        if not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch and self._agreed(trainer):
            trainer.save_checkpoint(self.path)
            raise Interrupted

    def after_epoch(self, trainer: pl.Trainer) -> None:
        """Leave, if that was asked. The keeper calls it when last.ckpt is written."""
        if self._agreed(trainer):
            raise Interrupted

    def _agreed(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size > 1:
            return bool(trainer.strategy.reduce_boolean_decision(self.asked, all=False))
        return self.asked
