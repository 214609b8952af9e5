"""One look at how a network works, on an empty picture that is as small as it allows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def probe(network: Any, channels: int | None = None) -> Tensor:
    """The logits of one empty picture, whose side is ``side_of``; norms and dropout are as in prediction.

    ``channels``: of the picture; what the first convolution takes unless given. Hooks on the network's modules see
    everything that runs.
    """
    was_training = network.training
    side = side_of(network)
    grey = channels if channels is not None else _inputs(network)
    device = next(network.parameters()).device
    out: Tensor = network.eval()(torch.zeros(1, grey, side, side, device=device))
    network.train(was_training)
    return out


def side_of(network: Any) -> int:
    """The side of a picture, px, that ``network`` can be tried with: two of its coarsest cells, or its only size."""
    side = getattr(network, "side", None)
    return int(side) if side is not None else 2 * max(32, int(network.multiple))


def _inputs(network: nn.Module) -> int:
    """Channels of the picture: 1 where a network takes grey as RGB, else those of its first convolution."""
    if getattr(network, "rgb", False):
        return 1
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    return 1 if first is None else first.in_channels
