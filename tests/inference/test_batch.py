"""Long runs: order, failures, reading ahead, and going on after a kill."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from ossa.bundle.bundle import Bundle
from ossa.errors import DeviceError, ImageError, OutputError
from ossa.inference.batch import Done, Failed, Job, Part, Parts, read_ahead, run_batch
from ossa.inference.predictor import Predictor
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.segmentation import Segmentation


def test_read_ahead_keeps_order_and_errors() -> None:
    def work(n: int) -> int:
        if n % 4 == 3:
            raise ValueError(n)
        return n * n

    got = list(read_ahead(range(20), work, 3))
    assert [item for item, _ in got] == list(range(20))
    for item, result in got:
        if item % 4 == 3:
            assert isinstance(result, ValueError)
        else:
            assert result == item * item


def test_read_ahead_works_while_the_caller_does() -> None:
    """The second item is in the making before the first is given back: a plain loop would wait for ever."""
    second = threading.Event()

    def work(n: int) -> int:
        if n == 1:
            second.set()
        return n

    for item, _ in read_ahead(range(3), work):
        if item == 0:
            assert second.wait(10)


def test_read_ahead_stays_a_few_items_ahead() -> None:
    started: list[int] = []
    most = 0
    for item, _ in read_ahead(range(30), lambda n: started.append(n), 2):
        most = max(most, len(started) - item - 1)
    assert most <= 3


def test_read_ahead_stops_when_closed() -> None:
    started: list[int] = []
    stream = read_ahead(range(1000), lambda n: started.append(n), 2)
    next(stream)
    stream.close()
    assert len(started) < 10


class Folder:
    """A sink that writes the number of bones and counts calls."""

    def __init__(self, parts: Parts, stop_after: int = 10**9) -> None:
        self.parts = parts
        self.written: list[str] = []
        self.stop_after = stop_after

    def has(self, job: Job) -> bool:
        return self.parts.get(job) is not None

    def put(self, job: Job, radiograph: Radiograph, segmentation: Segmentation) -> None:
        if len(self.written) >= self.stop_after:
            raise OutputError("disk full")
        self.written.append(job.name)
        self.parts.put(job, Part(f"{job.name},{len(segmentation)}\n", {"bones": len(segmentation)}))


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    rng = np.random.default_rng(0)
    out = []
    for i in range(8):
        path = tmp_path / "in" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (40, 60)).astype(np.uint8))
        out.append(Job(path, f"hand/{i}.png"))
    return out


def test_a_killed_run_goes_on(bundle: Bundle, jobs: list[Job], tmp_path: Path) -> None:
    predictor = Predictor.load(bundle.path)
    jobs[2].path.write_bytes(b"no image")
    first = Folder(Parts.begin(tmp_path / "parts", {"model": 1}), stop_after=4)
    with pytest.raises(OutputError):
        list(run_batch(jobs, predictor, first))
    assert len(first.written) == 4

    second = Folder(Parts.begin(tmp_path / "parts", {"model": 1}))
    results = list(run_batch(jobs, predictor, second))
    assert [r.job for r in results] == jobs
    assert second.written == [j.name for j in jobs if j.name not in first.written and j is not jobs[2]]
    assert isinstance(results[2], Failed)
    assert isinstance(results[2].error, ImageError)
    assert [isinstance(r, Done) and r.segmentation is None for r in results[:4]] == [True, True, False, True]

    assert second.parts.assemble(tmp_path / "all.csv", "name,bones\n", jobs) == 7
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert lines[0] == "name,bones"
    assert [line.split(",")[0] for line in lines[1:]] == [j.name for j in jobs if j is not jobs[2]]
    second.parts.remove()
    assert not (tmp_path / "parts").exists()


def test_other_settings_or_another_file_start_again(jobs: list[Job], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {"model": 1})
    for job in jobs:
        parts.put(job, Part("x\n", {"notes": ["few bones"]}))
    again = Parts.begin(tmp_path / "parts", {"model": 1})
    found = again.get(jobs[0])
    assert found is not None
    assert found.text == "x\n"
    assert found.facts == {"notes": ["few bones"]}
    status = jobs[0].path.stat()
    os.utime(jobs[0].path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert again.get(jobs[0]) is None
    assert again.get(jobs[1]) is not None
    other = Parts.begin(tmp_path / "parts", {"model": 2})
    assert all(other.get(job) is None for job in jobs)


def test_a_damaged_part_counts_as_absent(jobs: list[Job], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {})
    parts.put(jobs[0], Part("x\n"))
    (path,) = (tmp_path / "parts").glob("*.part")
    path.write_bytes(b"\xff\xff")
    assert parts.get(jobs[0]) is None
    (tmp_path / "parts" / "run.json").write_text("{")
    assert Parts.begin(tmp_path / "parts", {}).get(jobs[0]) is None


def test_a_device_that_fails_ends_the_run(bundle: Bundle, jobs: list[Job], tmp_path: Path) -> None:
    class Broken(Predictor):
        def predict(self, radiograph: Radiograph) -> Segmentation:
            raise DeviceError("out of memory")

    loaded = Predictor.load(bundle.path)
    broken = Broken(loaded.networks)
    with pytest.raises(DeviceError):
        list(run_batch(jobs, broken, Folder(Parts.begin(tmp_path / "parts", {}))))
