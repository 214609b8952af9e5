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
from ossa.segmentation.decode import decode, per_bone
from ossa.segmentation.segmentation import Segmentation
from ossa.training._lightning import pl
from ossa.training.batches import Batch
from ossa.training.bitplanes import unpack_bits
from ossa.training.monitor import mode_of
from ossa.training.objective import Objective
from ossa.training.optim import Schedule, make_optimiser, make_schedule
from ossa.training.sharpness import sharp

#: Version of what ossa adds to a Lightning checkpoint.
FORMAT = 1

#: Weight of the coarse part's own loss in training on windows (deep supervision; Lee et al., AISTATS 2015).
_COARSE_WEIGHT = 0.4


@dataclass(frozen=True, eq=False)
class Check:
    """A validation picture: ``image`` (1, h, w) float32 on its grid, the truth at the picture's own size.

    ``bits`` (P, h, w) int32: the truth on the grid, where a validation loss is wanted.
    """

    image: Tensor
    placement: Placement
    truth: Segmentation
    annotated: frozenset[str]
    id: str
    bits: Tensor | None = None


class Means:
    """Means of figures over an epoch's samples. Lightning's own forget what was before a checkpoint within an epoch."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._samples = 0

    def add(self, figures: Mapping[str, Tensor], samples: int) -> None:
        """Figures of a batch, each the mean of so many samples; tensors stay where they are."""
        self._samples += samples
        for name, value in figures.items():
            before = self._sums.get(name)
            one = value.detach().float() * samples
            self._sums[name] = one if before is None else before.to(one.device) + one

    def take(self) -> dict[str, Tensor]:
        """The means, which begin anew."""
        found = {name: total / self._samples for name, total in self._sums.items()}
        self._sums, self._samples = {}, 0
        return found

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"samples": self._samples, "sums": {name: float(total) for name, total in self._sums.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``."""
        self._samples = int(state.get("samples", 0))
        self._sums = {str(name): torch.tensor(float(total)) for name, total in state.get("sums", {}).items()}


class TrainingModule(pl.LightningModule):
    """``network`` under ``config``'s loss, optimiser and schedule.

    ``steps``: optimiser steps of the whole run. ``batches``: trained on so far. ``per_bone``: the last
    validation's Dice per bone name; NaN where no picture is annotated.
    """

    def __init__(
        self, network: nn.Module, config: RunConfig, schema: BoneSchema, steps: int, shares: Tensor | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.schema = schema
        self.steps = steps
        self.objective = Objective(network, config, schema, shares)
        self.thresholds = thresholds_of(config, schema)
        self.stride = int(network.stride)  # type: ignore[arg-type]
        self.batches = 0
        self.per_bone: dict[str, float] = {}
        self.schedule: Schedule | None = None
        #: Called after every batch, when all of the module's own state is up to date.
        self.after_batch: Callable[[pl.Trainer], None] | None = None
        self._schedule_state: Mapping[str, Any] | None = None
        self._optimiser_steps = 0
        self._validated = False
        self._seen = -1  # the last batch whose figures were logged
        self.means = Means()
        # Kept out of the module's own parts, or its parameters would appear twice in a checkpoint.
        run = torch.compile(network) if config.train.compile else network
        object.__setattr__(self, "run", run)

    # --- training --------------------------------------------------------------------------------

    def _seed(self) -> None:
        """Seed everything that the batch may draw; a second look at it draws the same."""
        mixed = np.random.SeedSequence([self.config.seed, self.batches, self.global_rank]).generate_state(2)
        torch.manual_seed(int(mixed[0]) << 31 | int(mixed[1]) >> 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch; TrainingError when it is not a number."""
        del batch_idx
        self._seed()
        inputs = batch.inputs()
        if self.config.train.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self.config.data.window is not None:
            total, parts = self._windows(inputs, batch)
        else:
            total, parts = self.objective(self.run, self.network, batch, inputs)
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
        if self._seen == self.batches:  # SAM looks at a batch twice
            return total
        self._seen = self.batches
        self.log("train/loss_step", total.detach(), on_step=True, on_epoch=False, prog_bar=True)
        self.means.add({"loss": total.detach(), **parts}, len(batch.ids))
        return total

    def _windows(self, inputs: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss on windows of the pictures, and the coarse part's loss on whole ones."""
        window = self.config.data.window
        assert window is not None
        corners = window_corners(batch.bits, window.size, window.per_image, self.stride)
        logits, guess = self.network.windows(inputs, corners, window.size)  # type: ignore[operator]
        total, parts = self.objective.loss(logits, *batch.window_targets(corners, window.size, self.stride))
        coarse, _ = self.objective.loss(guess, *batch.targets(batch.bits.shape[-1] // guess.shape[-1]))
        return total + _COARSE_WEIGHT * coarse, {**parts, "coarse": coarse.detach()}

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Count; step the schedule when the optimiser has stepped; log the epoch's means after its last batch."""
        del outputs, batch, batch_idx
        self.batches += 1
        if self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._log_means()
        if self.global_step > self._optimiser_steps and self.schedule is not None:
            self._optimiser_steps = self.global_step
            if self._constant_rate() is None:
                self.schedule.after_step()
        if self.after_batch is not None:
            self.after_batch(self.trainer)

    def _log_means(self) -> None:
        means = self.means.take()
        # "train/loss" is what train.monitor may call it; once in the loggers is enough.
        self.log("train/loss", means["loss"], on_step=False, on_epoch=True, batch_size=1, logger=False)
        for name, mean in means.items():
            key = "train/loss_epoch" if name == "loss" else f"train/{name}"
            self.log(key, mean, on_step=False, on_epoch=True, batch_size=1)

    def _constant_rate(self) -> float | None:
        """The learning rate that takes the schedule's place in this epoch (train.swa.lr)."""
        swa = self.config.train.swa
        late = swa is not None and self.current_epoch >= first_averaged(self.config)
        return swa.lr if swa is not None and late else None

    def on_train_epoch_start(self) -> None:
        """Set the rate at which weights are gathered for their mean."""
        rate = self._constant_rate()
        if rate is not None:
            for group in self.optimizers().optimizer.param_groups:  # type: ignore[union-attr]
                group["lr"] = rate

    def on_train_epoch_end(self) -> None:
        """Step a schedule that goes by epochs, before the epoch's checkpoint is written."""
        if self.schedule is not None and self._constant_rate() is None:
            # Lightning keeps a metric until there is a new one: an old one would count as a validation without gain.
            metric = self.trainer.callback_metrics.get(self.config.train.monitor) if self._validated else None
            self.schedule.after_epoch(None if metric is None else float(metric))
        self._validated = False
        self.log("lr", float(self.optimizers().param_groups[0]["lr"]))  # type: ignore[union-attr]

    # --- validation ------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Sums of Dice and counts per bone."""
        self._sums = torch.zeros(2, len(self.schema), dtype=torch.float64)
        self._losses = torch.zeros(2, dtype=torch.float64)

    def validation_step(self, check: Check, batch_idx: int) -> None:
        """Dice of every annotated bone at the picture's own size, region by region."""
        del batch_idx
        image = check.image[None].to(self.device)
        logits = self.network(image).float()
        if check.bits is not None:
            target = unpack_bits(check.bits[None].to(self.device), len(self.schema), self.stride)
            known = torch.tensor([[name in check.annotated for name in self.schema.names]], device=self.device)
            self._losses += torch.tensor([float(self.objective.loss(logits, target, known)[0]), 1.0])
        found = decode(logits[0].cpu().numpy(), check.placement, self.schema, self.thresholds)
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
        if self.config.train.validation_loss:
            losses: Tensor = self.trainer.strategy.reduce(self._losses.float().to(self.device), reduce_op="sum")
            self.log("val/loss", float(losses[0] / losses[1]), rank_zero_only=False)
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
        levels = self.objective.levels
        trained = self.network if levels is None else nn.ModuleList([self.network, levels])
        optimiser = make_optimiser(wanted.name, {"lr": wanted.lr, **wanted.arguments()}, trained)
        watched = {"mode": mode_of(self.config)} if plan.name == "ReduceLROnPlateau" else {}
        self.schedule = make_schedule(
            plan.name,
            {**watched, **plan.arguments()},
            optimiser,
            interval=plan.interval,
            warmup=plan.warmup,
            steps=self.steps,
            epochs=self.config.train.epochs,
        )
        return optimiser

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """One step; with SAM its gradient is taken near the weights."""
        del epoch, batch_idx
        sam = self.config.train.sam
        if sam is None:
            optimizer.step(closure=optimizer_closure)
        else:
            optimizer.step(closure=lambda: sharp(optimizer_closure, optimizer.optimizer, self.network, sam))

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
        mine = {"format": FORMAT, "batches": self.batches, "schedule": schedule, "means": self.means.state_dict()}
        checkpoint["ossa"] = mine | self.identity()

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
        self.means.load_state_dict(state.get("means", {}))
        self._schedule_state = state["schedule"]


def first_averaged(config: RunConfig) -> int:
    """The first epoch (from 0) whose weights go into their mean; at least the last one does."""
    swa, epochs = config.train.swa, config.train.epochs
    return epochs if swa is None else min(int(swa.start * epochs), epochs - 1)


def thresholds_of(config: RunConfig, schema: BoneSchema) -> dict[str, float]:
    """``train.threshold`` by bone. Raises ConfigError or SchemaError for what cannot be one."""
    given = config.train.threshold
    return per_bone(schema, given if isinstance(given, dict) else {"*": given})


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
