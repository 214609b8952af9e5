"""A training's progress for a person: Lightning's bars on a terminal, a line per epoch in the log."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from ossa.training._lightning import Callback, RichProgressBar, pl

_log = logging.getLogger("ossa.train")


class EpochLog(Callback):
    """One line per epoch to the log "ossa.train": loss, validation Dice, rate, seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._began = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clock."""
        del trainer, pl_module
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Tell."""
        if not trainer.is_global_zero:
            return
        metrics = {**trainer.callback_metrics}
        loss = metrics.get("train/loss_epoch", metrics.get("train/loss"))
        dice = metrics.get("val/dice")
        rate = pl_module.optimizers().param_groups[0]["lr"]
        _log.info(
            "%s epoch %d/%d: loss %s, val Dice %s, lr %.2e, %.0f s",
            self.name,
            trainer.current_epoch + 1,
            trainer.max_epochs or 0,
            "-" if loss is None else f"{float(loss):.4f}",
            "-" if dice is None else f"{float(dice):.4f}",
            rate,
            time.monotonic() - self._began,
        )


class Bars(RichProgressBar):
    """Lightning's bars on standard error, with epochs counted from 1 as everywhere that a person reads."""

    def __init__(self) -> None:
        super().__init__(leave=False, console_kwargs={"stderr": True})

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}"


def make_progress(name: str) -> list[Callback]:
    """The callbacks that suit this process: Lightning's bars only where standard error is a terminal."""
    if not sys.stderr.isatty():
        return [EpochLog(name)]
    return [EpochLog(name), Bars()]
