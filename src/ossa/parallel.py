"""Work on many pictures at once with threads: OpenCV, zlib and numpy let go of the interpreter where it counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_order(jobs: Iterable[Callable[[], T]], workers: int | None = None) -> Iterator[T]:
    """Results in the order of the jobs, computed by ``workers`` threads (None: one per core).

    Only a few results more than there are workers are kept in memory. An error of a job is raised where its result
    would have come; jobs not yet begun are then dropped.
    """
    count = workers or os.cpu_count() or 1
    with _one_thread_each(), ThreadPoolExecutor(max_workers=count) as pool:
        waiting: list[Future[T]] = []
        source = iter(jobs)
        try:
            waiting.extend(pool.submit(job) for job in islice(source, 2 * count + 2))
            while waiting:
                yield waiting.pop(0).result()
                waiting.extend(pool.submit(job) for job in islice(source, 1))
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """OpenCV's own threads would fight the pool's for the same cores."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
