"""Real-ESRGAN weight files of a very small RRDBNet with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def rrdb_state(scale: int = 2, features: int = 8, blocks: int = 1, seed: int = 0) -> dict[str, Any]:
    """The weights of RRDBNet under Real-ESRGAN's names; x2 works on 2x2 blocks (12 input channels).

    Small residuals on a passage for the mean grey, so that the answer is a picture and not noise.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    growth = 32  # spandrel takes this number for granted

    def conv(name: str, outputs: int, inputs: int) -> dict[str, Any]:
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (0.5 / (inputs * 9) ** 0.5)
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}

    state = conv("conv_first", features, 12 if scale == 2 else 3)
    for block in range(blocks):
        for dense in (1, 2, 3):
            for layer in range(1, 6):
                outputs = growth if layer < 5 else features
                state |= conv(f"body.{block}.rdb{dense}.conv{layer}", outputs, features + (layer - 1) * growth)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        state |= conv(name, features, features)
    state |= conv("conv_last", 3, features)
    state["conv_last.bias"] += 0.4
    return state


def rrdb_file(path: Path, scale: int = 2, wrapper: str | None = "params_ema") -> Path:
    import torch

    state = rrdb_state(scale)
    torch.save(state if wrapper is None else {wrapper: state}, path)
    return path
