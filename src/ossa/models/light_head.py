"""A light head on any backbone that gives a pyramid of feature maps."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PyramidNet(nn.Module):
    """Each level squeezed to ``width``, brought to the finest level of stride >= 2, joined, classified.

    The all-1x1 decoder of SegFormer (Xie et al., NeurIPS 2021, section 3.2), which is enough on a strong backbone.
    """

    def __init__(self, backbone: Any, classes: int, width: int = 128) -> None:
        super().__init__()
        self.backbone = backbone
        self.channels = [int(c) for c in backbone.feature_info.channels()]
        self.squeeze = nn.ModuleList(nn.Conv2d(c, width, 1) for c in self.channels)
        self.join = nn.Sequential(
            nn.Conv2d(width * len(self.channels), width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) to logits at the backbone's finest level."""
        maps = []
        for level, squeeze, channels in zip(self.backbone(image), self.squeeze, self.channels, strict=True):
            # Swin gives (N, H, W, C).
            if level.shape[1] != channels and level.shape[-1] == channels:
                maps.append(squeeze(level.permute(0, 3, 1, 2)))
            else:
                maps.append(squeeze(level))
        size = maps[0].shape[-2:]
        same = [maps[0], *(F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps[1:])]
        out: Tensor = self.head(self.join(torch.cat(same, dim=1)))
        return out
