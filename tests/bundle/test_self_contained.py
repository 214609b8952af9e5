"""ONNX files whose numbers lie elsewhere, or that are damaged, are refused before anything opens them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossa.bundle.bundle import Bundle
from ossa.bundle.deploy import read_card
from ossa.bundle.self_contained import check_self_contained
from ossa.errors import BundleError
from ossa.inference.engine import OnnxEngine, OpenVinoEngine

onnx = pytest.importorskip("onnx")


def model(inside: str) -> Any:
    """A model one of whose tensors lies in another file; ``inside`` says where the tensor stands."""
    from onnx import TensorProto, helper, numpy_helper

    away = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    onnx.external_data_helper.set_external_data(away, "other.bin")
    away.ClearField("raw_data")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    multiply = helper.make_node("MatMul", ["x", "w"], ["y"])
    if inside == "initialiser":
        return helper.make_model(helper.make_graph([multiply], "g", [x], [y], [away]))
    constant = helper.make_node("Constant", [], ["w"], value=away)
    if inside == "constant":
        return helper.make_model(helper.make_graph([constant, multiply], "g", [x], [y]))
    branch = helper.make_graph([constant, helper.make_node("MatMul", ["x", "w"], ["z"])], "b", [], [y])
    choose = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return helper.make_model(helper.make_graph([choose], "g", [x], [y]))


@pytest.mark.parametrize("inside", ["initialiser", "constant", "branch"])
def test_numbers_in_another_file_are_refused(inside: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model(inside).SerializeToString())
    (tmp_path / "other.bin").write_bytes(np.ones((4, 4), np.float32).tobytes())
    for reader in (check_self_contained, OnnxEngine, read_card):
        with pytest.raises(BundleError, match=r"model\.onnx: the model's numbers lie in another file"):
            reader(path)
    pytest.importorskip("openvino")
    with pytest.raises(BundleError, match="another file"):
        OpenVinoEngine(path)


def test_a_whole_model_passes(bundle: Bundle) -> None:
    check_self_contained(bundle.onnx_path)
    check_self_contained(Bundle.load().onnx_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_file_is_refused(bundle: Bundle, tmp_path: Path, share: float) -> None:
    data = bundle.onnx_path.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(share * len(data))])
    for reader in (check_self_contained, OnnxEngine, read_card):
        with pytest.raises(BundleError, match=r"cut\.onnx"):
            reader(path)


def test_a_file_of_endless_fields_is_refused_soon(tmp_path: Path) -> None:
    path = tmp_path / "fields.onnx"
    path.write_bytes(b"\x08\x01" * 1_500_000)
    with pytest.raises(BundleError, match="more than"):
        check_self_contained(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_end_in_an_answer(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.onnx"
    path.write_bytes(data)
    with contextlib.suppress(BundleError):
        check_self_contained(path)
