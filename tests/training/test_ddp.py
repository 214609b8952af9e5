"""Two processes on the CPU through Lightning's own launcher (gloo)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
for package in ("lightning", "numba"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

from ossa.config import check, dump  # noqa: E402


@pytest.mark.slow
def test_two_processes_train_one_model_and_share_its_folder(tmp_path: Path) -> None:
    config = check(
        {
            "output": str(tmp_path / "runs"),
            "name": "two",
            "data": {"size": 64, "phantoms": {"count": 8, "held_out": 3}, "augment": {"p_mixup": 0}},
            "model": {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1},
            "train": {"epochs": 2, "batch": 2, "device": "cpu", "devices": 2, "threads": 1, "ema": 0.9},
            "folds": {"bundle": False, "store": False},
            "logging": {"every": 1},
        }
    )
    file = tmp_path / "run.json"
    file.write_text(json.dumps(dump(config)))
    environment = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "NODE_RANK", "OSSA_RUN_FOLDER")}
    environment |= {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ossa", "train", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "runs").glob("two-*")] == ["two-001"]
    run = tmp_path / "runs" / "two-001"
    state = torch.load(run / "fold0" / "last.ckpt", weights_only=True)
    # 8 samples in batches of 2 on 2 processes: 2 batches per epoch and process.
    assert state["ossa"]["batches"] == 4
    assert state["global_step"] == 4
    assert len(json.loads((run / "provenance.json").read_text())["runs"]) == 1
    assert (run / "summary.html").exists()
