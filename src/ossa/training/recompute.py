"""Gradient checkpointing: large parts of a network are computed again on the way back instead of being kept.

Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016. The weights that come out are the same to the
bit: the second pass draws the same random numbers and leaves the norms' statistics alone.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ossa.models.probe import probe
from ossa.training.sharpness import frozen_statistics

#: A part holds at most this share of what the whole network computes, or there would be little left to save.
LARGEST = 0.25


def recompute(network: Any) -> list[str]:
    """Make ``network`` compute its large parts twice when gradients are wanted; their names.

    A part is a module that takes a tensor and gives one, or several, holds two weights or more and at most ``LARGEST``
    of the network's outputs; of modules inside each other the outermost is taken.
    """
    sizes: dict[str, int] = {}
    simple: set[str] = set()

    def noting(name: str, leaf: bool) -> Any:
        def note(_module: nn.Module, inputs: Any, output: Any) -> None:
            made = output if isinstance(output, tuple) else (output,)
            if inputs and isinstance(inputs[0], Tensor) and all(isinstance(value, Tensor) for value in made):
                sizes[name] = sizes.get(name, 0) + (sum(value.numel() for value in made) if leaf else 0)
                simple.add(name)

        return note

    named = dict(network.named_modules())
    hooks = [m.register_forward_hook(noting(n, not list(m.children()))) for n, m in named.items() if n]
    try:
        probe(network)
    finally:
        for hook in hooks:
            hook.remove()
    whole = sum(sizes.values())
    chosen: list[str] = []
    for name, module in named.items():
        if name not in simple or any(name.startswith(part + ".") for part in chosen):
            continue
        inside = sum(size for other, size in sizes.items() if other == name or other.startswith(name + "."))
        weights = sum(1 for m in module.modules() if getattr(m, "weight", None) is not None)
        if weights >= 2 and 0 < inside <= LARGEST * whole:
            chosen.append(name)
    for name in chosen:
        part = named[name]
        part.forward = partial(_twice, part, part.forward)
    return chosen


def keep_all(network: nn.Module) -> None:
    """Take ``recompute`` back."""
    for module in network.modules():
        if isinstance(vars(module).get("forward"), partial):
            del module.forward


def _twice(module: nn.Module, forward: Any, *inputs: Any, **named: Any) -> Any:
    if not (module.training and torch.is_grad_enabled()):
        return forward(*inputs, **named)

    def contexts() -> tuple[Any, Any]:
        return nullcontext(), frozen_statistics(module)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **named)
