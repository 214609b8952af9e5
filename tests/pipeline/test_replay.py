"""A batch of a run is drawn again as it was trained on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import helpers_dataset as data
from helpers_known import known

torch = pytest.importorskip("torch")
for package in ("lightning", "numba"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

from click.testing import CliRunner  # noqa: E402

from ossa.cli import cli  # noqa: E402
from ossa.config import check  # noqa: E402
from ossa.pipeline.train import train  # noqa: E402
from ossa.schema import load_schema  # noqa: E402
from ossa.training.module import TrainingModule  # noqa: E402
from ossa.training.sheet import contact_sheet  # noqa: E402


def test_the_batch_of_a_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = data.write_competition(tmp_path / "set", subjects=4, size=128, tests=0)
    config = check(
        {
            "output": str(tmp_path / "runs"),
            "data": {"size": 64, "cache": str(tmp_path / "cache"), "datasets": [{"path": str(hands)}]},
            "folds": {"count": 2, "run": [1], "bundle": False, "store": False},
            "model": {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1},
            "train": {"epochs": 2, "batch": 2, "device": "cpu", "threads": 1},
        }
    )
    shown: list[Any] = []
    step = TrainingModule.training_step

    def noted(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        shown.append(batch)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", noted)
    run = train(config).folder
    assert len(shown) == 4
    before = sorted(path for path in run.rglob("*"))
    for number in (0, 3):
        arguments = ["data", "batch", str(run), str(number), "--fold", "1", "-o", str(tmp_path / "b.png")]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        batch = shown[number]
        assert result.output.split() == list(batch.ids)
        sheet = known(cv2.imread(str(tmp_path / "b.png")))[..., ::-1]
        assert sheet.shape == (64, 4 * 64, 3)
        assert np.array_equal(sheet, contact_sheet(samples_of(batch), load_schema()))
    assert sorted(path for path in run.rglob("*")) == before

    for wrong, words in (
        ([str(tmp_path), "0"], "is no run"),
        ([str(run), "0", "--fold", "7"], "no such fold"),
        ([str(run), "0", "--process", "1"], "no such batch"),
    ):
        result = CliRunner().invoke(cli, ["data", "batch", *wrong, "-o", str(tmp_path / "c.png")])
        assert result.exit_code == 2
        assert words in result.output


def samples_of(batch: Any) -> list[Any]:
    """The samples of a batch that travelled."""
    from ossa.training.augment import Variation
    from ossa.training.batches import Sample

    return [
        Sample(
            batch.images[n].numpy(),
            batch.bits[n].numpy().view(np.uint32),
            batch.annotated[n].numpy(),
            tuple(batch.scaling[n].tolist()),
            tuple(batch.content[n].tolist()),
            int(batch.indices[n]),
            batch.ids[n],
            Variation(),
        )
        for n in range(len(batch.ids))
    ]
