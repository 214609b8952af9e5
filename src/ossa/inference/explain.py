"""Where a network looked to find a bone: Grad-CAM for segmentation.

For a bone's summed logit S over a set M of pixels and the feature maps A_k of one layer,

    a_k = mean over u, v of dS / dA_k(u, v),    heat = max(0, sum over k of a_k A_k)

Selvaraju et al., Grad-CAM, ICCV 2017 (arXiv:1610.02391); for segmentation, with M the pixels
predicted to be the class: Vinogradova, Dibrov & Myers, Towards Interpretable Semantic Segmentation
via Gradient-Weighted Class Activation Mapping, AAAI 2020 (arXiv:2002.11434). They found the bottleneck
of a U-Net to give the most telling maps of streets; of bones, which are many and alike, it lights up other ones
(``default_layer``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, MissingExtraError
from ossa.radiograph.prepare import Placement, prepare

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ossa.bundle.bundle import Bundle
    from ossa.radiograph.radiograph import Radiograph

Float = NDArray[np.float32]

#: How many times coarser than the logits the layer is that is asked when none is named.
COARSER = 4

#: Logit above which a pixel counts as the bone (probability .5).
DECISION = 0.0


@dataclass(frozen=True, eq=False)
class Heat:
    """``values`` (H, W) of the picture, 0 to 1 (the strongest place); ``layer`` the feature maps it was made from.

    ``found``: whether the bone was found. When it was not, M is the ten pixels with its highest logits: the map then
    shows what spoke for the bone most, which is not the same question.
    """

    values: Float
    layer: str
    bone: str
    found: bool


def layers(module: nn.Module, sample: Tensor) -> dict[str, tuple[int, int, int]]:
    """Every layer that can be asked: name -> (channels, height, width) of its maps, in the order they are computed.

    ``sample`` (1, C, H, W) is an input that the network takes.
    """
    import torch

    shapes: dict[str, tuple[int, int, int]] = {}
    hooks = [part.register_forward_hook(_noting(shapes, name)) for name, part in module.named_modules() if name]
    try:
        with torch.no_grad():
            module(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _noting(shapes: dict[str, tuple[int, int, int]], name: str) -> Any:
    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if hasattr(output, "dim") and output.dim() == 4:
            shapes.pop(name, None)  # a layer used twice stands where it was used last
            shapes[name] = (int(output.shape[1]), int(output.shape[2]), int(output.shape[3]))

    return note


def default_layer(shapes: Mapping[str, tuple[int, int, int]]) -> str:
    """The last layer, on the way from the coarsest grid to the logits, whose grid is four times as coarse as theirs.

    Nearest to that, where none is. Earlier layers speak of much that the bone's own place has no part in: at the
    shipped model's bottleneck 9 % of a scaphoid's heat lies near it, here 88 %; the last ones only repeat the answer.
    """
    usable = [(name, shape) for name, shape in shapes.items() if shape[1] > 1 and shape[2] > 1]
    if not usable:
        raise ConfigError("the network has no layer with feature maps", found=f"{len(shapes)} layers")
    wanted = usable[-1][1][1] / COARSER
    inner = usable[:-1] or usable
    coarsest = min(height * width for _, (_, height, width) in inner)
    bottom = max(k for k, (_, (_, height, width)) in enumerate(inner) if height * width == coarsest)
    way = inner[bottom + 1 :] or inner[bottom:]
    off = [abs(math.log2(shape[1] / wanted)) for _, shape in way]
    return [name for (name, _), far in zip(way, off, strict=True) if far == min(off)][-1]


def grad_cam(module: nn.Module, picture: Tensor, channel: int, layer: str) -> tuple[Float, bool]:
    """The heat (h, w) of ``layer``'s grid, not negative and not scaled, and whether the bone was found.

    ``picture`` (1, C, H, W); ``channel`` of the logits. Raises ConfigError when there is no such layer, or when the
    logits do not depend on it.
    """
    import torch

    parts = dict(module.named_modules())
    if layer not in parts:
        from difflib import get_close_matches

        near = get_close_matches(layer, parts, n=3)
        raise ConfigError(
            f"the network has no layer '{layer}'", expected="perhaps " + ", ".join(near) if near else None
        )
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if not hasattr(output, "dim") or output.dim() != 4:
            raise ConfigError(f"the layer '{layer}' has no feature maps", found=type(output).__name__)
        # A copy goes on through the network: a later in-place ReLU must not change the maps that are kept.
        maps = output.detach().requires_grad_(True) if not output.requires_grad else output
        kept[:] = [maps]
        return maps.clone()

    hook = parts[layer].register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = module(picture.detach().requires_grad_(True))[0, channel]
            inside = logits.detach() > DECISION
            found = bool(inside.any())
            if not found:
                best = logits.detach().flatten().topk(min(10, logits.numel())).indices
                inside = torch.zeros_like(logits, dtype=torch.bool).flatten().index_fill(0, best, True).view_as(logits)
            if not kept:
                raise ConfigError(f"the layer '{layer}' is not used by the network")
            (slope,) = torch.autograd.grad(logits[inside].sum(), kept[0], allow_unused=True)
    finally:
        hook.remove()
    if slope is None:
        raise ConfigError(f"the logits do not depend on the layer '{layer}'")
    weights = slope.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((weights * kept[0]).sum(dim=1))[0]
    return np.asarray(heat.detach().cpu().numpy(), np.float32), found


def explain(bundle: Bundle, radiograph: Radiograph, bone: str, layer: str | None = None) -> Heat:
    """Where the bundle's network looked in ``radiograph`` to find ``bone``.

    ``layer``: the name of any module of the torch network (``layers`` lists them); None for ``default_layer``. Raises
    SchemaError for an unknown bone, ConfigError for a layer that cannot be asked, MissingExtraError without torch.
    """
    channel = bundle.card.schema.index(bone)
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError.of("explaining a prediction", "train", error) from error
    if bundle.card.channels != 1:
        raise ConfigError(
            "a network that takes the whole picture as context beside each window cannot be explained here",
            found=f"{bundle.card.channels} input channels",
            expected="1",
        )
    module = bundle.torch_module()
    grid, placement = prepare(radiograph, bundle.card.preparation)
    picture = torch.from_numpy(grid)[None]
    chosen = layer if layer is not None else default_layer(layers(module, picture))
    heat, found = grad_cam(module, picture, channel, chosen)
    return Heat(_to_picture(heat, placement), chosen, bone, found)


def _to_picture(heat: Float, placement: Placement) -> Float:
    """The heat of a layer's grid, which covers the network's whole input, at the picture's size; its maximum is 1."""
    import cv2

    grid = cv2.resize(heat, placement.grid_shape[::-1], interpolation=cv2.INTER_LINEAR)
    height, width = placement.content_shape
    content = np.ascontiguousarray(grid[:height, :width])
    peak = float(content.max())
    full = cv2.resize(content, placement.image_shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(full / peak if peak > 0 else full * 0, np.float32)
