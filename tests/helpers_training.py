"""A training small enough for tests: pictures of bright boxes held in memory, a tiny network, a run file for them.

Run as a program it trains in a process of its own, which a test may kill:
    python helpers_training.py CONFIG.json FOLDER MODE
MODE: "new", "resume", "kill:N" (SIGKILL after batch N), "interrupt:N" (SIGINT in batch N), "matrix" (FOLDER/whole
is a run from start to end; FOLDER/1, FOLDER/2, ... were killed before their 1st, 2nd, ... file got its name, until one
came to its end, and were resumed).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ossa.config import RunConfig, check
from ossa.radiograph.prepare import Preparation, place
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.segmentation import Segmentation
from ossa.training.samples import RawSample

SIZE = 64


@dataclass(frozen=True)
class Boxes:
    """``count`` pictures of three bright boxes, which are the first three bones."""

    count: int
    first: int = 0
    annotated: frozenset[str] = frozenset(load_schema().names[:3])

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        own = np.random.default_rng(self.first + index)
        grey = own.integers(0, 60, (SIZE, SIZE)).astype(np.uint8)
        bits = np.zeros((1, SIZE, SIZE), np.uint32)
        for bone in range(3):
            top, left = own.integers(2, 12) + 18 * bone, own.integers(4, 40)
            grey[top : top + 14, left : left + 18] += np.uint8(60 + 60 * bone)
            bits[0, top : top + 14, left : left + 18] |= np.uint32(1 << bone)
        placement = place((SIZE, SIZE), Preparation(SIZE, 32))
        return RawSample(grey, None, bits, self.annotated, placement, f"box {self.first + index}")

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        raw = self.sample(index, np.random.default_rng(0))
        assert raw.bits is not None
        return Segmentation.from_bits(raw.bits, load_schema()), self.annotated


TINY = {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1}


def tiny_config(**changes: Any) -> RunConfig:
    """A run of 3 epochs of 3 batches of 4."""
    values: dict[str, Any] = {
        "model": TINY,
        "data": {"size": SIZE},
        "train": {"epochs": 3, "batch": 4, "device": "cpu", "threads": 1},
        "logging": {"every": 1},
    }
    for key, value in changes.items():
        section = values.setdefault(key, {})
        values[key] = {**section, **value} if isinstance(value, dict) and isinstance(section, dict) else value
    return check(values)


def material(source: Any = None, checks: Any = None) -> Any:
    from ossa.training.material import Material, Weighted

    return Material((Weighted(source or Boxes(12), 1.0),), checks or Boxes(3, first=1000))


def phantom_material(config: RunConfig) -> Any:
    from ossa.training.material import make_material

    return make_material(config, load_schema(), None)


def schema() -> BoneSchema:
    return load_schema()


def train(config: RunConfig, folder: Path, **options: Any) -> Any:
    from ossa.training.run import train_fold

    return train_fold(config, load_schema(), options.pop("material", None) or _material_of(config), folder, **options)


def _material_of(config: RunConfig) -> Any:
    return phantom_material(config) if config.data.phantoms is not None else material()


def last_state(folder: Path) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = torch.load(folder / "last.ckpt", weights_only=True)
    return found


def matrix(config: RunConfig, folder: Path) -> None:
    """Kill a run before its n-th renaming, for n from 1, and resume it; one JSON line per run with its result."""
    from ossa.training import run  # noqa: F401  (read once, for all the processes that follow)

    def told(name: str, resume: bool) -> None:
        done = train(config, folder / name, resume=resume)
        print(json.dumps([name, done.dice, done.epoch, done.per_bone]), flush=True)

    def dying(number: int) -> int:
        renamed = os.replace
        left = iter(range(number - 1, -1, -1))

        def replace(source: Any, target: Any, **options: Any) -> None:
            if next(left) == 0:
                os._exit(9)
            renamed(source, target, **options)

        os.replace = replace  # type: ignore[assignment]
        train(config, folder / str(number))
        return 0

    def apart(job: Any) -> int:
        child = os.fork()
        if child == 0:
            try:
                os._exit(job() or 0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert apart(lambda: told("whole", False)) == 0
    for number in range(1, 100):
        code = apart(lambda number=number: dying(number))
        assert code in (0, 9), code
        assert apart(lambda number=number: told(str(number), True)) == 0
        if code == 0:
            return


def main() -> None:
    from ossa.training._lightning import Callback

    config = check(json.loads(Path(sys.argv[1]).read_text()))
    mode, _, number = sys.argv[3].partition(":")

    class Signal(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if mode == "interrupt" and pl_module.batches == int(number):
                os.kill(os.getpid(), signal.SIGINT)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if mode == "kill" and pl_module.batches == int(number):
                os.kill(os.getpid(), signal.SIGKILL)

    if mode == "matrix":
        matrix(config, Path(sys.argv[2]))
        return
    try:
        train(config, Path(sys.argv[2]), resume=mode == "resume", callbacks=[Signal()])
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
