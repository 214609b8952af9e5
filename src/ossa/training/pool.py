"""A pool of phantoms on disk that other processes keep renewing while a network trains on it.

Drawing a phantom costs about as much as one sample's training step, so the pool lets both run side
by side: writers replace the oldest entries, the trainer draws from whatever is there.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import OutputError
from ossa.phantom.scene import PhantomOptions, render

#: Seeds below are for training; a held-out phantom's seed lies above.
FIRST_HELD_OUT_SEED = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Pool:
    """Memory maps under one folder: ``images`` (N, S, S) uint8, ``bits`` (N, S, S) uint32,
    ``shapes`` (N, 2) int32 (the picture's height and width; 0 where nothing was written yet)."""

    images: NDArray[np.uint8]
    bits: NDArray[np.uint32]
    shapes: NDArray[np.int32]

    def ready(self) -> int:
        """How many entries can be drawn."""
        return int((self.shapes[:, 0] > 0).sum())

    def get(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        """Picture (h, w) and truth bits (h, w) of an entry."""
        h, w = (int(v) for v in self.shapes[index])
        return np.array(self.images[index, :h, :w]), np.array(self.bits[index, :h, :w])


def open_pool(folder: Path, count: int, size: int) -> Pool:
    """The pool in ``folder``, made (sparse) when it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)

    def array(name: str, dtype: type, shape: tuple[int, ...]) -> Any:
        path = folder / f"{name}.npy"
        try:
            if not path.exists():
                np.lib.format.open_memmap(path, "w+", dtype, shape)
            opened = np.lib.format.open_memmap(path, "r+")
        except OSError as error:
            raise OutputError(
                "the pool of phantoms cannot be made",
                path=path,
                found=error.strerror or str(error),
                remedy="Give a folder with more space",
            ) from error
        if opened.shape != shape:
            raise OutputError(
                "holds a pool of another shape",
                path=path,
                found=opened.shape,
                expected=shape,
                remedy="Give an empty folder",
            )
        return opened

    return Pool(
        array("images", np.uint8, (count, size, size)),
        array("bits", np.uint32, (count, size, size)),
        array("shapes", np.int32, (count, 2)),
    )


def fill(
    folder: Path,
    count: int,
    size: int,
    first_seed: int,
    step: int,
    options: PhantomOptions,
    anatomy: tuple[str, ...],
    rounds: int,
    nice: int = 0,
) -> None:
    """Write phantoms of seeds first_seed, first_seed + step, ... round and round the pool."""
    import cv2

    cv2.setNumThreads(1)
    os.nice(nice)
    pool = open_pool(folder, count, size)
    source = None
    if anatomy:
        from ossa.phantom.people import load_people

        source = load_people(anatomy).lightened(0.55)
    for k in range(first_seed, first_seed + count * rounds, step):
        picture, scene = render(k, size, options, source)
        slot = k % count
        pool.shapes[slot] = 0
        pool.images[slot, : picture.shape[0], : picture.shape[1]] = picture
        pool.bits[slot, : picture.shape[0], : picture.shape[1]] = scene.bits
        pool.shapes[slot] = picture.shape


def start_writers(workers: int, arguments: Callable[[int], tuple[object, ...]]) -> list[BaseProcess]:
    """Start ``workers`` processes of ``fill``; ``arguments(k)`` gives the k-th one's arguments."""
    context = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = []
    for k in range(workers):
        process = context.Process(target=fill, args=arguments(k), daemon=True)
        process.start()
        processes.append(process)
    return processes


def wait_until_ready(pool: Pool, count: int, processes: list[BaseProcess]) -> None:
    """Wait until ``count`` entries are there; raises OutputError when every writer has died."""
    while pool.ready() < count:
        if processes and not any(p.is_alive() for p in processes):
            raise OutputError(
                "the processes that draw phantoms have ended early",
                found=f"{pool.ready()} phantoms",
                expected=f"{count}",
            )
        time.sleep(0.5)
