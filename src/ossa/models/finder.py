"""The network that finds hands in a whole film at low resolution, before anything looks at bones.

What its planes mean stands in models.finder_maps.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ossa.models._sizes import check_size
from ossa.models.compact import Residual
from ossa.models.finder_maps import HEAT, PLANES, PRESENT


class FinderNet(nn.Module):
    """(N, 1, H, W) -> planes (N, PLANES, H/8, W/8); H and W must be multiples of 32.

    ``widths`` are the channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the grid.
    """

    stride = 8
    multiple = 32

    def __init__(self, widths: tuple[int, ...] = (16, 24, 40, 64, 80)) -> None:
        super().__init__()
        w = tuple(widths)
        self.stem = nn.Sequential(nn.Conv2d(1, w[0], 5, 2, 2, bias=False), nn.BatchNorm2d(w[0]), nn.ReLU(inplace=True))
        self.down4 = Residual(w[0], w[1], 2)
        self.down8 = nn.Sequential(Residual(w[1], w[2], 2), Residual(w[2], w[2]))
        self.down16 = nn.Sequential(Residual(w[2], w[3], 2), Residual(w[3], w[3]))
        self.down32 = nn.Sequential(Residual(w[3], w[4], 2), Residual(w[4], w[4]))
        self.up16 = Residual(w[4] + w[3], w[3])
        self.up8 = Residual(w[3] + w[2], w[2])
        self.out = nn.Conv2d(w[2], PLANES - 1, 1)
        self.present = nn.Linear(2 * w[4], 1)
        # Most cells hold no hand: starting there saves the first hundred steps.
        nn.init.constant_(cast(Tensor, self.out.bias)[HEAT : HEAT + 1], -4.0)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x, self.multiple, "finder")
        x8 = self.down8(self.down4(self.stem(x)))
        x16 = self.down16(x8)
        x32 = self.down32(x16)
        y = self.up16(torch.cat([_twice(x32), x16], 1))
        y = self.out(self.up8(torch.cat([_twice(y), x8], 1)))
        seen = torch.cat([x32.mean((2, 3)), x32.amax((2, 3))], 1)
        present = self.present(seen)[:, :, None, None].expand(-1, -1, y.shape[2], y.shape[3])
        return torch.cat([y, present], 1)


assert PRESENT == PLANES - 1  # the network appends it


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
