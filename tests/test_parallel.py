"""Threads give results in order, few at a time, and pass errors on."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from ossa.parallel import in_order


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
