"""Exports: the same logits in every form, the card inside, sizes refused that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ossa.bundle.bundle import Bundle
from ossa.bundle.deploy import dynamic_onnx, int8_onnx, openvino_ir, read_card, static_onnx
from ossa.errors import BundleError
from ossa.inference.engine import OnnxEngine, OpenVinoEngine, open_engine

onnx = pytest.importorskip("onnx")


def pictures(count: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.normal(size=(1, height, width)).astype(np.float32) for _ in range(count)]


def test_dynamic_and_static(bundle: Bundle, tmp_path: Path) -> None:
    dynamic_onnx(bundle, tmp_path / "d.onnx")
    static_onnx(bundle, tmp_path / "s.onnx", (64, 96))
    (picture,) = pictures(1)
    expected = open_engine(bundle, "torch:cpu")(picture[None])
    for name in ("d.onnx", "s.onnx"):
        np.testing.assert_allclose(OnnxEngine(tmp_path / name)(picture[None]), expected, atol=1e-4)
        assert read_card(tmp_path / name) == bundle.card
    model = onnx.load(str(tmp_path / "s.onnx"))
    for info, shape in ((model.graph.input[0], [1, 1, 64, 96]), (model.graph.output[0], [1, 29, 32, 48])):
        assert [d.dim_value for d in info.type.tensor_type.shape.dim] == shape


def test_a_fixed_size_that_does_not_fit(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"multiples of 32: \(96, 64\)"):
        static_onnx(bundle, tmp_path / "s.onnx", (65, 64))
    assert not (tmp_path / "s.onnx").exists()


def test_eight_bit(bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime.quantization")
    int8_onnx(bundle, tmp_path / "q.onnx", iter(pictures(4)))
    (picture,) = pictures(1)
    a, b = OnnxEngine(tmp_path / "q.onnx")(picture[None]), open_engine(bundle, "cpu")(picture[None])
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.995
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "q.onnx")).graph.node]
    assert "DequantizeLinear" in kinds
    assert read_card(tmp_path / "q.onnx").name == "small"


def test_openvino(bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    openvino_ir(bundle, tmp_path / "o" / "model.xml")
    (picture,) = pictures(1)
    expected = open_engine(bundle, "cpu")(picture[None])
    np.testing.assert_allclose(OpenVinoEngine(tmp_path / "o" / "model.xml")(picture[None]), expected, atol=1e-3)


def test_an_onnx_file_without_a_card(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="holds no card"):
        read_card(bundle.onnx_path)
