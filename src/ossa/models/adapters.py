"""Other libraries' segmentation networks as plain ones: picture in, logits of the head's own size out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class TorchvisionBody(nn.Module):
    """Backbone and head of a torchvision segmentation network, without its up-sampling."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.classifier = model.backbone, model.classifier

    def forward(self, image: Tensor) -> Tensor:
        """Logits at stride 8."""
        out: Tensor = self.classifier(self.backbone(image)["out"])
        return out


class TransformersBody(nn.Module):
    """A transformers segmentation model that returns its logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Logits as the model gives them."""
        out: Tensor = self.model(pixel_values=image).logits
        return out


class UperNetBody(nn.Module):
    """Backbone and head of UperNet, without its up-sampling."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.decode_head

    def forward(self, image: Tensor) -> Tensor:
        """Logits at stride 4."""
        out: Tensor = self.head(self.backbone.forward_with_filtered_kwargs(image).feature_maps)
        return out


def grey_first(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """``conv`` for RGB as one for ``channels``: the weights' sum over RGB, spread (grey = three equal channels)."""
    out = nn.Conv2d(
        channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        bias=conv.bias is not None,
    )
    with torch.no_grad():
        out.weight.copy_(conv.weight.sum(dim=1, keepdim=True).expand_as(out.weight) / channels)
        if conv.bias is not None and out.bias is not None:
            out.bias.copy_(conv.bias)
    return out
