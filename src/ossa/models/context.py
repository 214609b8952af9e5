"""A network for large grids: fine detail from windows, the whole picture as context, in one network.

The coarse part sees the whole picture made ``scale`` times smaller; the fine part sees the picture at full
resolution together with the coarse part's squeezed answer, and corrects it. Training runs the fine part on
windows only (``windows``), so memory follows the window; ``forward`` runs it everywhere, so a trained network
is used like any other.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ossa.errors import ConfigError
from ossa.models._sizes import check_size


class ContextNet(nn.Module):
    """``coarse`` takes (N, 1, h, w), ``fine`` (N, 1 + features, H, W); both give ``classes`` logits."""

    def __init__(self, coarse: Any, fine: Any, classes: int, scale: int = 4, features: int = 8) -> None:
        super().__init__()
        if scale < 2:
            raise ConfigError("context: 'scale' is out of range", found=scale, expected="2 or more")
        self.coarse = coarse
        self.fine = fine
        self.scale = scale
        self.squeeze = nn.Conv2d(classes, features, 1)
        self.stride = int(fine.stride)
        self.multiple = int(coarse.multiple) * scale

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, H, W), H and W multiples of ``multiple``, to logits at ``stride``."""
        check_size(image, self.multiple, "context")
        guess = self.whole(image)
        hints = F.interpolate(self.squeeze(guess), size=image.shape[-2:], mode="bilinear", align_corners=False)
        fine: Tensor = self.fine(torch.cat([image, hints], dim=1))
        return fine + F.interpolate(guess, size=fine.shape[-2:], mode="bilinear", align_corners=False)

    def whole(self, image: Tensor) -> Tensor:
        """The coarse logits of the whole picture, stride ``scale`` x the coarse part's own."""
        out: Tensor = self.coarse(F.avg_pool2d(image, self.scale))
        return out

    def windows(self, image: Tensor, corners: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Training's way: logits of windows (N * K, classes, size / stride, ...) and the coarse logits.

        ``corners`` (N, K, 2) int: top and left of K windows per picture, multiples of ``stride``.
        """
        guess = self.whole(image)
        hints = self.squeeze(guess)
        pieces, near_hints, near_guess = [], [], []
        for n, of_image in enumerate(corners.tolist()):
            for top, left in of_image:
                box = (top, left, size, image.shape[-2:])
                pieces.append(image[n, :, top : top + size, left : left + size])
                near_hints.append(crop_resized(hints[n], box, size))
                near_guess.append(crop_resized(guess[n], box, size // self.stride))
        inputs = torch.cat([torch.stack(pieces), torch.stack(near_hints)], dim=1)
        return self.fine(inputs) + torch.stack(near_guess), guess


def crop_resized(plane: Tensor, box: tuple[int, int, int, torch.Size], out: int) -> Tensor:
    """What bilinear up-sampling of ``plane`` (C, h, w) to the picture gives inside a window, as (C, out, out).

    ``box``: top, left and side of the window in picture pixels, and the picture's (H, W).
    Coordinates as in F.interpolate(align_corners=False).
    """
    top, left, side, (height, width) = box
    steps = (torch.arange(out, device=plane.device, dtype=torch.float32) + 0.5) * (side / out)
    ys = (top + steps) / height * 2 - 1
    xs = (left + steps) / width * 2 - 1
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1)
    sampled = F.grid_sample(
        plane[None].float(), grid[None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[0].to(plane.dtype)
