"""Deep supervision of any network: further heads on coarser levels of it, which are there in training alone.

Source: Lee et al., Deeply-Supervised Nets, AISTATS 2015; with weights that halve from level to level as in Isensee et
al., nnU-Net, Nature Methods 2021.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ossa.errors import ConfigError
from ossa.models.prior import LARGEST, SMALLEST
from ossa.models.probe import probe, side_of


def levels_of(network: Any, at: Sequence[str] = ()) -> list[tuple[str, int, int]]:
    """(module, channels, stride) of the levels to judge, finest first.

    Without ``at`` those of the decoder: after the coarsest maps were made, the last module that gives maps of each
    stride coarser than the logits'. Raises ConfigError when there are none, or when a module of ``at`` gives no maps.
    """
    side, seen = side_of(network), _maps(network)
    if at:
        out, parts = [], [n for n in reversed(seen) if any(True for _ in network.get_submodule(n).children())]
        for name in at:
            if name not in seen:
                raise ConfigError(
                    f"train.deep_supervision.at: '{name}' is no module that gives maps",
                    expected="such as " + ", ".join(parts[:12]),
                )
            out.append((name, seen[name][0], side // seen[name][1]))
        return sorted(out, key=lambda level: level[2])
    order = list(seen.items())
    coarsest = min(size for _, (_, size) in order)
    first = max(i for i, (_, (_, size)) in enumerate(order) if size == coarsest)
    last: dict[int, tuple[str, int, int]] = {}
    for name, (channels, size) in order[first + 1 :]:
        if size < side // int(network.stride):
            last[size] = (name, channels, side // size)
    if not last:
        raise ConfigError(
            "this network has no decoder levels coarser than its logits",
            remedy="Name modules with train.deep_supervision.at, or leave train.deep_supervision out",
        )
    return sorted(last.values(), key=lambda level: level[2])


def _maps(network: Any) -> dict[str, tuple[int, int]]:
    """(channels, side) of the square maps that each module gives, in the order in which the modules end."""
    side = side_of(network)
    seen: dict[str, tuple[int, int]] = {}

    def noting(name: str) -> Any:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            square = isinstance(output, Tensor) and output.ndim == 4 and 1 < output.shape[2] == output.shape[3]
            if square and side % output.shape[3] == 0:
                seen.pop(name, None)
                seen[name] = (int(output.shape[1]), int(output.shape[3]))

        return note

    hooks = [module.register_forward_hook(noting(name)) for name, module in network.named_modules() if name]
    try:
        probe(network)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


class Levels(nn.Module):
    """A 1x1 head on each level of ``network``; their logits come with a look at it (``watching``)."""

    def __init__(self, network: Any, classes: int, at: Sequence[str], shares: Tensor | None = None) -> None:
        super().__init__()
        self.names, channels, self.strides = zip(*levels_of(network, at), strict=True)
        start = torch.full((classes,), 0.01) if shares is None else shares.clamp(SMALLEST, LARGEST)
        heads = [nn.Conv2d(count, classes, 1) for count in channels]
        for head in heads:
            assert head.bias is not None
            with torch.no_grad():
                head.bias.copy_(torch.logit(start))
        self.heads = nn.ModuleList(heads)

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[list[Tensor]]:
        """The logits of each level (N, C, h, w), finest first, of the one look that is taken meanwhile."""
        out: dict[str, Tensor] = {}

        def taking(name: str) -> Any:
            def take(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                out[name] = output

            return take

        hooks = [network.get_submodule(name).register_forward_hook(taking(name)) for name in self.names]
        logits: list[Tensor] = []
        try:
            yield logits
        finally:
            for hook in hooks:
                hook.remove()
        logits += [head(out[name]) for name, head in zip(self.names, self.heads, strict=True)]
