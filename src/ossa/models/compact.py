"""ossa's own network: a small residual U-Net whose logits lie on half the input's grid.

Made for two CPU cores: the two finest levels carry one convolution each, most of the work is done at
1/8 and below, and 29 full-size logit planes never exist.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ossa.models._sizes import check_size


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(inputs, outputs, stride), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class CompactNet(nn.Module):
    """(N, inputs, H, W) -> logits (N, classes, H/2, W/2); H and W must be multiples of 32.

    ``widths`` are the channels at 1/2, 1/4, 1/8, 1/16 and 1/32; ``head`` those of the last two
    decoder levels; ``depth`` the number of residual blocks at 1/32, which give every pixel the whole part.
    """

    stride = 2
    multiple = 32

    def __init__(
        self,
        classes: int = 29,
        widths: tuple[int, ...] = (32, 48, 96, 160, 192),
        head: int = 48,
        depth: int = 4,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        w = tuple(widths)
        self.stem = _conv(inputs, w[0], 2)
        self.down4 = Residual(w[0], w[1], 2)
        self.down8 = Residual(w[1], w[2], 2)
        self.down16 = nn.Sequential(Residual(w[2], w[3], 2), Residual(w[3], w[3]))
        self.down32 = nn.Sequential(Residual(w[3], w[4], 2), *(Residual(w[4], w[4]) for _ in range(depth - 1)))
        self.up16 = Residual(w[4] + w[3], w[3])
        self.up8 = Residual(w[3] + w[2], w[2])
        self.up4 = Residual(w[2] + w[1], head)
        self.up2 = _conv(head + w[0], head)
        self.out = nn.Conv2d(head, classes, 1)
        # Most pixels belong to no bone: starting there saves the first hundred steps.
        nn.init.constant_(cast(Tensor, self.out.bias), -4.0)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x, self.multiple, "compact")
        x2 = self.stem(x)
        x4 = self.down4(x2)
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        y = self.up16(torch.cat([_twice(self.down32(x16)), x16], 1))
        y = self.up8(torch.cat([_twice(y), x8], 1))
        y = self.up4(torch.cat([_twice(y), x4], 1))
        y = self.up2(torch.cat([_twice(y), x2], 1))
        return cast(Tensor, self.out(y))


def _twice(x: Tensor) -> Tensor:
    y = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    if y.requires_grad and not torch.compiler.is_compiling():
        hooked: Any = y
        hooked.register_hook(_whole)
    return y


def _whole(gradient: Tensor) -> Tensor:
    """A gradient as a block of its own: a concatenation passes on a slice, for which torch, on a CPU, turns channels
    last into channels first and takes several times as long to go back through the enlarging."""
    return gradient.contiguous(memory_format=torch.channels_last) if gradient.stride(1) == 1 else gradient
