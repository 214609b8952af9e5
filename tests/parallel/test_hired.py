"""What a worker of a cluster does with its blocks when it is killed, without a cluster: one ledger, new workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ossa
from ossa import parallel
from ossa.errors import DeviceError
from ossa.parallel.pool import Lost, doing
from ossa.parallel.ray_pool import Hired, Ledger, Sealed


class Killed(BaseException):
    """What no worker catches."""


@pytest.fixture(autouse=True)
def _whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_share", [])  # a worker keeps to its cores


def block(indices: list[int]) -> dict[str, Any]:
    items = np.empty(len(indices), object)
    items[:] = [Sealed(index) for index in indices]
    return {"index": np.array(indices), "item": items}


def through(work: Callable[[int], Any], indices: list[int], ledger: Ledger) -> tuple[dict[int, Any], int]:
    """The results of a block, which is given to new workers until one lives, and how many died."""
    deaths = 0
    while True:
        hired = Hired(doing(work), ossa.__version__, 1, "Look at it", ledger)
        try:
            found = hired(block(indices))
        except Killed:
            deaths += 1
            assert deaths < 10
            continue
        return {int(k): sealed.content for k, sealed in zip(found["index"], found["result"], strict=True)}, deaths


def test_a_block_whose_worker_died_is_done_again() -> None:
    begun: list[int] = []

    def work(k: int) -> int:
        begun.append(k)
        if begun.count(5) == 1 and k == 5:
            raise Killed
        return k * k

    found, deaths = through(work, list(range(3, 9)), Ledger())
    assert found == {k: k * k for k in range(3, 9)}
    assert deaths == 1
    assert begun == [3, 4, 5, 3, 4, 5, 6, 7, 8]


def test_items_that_end_every_worker_are_given_up_and_no_others() -> None:
    def work(k: int) -> int:
        if k in (1, 6):
            raise Killed
        return k * k

    found, deaths = through(work, list(range(8)), Ledger())
    lost = {k: made for k, made in found.items() if isinstance(made, Lost)}
    assert list(lost) == [1, 6]
    assert lost[6].reason == "ended its worker 3 times (a crash, or too little memory). Look at it"
    assert {k: made for k, made in found.items() if k not in lost} == {k: k * k for k in range(8) if k not in lost}
    assert deaths == 1 + 2 + 2  # once together, then each of the two twice by itself


def test_what_a_worker_raises_travels_and_nothing_after_it() -> None:
    def work(k: int) -> int:
        if k == 2:
            raise DeviceError("out of memory", remedy="Buy more")
        return k

    found, _ = through(work, list(range(5)), Ledger())
    assert list(found) == [0, 1, 2]
    assert isinstance(found[2].error, DeviceError)
    assert found[2].error.remedy == "Buy more"


def test_a_worker_that_cannot_begin_says_so_and_so_does_another_version() -> None:
    def hire() -> Any:
        raise ZeroDivisionError("no model")

    found = Hired(hire, ossa.__version__, 1, "", Ledger())(block([4, 5]))
    assert "ZeroDivisionError: no model" in str(found["result"][0].content.error)
    found = Hired(doing(abs), "0.0.0", 1, "", Ledger())(block([4, 5]))
    assert "another ossa" in str(found["result"][0].content.error)
    assert len(found["result"]) == 1


def test_a_worker_keeps_to_its_cores() -> None:
    Hired(doing(abs), ossa.__version__, 3, "", Ledger())
    assert parallel.cores() == 3
