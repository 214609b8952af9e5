"""Two benchmarks' sums: helpers count, further pictures are told from the start, ratios are of pairs; ten million."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import bench_cluster  # type: ignore[import-not-found]
import bench_programs  # type: ignore[import-not-found]
from _programs_measure import Failed, Taken, take  # type: ignore[import-not-found]

Run = bench_programs.Run

#: Starts a helper that holds 80 MB and works for a while, and waits for it.
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", '''
import time
held = b"x" * 80_000_000
began = time.process_time()
while time.process_time() - began < .5:
    pass
'''], check=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_a_helper_takes_is_its_programs(tmp_path: Path) -> None:
    taken = take([sys.executable, "-c", PARENT], os.environ, tmp_path / "said.txt")
    assert taken.processor > 0.5
    assert taken.wall > 0.5
    assert 80 < taken.memory < 160


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_program_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no weights')"]
    with pytest.raises(Failed, match="ended with 1:\nno weights"):
        take(command, os.environ, tmp_path / "said.txt")


def test_a_further_picture_is_what_it_adds() -> None:
    run = Run(Taken(3.0, 4.0, 500.0), Taken(14.0, 26.0, 450.0), 12)
    assert run.each("wall") == pytest.approx(1.0)
    assert run.each("processor") == pytest.approx(2.0)
    assert run.memory == 500.0
    assert Run(Taken(3.0, 4.0, 500.0), None, 1).each("wall") == 3.0
    hidden = Run(Taken(3.0, 4.0, 500.0), Taken(2.0, 6.0, 500.0), 2)
    assert (hidden.apart, hidden.each("wall"), hidden.each("processor")) == (False, 1.0, 3.0)


def test_ratios_are_of_the_pair_and_what_was_not_run_is_told() -> None:
    made = {
        "ossa": 2.8,
        "Dataset001_Full": 40.0,
        "Dataset001_Full tile": [1024, 896],
        "Dataset002_Grid tile": [512, 384],
    }
    own = Run(Taken(2.0, 2.0, 400.0), Taken(13.0, 24.0, 410.0), 12)
    slower = Run(Taken(4.0, 2.0, 400.0), Taken(37.0, 24.0, 410.0), 12)
    theirs = Run(Taken(60.0, 100.0, 4100.0), Taken(110.0, 180.0, 4000.0), 2)
    lines = bench_programs.table(made, {"nnunet": (own, theirs), "fast": (slower, own), "smp": None}, 12, 2)
    rows = {line.split(" | ")[0]: line for line in lines if line.startswith("|")}
    assert rows["| nnU-Net v2 as it plans, one look"].endswith("| 50x | 40x | 30x | 10x |")
    assert rows["| `ossa predict --fast`"].endswith("| 0.333x | 1x | 0.5x | 1x |")
    assert sum("not run" in line for line in lines) == 1


def test_ten_million_pictures_of_a_second_and_a_megabyte() -> None:
    hours, machines, written, read = bench_cluster.of_many(seconds=1.0, written=1.0, read=2.0)
    assert hours == pytest.approx(2777.8, abs=0.1)  # 10,000,000 / 3,600
    assert machines == pytest.approx(7.23, abs=0.01)  # 2,777.8 / 24 / 16
    assert (written, read) == (10.0, 20.0)
