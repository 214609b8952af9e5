"""Norms behind a pool over the whole picture, which must work on a batch of one.

DeepLab's and PSPNet's heads pool a picture to one cell and normalise it over the batch. With one picture the batch has
one value per channel and no spread, which torch refuses; there such a norm leaves its statistics as they are and uses
them: 0 and 1 in a network that never saw two pictures at once, so that only its scale and shift are learned.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ossa.models.probe import probe


class PooledNorm(nn.BatchNorm2d):
    """``BatchNorm2d`` that uses its running statistics where it is shown one value per channel."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w)."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def one_value_norms(network: nn.Module) -> None:
    """Make every BatchNorm2d of ``network`` that sees one cell of a whole picture a ``PooledNorm``, in place.

    Names and shapes of parameters stay, and so does what the network does with two pictures or in prediction.
    """
    single: list[nn.Module] = []

    def note(module: nn.Module, inputs: Any) -> None:
        if inputs[0].shape[2:].numel() == 1:
            single.append(module)

    hooks = [m.register_forward_pre_hook(note) for m in network.modules() if type(m) is nn.BatchNorm2d]
    try:
        if hooks:
            probe(network)
    finally:
        for hook in hooks:
            hook.remove()
    for module in single:
        module.__class__ = PooledNorm
