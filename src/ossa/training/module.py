"""One training step, one validation step, and what a checkpoint must hold, as a Lightning module.

All that is random in a step follows from (seed, batch number, rank): the generators are seeded before each
batch, so nothing of their state needs saving and a run that resumes goes on exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ossa.config import RunConfig
from ossa.errors import TrainingError
from ossa.radiograph.prepare import Placement
from ossa.schema import BoneSchema
from ossa.segmentation.compare import dice
from ossa.segmentation.decode import decode
from ossa.segmentation.segmentation import Segmentation
from ossa.training._lightning import pl
from ossa.training.batches import Batch
from ossa.training.losses import WeightedLoss
from ossa.training.optim import Schedule, make_optimiser, make_schedule

#: Version of what ossa adds to a Lightning checkpoint.
FORMAT = 1

#: Weight of the coarse part's own loss in training on windows (deep supervision; Lee et al., AISTATS 2015).
_COARSE_WEIGHT = 0.4


@dataclass(frozen=True, eq=False)
class Check:
    """A validation picture: ``image`` (1, h, w) float32 on its grid, the truth at the picture's own size."""

    image: Tensor
    placement: Placement
    truth: Segmentation
    annotated: frozenset[str]
    id: str


class TrainingModule(pl.LightningModule):
    """``network`` under ``config``'s loss, optimiser and schedule.

    ``steps``: optimiser steps of the whole run. ``batches``: trained on so far. ``per_bone``: the last
    validation's Dice per bone name; NaN where no picture is annotated.
    """

    def __init__(self, network: nn.Module, config: RunConfig, schema: BoneSchema, steps: int) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.schema = schema
        self.steps = steps
        self.loss = WeightedLoss(config.loss)
        self.stride = int(network.stride)  # type: ignore[arg-type]
        self.batches = 0
        self.per_bone: dict[str, float] = {}
        self.schedule: Schedule | None = None
        #: Called after every batch, when all of the module's own state is up to date.
        self.after_batch: Callable[[pl.Trainer], None] | None = None
        self._schedule_state: Mapping[str, Any] | None = None
        self._optimiser_steps = 0
        self._validated = False
        # Kept out of the module's own parts, or its parameters would appear twice in a checkpoint.
        run = torch.compile(network) if config.train.compile else network
        object.__setattr__(self, "run", run)

    # --- training --------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed everything that the batch may draw."""
        del batch, batch_idx
        mixed = np.random.SeedSequence([self.config.seed, self.batches, self.global_rank]).generate_state(2)
        torch.manual_seed(int(mixed[0]) << 31 | int(mixed[1]) >> 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch; TrainingError when it is not a number."""
        del batch_idx
        inputs = batch.inputs()
        if self.config.train.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self.config.data.window is not None:
            total, parts = self._windows(inputs, batch)
        else:
            target, annotated = batch.targets(self.stride)
            total, parts = self.loss(self.run(inputs), target, annotated)  # type: ignore[operator]
        if not bool(torch.isfinite(total)):
            raise TrainingError(
                f"the loss is not a number in batch {self.batches} "
                f"(epoch {batch.number[0] + 1}, batch {batch.number[1]} of it)",
                found=", ".join(f"{name}={float(value):g}" for name, value in parts.items())
                + "; samples "
                + ", ".join(batch.ids),
                remedy="The checkpoints before it are kept. Lower optimiser.lr, set train.clip, or use "
                "train.precision=bf16 instead of 16",
            )
        self.log("train/loss", total.detach(), on_step=True, on_epoch=True, prog_bar=True, batch_size=len(batch.ids))
        for name, value in parts.items():
            self.log(f"train/{name}", value, on_step=False, on_epoch=True, batch_size=len(batch.ids))
        return total

    def _windows(self, inputs: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss on windows of the pictures, and the coarse part's loss on whole ones."""
        window = self.config.data.window
        assert window is not None
        corners = window_corners(batch.bits, window.size, window.per_image, self.stride)
        logits, guess = self.network.windows(inputs, corners, window.size)  # type: ignore[operator]
        total, parts = self.loss(logits, *batch.window_targets(corners, window.size, self.stride))
        coarse, _ = self.loss(guess, *batch.targets(batch.bits.shape[-1] // guess.shape[-1]))
        return total + _COARSE_WEIGHT * coarse, {**parts, "coarse": coarse.detach()}

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Count; step the schedule when the optimiser has stepped."""
        del outputs, batch, batch_idx
        self.batches += 1
        if self.global_step > self._optimiser_steps and self.schedule is not None:
            self._optimiser_steps = self.global_step
            self.schedule.after_step()
        if self.after_batch is not None:
            self.after_batch(self.trainer)

    def on_train_epoch_end(self) -> None:
        """Step a schedule that goes by epochs, before the epoch's checkpoint is written."""
        if self.schedule is not None:
            # Lightning keeps a metric until there is a new one: an old one would count as a validation without gain.
            metric = self.trainer.callback_metrics["val/dice"] if self._validated else None
            self.schedule.after_epoch(None if metric is None else float(metric))
        self._validated = False
        self.log("lr", float(self.optimizers().param_groups[0]["lr"]))  # type: ignore[union-attr]

    # --- validation ------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Sums of Dice and counts per bone."""
        self._sums = torch.zeros(2, len(self.schema), dtype=torch.float64)

    def validation_step(self, check: Check, batch_idx: int) -> None:
        """Dice of every annotated bone at the picture's own size, region by region."""
        del batch_idx
        image = check.image[None].to(self.device)
        logits = self.network(image)[0].float().cpu().numpy()
        found = decode(logits, check.placement, self.schema)
        for name in check.annotated:
            i = self.schema.index(name)
            self._sums[0, i] += dice(found.get(name), check.truth.get(name))
            self._sums[1, i] += 1

    def on_validation_epoch_end(self) -> None:
        """Mean Dice over all picture-bone pairs, and per bone, over all devices."""
        self._validated = True
        sums: Tensor = self.trainer.strategy.reduce(self._sums.float().to(self.device), reduce_op="sum")
        total, count = sums.cpu().double()
        self.per_bone = {
            name: float(total[i] / count[i]) if count[i] else float("nan") for i, name in enumerate(self.schema.names)
        }
        self.log("val/dice", float(total.sum() / count.sum().clamp(min=1)), prog_bar=True, rank_zero_only=False)
        for name, value in self.per_bone.items():
            if value == value:
                self.log(f"val/dice/{name}", value)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """A validation picture stays where it is: only its image is needed on the device."""
        if isinstance(batch, Check):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    # --- optimiser and checkpoints ---------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser; the schedule is stepped here, in ``on_train_batch_end``, so that it is saved exactly."""
        wanted, plan = self.config.optimiser, self.config.scheduler
        optimiser = make_optimiser(wanted.name, {"lr": wanted.lr, **wanted.arguments()}, self.network)
        self.schedule = make_schedule(
            plan.name,
            plan.arguments(),
            optimiser,
            interval=plan.interval,
            warmup=plan.warmup,
            steps=self.steps,
            epochs=self.config.train.epochs,
        )
        return optimiser

    def on_train_start(self) -> None:
        """Put the schedule where the checkpoint left it (the optimiser has been restored by now)."""
        if self._schedule_state is not None and self.schedule is not None:
            self.schedule.load_state_dict(self._schedule_state)
            self._schedule_state = None
        self._optimiser_steps = self.global_step

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in to be loaded."""
        model = self.config.model
        return {"architecture": model.architecture, "options": model.arguments(), "bones": list(self.schema.names)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what is ours: plain values only."""
        schedule = None if self.schedule is None else self.schedule.state_dict()
        mine = {"format": FORMAT, "batches": self.batches, "schedule": schedule, **self.identity()}
        checkpoint["ossa"] = mine

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another schema or architecture; take over the rest."""
        state = checkpoint.get("ossa")
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise TrainingError("is no checkpoint of this version of ossa train", remedy="Start a new run")
        for key, mine in self.identity().items():
            if state.get(key) != mine:
                raise TrainingError(
                    f"the checkpoint is of {'another bone schema' if key == 'bones' else 'another network'}",
                    found=f"{key} {_short(state.get(key))}",
                    expected=f"{key} {_short(mine)}",
                    remedy="Resume with the config that started the run, or use finetune.model",
                )
        self.batches = int(state["batches"])
        self._schedule_state = state["schedule"]


def window_corners(bits: Tensor, size: int, count: int, stride: int) -> Tensor:
    """Top and left of ``count`` windows per picture (N, count, 2), multiples of ``stride``.

    Each is centred near a random bone pixel, as most of a large picture is background. Drawn from torch's generator.
    """
    height, width = bits.shape[-2:]
    any_bone = (bits != 0).any(dim=1).cpu()
    out = torch.zeros(bits.shape[0], count, 2, dtype=torch.int64)
    for n, plane in enumerate(any_bone):
        where = plane.nonzero()
        for k in range(count):
            if len(where):
                middle = where[int(torch.randint(len(where), (1,)))]
            else:
                middle = torch.stack([torch.randint(height, ()), torch.randint(width, ())])
            jitter = torch.randint(-size // 4, size // 4 + 1, (2,))
            for axis, side in enumerate((height, width)):
                corner = int(middle[axis] + jitter[axis]) - size // 2
                out[n, k, axis] = max(0, min(corner, side - size)) // stride * stride
    return out


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 120 else text[:117] + "..."
