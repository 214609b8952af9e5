"""Where a new network starts: its output biases at the share of pixels that each bone has.

Most pixels belong to no bone. A head whose biases are 0 calls half of the picture bone at first and needs hundreds of
steps to forget it; one that starts at log(p / (1 - p)) answers with each bone's frequency p at once.
Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, section 4.1 (there one p for all classes).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ossa.models.probe import probe

#: A bone's share is held within these: one that fills no picture of a small set may fill one to come.
SMALLEST, LARGEST = 1e-4, 0.5


def set_prior(network: nn.Module, shares: Tensor) -> bool:
    """Set the output biases of ``network`` to log(p / (1 - p)) of ``shares`` (C,); False where its head has none.

    Of a context network the coarse part answers first, and the fine part, which corrects it, starts at 0.
    """
    if hasattr(network, "coarse") and hasattr(network, "fine"):
        own: Any = network
        coarse, fine = head_of(own.coarse), head_of(own.fine)
        if coarse is None or fine is None:
            return False
        _fill(coarse, shares)
        nn.init.zeros_(fine.bias)
        return True
    head = head_of(network)
    if head is None:
        return False
    _fill(head, shares)
    return True


def head_of(network: nn.Module) -> Any:
    """The layer that gives the logits: the last one to run that has as many outputs as there are classes, and biases.

    None where there is no such layer, or where something with weights runs after it.
    """
    found: list[nn.Module] = []

    def note(module: nn.Module, _inputs: Any, _output: Any) -> None:
        if any(True for _ in module.parameters(recurse=False)):
            found.append(module)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        classes = int(probe(network).shape[1])
    finally:
        for hook in hooks:
            hook.remove()
    last = found[-1] if found else None
    right = isinstance(last, (nn.Conv2d, nn.Linear)) and last.bias is not None and last.bias.numel() == classes
    return last if right else None


def _fill(head: Any, shares: Tensor) -> None:
    with torch.no_grad():
        head.bias.copy_(torch.logit(shares.to(head.bias.dtype).clamp(SMALLEST, LARGEST)))
