"""Who does the work on many pictures: this machine, or a Ray cluster. A trip asks a ``Pool`` and is the same for both.

A *worker* takes items and gives a result for each, in their order; ``hire`` makes one (it loads a model, say) and is
called where the work is done. What a worker raises ends the whole run, so one whose items may be bad catches their
errors and gives them out as results.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from ossa.parallel import in_processes

T = TypeVar("T")
R = TypeVar("R")

Worker = Callable[[Iterable[T]], Iterator[R]]
Hire = Callable[[], Worker[T, R]]


@dataclass(frozen=True)
class Lost:
    """An item without a result: it ended its worker again and again. ``reason`` says so in words."""

    reason: str


@dataclass(frozen=True)
class Needs:
    """What one worker of a cluster takes: processor ``cores`` (more than a machine has: all of one), whole ``gpus``.

    ``together``: how many items it is given at a time, and does again when it dies; ``remedy`` for one that does.
    """

    cores: int = 1
    gpus: int = 0
    together: int = 8
    remedy: str = "Give fewer workers"


class Pool(Protocol):
    """Workers, wherever they are."""

    def each(self, hire: Hire[T, R], items: Sequence[T], needs: Needs) -> Generator[tuple[int, R | Lost], None, None]:
        """(index, result) for every one of ``items``, as they are finished: in any order. Closing it ends the work.

        Raises what a worker raised, and DeviceError where there is nobody to work.
        """
        ...


@dataclass(frozen=True)
class Here:
    """This machine: ``processes`` of one thread each, or with one of them this process itself.

    Results come in the order of the items. A process that is killed ends the run (DeviceError).
    """

    processes: int = 1

    def each(self, hire: Hire[T, R], items: Sequence[T], needs: Needs) -> Generator[tuple[int, R | Lost], None, None]:
        """See Pool."""
        if self.processes <= 1:
            worker = hire()(items)
            try:
                yield from enumerate(worker)
            finally:
                if isinstance(worker, Generator):
                    worker.close()
        else:
            yield from enumerate(in_processes(partial(_single, hire), items, self.processes, needs.remedy))


#: This process alone.
HERE = Here()


def _single(hire: Hire[T, R], item: T) -> R:
    return next(iter(hire()([item])))


def doing(work: Callable[[T], R]) -> Hire[T, R]:
    """Workers that do ``work``, a function of a module, to one item after the other."""
    return partial(_doing, work)


def _doing(work: Callable[[T], R]) -> Worker[T, R]:
    return partial(map, work)
