"""Trained models whose mean answer a network learns beside the labels (``distil`` of a run file).

Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015: both sides' logits over a
temperature T, the loss times T^2; here with one Bernoulli per pixel and bone, as bones overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ossa.errors import ConfigError
from ossa.schema import BoneSchema


class Teachers:
    """The models of ``paths``, frozen; no part of a checkpoint.

    Raises BundleError for what is no bundle with torch weights, ConfigError for a model of other bones, or for a grid
    of ``size`` px that one cannot take.
    """

    def __init__(self, paths: Sequence[str], schema: BoneSchema, size: int, temperature: float = 1.0) -> None:
        from ossa.bundle.bundle import Bundle

        self.temperature = temperature
        self.networks: list[nn.Module] = []
        given = [(path, b) for path in paths for b in Bundle.load_all(None if path == "default" else path)]
        for path, bundle in given:
            if bundle.card.schema.names != schema.names:
                raise ConfigError(
                    f"distil.models: '{path}' knows other bones than the run",
                    found=f"{len(bundle.card.schema)} bones of '{bundle.card.schema.name}'",
                    expected=f"those of '{schema.name}'",
                )
            network = bundle.torch_module().requires_grad_(False)
            multiple = int(network.multiple)  # type: ignore[arg-type]
            if -(-size // 32) * 32 % multiple:
                raise ConfigError(
                    f"distil.models: '{path}' takes grids whose sides are multiples of {multiple}",
                    found=f"data.size={size}",
                    remedy=f"Set data.size={-(-size // multiple) * multiple}",
                )
            self.networks.append(network)

    @torch.no_grad()
    def answer(self, inputs: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
        """The mean probability (N, C, h, w) for ``inputs`` (N, 1, H, W) on a grid of ``size`` (h, w)."""
        total: Tensor | None = None
        for network in self.networks:
            network.to(inputs.device)
            logits = network(inputs).float()
            if logits.shape[-2:] != tuple(size):
                logits = F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
            said = (logits / self.temperature).sigmoid()
            total = said if total is None else total + said
        assert total is not None
        return total / len(self.networks)

    def loss(self, inputs: Tensor, logits: Tensor) -> Tensor:
        """Mean cross-entropy of ``logits`` (N, C, h, w) against the teachers' answer, over T, times T^2."""
        wanted = self.answer(inputs, logits.shape[-2:])
        own = F.binary_cross_entropy_with_logits(logits.float() / self.temperature, wanted)
        return own * self.temperature**2
