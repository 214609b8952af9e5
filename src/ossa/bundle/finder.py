"""The finder that may travel in a bundle: finder.onnx beside the model, with its hash in the card."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.bundle.bundle import CARD, Bundle
from ossa.safety import sha256, write_bytes, write_json

if TYPE_CHECKING:
    from torch import nn

FINDER = "finder.onnx"


def finder_path(bundle: Bundle) -> Path | None:
    """The bundle's finder, its hash checked when the bundle was loaded; None when it has none."""
    return bundle.path / FINDER if FINDER in bundle.card.files else None


def add_finder(bundle: Bundle, module: nn.Module) -> Bundle:
    """Put ``module`` (models.finder.FinderNet) into a bundle, in place of one that is there.

    Its weights are rounded to 16-bit float in the file. Raises BundleError when it cannot be written as ONNX.
    """
    import copy

    from ossa.bundle.onnx import HALF_FROM, write_half_onnx

    rounded = copy.deepcopy(module).cpu().float().eval()
    for tensor in rounded.state_dict().values():
        if tensor.is_floating_point() and tensor.numel() >= HALF_FROM:
            tensor.copy_(tensor.half().float())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FINDER
        write_half_onnx(rounded, path, (2, 1, 64, 96))
        return put_finder(bundle, path.read_bytes())


def put_finder(bundle: Bundle, data: bytes) -> Bundle:
    """Put the finder of another bundle, a whole ONNX file as bytes, into ``bundle``, in place of one that is there."""
    bundle.refuse_packed()
    path = bundle.path / FINDER
    write_bytes(path, data)
    card = replace(bundle.card, files={**bundle.card.files, FINDER: sha256(path)})
    write_json(bundle.path / CARD, card.to_json())
    return Bundle(bundle.path, card)
