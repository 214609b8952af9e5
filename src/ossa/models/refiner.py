"""The network that says how far a bone's edge lies from where a coarser look took it to be.

It sees strips (segmentation.strips): the picture and the logits across an outline, laid straight. It knows no bone by
name, so that it serves every part.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ossa.errors import ConfigError
from ossa.models.refiner_shape import ACROSS, LAYERS


class RefinerNet(nn.Module):
    """(N, LAYERS, ACROSS, L + 2 * AROUND) -> (N, 2, 1, L): the edge's distance outwards from the outline, and how
    uncertain it is as a standard deviation, both in samples.

    ``widths`` are the channels at 1, 1/2 and 1/4 of the samples across, and along the outline.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (16, 24, 32, 48)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.first = nn.Conv2d(LAYERS, a, 3, padding=(1, 0))
        self.second = nn.Conv2d(a, b, 3, (2, 1), padding=(1, 0))
        self.third = nn.Conv2d(b, c, 3, (2, 1), padding=(1, 0))
        self.column = nn.Conv2d(c, d, ((ACROSS + 3) // 4, 1))
        self.along = nn.Conv2d(d, d, (1, 5))
        self.further = nn.Conv2d(d, d, (1, 5), dilation=(1, 2))
        self.out = nn.Conv2d(d, ACROSS, 1)
        self.register_buffer("place", torch.arange(ACROSS, dtype=torch.float32)[None, :, None, None] - ACROSS // 2)

    def levels(self, strips: Tensor) -> Tensor:
        """(N, ACROSS, 1, L): the logit of the edge lying at each sample."""
        if strips.ndim != 4 or strips.shape[1:3] != (LAYERS, ACROSS):
            raise ConfigError(
                "strips do not fit the refiner", found=tuple(strips.shape), expected=f"(N, {LAYERS}, {ACROSS}, L)"
            )
        x = functional.relu(self.first(strips))
        x = functional.relu(self.second(x))
        x = functional.relu(self.third(x))
        x = functional.relu(self.column(x))
        # Along the outline each convolution eats a column at each end: AROUND of them together.
        x = x[..., 2:-2] + functional.relu(self.along(x))
        x = x[..., 4:-4] + functional.relu(self.further(x))
        return cast(Tensor, self.out(x))

    def forward(self, strips: Tensor) -> Tensor:
        likely = torch.softmax(self.levels(strips), 1)
        place = cast(Tensor, self.place)
        mean = (likely * place).sum(1, keepdim=True)
        spread = ((likely * (place - mean) ** 2).sum(1, keepdim=True) + 1e-6).sqrt()
        return torch.cat([mean, spread], 1)
