"""The ways to run a network agree, and a device that is not there is answered with those that are."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import ossa.inference.engine as engine_module
from ossa.bundle.bundle import Bundle
from ossa.errors import BundleError, DeviceError
from ossa.inference.engine import OnnxEngine, open_engine, parse_device


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
