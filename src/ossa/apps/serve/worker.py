"""The one worker: it owns the predictor, takes question after question, and says when too many wait.

Everybody who wants bones asks it (a request, a batch job, the studio), so that the model lies in memory once and the
cores are never fought for. A question that kills the predictor's process harms nobody else: the process is begun anew.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from time import monotonic
from typing import Any

from ossa.apps.serve.seats import Load, ProcessSeat, Seat, SeatLost, Trip
from ossa.errors import DeviceError, OssaError

log = logging.getLogger("ossa.serve")

#: A patient question (of a batch job) gives way to others that come up to so many seconds after it.
PATIENCE = 20.0

#: What a picture is thought to take until one was seen, seconds.
FIRST_GUESS = 2.0


class Overload(Exception):
    """Too many questions wait. ``seconds``: when it is worth to ask again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many wait; try again in {seconds} s")
        self.seconds = seconds


@dataclass(order=True)
class _Question:
    rank: float
    number: int
    trip: Trip = field(compare=False)
    arguments: tuple[Any, ...] = field(compare=False)
    seconds: float = field(compare=False)
    patient: bool = field(compare=False)
    future: Future[Any] = field(compare=False, default_factory=Future)


class Worker:
    """``load``: gives the predictor, in the seat. ``waiting``: questions that may wait, ``seconds`` for each.

    >>> from ossa.apps.serve.seats import LocalSeat
    >>> from ossa.apps.serve.worker import Worker
    >>> worker = Worker(lambda: 40, hire=LocalSeat)
    >>> worker.start()
    >>> worker.ask(lambda owned, more: owned + more, 2).result()
    42
    >>> worker.close()
    """

    def __init__(
        self,
        load: Load,
        *,
        waiting: int = 16,
        seconds: float = 120.0,
        hire: Callable[[Load], Seat] = ProcessSeat,
    ) -> None:
        self.load, self.waiting, self.seconds, self.hire = load, waiting, seconds, hire
        self.restarts = 0
        self.answered = 0
        self.busy = False
        self.problem: str | None = "the model is not loaded yet"
        self._queue: list[_Question] = []
        self._number = 0
        self._usual = FIRST_GUESS
        self._changed = Condition()
        self._closed = False
        self._seat: Seat | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Load the model and begin; once. Raises what loading raises."""
        if self._thread is not None:
            return
        self._seat = self.hire(self.load)
        self.problem = None
        self._thread = Thread(target=self._work, name="ossa-worker", daemon=True)
        self._thread.start()

    def ask(self, trip: Trip, *arguments: Any, seconds: float | None = None, patient: bool = False) -> Future[Any]:
        """Let the worker do ``trip(predictor, *arguments)``. Raises Overload when too many wait already.

        ``trip`` is a function of a module; the future can be cancelled until it is begun. It raises what the trip
        raises, DeviceError when the predictor's process was lost over it (too little memory, too long a time).
        ``patient``: it lets others pass and is not counted among those that wait.
        """
        with self._changed:
            if self._closed:
                raise DeviceError("the server is closing", remedy="Ask again when it is back")
            if not patient:
                self.refuse_when_full()
            self._number += 1
            rank = monotonic() + (PATIENCE if patient else 0.0)
            question = _Question(rank, self._number, trip, arguments, seconds or self.seconds, patient)
            heapq.heappush(self._queue, question)
            self._changed.notify()
        return question.future

    def refuse_when_full(self) -> None:
        """Raise Overload when a question could not wait now."""
        if self.length >= self.waiting:
            raise Overload(self.seconds_until_room())

    @property
    def length(self) -> int:
        """How many questions wait, without patient ones and the one that is being answered."""
        return sum(1 for question in self._queue if not question.patient and not question.future.cancelled())

    @property
    def process(self) -> int | None:
        """The number of the predictor's process; None where it has none of its own."""
        return getattr(self._seat, "number", None)

    def seconds_until_room(self) -> int:
        """About how long it takes until some of those that wait are done: a quarter of them, or one."""
        return max(1, math.ceil(self._usual * max(1, self.waiting // 4)))

    def close(self) -> None:
        """End the predictor's process and the thread; what waits raises CancelledError."""
        with self._changed:
            self._closed = True
            for question in self._queue:
                question.future.cancel()
            self._queue.clear()
            self._changed.notify()
        if self._seat is not None and self.busy:
            self._seat.close()  # what it is doing is given up
        if self._thread is not None:
            self._thread.join(10)
        if self._seat is not None:
            self._seat.close()

    # --- the thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                question = heapq.heappop(self._queue)
                if not question.future.set_running_or_notify_cancel():
                    continue
                self.busy = True
            try:
                self._answer(question)
            finally:
                self.busy = False

    def _answer(self, question: _Question) -> None:
        begin = monotonic()
        try:
            if self._seat is None:
                self._again()
            assert self._seat is not None
            result = self._seat.ask(question.trip, question.arguments, question.seconds)
        except SeatLost as lost:
            log.warning("the predictor was lost: %s", lost)
            self._seat = None
            error = DeviceError(
                "the predictor was lost over this picture",
                found=str(lost),
                remedy="Give a smaller picture; if that happens with usual ones too, the server has too little memory",
            )
            question.future.set_exception(error)
            self._try_again()
        except BaseException as error:
            question.future.set_exception(error)
        else:
            self.answered += 1
            self._usual += 0.2 * (monotonic() - begin - self._usual)
            question.future.set_result(result)

    def _try_again(self) -> None:
        """Begin anew at once, so that the next question does not wait; a failure is told to whoever asks next."""
        if self._closed:
            return
        try:
            self._again()
        except Exception as error:
            log.error("the model cannot be loaded again: %s", error)

    def _again(self) -> None:
        try:
            self._seat = self.hire(self.load)
        except OssaError as error:
            self.problem = str(error)
            raise
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
            raise
        self.problem = None
        self.restarts += 1
