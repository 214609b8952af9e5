"""Two processes on the CPU through Lightning's own launcher (gloo)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
for package in ("lightning", "numba"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

from ossa.config import check, dump  # noqa: E402


def _run_file(folder: Path, **train: object) -> Path:
    config = check(
        {
            "output": str(folder / "runs"),
            "name": "two",
            "data": {"size": 64, "phantoms": {"count": 8, "held_out": 3}, "augment": {"p_mixup": 0}},
            "model": {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1},
            "train": {"epochs": 2, "batch": 2, "device": "cpu", "threads": 1, "ema": 0.9, **train},
            "folds": {"bundle": False, "store": False},
            "logging": {"every": 1},
        }
    )
    file = folder / "run.json"
    folder.mkdir(exist_ok=True)
    file.write_text(json.dumps(dump(config)))
    return file


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "NODE_RANK", "RANK", "OSSA_RUN_FOLDER")}
    return {**kept, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}


def _trained(run: Path) -> dict[str, Any]:
    """The weights of a run of two processes that did what it should."""
    state = torch.load(run / "fold0" / "last.ckpt", weights_only=True)
    # 8 samples in batches of 2 on 2 processes: 2 batches per epoch and process.
    assert state["ossa"]["batches"] == 4
    assert state["global_step"] == 4
    assert len(json.loads((run / "provenance.json").read_text())["runs"]) == 1
    assert (run / "summary.html").exists()
    weights: dict[str, Any] = state["state_dict"]
    return weights


@pytest.mark.slow
def test_two_processes_train_one_model_and_share_its_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ossa", "train", str(_run_file(tmp_path, devices=2))]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "runs").glob("two-*")] == ["two-001"]
    _trained(tmp_path / "runs" / "two-001")


@pytest.mark.slow
@pytest.mark.skipif("OSSA_CLUSTER" not in os.environ, reason="clusters are tested with OSSA_CLUSTER=1")
def test_two_nodes_of_torchrun_train_what_one_node_of_two_devices_does(tmp_path: Path) -> None:
    """Each node's agent is started by hand, as on two machines; both write into the folder that they are given."""
    one = _run_file(tmp_path / "one", devices=2)
    command = [sys.executable, "-m", "ossa", "train", str(one), "--folder", str(tmp_path / "run1")]
    subprocess.run(command, env=_environment(), capture_output=True, check=True, timeout=280)
    two, port = _run_file(tmp_path / "two", nodes=2), 29_400 + os.getpid() % 1000
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1"]
    meeting = ["--master_addr", "127.0.0.1", "--master_port", str(port)]
    words = ["-m", "ossa", "train", str(two), "--folder", str(tmp_path / "run2")]
    agents = [
        subprocess.Popen(
            [*torchrun, "--node_rank", str(rank), *meeting, *words],
            env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    told = [agent.communicate(timeout=280)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], "\n".join(told)
    expected, found = _trained(tmp_path / "run1"), _trained(tmp_path / "run2")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
