"""Processes that draw phantoms while a network trains: those of epochs to come are drawn, those of past ones removed.

They only save time. A phantom that is not there when a batch wants it is drawn by whoever wants it, so that what is
trained on depends on no clock.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from ossa.errors import OutputError
from ossa.training.phantoms import StoredPhantoms

#: Epochs for which phantoms are drawn in advance, besides the one in hand.
AHEAD = 2

#: Writers give way to the training: a phantom that is late is drawn by the batch that wants it.
_NICE = 19


@dataclass(frozen=True)
class Writers:
    """The processes at work and the shared number (from 0) of the epoch that is trained on; none where none is."""

    epoch: Any
    processes: tuple[BaseProcess, ...]

    def tell(self, epoch: int) -> None:
        """Let them know; OutputError when all of them have ended although there is work."""
        if not self.processes:
            return
        self.epoch.value = epoch
        codes = {p.exitcode for p in self.processes}
        if None not in codes and codes != {0}:
            raise OutputError(
                "the processes that draw phantoms have ended early",
                found="exit status " + ", ".join(sorted(map(str, codes))),
                remedy="Their message stands above; data.phantoms.writers=0 draws phantoms as they are wanted",
            )


@contextmanager
def writing_ahead(sources: Sequence[StoredPhantoms], processes: int, epochs: int) -> Iterator[Writers]:
    """Start ``processes`` for the renewed ones of ``sources``; whoever trains tells them its epochs.

    They end with the block, whatever ends it. Nothing is started where nothing is renewed.
    """
    renewed = [source for source in sources if source.renew > 0]
    if not renewed or processes == 0:
        yield Writers(None, ())
        return
    context = multiprocessing.get_context("spawn")
    epoch = context.Value("i", 0)
    own: list[BaseProcess] = [
        context.Process(target=write, args=(renewed, epoch, epochs, k, processes), daemon=True)
        for k in range(processes)
    ]
    try:
        for process in own:
            process.start()
        yield Writers(epoch, tuple(own))
    finally:
        for process in own:
            process.terminate()
        for process in own:
            process.join()


def write(sources: Sequence[StoredPhantoms], epoch: Any, epochs: int, number: int, of: int) -> None:
    """Writer ``number`` of ``of``: draw every ``of``-th phantom, until the last of ``epochs`` is drawn."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training ends its writers
    cv2.setNumThreads(1)
    os.nice(_NICE)
    removed = [0] * len(sources)
    done: int = -1
    while done < epochs - 1 and _wanted():
        now: int = epoch.value
        done = max(done, now - 1)
        if done >= min(now + AHEAD, epochs - 1):
            time.sleep(0.2)
            continue
        done += 1
        for k, source in enumerate(sources):
            draw(source, done, number, of, epoch)
            removed[k] = tidy(source, removed[k], now) if number == 0 else 0


def draw(source: StoredPhantoms, epoch: int, number: int, of: int, now: Any) -> None:
    """Every ``of``-th phantom of an epoch that is not there yet; left when the training has gone past it."""
    view = source.in_epoch(epoch)
    for index in range(number, len(view), of):
        if now.value > epoch or not _wanted():
            return
        seed = view.seed(index)
        if not view.path(seed).exists():
            view.of_seed(seed)


def _wanted() -> bool:
    """Whether the training is still there: one that was killed cannot end its writers."""
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()


def tidy(source: StoredPhantoms, done: int, epoch: int) -> int:
    """Remove what the epoch before ``epoch`` did not need any more, from number ``done`` on; how far that got."""
    until = source.replaced(max(0, epoch - 1))
    for k in range(done, until):
        source.path(source.source.first_seed + k).unlink(missing_ok=True)
    return until
