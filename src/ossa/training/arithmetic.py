"""What ``train.precision: auto`` and ``train.channels_last`` come to on the device that trains.

Both are matters of speed that not every processor can follow: bf16 without bf16 units is twenty times slower than
float32, and small convolutions in channels_last order end a process on x86 (torch 2.13).
"""

from __future__ import annotations

import logging

import torch
from torch import nn

from ossa.config import RunConfig

_log = logging.getLogger("ossa.train")

#: Fewest channels a convolution needs to run in channels_last order on a CPU: the width of an AVX-512 register.
#: torch 2.13's oneDNN writes whole registers into the weights' gradient, also where there are fewer channels: 8 on
#: AVX2 and 16 on AVX-512. The heap is destroyed, and the process dies by SIGSEGV or SIGABRT some steps later.
LEAST_CHANNELS = 16


def settled(config: RunConfig, network: nn.Module) -> RunConfig:
    """``config`` with ``train.precision`` and ``train.channels_last`` as this machine can follow them; logged."""
    train = config.train
    device = device_of(config)
    changes: dict[str, object] = {}
    if train.precision == "auto":
        changes["precision"] = precision = "bf16" if has_bf16(device) else "32"
        told = "bf16 (mixed)" if precision == "bf16" else f"float32: this {device} has no bf16 units"
        _log.info("train.precision=auto: %s", told)
    if train.channels_last and device == "cpu":
        small = narrowest(network)
        if small < LEAST_CHANNELS:
            changes["channels_last"] = False
            _log.info(
                "train.channels_last is left off: a convolution has %d channels, and torch %s needs %d on a CPU",
                small,
                torch.__version__,
                LEAST_CHANNELS,
            )
    return config.model_copy(update={"train": train.model_copy(update=changes)}) if changes else config


def device_of(config: RunConfig) -> str:
    """The kind of device that ``train.device`` means here: "cpu", "cuda" or "mps"."""
    wanted = config.train.device
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return "cuda" if wanted == "gpu" else wanted


def has_bf16(device: str) -> bool:
    """Whether ``device`` ("cpu", "cuda", "mps") computes bf16 itself, and not by way of float32."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def narrowest(network: nn.Module) -> int:
    """The fewest output channels that a convolution of ``network`` has; a large number where there is none."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
    return min((m.out_channels for m in network.modules() if isinstance(m, kinds)), default=1 << 30)
