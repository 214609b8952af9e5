"""Who a command line asks to do the work, and what this machine's workers hand out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from ossa.errors import ConfigError, DeviceError
from ossa.parallel.engines import pool_of
from ossa.parallel.pool import HERE, Here, Needs, doing


def _square(k: int) -> int:
    if k == 7:
        raise ValueError("seven")
    return k * k


@pytest.mark.parametrize("processes", [1, 2])
def test_every_item_has_its_result(processes: int) -> None:
    stream = Here(processes).each(doing(_square), range(9), Needs())
    assert [next(stream) for _ in range(7)] == [(k, k * k) for k in range(7)]
    with pytest.raises(ValueError, match="seven"):
        next(stream)


def test_one_worker_is_hired_for_all_items() -> None:
    hired = []

    def hire():
        hired.append(1)

        def work(items: Iterable[int]) -> Iterator[int]:
            yield from (k + 1 for k in items)

        return work

    assert list(HERE.each(hire, range(5), Needs())) == [(k, k + 1) for k in range(5)]
    assert hired == [1]


def _dies(k: int) -> int:
    import os
    import signal

    if k == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return k


def test_a_killed_process_is_told_with_what_to_do() -> None:
    with pytest.raises(DeviceError, match=r"was killed.*Give fewer eggs"):
        list(Here(2).each(doing(_dies), range(4), Needs(remedy="Give fewer eggs")))


def test_what_belongs_to_a_cluster_is_refused_here() -> None:
    assert pool_of("local") is HERE
    with pytest.raises(ConfigError, match=r"found --address auto\. Give --engine ray"):
        pool_of("local", "auto")
    with pytest.raises(ConfigError, match=r"found --workers 3\. Give --engine ray"):
        pool_of("local", None, 3)
    with pytest.raises(ConfigError, match="no such engine; found spark; expected local or ray"):
        pool_of("spark")
