"""A run that ends in time (``train.minutes``): each fold has its share of the time, and begins no epoch too many."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ossa.training._lightning import Callback, pl

#: Seconds that a fold takes to write its model and pages, until the run's first fold has shown it. Its out-of-fold
#: predictions come on top: they take as long as a validation.
WRITING = 20.0

Seconds = Callable[[], float]


class Deadline:
    """When a run has to be done; ``now`` is its clock in seconds."""

    def __init__(self, minutes: float, now: Seconds = time.monotonic) -> None:
        self.now = now
        self.end = now() + 60 * minutes
        self.finishing: float | None = None
        self._trained: float | None = None

    def fold(self, left: int, tell: Callable[[str], object] = lambda _: None) -> InTime:
        """The callback of the next fold of ``left`` that are still to be trained: they share the time evenly."""
        now = self.now()
        return InTime(now + max(0.0, self.end - now) / left, self.finishing, tell, self.now)

    def trained(self) -> None:
        """A fold's last epoch is done; what follows until ``finished`` is the writing of its results."""
        self._trained = self.now()

    def finished(self) -> None:
        """A fold's results are written: the next ones are expected to take as long."""
        if self._trained is not None:
            self.finishing = self.now() - self._trained


class InTime(Callback):
    """Ends a fold after the last validation from which another would not be done, and written, by ``until``.

    ``finishing``: seconds that the fold's results take after its last epoch; reckoned from its validation when None.
    A fold has one validation at least, whatever it takes.
    """

    def __init__(self, until: float, finishing: float | None, tell: Callable[[str], object], now: Seconds) -> None:
        self.until, self.finishing, self.tell, self.now = until, finishing, tell, now
        self._since = self._began = now()
        self._validation = 0.0
        self._fresh = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """The first epoch begins."""
        del trainer, pl_module
        self._since = self.now()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """A validation begins."""
        del trainer, pl_module
        self._began = self.now()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """There are results: here the fold may end."""
        del trainer, pl_module
        self._validation, self._fresh = self.now() - self._began, True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Stop where the next validation would come too late."""
        del pl_module
        if not self._fresh:
            return
        now = self.now()
        took, self._since, self._fresh = now - self._since, now, False
        after = self._validation + WRITING if self.finishing is None else self.finishing
        late = now + took + after > self.until
        if trainer.world_size > 1:
            late = bool(trainer.strategy.reduce_boolean_decision(late, all=False))
        epoch, last = trainer.current_epoch + 1, trainer.max_epochs or 0
        if late and epoch < last:
            trainer.should_stop = True
            self.tell(f"The time is up (train.minutes): stopped after epoch {epoch} of {last}")
