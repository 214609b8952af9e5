"""Sharpness-aware steps (SAM): the gradient is taken where the loss near the weights is worst, then applied at them.

    e = rho g / |g|,   step with the gradient at w + e

Source: Foret et al., Sharpness-Aware Minimization, ICLR 2021, eq. 2 and 3; the adaptive form, e = rho w^2 g / |w g|,
from Kwon et al., ASAM, ICML 2021, eq. 9 (its eta is 0.01 there, 0 here).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ossa.config import Sam


def sharp(closure: Callable[[], Any], optimiser: torch.optim.Optimizer, network: nn.Module, keys: Sam) -> Any:
    """Run ``closure`` (loss and gradients of the batch) at the weights and again at the worst place near them.

    The weights come back, the second gradients stay. What ``closure`` gave the first time is given back. The norms of
    ``network`` keep the statistics of the first pass.
    """
    first = closure()
    trained = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    with torch.no_grad():
        scales = [p.abs() if keys.adaptive else None for p in trained]
        norm = torch.stack([_scaled(p.grad, s).norm() for p, s in zip(trained, scales, strict=True)]).norm()
        before = [p.detach().clone() for p in trained]
        for p, s in zip(trained, scales, strict=True):
            p.add_(_scaled(_scaled(p.grad, s), s), alpha=keys.rho / (float(norm) + 1e-12))
    with frozen_statistics(network):
        closure()
    with torch.no_grad():
        for p, value in zip(trained, before, strict=True):
            p.copy_(value)
    return first


def _scaled(value: Tensor | None, scale: Tensor | None) -> Tensor:
    assert value is not None
    return value if scale is None else value * scale


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """What runs meanwhile leaves the running statistics of ``network``'s norms as they are."""
    norms: list[Any] = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            if count is not None:
                norm.num_batches_tracked.copy_(count)
