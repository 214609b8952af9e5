"""The one sentence about pictures whose sides do not suit a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ossa.errors import ConfigError


def check_size(image: Tensor, multiple: int, name: str) -> None:
    """Raise ConfigError, with the size to pad to, when a side of ``image`` (N, C, H, W) is no multiple.

    Does nothing while a network is being traced: exported files carry no check.
    """
    jit: Any = torch.jit
    if torch.compiler.is_compiling() or jit.is_tracing():
        return
    height, width = image.shape[-2:]
    if height % multiple or width % multiple:
        up = tuple(-(-side // multiple) * multiple for side in (height, width))
        raise ConfigError(
            f"'{name}' needs height and width that are multiples of {multiple}",
            found=(height, width),
            remedy=f"Pad to {up}; ossa.radiograph.prepare does this with multiple={multiple}",
        )
