"""The work on many pictures by a Ray cluster, through Ray Data: the only file of ossa that knows Ray.

Items travel in small blocks; a worker that dies is replaced and its block done again. An item that ends every worker
that takes it (a decoder that crashes, a picture too large for the memory) would do so for ever: when a block comes
back, its items are tried one by one, and one that was begun LIMIT times alone and never finished is given up.

Ray's reports to its makers are off (``ossa.quiet``). A cluster that is started here listens on the loopback interface
alone and ends with the run.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ossa.errors import DeviceError, MissingExtraError, OssaError
from ossa.parallel import keep_to
from ossa.parallel.pool import Hire, Lost, Needs

T = TypeVar("T")
R = TypeVar("R")

#: So often an item is begun by itself before it is given up.
LIMIT = 2

#: Items handed to Ray Data at once. Between two waves workers start anew, which a wave's length makes cheap.
WAVE = 100_000


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that this process is connected to; ``workers``: how many at most, None as many as it has room for.

    Every machine of it needs the same ossa, the same files under the same names (or URLs), and the results' folder.
    """

    workers: int | None = None

    @classmethod
    def at(cls, address: str | None = None, workers: int | None = None) -> Cluster:
        """The cluster at ``address`` ("host:6379", "ray://host:10001", "auto"), or one that is started here.

        Raises DeviceError when there is none.
        """
        connect(address)
        return cls(workers)

    def each(self, hire: Hire[T, R], items: Sequence[T], needs: Needs) -> Generator[tuple[int, R | Lost], None, None]:
        """See Pool."""
        import ray

        if not items:
            return
        needs, room = _fitting(needs)
        workers = min(len(items), room, self.workers or room)
        actor = ray.remote(Ledger).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        try:
            for start in range(0, len(items), WAVE):
                yield from _wave(hire, items[start : start + WAVE], start, workers, needs, _Asked(actor))
        finally:
            ray.kill(actor)


def connect(address: str | None = None, cores: int | None = None) -> None:
    """Connect this process to the cluster at ``address``; None: to one that is started here, with so many ``cores``."""
    if address is None:
        # Without this Ray listens on the machine's address in the network, whichever one it is given; it is read once.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError.of("--engine ray", "ray", error) from error
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)  # banners, and hints at bars
    here = {"include_dashboard": False, "num_cpus": cores} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, configure_logging=False, **here)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise DeviceError(
            "there is no Ray cluster",
            path=address,
            found=(str(error).strip().splitlines() or [type(error).__name__])[0][:300],
            remedy="Start one with 'ray start --head', or leave out --address to have one here for this run",
        ) from error


def _fitting(needs: Needs) -> tuple[Needs, int]:
    """What a worker takes, no more cores than the largest node has; and how many workers there is room for."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
    cores = min(needs.cores, most)
    if cores < 1:
        raise DeviceError("the Ray cluster has no processors", remedy="Start its nodes with --num-cpus")
    room = sum(_room(node, cores, needs.gpus) for node in nodes)
    if room < 1:
        raise DeviceError("no node of the Ray cluster has a GPU", remedy="Use --device cpu, or add such a node")
    return replace(needs, cores=cores), room


def _room(node: dict[str, float], cores: int, gpus: int) -> int:
    by_cores = int(node.get("CPU", 0)) // cores
    return min(by_cores, int(node.get("GPU", 0)) // gpus) if gpus else by_cores


def _wave(
    hire: Hire[T, R], items: Sequence[T], first: int, workers: int, needs: Needs, ledger: _Asked
) -> Iterator[tuple[int, R | Lost]]:
    import ray.data

    with _quiet_data():
        # Every worker has something to do, and no block is long.
        blocks = max(-(-len(items) // needs.together), min(len(items), workers))
        rows = [{"index": first + k, "item": Sealed(item)} for k, item in enumerate(items)]
        data = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Hired,
            fn_constructor_args=(hire, _version(), needs.cores, needs.remedy, ledger),
            batch_size=None,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
            num_cpus=needs.cores,
            num_gpus=needs.gpus or None,
        )
        for batch in data.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
            for index, sealed in zip(batch["index"], batch["result"], strict=True):
                if isinstance(sealed.content, _Stop):
                    raise sealed.content.error
                yield int(index), sealed.content


@dataclass(frozen=True)
class Sealed:
    """An item or a result, whatever it is: what Ray Data knows (numbers, texts, tuples) it would make into its own."""

    content: Any


@dataclass(frozen=True)
class _Stop:
    """What a worker raised; it travels as a result, since Ray would wrap it and try again."""

    error: Exception


class Hired:
    """A worker as Ray Data wants it: an object of an actor that is given blocks."""

    def __init__(self, hire: Hire[Any, Any], version: str, cores: int, remedy: str, ledger: Counts) -> None:
        keep_to(cores)
        self._ledger, self._remedy = ledger, remedy
        self._failed: _Stop | None = None
        if version != _version():
            found, expected = f"version {_version()} on {os.uname().nodename}", f"{version}, as here"
            error = DeviceError("a machine of the cluster has another ossa", found=found, expected=expected)
            self._failed = _Stop(error)
            return
        try:
            self._work = hire()
        except Exception as error:
            self._failed = _Stop(_portable(error))

    def __call__(self, batch: dict[str, Any]) -> dict[str, NDArray[Any]]:
        indices = [int(index) for index in batch["index"]]
        items = [sealed.content for sealed in batch["item"]]
        if self._failed is not None:
            results: list[Any] = [self._failed]
        else:
            again = self._ledger.begin(("block", indices[0])) > 1
            results = self._one_by_one(indices, items) if again else self._together(items)
        column = np.empty(len(results), object)
        column[:] = [Sealed(result) for result in results]
        return {"index": np.array(indices[: len(results)]), "result": column}

    def _together(self, items: list[Any]) -> list[Any]:
        results: list[Any] = []
        try:
            results.extend(islice(self._work(items), len(items)))
        except Exception as error:
            results = [*results[: len(items) - 1], _Stop(_portable(error))]
        return results

    def _one_by_one(self, indices: list[int], items: list[Any]) -> list[Any]:
        results: list[Any] = []
        for index, item in zip(indices, items, strict=True):
            begun = self._ledger.begin(("item", index))
            if begun > LIMIT:
                told = f"ended its worker {begun} times (a crash, or too little memory). {self._remedy}"
                results.append(Lost(told))
                continue
            results += self._together([item])
            self._ledger.finish(("item", index))
        return results


class Ledger:
    """Counts how often blocks and items were begun, where no worker's death can reach it."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, int], int] = {}

    def begin(self, what: tuple[str, int]) -> int:
        """How often ``what`` has been begun by now, this time included."""
        self._begun[what] = self._begun.get(what, 0) + 1
        return self._begun[what]

    def finish(self, what: tuple[str, int]) -> None:
        """``what`` harms nobody: a worker that dies later, at something else, does not count against it."""
        self._begun[what] = 0


class Counts(Protocol):
    """A ledger, here or elsewhere."""

    def begin(self, what: tuple[str, int]) -> int: ...

    def finish(self, what: tuple[str, int]) -> None: ...


@dataclass(frozen=True)
class _Asked:
    """The ledger that an actor keeps."""

    actor: Any

    def begin(self, what: tuple[str, int]) -> int:
        import ray

        return int(ray.get(self.actor.begin.remote(what)))

    def finish(self, what: tuple[str, int]) -> None:
        import ray

        ray.get(self.actor.finish.remote(what))


@contextmanager
def _quiet_data() -> Iterator[None]:
    """Ray Data without bars and banners, and with no word in the terminal but errors: a trip has its own."""
    from ray.data import DataContext

    for handler in logging.getLogger("ray.data").handlers:  # set up by that import; its file keeps everything
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.ERROR)
    context = DataContext.get_current()
    before = context.enable_progress_bars, context.print_on_execution_start
    context.enable_progress_bars = context.print_on_execution_start = False
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = before


def _portable(error: Exception) -> Exception:
    """``error`` if it is one of ossa's, which travel; else where it happened, in words."""
    return error if isinstance(error, OssaError) else RuntimeError("".join(traceback.format_exception(error)))


def _version() -> str:
    import ossa

    return ossa.__version__
