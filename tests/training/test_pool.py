"""The pool of phantoms: written by other processes, drawn from at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ossa.errors import OutputError
from ossa.phantom.scene import PhantomOptions, render
from ossa.training.pool import fill, open_pool, start_writers, wait_until_ready


def test_entries_are_the_phantoms_of_their_seeds(tmp_path: Path) -> None:
    fill(tmp_path, 3, 96, 6, 1, PhantomOptions(), (), 1)
    pool = open_pool(tmp_path, 3, 96)
    assert pool.ready() == 3
    for slot, seed in ((0, 6), (1, 7), (2, 8)):
        picture, scene = render(seed, 96, PhantomOptions(), None)
        grey, bits = pool.get(slot)
        np.testing.assert_array_equal(grey, picture)
        np.testing.assert_array_equal(bits, scene.bits)


def test_writers_fill_the_pool_side_by_side(tmp_path: Path) -> None:
    pool = open_pool(tmp_path, 4, 64)
    processes = start_writers(2, lambda k: (tmp_path, 4, 64, k, 2, PhantomOptions(), (), 1))
    wait_until_ready(pool, 4, processes)
    for process in processes:
        process.join()
    assert pool.ready() == 4


def test_a_pool_of_another_size_is_refused(tmp_path: Path) -> None:
    open_pool(tmp_path, 4, 64)
    with pytest.raises(OutputError, match="another shape"):
        open_pool(tmp_path, 4, 96)


def test_dead_writers_are_noticed(tmp_path: Path) -> None:
    pool = open_pool(tmp_path, 4, 64)
    processes = start_writers(1, lambda k: (tmp_path, 4, 64, 0, 1, PhantomOptions(), (str(tmp_path / "none"),), 1))
    with pytest.raises(OutputError, match="ended early"):
        wait_until_ready(pool, 1, processes)
