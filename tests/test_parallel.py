"""Threads and processes give results in order, few at a time, and pass errors on."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

import pytest

from ossa.errors import DeviceError
from ossa.parallel import in_order, in_processes, read_ahead


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
