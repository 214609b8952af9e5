"""A predictor that travels to workers."""

from __future__ import annotations

from typing import Any

import pytest

from ossa.errors import DeviceError
from ossa.pipeline.asked import Loaded


class Asked:
    """As much of a predictor as travels with one."""

    def __init__(self, bits: int) -> None:
        self.bits, self.description = bits, f"ONNX Runtime, CPU, {bits} bit"

    def settings(self) -> dict[str, Any]:
        return {"bits": self.bits}


def travelled(loaded: Loaded) -> Loaded:
    """What another process makes of it."""
    kind, given = loaded.__reduce__()
    return kind(*given)


def test_it_is_loaded_once_in_each_process() -> None:
    count: list[int] = []

    def load() -> Any:
        count.append(1)
        return Asked(8)

    loaded = Loaded(load)
    assert loaded() is loaded()
    assert len(count) == 1
    there = travelled(loaded)
    assert there() is there()
    assert len(count) == 2


def test_a_machine_that_runs_the_model_otherwise_is_refused() -> None:
    bits = [8, 32]  # the leader's processor, then a worker's

    def load() -> Any:
        return Asked(bits.pop(0))

    with pytest.raises(DeviceError, match=r"found ONNX Runtime, CPU, 32 bit\. Give --device onnx:cpu"):
        travelled(Loaded(load))()
