"""Where the predictor sits: in a process of its own, which may die without harm to the server, or in this one.

A trip is a function of a module, ``trip(predictor, *arguments)``; arguments and result cross the border by pickle
between the two halves of one program, never from outside.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol

from ossa.errors import DeviceError, OssaError

#: Longest wait for a model to be loaded, seconds.
LOADING = 300.0

Trip = Callable[..., Any]
Load = Callable[[], Any]


class Defect(Exception):
    """An error that ossa did not foresee, from the other process; ``trace`` is its traceback."""

    def __init__(self, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.trace = trace


class SeatLost(Exception):
    """The process of the predictor ended, or kept a picture for too long."""


class Seat(Protocol):
    """A loaded predictor that answers one question after another."""

    def ask(self, trip: Trip, arguments: tuple[Any, ...], seconds: float) -> Any:
        """``trip(predictor, *arguments)``; raises what it raises, SeatLost when the seat is no more."""
        ...

    def close(self) -> None: ...


class LocalSeat:
    """The predictor in this process: for tests and notebooks. Nothing limits its time."""

    def __init__(self, load: Load) -> None:
        self.owned = load()

    def ask(self, trip: Trip, arguments: tuple[Any, ...], seconds: float) -> Any:  # noqa: ARG002
        """See ``Seat``."""
        return trip(self.owned, *arguments)

    def close(self) -> None:
        """Let the predictor go."""
        self.owned = None


class ProcessSeat:
    """The predictor in a process that lives as long as this object, and no longer than this process.

    Raises what ``load`` raises there, DeviceError when the process dies of loading.
    """

    def __init__(self, load: Load) -> None:
        # "spawn": ONNX Runtime and OpenCV keep threads, which a forked process would find dead.
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_sit, args=(other, load), daemon=True, name="ossa-predictor")
        self.process.start()
        other.close()
        try:
            self._answer(LOADING)
        except SeatLost as error:
            raise DeviceError(
                "the model's process ended while it was loading",
                found=str(error),
                remedy="Look whether memory is short",
            ) from error

    @property
    def number(self) -> int | None:
        """The process's number."""
        return self.process.pid

    def ask(self, trip: Trip, arguments: tuple[Any, ...], seconds: float) -> Any:
        """See ``Seat``; after ``seconds`` the process is killed."""
        try:
            self.connection.send((trip, arguments))
        except OSError as error:
            raise self._lost() from error
        return self._answer(seconds)

    def _answer(self, seconds: float) -> Any:
        try:
            if not self.connection.poll(seconds):
                self.close()
                raise SeatLost(f"no answer within {seconds:g} s")
            kind, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        if kind == "raised":
            raise value
        return value

    def _lost(self) -> SeatLost:
        self.process.join(5)
        code = self.process.exitcode
        self.close()
        if code is not None and code < 0:
            return SeatLost(f"its process was ended by signal {-code} ({_signal(-code)})")
        return SeatLost(f"its process ended with {code}")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()  # first: whoever waits for its answer in another thread sees the end of it
        self.process.join(5)
        self.connection.close()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _sit(connection: Connection, load: Load) -> None:
    """The life of the other process: load once, then answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which lets what is begun be finished
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # so is the end of its terminal
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        owned = load()
    except BaseException as error:
        connection.send(("raised", _portable(error)))
        return
    connection.send(("done", None))
    while True:
        try:
            trip, arguments = connection.recv()
        except (EOFError, OSError):
            return  # the server is gone
        try:
            answer = ("done", trip(owned, *arguments))
        except BaseException as error:
            answer = ("raised", _portable(error))
        connection.send(answer)
        del answer, arguments


def _portable(error: BaseException) -> Exception:
    """An error that the other process can read again: ossa's own as they are, others by name."""
    if isinstance(error, OssaError):
        return error.with_traceback(None)
    if isinstance(error, MemoryError):
        return DeviceError("not enough memory for this picture", remedy="Give a smaller one")
    return Defect(f"{type(error).__name__}: {error}", traceback.format_exc())
