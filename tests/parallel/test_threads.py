"""Threads and processes give results in order, few at a time, and pass errors on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from ossa.errors import DeviceError
from ossa.parallel import Behind, at_once, begin, in_order, in_processes, read_ahead


def test_results_come_in_order_whatever_finishes_first() -> None:
    def job(k: int) -> int:
        time.sleep(0.002 * (5 - k % 5))
        return k

    assert list(in_order((partial(job, k) for k in range(40)), 4)) == list(range(40))


def test_few_jobs_are_begun_ahead_of_the_reader() -> None:
    begun = 0
    lock = threading.Lock()

    def job() -> None:
        nonlocal begun
        with lock:
            begun += 1

    results = in_order((job for _ in range(1000)), 2)
    next(results)
    time.sleep(0.05)
    assert begun <= 10
    results.close()
    time.sleep(0.05)
    assert begun <= 10


def test_an_error_comes_where_its_result_would_have_come() -> None:
    def job(k: int) -> int:
        if k == 3:
            raise ValueError("three")
        return k

    results = in_order((partial(job, k) for k in range(10)), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_so_many_jobs_are_at_work_at_once_and_no_more(workers: int) -> None:
    at_work, most = 0, 0
    lock, met = threading.Lock(), threading.Barrier(workers)

    def job(k: int) -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        met.wait(10)  # goes on when all workers are here
        with lock:
            at_work -= 1
        return k

    count = 4 * workers
    assert list(at_once((partial(job, k) for k in range(count)), workers)) == list(range(count))
    assert most == workers


def test_one_worker_does_a_job_when_its_result_is_asked_for() -> None:
    done: list[int] = []
    results = at_once((partial(done.append, k) for k in range(3)), 1)
    next(results)
    assert done == [0]


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


def _square(k: int) -> int:
    if k == 7:
        raise ValueError("seven")
    return k * k


def _dies(k: int) -> int:
    if k == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return k


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_results_in_order_and_pass_errors_on(workers: int) -> None:
    results = in_processes(_square, range(9), workers, "")
    assert [next(results) for _ in range(7)] == [k * k for k in range(7)]
    with pytest.raises(ValueError, match="seven"):
        next(results)


def test_a_process_that_is_killed_is_told() -> None:
    with pytest.raises(DeviceError, match=r"was killed.*too little memory.*Give fewer"):
        list(in_processes(_dies, range(4), 2, "Give fewer"))


def test_a_job_that_is_begun_goes_on_by_itself_and_tells_its_error() -> None:
    started, go = threading.Event(), threading.Event()

    def job() -> int:
        started.set()
        assert go.wait(30)
        return 3

    result = begin(job)
    assert started.wait(30)
    go.set()
    assert result() == 3
    with pytest.raises(ZeroDivisionError):
        begin(lambda: 1 // 0)()


def test_jobs_behind_are_done_while_the_caller_goes_on_and_told_in_order() -> None:
    went_on = threading.Event()
    told: list[int] = []

    def job(k: int) -> int:
        if k == 0:
            assert went_on.wait(30)  # the caller puts the next one before this one is done
        return k

    with Behind(told.append, workers=2) as behind:
        behind.put(partial(job, 0))
        behind.put(partial(job, 1))
        assert told == []
        went_on.set()
        for k in range(2, 50):
            behind.put(partial(job, k))
    assert told == list(range(50))


def test_few_jobs_wait_behind() -> None:
    told: list[None] = []
    with Behind(told.append, workers=1, most=2) as behind:
        for k in range(30):
            behind.put(lambda: time.sleep(0.001))
            assert k + 1 - len(told) <= 2
    assert len(told) == 30


def test_the_error_of_a_job_behind_is_raised_after_the_results_before_it() -> None:
    told: list[int] = []

    def job(k: int) -> int:
        if k == 2:
            raise ValueError("two")
        return k

    with pytest.raises(ValueError, match="two"), Behind(told.append) as behind:
        for k in range(10):
            behind.put(partial(job, k))
    assert told[:2] == [0, 1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_put_is_done_when_the_caller_is_stopped(error: type[BaseException]) -> None:
    told: list[int] = []

    def job(k: int) -> int:
        time.sleep(0.01)
        if k == 1:
            raise ValueError("one")
        return k

    with pytest.raises(error), Behind(told.append, workers=1, most=5) as behind:
        for k in range(4):
            behind.put(partial(job, k))
        raise error
    assert told == [0, 2, 3]


#: Two workers that tell their numbers and then wait for their next job.
_POOL = """
import os, sys, time
from ossa.parallel import in_processes
from test_threads import number
if __name__ == "__main__":
    pool = in_processes(number, [0.3] * 4, 2, "")
    print(*{next(pool) for _ in range(4)}, flush=True)
    time.sleep(60)
"""


def number(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_workers_end_with_a_process_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(_POOL)
    paths = [str(Path(__file__).parent), *sys.path]
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "pool.py")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    ) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert workers
    end = time.monotonic() + 20
    while alive := [worker for worker in workers if _lives(worker)]:
        assert time.monotonic() < end, alive
        time.sleep(0.02)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    try:
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
