"""Work on many pictures at once: threads where OpenCV, zlib and numpy let go of the interpreter, else processes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from threading import Thread
from types import TracebackType
from typing import Generic, TypeVar

from ossa.errors import DeviceError

T = TypeVar("T")
R = TypeVar("R")

#: Items read ahead: one in the making and one waiting keep a network fed, and memory flat.
AHEAD = 2


#: Of this many cores this process is to keep to, where it shares a machine with others like it (``keep_to``).
_share: list[int] = []


def keep_to(count: int) -> None:
    """Have this process use ``count`` cores from now on, whatever the machine has."""
    import cv2

    _share[:] = [count]
    cv2.setNumThreads(count)


def cores() -> int:
    """How many cores this process may use."""
    if _share:
        return _share[0]
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def helpers() -> tuple[int, int]:
    """Threads that read and threads that write beside the network: one each on two cores, more where there are more.

    A 2048 px picture takes some 50 ms to read and 150 ms to draw and write, each in one thread.
    """
    count = cores()
    return max(1, min(3, count // 4)), max(1, min(8, count // 2))


def in_order(jobs: Iterable[Callable[[], T]], workers: int | None = None) -> Generator[T, None, None]:
    """Results in the order of the jobs, computed by ``workers`` threads (None: one per core).

    Only a few results more than there are workers are kept in memory. An error of a job is raised where its result
    would have come; jobs not yet begun are then dropped.
    """
    count = workers or cores()
    with _one_thread_each():
        yield from _threads(jobs, count, 2 * count + 2)


def at_once(jobs: Iterable[Callable[[], T]], workers: int) -> Generator[T, None, None]:
    """Results in the order of the jobs, computed by ``workers`` threads; one worker is the caller, when it asks.

    Unlike ``in_order`` it leaves OpenCV's threads as they are: for jobs that mostly wait for a network. No more than
    ``workers`` results are kept in memory.
    """
    if workers <= 1:
        return (job() for job in jobs)
    return _threads(jobs, workers, workers)


def read_ahead(
    items: Iterable[T], work: Callable[[T], R], ahead: int = AHEAD, workers: int = 1
) -> Generator[tuple[T, R | Exception], None, None]:
    """``work(item)`` for every item, computed in ``workers`` threads up to ``ahead`` items before it is asked for.

    An exception of ``work`` is handed out as the result of its item. OpenCV and file reading free
    the interpreter's lock, so a network in the calling thread runs at the same time.
    """

    def outcome(item: T) -> tuple[T, R | Exception]:
        try:
            return item, work(item)
        except Exception as error:
            return item, error

    return _threads((partial(outcome, item) for item in items), workers, max(1, ahead))


def begin(job: Callable[[], T]) -> Callable[[], T]:
    """Have ``job`` done by a thread of its own from now on; the result is had, or its error raised, by calling back."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(job())
        except BaseException as error:
            result.set_exception(error)

    Thread(target=run, name="ossa-begun", daemon=True).start()
    return result.result


class Behind(Generic[T]):
    """Jobs done by ``workers`` threads while the calling thread goes on; ``done`` is told each result, in order.

    The other end of ``read_ahead``: what a network found is written while it looks at the next picture. At most
    ``most`` jobs wait or are at work before ``put`` waits for the first of them. ``done`` is called in the thread that
    puts, from ``put`` or at the end of the ``with`` block; an error of a job is raised there, where its result would
    have come. When the block itself is left by an error, the jobs that were put are still done and told, and their own
    errors give way to that one.
    """

    def __init__(self, done: Callable[[T], None], workers: int = 1, most: int | None = None) -> None:
        self._done = done
        self._most = max(1, workers + 1 if most is None else most)
        self._waiting: deque[Future[T]] = deque()
        self._pool = ThreadPoolExecutor(max_workers=workers)

    def put(self, job: Callable[[], T]) -> None:
        """Have ``job`` done; wait while too many are."""
        while len(self._waiting) >= self._most:
            self._take()
        self._waiting.append(self._pool.submit(job))
        while self._waiting and self._waiting[0].done():
            self._take()

    def __enter__(self) -> Behind[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while self._waiting:
                try:
                    self._take()
                except Exception:
                    if error is None:
                        raise
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _take(self) -> None:
        self._done(self._waiting.popleft().result())


def _threads(jobs: Iterable[Callable[[], T]], workers: int, ahead: int) -> Generator[T, None, None]:
    """Results in order; at most ``ahead`` jobs are begun before the result that is waited for has been taken."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: deque[Future[T]] = deque()
        source = iter(jobs)
        try:
            waiting.extend(pool.submit(job) for job in islice(source, ahead))
            while waiting:
                first = waiting.popleft()
                waiting.extend(pool.submit(job) for job in islice(source, 1))
                yield first.result()
        finally:
            for future in waiting:
                future.cancel()


def in_processes(work: Callable[[T], R], items: Iterable[T], workers: int, remedy: str) -> Generator[R, None, None]:
    """``work(item)`` for every item in the order of the items, computed by ``workers`` processes of one thread each.

    ``work`` is a function of a module. One worker is this process itself. An error of ``work`` is raised where its
    result would have come; DeviceError with ``remedy`` when a process is killed, mostly for want of memory.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # "spawn": OpenCV and numba keep threads, which a forked process would find dead.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread)
    try:
        waiting = deque(pool.submit(work, item) for item in items)
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DeviceError("a worker process was killed", found="probably too little memory", remedy=remedy) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    """Each process keeps to one core: the processes are the parallel part."""
    import signal

    import cv2

    for name in ("SIGINT", "SIGHUP"):  # a terminal sends them to everybody: the parent stops the pool
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    cv2.setNumThreads(1)
    end_with_parent()


def end_with_parent() -> None:
    """Let this process, which another one started, end when that one is gone: killed, it cannot end its workers.

    A pool's worker would wait for its next job for ever, since it holds the queue's other end itself.
    """
    import threading
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="ossa-parent", daemon=True).start()


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
