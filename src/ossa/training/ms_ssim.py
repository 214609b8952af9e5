"""Multi-scale structural similarity of planes of probabilities, differentiable."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Exponents of the scales, finest first. Source: Wang, Simoncelli & Bovik, Asilomar 2003, section 4.2.
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

#: Width of the window, px. Source of this and of K1, K2: Wang et al., IEEE Trans. Image Processing 2004, section III.B.
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


def ms_ssim(a: Tensor, b: Tensor, levels: int = len(EXPONENTS), window: int = 11) -> Tensor:
    """MS-SSIM (N, C) of planes (N, C, h, w) with values in 0..1: the product over scales of (contrast and shape)^e.

    The coarsest scale has the likeness of means too; scales are halved by averaging 2 x 2. Only pixels whose window
    lies inside count. There are at most ``levels`` scales, fewer where the coarsest would be smaller than the window
    (the exponents that are left then add up to 1); on a plane smaller than the window, that shrinks. Likeness below 0
    counts as 0. Where there are five scales it equals monai's MultiScaleSSIMMetric (torchmetrics counts the rim too).
    """
    side = min(a.shape[2:])
    window = min(window, side - (side + 1) % 2)
    levels = min(levels, len(EXPONENTS))
    while levels > 1 and side >> (levels - 1) < window:
        levels -= 1
    exponents = torch.tensor(EXPONENTS[:levels], device=a.device, dtype=a.dtype)
    exponents = exponents / exponents.sum() if levels < len(EXPONENTS) else exponents
    out = torch.ones(a.shape[:2], device=a.device, dtype=a.dtype)
    for level, exponent in enumerate(exponents):
        if level:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        likeness, shape = _ssim(a, b, window)
        last = likeness if level == levels - 1 else shape
        # A root's slope at 0 is infinite: from 1e-7 on down the slope is 0.
        out = out * last.clamp(min=1e-7) ** exponent
    return out


def _ssim(a: Tensor, b: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Mean likeness, and mean of its part of contrast and shape alone, (N, C) each."""
    together = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    mean_a, mean_b, square_a, square_b, product = _blurred(together, window).chunk(5, dim=1)
    spread = square_a + square_b - mean_a**2 - mean_b**2
    shape = (2 * (product - mean_a * mean_b) + C2) / (spread.clamp(min=0.0) + C2)
    light = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return (light * shape).mean(dim=(2, 3)), shape.mean(dim=(2, 3))


def _blurred(planes: Tensor, window: int) -> Tensor:
    """Gaussian means over windows that lie inside: (N, C, h - window + 1, w - window + 1)."""
    offset = torch.arange(window, device=planes.device, dtype=planes.dtype) - (window - 1) / 2
    bell = torch.exp(-(offset**2) / (2 * SIGMA**2))
    bell = (bell / bell.sum()).view(1, 1, 1, window)
    flat = planes.flatten(0, 1)[:, None]
    flat = F.conv2d(F.conv2d(flat, bell), bell.transpose(2, 3))
    return flat.view(*planes.shape[:2], *flat.shape[2:])
