"""What precision and memory order come to on a device, and that no network's width ends the process."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

import helpers_training as tiny
from ossa.config import load_config, recipes
from ossa.models.architectures import build
from ossa.training import arithmetic
from ossa.training.arithmetic import has_bf16, settled

#: A processor without AVX-512 and bf16, as torch and oneDNN see it.
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def network(*widths: int) -> torch.nn.Module:
    made: torch.nn.Module = build("compact", 29, widths=widths, head=16, depth=1)
    return made


@pytest.mark.parametrize(("there", "expected"), [(True, "bf16"), (False, "32")])
def test_auto_precision_follows_the_device_and_says_so(
    there: bool, expected: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(arithmetic, "has_bf16", lambda device: there)
    with caplog.at_level(logging.INFO, "ossa.train"):
        assert settled(tiny.tiny_config(), network(16, 16, 16, 16, 16)).train.precision == expected
    assert "train.precision=auto: " + ("bf16" if there else "float32: this cpu has no bf16 units") in caplog.text


@pytest.mark.parametrize("given", ["32", "bf16"])
def test_a_given_precision_is_kept(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "has_bf16", lambda device: given == "32")
    assert settled(tiny.tiny_config(train={"precision": given}), network(16, 16, 16, 16, 16)).train.precision == given


def test_a_cpu_without_bf16_units_is_known_by_them() -> None:
    """oneDNN's own limit, with which a test machine stands for an older one, is believed."""
    code = "from ossa.training.arithmetic import has_bf16; print(has_bf16('cpu'))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert not has_bf16("mps")


def test_every_recipe_leaves_the_precision_to_the_device() -> None:
    for name in recipes():
        assert load_config(name).train.precision == "auto", name


def test_channels_last_needs_wide_convolutions_on_a_cpu(caplog: pytest.LogCaptureFixture) -> None:
    config = tiny.tiny_config()
    assert settled(config, network(16, 16, 24, 32, 32)).train.channels_last
    with caplog.at_level(logging.INFO, "ossa.train"):
        for narrow in ((4, 16, 16, 16, 16), (16, 8, 16, 16, 16), (16, 16, 16, 16, 15)):
            assert not settled(config, network(*narrow)).train.channels_last, narrow
    assert "a convolution has 15 channels" in caplog.text
    on_gpu = settled(tiny.tiny_config(train={"device": "gpu"}), network(4, 4, 8, 8, 8))
    assert on_gpu.train.channels_last


@pytest.mark.parametrize("older", [False, True])
def test_a_network_of_four_channels_trains(older: bool, tmp_path: Path) -> None:
    """In channels_last order it dies by SIGSEGV or SIGABRT (torch 2.13), on AVX2 and on AVX-512."""
    file = tmp_path / "config.json"
    narrow = {"architecture": "compact", "widths": [4, 4, 8, 8, 8], "head": 8, "depth": 1}
    file.write_text(tiny.tiny_config(model=narrow).model_dump_json())
    done = subprocess.run(
        [sys.executable, tiny.__file__, str(file), str(tmp_path / "run"), "new"],
        env=environment(AVX2 if older else {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "best.safetensors").exists()


def environment(more: dict[str, str] = AVX2) -> dict[str, str]:
    path = os.pathsep.join([*(p for p in sys.path if p), str(Path(tiny.__file__).parent)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}
