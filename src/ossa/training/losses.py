"""Losses for overlapping bones, each a function of the same four arrays, and weighted sums of them.

A loss takes ``Answer``: logits and targets (N, C, h, w) and ``annotated`` (N, C), 1 where bone c of
sample n is annotated. A bone that is not annotated adds nothing to any loss nor to its gradient.
A new loss is one function with the decorator ``loss("name")``; its keyword arguments become its options.

In all formulas p is the probability (sigmoid of the logit z), t the target in 0..1, sums run over pixels.

Losses of regions pool the samples of a batch and take the mean over bones. ``over="batch"`` pools the bones too: one
number of all planes at once, in which large bones rule. ``absent="zero"``: a bone that no sample of the batch shows
costs nothing, though the mean counts it, as in segmentation_models_pytorch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ossa.config import check_arguments, unknown_name
from ossa.errors import ConfigError
from ossa.training.ms_ssim import ms_ssim as similarity

#: What a loss of regions is computed of: each bone's sums over the batch, or the sums over all planes of the batch.
Over = Literal["bones", "batch"]

#: What a bone costs that no sample of the batch shows: what the formula says, or nothing.
Absent = Literal["count", "zero"]

#: Least denominator where nothing is smoothed, as in segmentation_models_pytorch.
_LEAST = 1e-7

#: Name -> loss function.
LOSSES: dict[str, Callable[..., Tensor]] = {}


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network said and what is true.

    ``logits`` (N, C, h, w) float32, ``target`` (N, C, h, w) in 0..1 on the same grid,
    ``annotated`` (N, C) 1 or 0, ``weights`` (C,) how much each bone counts, all the same when None.
    """

    logits: Tensor
    target: Tensor
    annotated: Tensor
    weights: Tensor | None = None

    @cached_property
    def probability(self) -> Tensor:
        """Sigmoid of the logits (N, C, h, w), computed once for all terms."""
        return self.logits.sigmoid()

    def mean(self, values: Tensor) -> Tensor:
        """The mean of per-sample, per-bone values (N, C) over the annotated ones; 0 when there is none."""
        if self.weights is None:
            return (values * self.annotated).sum() / self.annotated.sum().clamp(min=1.0)
        known = self.annotated * self.weights
        return (values * known).sum() / known.sum().clamp(min=_LEAST)

    def pooled(self, values: Tensor, over: Over = "bones") -> Tensor:
        """Pixel values (N, C, h, w) summed over pixels and annotated samples: (C,); over="batch": over all, (1,)."""
        sums = (values.sum(dim=(2, 3)) * self.annotated).sum(dim=0)
        if over == "batch" and self.weights is not None:
            sums = sums * self.weights
        return sums if over == "bones" else sums.sum(dim=0, keepdim=True)

    def mean_over_bones(self, values: Tensor) -> Tensor:
        """The mean of per-bone values (C,) over the bones that any sample annotates."""
        seen = (self.annotated.sum(dim=0) > 0).to(values.dtype)
        if self.weights is None:
            return (values * seen).sum() / seen.sum().clamp(min=1.0)
        seen = seen * self.weights
        return (values * seen).sum() / seen.sum().clamp(min=_LEAST)

    def joined(self, values: Tensor, absent: Absent = "count") -> Tensor:
        """One number of what was computed from ``pooled`` sums: (C,), or (1,) of the whole batch."""
        if len(values) != self.annotated.shape[1] or self.annotated.shape[1] == 1:
            return (values * (self.annotated.sum() > 0)).sum()
        if absent == "zero":
            values = values * (self.pooled(self.target) > 0)
        return self.mean_over_bones(values)


def loss(name: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Register a loss under ``name``."""

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        LOSSES[name] = function
        return function

    return register


@loss("bce")
def bce(a: Answer, *, positive: float = 1.0) -> Tensor:
    """Binary cross-entropy per pixel: -(w t log p + (1 - t) log(1 - p)), mean over annotated pixels.

    ``positive`` is w, the weight of bone pixels. Source: torch.nn.functional.binary_cross_entropy_with_logits.
    """
    weight = None if positive == 1.0 else torch.full((), positive, device=a.logits.device)
    pixels = F.binary_cross_entropy_with_logits(a.logits, a.target, reduction="none", pos_weight=weight)
    return a.mean(pixels.mean(dim=(2, 3)))


@loss("dice")
def dice(a: Answer, *, smooth: float = 1.0, over: Over = "bones", absent: Absent = "count") -> Tensor:
    """Soft Dice over the batch: 1 - (2 sum(p t) + s) / (sum p + sum t + s) per bone, sums over all samples.

    Pooling samples keeps a bone that is missing in one picture from ruling the gradient. Source: Milletari et
    al., V-Net, 3DV 2016 (without its squares); for t of 0 or 1 it equals segmentation_models_pytorch 0.6's
    DiceLoss(mode="multilabel", smooth=s / 2).
    """
    return a.joined(1.0 - _dice(a, smooth, over), absent)


def _dice(a: Answer, smooth: float, over: Over) -> Tensor:
    both = a.pooled(a.probability * a.target, over)
    total = a.pooled(a.probability, over) + a.pooled(a.target, over)
    return (2.0 * both + smooth) / (total + smooth).clamp(min=_LEAST)


@loss("dice_per_image")
def dice_per_image(a: Answer, *, smooth: float = 1.0) -> Tensor:
    """Soft Dice of each sample and bone, then the mean; as monai's DiceLoss(batch=False)."""
    both = (a.probability * a.target).sum(dim=(2, 3))
    total = (a.probability + a.target).sum(dim=(2, 3))
    return a.mean(1.0 - (2.0 * both + smooth) / (total + smooth).clamp(min=_LEAST))


@loss("iou")
def iou(a: Answer, *, smooth: float = 1.0, over: Over = "bones", absent: Absent = "count") -> Tensor:
    """Soft Jaccard over the batch: 1 - (I + s) / (U + s), I = sum(p t), U = sum p + sum t - I, per bone.

    Source: Rahman & Wang, ISVC 2016; equals segmentation_models_pytorch's JaccardLoss(mode="multilabel").
    """
    both = a.pooled(a.probability * a.target, over)
    union = a.pooled(a.probability, over) + a.pooled(a.target, over) - both
    return a.joined(1.0 - (both + smooth) / (union + smooth).clamp(min=_LEAST), absent)


LOSSES["jaccard"] = iou


@loss("focal")
def focal(a: Answer, *, gamma: float = 2.0, alpha: float = 0.25, over: Literal["pixels", "batch"] = "pixels") -> Tensor:
    """Focal loss, per pixel: -alpha_t (1 - p_t)^gamma log p_t, mean over annotated pixels.

    p_t = p where t = 1 and 1 - p where t = 0, alpha_t likewise; a negative ``alpha`` weights both sides alike.
    Source: Lin et al., ICCV 2017, eq. 5; torchvision.ops.sigmoid_focal_loss. ``over="batch"`` is what many pipelines
    take for it: alpha (1 - exp(-B))^gamma B of the batch's mean cross-entropy B, so that no pixel counts more than
    another; to repeat their runs.
    """
    pixels = F.binary_cross_entropy_with_logits(a.logits, a.target, reduction="none")
    if over == "batch":
        mean = a.mean(pixels.mean(dim=(2, 3)))
        return alpha * (1.0 - torch.exp(-mean)) ** gamma * mean
    right = a.probability * a.target + (1.0 - a.probability) * (1.0 - a.target)
    pixels = pixels * (1.0 - right).clamp(min=0.0) ** gamma
    if alpha >= 0:
        pixels = pixels * (alpha * a.target + (1.0 - alpha) * (1.0 - a.target))
    return a.mean(pixels.mean(dim=(2, 3)))


def _tversky_index(a: Answer, alpha: float, beta: float, smooth: float, over: Over) -> Tensor:
    both = a.pooled(a.probability * a.target, over)
    false_positive = a.pooled(a.probability, over) - both
    false_negative = a.pooled(a.target, over) - both
    return (both + smooth) / (both + alpha * false_positive + beta * false_negative + smooth).clamp(min=_LEAST)


@loss("tversky")
def tversky(
    a: Answer,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
    over: Over = "bones",
    absent: Absent = "count",
) -> Tensor:
    """1 - TI per bone, TI = (TP + s) / (TP + alpha FP + beta FN + s), pooled over the batch.

    alpha = beta = .5 is Dice with half the smoothing. Source: Salehi et al., MLMI 2017, eq. 4 (there alpha = .3,
    beta = .7 was best: missed pixels cost more).
    """
    return a.joined(1.0 - _tversky_index(a, alpha, beta, smooth, over), absent)


@loss("focal_tversky")
def focal_tversky(
    a: Answer,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 0.75,
    smooth: float = 1.0,
    over: Over = "bones",
    absent: Absent = "count",
) -> Tensor:
    """(1 - TI)^gamma per bone. Source: Abraham & Khan, ISBI 2019, eq. 4, whose exponent 1 / gamma is 3/4."""
    index = _tversky_index(a, alpha, beta, smooth, over)
    missing = (1.0 - index).clamp(min=_LEAST)  # the root's slope at 0 is infinite
    return a.joined(missing**gamma, absent)


@loss("combo")
def combo(
    a: Answer,
    *,
    ratio: float = 0.5,
    positive: float = 0.5,
    negative: float = 0.5,
    smooth: float = 1.0,
    over: Over = "batch",
) -> Tensor:
    """Weighted cross-entropy and Dice: r mean(-b t log p - c (1 - t) log(1 - p)) + (1 - r) (1 - Dice).

    r is ``ratio``, b ``positive``, c ``negative``, which the paper ties to 1 - b. Source: Taghanaki et al., Combo
    loss, CMIG 2019, eq. 3, with 1 - Dice for its -Dice, so that the right answer costs 0.
    """
    pixels = positive * a.target * F.softplus(-a.logits) + negative * (1.0 - a.target) * F.softplus(a.logits)
    return ratio * a.mean(pixels.mean(dim=(2, 3))) + (1.0 - ratio) * a.joined(1.0 - _dice(a, smooth, over))


@loss("lovasz")
def lovasz(
    a: Answer,
    *,
    over: Literal["planes", "batch"] = "planes",
    of: Literal["logits", "probabilities"] = "logits",
) -> Tensor:
    """Lovasz hinge of each sample and bone: the convex closure of the Jaccard loss.

    Errors m = 1 - z (2t - 1), sorted from large to small, weighted with the growth of the Jaccard loss along
    that order: sum(relu(m_sorted) * gradient). Source: Berman et al., CVPR 2018, algorithm 1. ``over="batch"`` sorts
    the pixels of all planes together; ``of="probabilities"`` puts p in the place of z, as some pipelines do: to repeat
    their runs, since the margin of 1 is then reached nowhere.
    """
    said = a.logits if of == "logits" else a.probability
    if over == "batch":
        known = a.annotated > 0  # left out, and not set to 0: the order must not know them
        planes = _lovasz(said[known].reshape(1, -1), a.target[known].reshape(1, -1))
        return planes.sum()
    return a.mean(_lovasz(said.flatten(2), a.target.flatten(2)))


def _lovasz(said: Tensor, target: Tensor) -> Tensor:
    """The Lovasz hinge along the last axis, which it takes away; 0 where that is empty."""
    sign = target.round()
    errors = 1.0 - said * (2.0 * sign - 1.0)
    ordered, order = errors.sort(dim=-1, descending=True)
    truth = sign.gather(-1, order)
    total = truth.sum(dim=-1, keepdim=True)
    intersection = total - truth.cumsum(dim=-1)
    union = total + (1.0 - truth).cumsum(dim=-1)
    jaccard = 1.0 - intersection / union
    gradient = torch.cat([jaccard[..., :1], jaccard[..., 1:] - jaccard[..., :-1]], dim=-1)
    return (ordered.relu() * gradient).sum(dim=-1)


@loss("ms_ssim")
def ms_ssim(a: Answer, *, levels: float = 5, window: float = 11) -> Tensor:
    """1 - MS-SSIM(p, t) of each sample and bone: the likeness of local means, contrast and shape at several sizes.

    At most ``levels`` sizes, as many as the grid is large enough for. Costs several times what the others do. Source:
    Wang, Simoncelli & Bovik, Asilomar 2003; in a sum with others as in Huang et al., UNet 3+, ICASSP 2020, eq. 3.
    """
    return a.mean(1.0 - similarity(a.probability, a.target, int(levels), int(window)))


@loss("boundary")
def boundary(a: Answer) -> Tensor:
    """mean(p phi) per sample and bone, phi the signed distance to the bone's border, negative inside.

    In units of the picture's diagonal, so that the grid's size does not change the weight. A bone that is absent
    from a sample adds nothing. To be added to a regional loss. The distances are computed on the CPU.
    Source: Kervadec et al., MIDL 2019, eq. 6.
    """
    height, width = a.target.shape[2:]
    distance = signed_distance(a.target) / float(np.hypot(height, width))
    return a.mean((a.probability * distance).mean(dim=(2, 3)))


def signed_distance(target: Tensor) -> Tensor:
    """Signed distance in px (N, C, h, w) to the border of ``target`` >= .5: positive outside, negative inside.

    Distances run between pixel centres, so the first pixel inside has 0 (dist - 1, as in Kervadec's code) and the
    first outside 1. All 0 for an empty or full plane.
    """
    import cv2

    truth = (target >= 0.5).flatten(0, 1).to(torch.uint8).cpu().numpy()
    out = np.zeros(truth.shape, np.float32)
    for plane, distance in zip(truth, out, strict=True):
        if plane.any() and not plane.all():
            outside = cv2.distanceTransform(1 - plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            inside = cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            distance[:] = outside - np.maximum(inside - 1.0, 0.0)
    return torch.from_numpy(out).view(target.shape).to(target.device)


class WeightedLoss(nn.Module):
    """A weighted sum of named losses, ``{"bce": 0.5, "dice": {"weight": 0.5, "smooth": 0}}``.

    ``weights`` (C,): how much each bone counts. Raises ConfigError for an unknown loss or argument, with the nearest
    known one, and for a loss that cannot weigh bones.
    """

    weights: Tensor | None

    def __init__(self, terms: Mapping[str, float | Mapping[str, float | str]], weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.terms: list[tuple[str, float, dict[str, Any]]] = []
        for name, given in terms.items():
            if name not in LOSSES:
                raise unknown_name("loss", name, sorted(LOSSES))
            options: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {"weight": given}
            known = [p for p in inspect.signature(LOSSES[name]).parameters if p != "a"]
            check_arguments("loss", name, options, [*known, "weight"])
            _check_values(name, options)
            weight = float(options.pop("weight", 1.0))
            if not np.isfinite(weight) or weight < 0:
                raise ConfigError(f"loss '{name}': the weight is out of range", found=weight, expected="0 or more")
            if weights is not None and name == "lovasz" and options.get("over") == "batch":
                raise ConfigError(
                    "loss 'lovasz' with over=batch sorts the pixels of all bones together and cannot weigh them",
                    remedy="Leave train.bone_weights out, or take over=planes",
                )
            self.terms.append((name, weight, options))

    def forward(
        self, logits: Tensor, target: Tensor, annotated: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum, and each term before its weight (detached).

        ``logits`` and ``target`` are (N, C, h, w) of the same size, ``annotated`` (N, C) or None for all.
        """
        if logits.shape != target.shape:
            expected = tuple(target.shape)
            raise ConfigError("logits and target differ in shape", found=tuple(logits.shape), expected=expected)
        known = torch.ones(logits.shape[:2], device=logits.device) if annotated is None else annotated.float()
        answer = Answer(logits.float(), target.float(), known, self.weights)
        parts = {name: LOSSES[name](answer, **options) for name, _, options in self.terms}
        total = torch.stack([weight * parts[name] for name, weight, _ in self.terms]).sum()
        return total, {name: value.detach() for name, value in parts.items()}


def _check_values(name: str, options: Mapping[str, Any]) -> None:
    """Refuse words where numbers belong, and words that an option does not know."""
    hints = get_type_hints(LOSSES[name])
    for key, value in options.items():
        words = get_args(hints.get(key)) if get_origin(hints.get(key)) is Literal else ()
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value not in words if words else not number:
            expected = "one of " + ", ".join(words) if words else "a number"
            raise ConfigError(f"loss '{name}': '{key}' is not understood", found=repr(value), expected=expected)
