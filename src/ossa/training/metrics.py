"""metrics.csv of a fold: a row for every step that is logged and one for every epoch, epochs counted from 1.

It is one table however often the run is killed and resumed: each row is in the file before the checkpoint that follows
it, and a run that goes on from a checkpoint first drops what an earlier start had written after it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ossa.errors import OutputError
from ossa.safety import replacing
from ossa.training._lightning import Checkpoint, pl

#: The loss of one step; all else that is logged is of a whole epoch.
_OF_A_STEP = "train/loss_step"

Row = Mapping[str, str]


class Metrics(Checkpoint):
    """Writes what is logged into FOLDER/metrics.csv: the loss every ``every`` optimiser steps, figures of every epoch.

    ``step`` counts optimiser steps from 0. Lightning calls checkpoint callbacks after all others, so an epoch's figures
    are all known; this one stands before the keeper, whose last.ckpt says that the epoch is done.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.table = Table(folder / "metrics.csv")
        self.every = every
        self._steps = 0
        self._validated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Go back to where the checkpoint was written; to nothing without one."""
        del pl_module
        self._steps = trainer.global_step
        if trainer.is_global_zero:
            self.table.cut(trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """A row for the step, before the run can be left after it."""
        del pl_module
        stepped, self._steps = trainer.global_step > self._steps, trainer.global_step
        if stepped and self.every and self._steps % self.every == 0:
            self._add(trainer, {_OF_A_STEP: trainer.callback_metrics[_OF_A_STEP]})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """The epoch's row has a validation's figures; Lightning keeps them until there are new ones."""
        del pl_module
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """A row for the epoch."""
        del pl_module
        found = {
            name: value
            for name, value in trainer.logged_metrics.items()
            if name != _OF_A_STEP and (self._validated or not name.startswith("val/"))
        }
        self._validated = False
        self._add(trainer, found)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """What the checkpoint counts on is on the disk before it."""
        del pl_module, checkpoint
        if trainer.is_global_zero:
            self.table.to_disk()

    def _add(self, trainer: pl.Trainer, found: Mapping[str, Any]) -> None:
        if trainer.is_global_zero:
            place = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step - 1}
            self.table.add({name: str(value) for name, value in place.items()} | _texts(found))


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    return {name: repr(float(value)) for name, value in found.items()}


class Table:
    """A CSV file that rows are added to, its columns in the order of their names, and cut off again by ``step``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []

    def add(self, row: Row) -> None:
        """Add a row; one with a column that is new renews the file, which a reader never sees without its rows."""
        if row.keys() <= set(self._columns):
            with self._opened() as stream:
                stream.write(_text(self._columns, [row]))
            return
        rows = read_rows(self.path) if self._columns else []
        self._write(sorted({*self._columns, *row}), [*rows, row])

    def cut(self, step: int) -> None:
        """Drop the rows from ``step`` on, and a last one that was not finished."""
        rows = read_rows(self.path)
        kept = [row for row in rows if int(row["step"]) < step]
        if kept:
            self._write(list(rows[0]), kept)
        else:
            self._columns = []
            self.path.unlink(missing_ok=True)

    def to_disk(self) -> None:
        """Return when the file would outlive a power cut."""
        if self._columns:
            with self._opened() as stream:
                os.fsync(stream.fileno())

    @contextmanager
    def _opened(self) -> Iterator[TextIO]:
        try:
            with self.path.open("a", newline="", encoding="utf-8") as stream:
                yield stream
        except OSError as error:
            found, remedy = error.strerror or str(error), "Free some space, and go on with --resume"
            raise OutputError("cannot be written", path=self.path, found=found, remedy=remedy) from error

    def _write(self, columns: list[str], rows: Sequence[Row]) -> None:
        with replacing(self.path) as temporary:
            head = dict(zip(columns, columns, strict=True))
            temporary.write_text(_text(columns, [head, *rows]), encoding="utf-8", newline="")
        self._columns = columns


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table, as text; a last line that has no end is left out, and no file is an empty table."""
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(whole[: whole.rfind("\n") + 1])))


def _text(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()
