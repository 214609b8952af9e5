"""Small networks that may travel in a bundle beside the model, each with its hash in the card.

``finder.onnx`` says where on a film to look (inference.finder), ``refiner.onnx`` moves outlines to the edges that the
picture shows (inference.refiner), ``consultant.onnx`` is asked where the model tells too little (inference.consultant).
Each is trained by itself and put into a bundle afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.bundle.bundle import CARD, Bundle
from ossa.models.refiner_shape import ACROSS, LAYERS
from ossa.safety import sha256, write_bytes, write_json

if TYPE_CHECKING:
    from torch import nn

FINDER, REFINER, CONSULTANT = "finder.onnx", "refiner.onnx", "consultant.onnx"

#: An input (N, C, H, W) that each takes, and which of its sides are free.
_INPUTS: Mapping[str, tuple[tuple[int, int, int, int], tuple[str, ...]]] = {
    FINDER: ((2, 1, 64, 96), ("batch", "height", "width")),
    REFINER: ((2, LAYERS, ACROSS, 96), ("batch", "width")),
    CONSULTANT: ((1, 1, 64, 96), ("batch", "height", "width")),
}


def companion_path(bundle: Bundle, name: str) -> Path | None:
    """The bundle's file ``name`` (FINDER, REFINER, CONSULTANT), its hash checked when the bundle was loaded; None if
    there is none.

    Of a packed bundle only what it is called (``Bundle.read_packed``).
    """
    return bundle.path / name if name in bundle.card.files else None


def companions(bundle: Bundle) -> dict[str, bytes]:
    """The companions that a bundle in a folder has: name -> the file's content."""
    paths = {name: companion_path(bundle, name) for name in _INPUTS}
    return {name: path.read_bytes() for name, path in paths.items() if path is not None}


def add_companion(bundle: Bundle, name: str, module: nn.Module) -> Bundle:
    """Put ``module`` (models.finder.FinderNet, models.refiner.RefinerNet, a consultant's network) into a bundle, in
    place of one that is there.

    Its weights are rounded to 16-bit float in the file. Raises BundleError when it cannot be written as ONNX.
    """
    import copy

    from ossa.bundle.onnx import HALF_FROM, write_half_onnx

    rounded = copy.deepcopy(module).cpu().float().eval()
    for tensor in rounded.state_dict().values():
        if tensor.is_floating_point() and tensor.numel() >= HALF_FROM:
            tensor.copy_(tensor.half().float())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_half_onnx(rounded, path, *_INPUTS[name])
        return put_companion(bundle, name, path.read_bytes())


def put_companion(bundle: Bundle, name: str, data: bytes) -> Bundle:
    """Put a whole ONNX file, perhaps another bundle's, into ``bundle`` as ``name``, in place of one that is there."""
    bundle.refuse_packed()
    path = bundle.path / name
    write_bytes(path, data)
    card = replace(bundle.card, files={**bundle.card.files, name: sha256(path)})
    write_json(bundle.path / CARD, card.to_json())
    return Bundle(bundle.path, card)
