"""What bench_rivals.py hands to the other trainings: nnU-Net's numbers keep overlaps, the table says who is ahead."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from ossa.dataset.dataset import open_dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import _rivals_common  # type: ignore[import-not-found]
import _rivals_nnunet  # type: ignore[import-not-found]
import bench_rivals  # type: ignore[import-not-found]

SIZE = 96


def test_nnunet_raw_data_says_the_same_bones_and_overlaps(tmp_path: Path) -> None:
    planes = segmentation(schematic_hand(SIZE, seed=1), SIZE).planes().astype(np.uint8)
    planes[1] |= planes[0]  # two bones in the same pixels
    _rivals_nnunet.write_raw([(np.full((SIZE, SIZE), 9, np.uint8), planes)], SCHEMA.names, tmp_path / "raw")
    (case,) = open_dataset(tmp_path / "raw", SCHEMA).labelled
    assert np.array_equal(case.segmentation(SCHEMA, (SIZE, SIZE)).planes(), planes.astype(bool))


def test_an_epoch_shows_each_picture_once() -> None:
    batches = _rivals_common.order_of(20, 1)
    first = [*next(batches), *next(batches)]
    assert len(set(first)) == 2 * _rivals_common.BATCH


def test_the_table_tells_what_was_not_run_and_who_is_ahead() -> None:
    given = Namespace(pictures=4, size=64, minutes=4.0, held_out=2)
    rows = {
        "ossa": {"steps": 10, "samples": 80, "seconds": 10.0, "dice": 0.5, "note": ""},
        "monai": {"steps": 5, "samples": 40, "seconds": 10.0, "dice": 0.6, "note": ""},
    }
    lines = bench_rivals.table(given, rows)
    assert sum("not run" in line for line in lines) == 2
    assert "2.00 times the samples per second of `monai` and -0.100 Dice" in lines[-1]
