"""The ways to run a network agree, and a device that is not there is answered with those that are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ossa.inference.engine as engine_module
from ossa.bundle.bundle import Bundle, put_quick
from ossa.errors import BundleError, DeviceError
from ossa.inference.engine import OnnxEngine, open_engine, parse_device, runs_quick


def test_onnx_and_torch_agree(bundle: Bundle) -> None:
    batch = np.random.default_rng(2).normal(size=(2, 1, 64, 96)).astype(np.float32)
    a, b = open_engine(bundle, "cpu")(batch), open_engine(bundle, "torch:cpu")(batch)
    assert a.dtype == b.dtype == np.float32
    assert a.shape == (2, 29, 32, 48)
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_openvino_agrees(bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    batch = np.random.default_rng(2).normal(size=(1, 1, 64, 96)).astype(np.float32)
    np.testing.assert_allclose(open_engine(bundle, "openvino")(batch), open_engine(bundle, "cpu")(batch), atol=1e-3)


@pytest.mark.parametrize("avx2", [True, False])
def test_a_form_of_8_bits_runs_on_cpus_with_avx2(
    bundle: Bundle, second_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, avx2: bool
) -> None:
    """Another network stands in for it here, so that it shows which one runs."""
    import cv2

    assert not runs_quick(bundle)
    mine = Bundle.load(shutil.copytree(bundle.path, tmp_path / "mine"))
    quick = put_quick(mine, second_bundle.onnx_path.read_bytes())
    monkeypatch.setattr(cv2, "checkHardwareSupport", lambda unit: avx2 and unit == 11)
    monkeypatch.setattr(engine_module, "runs_on_cuda", lambda: False)
    batch = np.random.default_rng(2).normal(size=(1, 1, 64, 64)).astype(np.float32)
    a, b = OnnxEngine(bundle.onnx_path)(batch), OnnxEngine(second_bundle.onnx_path)(batch)
    assert np.abs(a - b).max() > 0.01
    for device in ("auto", "cpu"):
        engine = open_engine(Bundle.load(quick.path), device)
        np.testing.assert_array_equal(engine(batch), b if avx2 else a)
        assert engine.description.endswith("8 bit") is avx2
        assert runs_quick(quick, device) is avx2
    for device in ("onnx", "onnx:cpu"):
        np.testing.assert_array_equal(open_engine(quick, device)(batch), a)
        assert not runs_quick(quick, device)
    monkeypatch.setattr(engine_module, "runs_on_cuda", lambda: True)
    assert not runs_quick(quick, "auto")  # a GPU is quicker still


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", (None, "auto")),
        ("CPU", (None, "cpu")),
        ("cuda:1", (None, "cuda:1")),
        ("torch:cuda:0", ("torch", "cuda:0")),
        ("onnx", ("onnx", "auto")),
    ],
)
def test_device_strings(text: str, expected: tuple[str | None, str]) -> None:
    assert parse_device(text) == expected


def test_unknown_device() -> None:
    with pytest.raises(DeviceError, match=r"'tpu' is not a device.*Here there is cpu"):
        parse_device("tpu")


@pytest.mark.parametrize("device", ["cuda:99", "onnx:cuda:99", "torch:cuda:99", "onnx:npu", "torch:xpu", "cuda:x"])
def test_absent_device(bundle: Bundle, device: str) -> None:
    with pytest.raises(DeviceError, match=r"there is no device.*found.*cpu"):
        open_engine(bundle, device)


def test_cuda_without_torch_names_the_runtime_that_would_do(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"no device 'cuda'.*onnxruntime-gpu"):
        open_engine(bundle, "cuda")


def test_a_broken_onnx_file(tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "model.onnx"  # type: ignore[operator]
    path.write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"model\.onnx: is no ONNX file"):
        OnnxEngine(path)


def test_a_shape_the_network_cannot_take(bundle: Bundle) -> None:
    with pytest.raises(DeviceError, match=r"did not run.*\(1, 3, 64, 64\)"):
        open_engine(bundle, "cpu")(np.zeros((1, 3, 64, 64), np.float32))


def test_onnx_needs_no_torch(bundle: Bundle) -> None:
    program = (
        "import sys, numpy as np\n"
        "from ossa.inference.predictor import Predictor\n"
        "from ossa.radiograph.radiograph import Radiograph\n"
        f"p = Predictor.load({str(bundle.path)!r})\n"
        "p.predict(Radiograph(np.arange(6000, dtype=np.uint8).reshape(60, 100)))\n"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
