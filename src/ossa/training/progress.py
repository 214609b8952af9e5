"""A training's progress for a person: a rich display on a terminal, a line per epoch in the log."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from ossa.training._lightning import Callback, pl

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


class Bars(Callback):
    """Bars on a terminal: the run's epochs, the epoch's batches with the loss, the validation's pictures."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.display = Progress(*columns, TextColumn("{task.fields[told]}"), console=Console(stderr=True))
        self.name = name
        self._loss: float | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Draw."""
        del pl_module
        if not trainer.is_global_zero:
            return
        self.display.start()
        self.epochs = self.display.add_task(f"{self.name} epochs", total=trainer.max_epochs, told="")
        self.steps = self.display.add_task("  batches", total=None, told="")
        self.checks = self.display.add_task("  validation", total=None, visible=False, told="")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """A new row of batches."""
        if trainer.is_global_zero:
            total = int(trainer.num_training_batches)
            done = pl_module.batches % total
            self.display.reset(self.steps, total=total, completed=done)
            self.display.update(self.epochs, completed=trainer.current_epoch)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """One batch further; the loss shown is a running mean."""
        del pl_module
        if trainer.is_global_zero:
            value = float(outputs["loss"] if isinstance(outputs, dict) else outputs)
            self._loss = value if self._loss is None else 0.95 * self._loss + 0.05 * value
            self.display.update(self.steps, advance=1, told=f"loss {self._loss:.4f}")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Show the third row."""
        del pl_module
        if trainer.is_global_zero:
            total = sum(int(n) for n in trainer.num_val_batches)
            self.display.reset(self.checks, total=total, visible=True)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One picture further."""
        if trainer.is_global_zero:
            self.display.update(self.checks, advance=1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Hide the third row, show the score."""
        del pl_module
        if trainer.is_global_zero:
            dice = trainer.callback_metrics.get("val/dice")
            told = "" if dice is None else f"val Dice {float(dice):.4f}"
            self.display.update(self.checks, visible=False)
            self.display.update(self.epochs, told=told)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """One epoch further."""
        del pl_module
        if trainer.is_global_zero:
            self.display.update(self.epochs, completed=trainer.current_epoch + 1)

    def close(self) -> None:
        """Leave the terminal as it was, whatever ended the run."""
        self.display.stop()


def make_progress(name: str) -> list[Callback]:
    """The callbacks that suit this process: bars only where standard error is a terminal."""
    return [EpochLog(name), *([Bars(name)] if sys.stderr.isatty() else [])]
