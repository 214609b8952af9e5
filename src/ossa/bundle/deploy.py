"""A bundle's network for other runtimes: fixed shapes, 8-bit integers, OpenVINO.

Every function reads the bundle's ONNX file and writes one new file; none needs torch. The card
(schema, preparation, thresholds) travels inside each ONNX file as its metadata "ossa.card".
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.bundle.bundle import Bundle
from ossa.bundle.card import Card
from ossa.bundle.self_contained import check_self_contained
from ossa.errors import BundleError, MissingExtraError
from ossa.safety import replacing

if TYPE_CHECKING:
    import onnx

Float = NDArray[np.float32]

#: Key of the card in an ONNX file's metadata.
CARD_KEY = "ossa.card"


def dynamic_onnx(bundle: Bundle, path: Path) -> None:
    """The bundle's own ONNX file (any batch, height, width), with the card inside."""
    model = _load(bundle.onnx_path)
    _save(model, bundle.card, path)


def static_onnx(bundle: Bundle, path: Path, shape: tuple[int, int]) -> None:
    """ONNX for one picture of exactly ``shape`` (H, W), for runtimes that know no free sizes.

    Raises BundleError when the sides are not multiples of the preparation's.
    """
    import onnx

    multiple = bundle.card.preparation.multiple
    if shape[0] % multiple or shape[1] % multiple or min(shape) < multiple:
        up = tuple(max(1, -(-side // multiple)) * multiple for side in shape)
        raise BundleError(
            "the fixed size does not fit the network", found=shape, expected=f"multiples of {multiple}: {up}"
        )
    model = _load(bundle.onnx_path)
    for info, sizes in ((model.graph.input[0], (1, bundle.card.channels, *shape)), (model.graph.output[0], None)):
        dims = info.type.tensor_type.shape.dim
        found = sizes or (1, len(bundle.card.schema), shape[0] // bundle.card.stride, shape[1] // bundle.card.stride)
        for dim, size in zip(dims, found, strict=True):
            dim.Clear()
            dim.dim_value = size
    del model.graph.value_info[:]  # they speak of free sizes
    _save(onnx.shape_inference.infer_shapes(model), bundle.card, path)


def int8_onnx(bundle: Bundle, path: Path, samples: Iterable[Float]) -> None:
    """ONNX with 8-bit weights and activations, calibrated on ``samples`` (C, H, W) prepared pictures.

    Post-training static quantisation of ONNX Runtime (QDQ nodes, weights per channel, MinMax over
    the samples); layers whose result is a logit stay in float, since the outline hangs on it. Weights take 7 of the 8
    bits: CPUs without instructions for 8-bit dot products add pairs of products in 16 bits, which full ones overflow.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise MissingExtraError.of("8-bit export", "export", error) from error

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._left = iter(samples)

        def get_next(self) -> dict[str, Any] | None:
            sample = next(self._left, None)
            return None if sample is None else {"image": sample[None]}

    with tempfile.TemporaryDirectory(prefix="ossa-int8-") as work, _without_warnings():
        folded = Path(work) / "folded.onnx"
        quantised = Path(work) / "int8.onnx"
        _fold(bundle.onnx_path, folded)
        quantize_static(
            str(folded),
            str(quantised),
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=_last_layers(onnx.load(str(folded))),
        )
        _save(onnx.load(str(quantised)), bundle.card, path)


def openvino_ir(bundle: Bundle, path: Path) -> None:
    """OpenVINO's own format: ``path`` (.xml) and beside it the weights (.bin).

    Through Core.read_model: openvino.convert_model would send usage data.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError.of("OpenVINO export", "openvino", error) from error
    try:
        model = openvino.Core().read_model(str(bundle.onnx_path))
    except RuntimeError as error:
        raise BundleError("OpenVINO cannot read the model", path=bundle.onnx_path, found=str(error)[:200]) from error
    model.set_rt_info(json.dumps(bundle.card.to_json(), ensure_ascii=False), ["ossa", "card"])
    path.parent.mkdir(parents=True, exist_ok=True)
    # The large weights are 16-bit already; rounding the small ones, too, would move logits by some .05.
    openvino.save_model(model, str(path), compress_to_fp16=False)


def read_card(path: Path) -> Card:
    """The card inside an ONNX file that this module wrote. Raises BundleError when there is none."""
    for entry in _load(path).metadata_props:
        if entry.key == CARD_KEY:
            return Card.from_json(json.loads(entry.value), path)
    raise BundleError("the ONNX file holds no card", path=path, expected=f"metadata '{CARD_KEY}'")


def _load(path: Path) -> onnx.ModelProto:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError.of("exporting a model", "export", error) from error
    check_self_contained(path)
    try:
        return onnx.load(str(path))
    except Exception as error:  # protobuf's DecodeError is no part of onnx's own names
        found = (str(error).splitlines() or [type(error).__name__])[0]
        raise BundleError("is no ONNX file, or a damaged one", path=path, found=found[:200]) from error


def _save(model: onnx.ModelProto, card: Card, path: Path) -> None:
    import onnx

    onnx.helper.set_model_props(model, {CARD_KEY: json.dumps(card.to_json(), ensure_ascii=False)})
    with replacing(path) as temporary:
        onnx.save_model(model, str(temporary))


def _fold(source: Path, target: Path) -> None:
    """Let ONNX Runtime fold casts and norms, so that the quantiser sees plain convolutions."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


@contextmanager
def _without_warnings() -> Iterator[None]:
    """The quantiser warns on the root logger that a model should be folded first, which it is."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _last_layers(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that make the output: back from it to the nearest convolutions, and those."""
    makers = {name: node for node in model.graph.node for name in node.output}
    names: list[str] = []
    waiting = [info.name for info in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in names:
            continue
        names.append(node.name)
        if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            waiting.extend(node.input)
    return names
