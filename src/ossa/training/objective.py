"""What a training step makes smaller: the loss of a run file with everything that steers it.

Bones' weights, the hardest part of a batch, the grid on which the loss is taken, losses at coarser levels of the
network and other models' answers. With none of them it is ``WeightedLoss`` on the head's own grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ossa.config import RunConfig
from ossa.errors import ConfigError
from ossa.schema import BoneSchema
from ossa.training.batches import Batch
from ossa.training.levels import Levels
from ossa.training.losses import WeightedLoss
from ossa.training.teachers import Teachers

Parts = dict[str, Tensor]


class Objective(nn.Module):
    """The loss of ``network`` under ``config``; ``levels`` has parameters of its own, which are trained too.

    ``shares`` (C,): where new heads start (models.prior). Raises ConfigError for what does not suit the network.
    """

    def __init__(self, network: Any, config: RunConfig, schema: BoneSchema, shares: Tensor | None = None) -> None:
        super().__init__()
        train = config.train
        self.loss = WeightedLoss(config.loss, bone_weights(schema, train.bone_weights))
        self.own = int(network.stride)
        self.stride = train.loss_stride or self.own
        self.hard_share = train.hard_share
        deep = train.deep_supervision
        self.levels = Levels(network, len(schema), deep.at, shares) if deep is not None else None
        self.deep_weight = deep.weight if deep is not None else 0.0
        distil = config.distil
        self.share = distil.share if distil is not None else 0.0
        # Kept out of the module's own parts, or the teachers would be saved with every checkpoint.
        teachers = Teachers(distil.models, schema, config.data.size, distil.temperature) if distil is not None else None
        object.__setattr__(self, "teachers", teachers)

    def forward(self, run: Callable[[Tensor], Tensor], network: nn.Module, batch: Batch, inputs: Tensor) -> Any:
        """The loss of ``run(inputs)`` (the network, compiled or not), and its parts before their weights (detached)."""
        watching: AbstractContextManager[list[Tensor]] = nullcontext([])
        if self.levels is not None:
            watching = self.levels.watching(network)
        with watching as coarser:
            logits = run(inputs)
        if self.stride != self.own:
            size = (inputs.shape[-2] // self.stride, inputs.shape[-1] // self.stride)
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        target, known = batch.targets(self.stride)
        if self.hard_share < 1:
            known = hardest(logits, target, known, self.hard_share)
        total, parts = self.loss(logits, target, known)
        if self.levels is not None:
            deep = self._deep(coarser, batch, known)
            total, parts["deep"] = total + deep, deep.detach()
        teachers: Teachers | None = self.teachers  # type: ignore[assignment]
        if teachers is not None:
            learnt = teachers.loss(inputs, logits)
            total = (1 - self.share) * total + self.share * learnt
            parts["distil"] = learnt.detach()
        return total, parts

    def _deep(self, coarser: list[Tensor], batch: Batch, known: Tensor) -> Tensor:
        """The weighted sum of the loss at each level."""
        assert self.levels is not None
        losses = []
        for number, (logits, stride) in enumerate(zip(coarser, self.levels.strides, strict=True)):
            target, _ = batch.targets(stride)
            losses.append(self.deep_weight * 0.5**number * self.loss(logits, target, known)[0])
        return torch.stack(losses).sum()


def bone_weights(schema: BoneSchema, given: Mapping[str, float]) -> Tensor | None:
    """Weights (C,) from names of bones or rows; None when all are 1. A bone's own name goes before its row's.

    Raises SchemaError for a name that is neither, ConfigError when every bone has weight 0.
    """
    if not given:
        return None
    out = torch.ones(len(schema))
    rows = {bone.row for bone in schema.bones}
    for name, weight in given.items():
        if name in rows:
            out[[schema.index(bone) for bone in schema.in_row(name)]] = weight
    for name, weight in given.items():
        if name not in rows:
            out[schema.index(name)] = weight
    if not bool((out > 0).any()):
        raise ConfigError("train.bone_weights leaves nothing to learn", found="0 for every bone")
    return None if bool((out == 1).all()) else out


@torch.no_grad()
def hardest(logits: Tensor, target: Tensor, known: Tensor, share: float) -> Tensor:
    """``known`` (N, C) with only the ``share`` of its ones whose soft Dice is lowest; at least one stays.

    Source: Shrivastava et al., Online Hard Example Mining, CVPR 2016: the forward pass says which examples are hard,
    and only they are learnt from; an example here is one bone in one picture.
    """
    said = logits.float().sigmoid()
    score = (2 * (said * target).sum(dim=(2, 3)) + 1) / ((said + target).sum(dim=(2, 3)) + 1)
    order = torch.where(known > 0, score, torch.inf).flatten()
    keep = max(1, round(share * float((known > 0).sum())))
    limit = order.sort().values[keep - 1]
    return known * (order <= limit).view_as(known)
