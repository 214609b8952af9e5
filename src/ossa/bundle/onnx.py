"""A torch network as an ONNX file: input "image" (N, C, H, W), output "logits" (N, bones, h, w).

``write_onnx`` writes the graph as it is (no layer folded into another), so that its weights stay
the numbers of the network; ``store_half`` then keeps every large weight as 16-bit float with a
Cast in front of its use, which halves the file and changes no result when the weights were
rounded to 16 bits before.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import BundleError, MissingExtraError

if TYPE_CHECKING:
    import onnx
    from torch import nn

#: ONNX operator set. 18 is the set torch's exporter is written for.
OPSET = 18

#: Tensors with at least this many values are kept as 16-bit float (biases and norms stay 32-bit).
HALF_FROM = 1024

#: Sides of the input that stay free.
FREE = ("batch", "height", "width")


def write_onnx(module: nn.Module, path: Path, shape: tuple[int, int, int, int], free: Sequence[str] = FREE) -> None:
    """Write ``module`` as ONNX to ``path``.

    ``shape`` (N, C, H, W) is the example input; the sides named in ``free`` stay free (N >= 2 and
    H != W in the example keep the exporter from taking them for constants).
    Raises BundleError when neither of torch's two exporters can write the network.
    """
    try:
        import onnxscript  # noqa: F401  (torch's exporter imports it late, with a bare error)
        import torch
    except ImportError as error:
        raise MissingExtraError.of("writing ONNX", "train", error) from error
    example = torch.zeros(shape, dtype=torch.float32)
    common: dict[str, Any] = {"input_names": ["image"], "output_names": ["logits"], "opset_version": OPSET}
    axes = {axis: name for axis, name in ((0, "batch"), (2, "height"), (3, "width")) if name in free}
    module = module.eval()
    failures = []
    for attempt in (_export_graph, _export_script):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(module, example, path, common, axes)
            return
        except Exception as error:  # the exporters raise whatever their passes raise
            failures.append(
                f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            )
    raise BundleError(
        "the network cannot be written as ONNX",
        path=path,
        found="; then ".join(failures),
        remedy="Use layers that torch.onnx.export knows",
    )


def _export_graph(module: nn.Module, example: Any, path: Path, common: dict[str, Any], free: dict[int, str]) -> None:
    import contextlib
    import io
    import logging

    import torch

    # optimize=False: the optimiser folds norms into convolutions, and the weights would no longer be 16-bit numbers.
    shapes = (free,)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            optimize=False,
            external_data=False,
            verbose=False,
            dynamic_shapes=shapes,
            **common,
        )
    if program is None:
        raise RuntimeError("the exporter returned nothing")
    program.save(str(path), external_data=False)


def _export_script(module: nn.Module, example: Any, path: Path, common: dict[str, Any], free: dict[int, str]) -> None:
    import torch

    torch.onnx.export(
        module,
        (example,),
        str(path),
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamic_axes={"image": free, "logits": {axis: f"{name}_out" if axis else name for axis, name in free.items()}},
        **common,
    )


def store_half(model: onnx.ModelProto) -> int:
    """Keep the large float32 weights of ``model`` as float16 plus a Cast, in place; the count of them.

    Only weights that are exactly 16-bit numbers already are touched, so results do not change.
    ONNX Runtime folds the casts when it opens the file.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for initializer in model.graph.initializer:
        if initializer.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(initializer)
        if values.size < HALF_FROM:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    # Shapes noted for former initialisers would now describe them twice.
    stale = {cast.output[0] for cast in casts}
    kept = [info for info in model.graph.value_info if info.name not in stale]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    return len(casts)


def _folded(path: Path) -> onnx.ModelProto:
    """The file with its constant parts computed and its norms left alone.

    The exporter computes the zeros of a missing bias at run time, which keeps ONNX Runtime from
    joining convolution and norm when it loads the file.
    """
    from onnxscript import ir, optimizer

    model = ir.load(path)
    optimizer.fold_constants(model)
    optimizer.remove_unused_nodes(model)
    return ir.to_proto(model)


def write_half_onnx(
    module: nn.Module, path: Path, shape: tuple[int, int, int, int], free: Sequence[str] = FREE
) -> None:
    """``write_onnx`` with constants folded, then ``store_half``, then a check of the graph."""
    import onnx

    write_onnx(module, path, shape, free)
    model = _folded(path)
    store_half(model)
    # Traces of the exporter: source lines of the machine that wrote the file do not belong in it.
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for info in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del info.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))
