"""One fold's training, from material to its best weights; exact resume, and every way it can stop."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ossa.config import RunConfig
from ossa.errors import ConfigError, DeviceError, OssaError
from ossa.models.architectures import build
from ossa.models.prior import set_prior
from ossa.models.weights import load_matching, load_weights
from ossa.schema import BoneSchema
from ossa.training._lightning import Callback, ProgressBar, TensorBoardLogger, WandbLogger, pl
from ossa.training.allocator import keep_freed_memory
from ossa.training.arithmetic import device_of, has_bf16, settled
from ossa.training.augment_keys import augment_config
from ossa.training.averages import Average, averaged
from ossa.training.batches import BoneData, loader, supersample
from ossa.training.callbacks import Clock, Interrupted, Interruption, Keeper, SafeCheckpoints, steps_of
from ossa.training.material import Checks, Material
from ossa.training.metrics import Metrics
from ossa.training.module import TrainingModule, first_averaged
from ossa.training.monitor import check_monitored_bone, mode_of
from ossa.training.recompute import keep_all, recompute
from ossa.training.sampler import Plan, PlannedBatches
from ossa.training.shares import bone_shares
from ossa.training.writers import writing_ahead

_log = logging.getLogger("ossa.train")

_PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(frozen=True)
class FoldResult:
    """What a fold came to: Dice, epoch (from 1) and Dice per bone of its best validation, its network and weights."""

    dice: float
    epoch: int
    per_bone: dict[str, float]
    network: nn.Module
    folder: Path
    stopped_early: bool


def make_network(config: RunConfig, schema: BoneSchema, shares: Tensor | None = None) -> nn.Module:
    """The network of a run file with its first weights: random, ImageNet, a file's, or a bundle's to fine-tune.

    ``shares`` (C,): of the pictures' pixels that each bone fills; a head that no file brings starts there.
    """
    model = config.model
    torch.manual_seed(config.seed)
    imagenet = model.weights == "imagenet"
    network = build(model.architecture, len(schema), imagenet=imagenet, **model.arguments())
    if shares is not None and model.prior and not set_prior(network, shares):
        _log.info("model.prior: the head of '%s' has no biases", model.architecture)
    multiple = int(network.multiple)  # type: ignore[arg-type]
    phantoms = config.data.phantoms
    close = {"wrists": phantoms.wrists, "digits": phantoms.digits} if phantoms is not None else {}
    sizes = {"data.size": config.data.size} | {
        f"data.phantoms.{name}.size": own.size for name, own in close.items() if own is not None
    }
    for key, size in sizes.items():
        if size is not None and -(-size // 32) * 32 % multiple:
            raise ConfigError(
                f"'{model.architecture}' needs grids whose sides are multiples of {multiple}",
                found=f"{key}={size}",
                remedy=f"Set {key}={-(-size // multiple) * multiple}",
            )
    if model.weights and not imagenet:
        from ossa.bundle.bundle import weights_file

        with weights_file(model.weights) as path:
            load_weights(network, path)
    if config.finetune.model is not None:
        from ossa.bundle.bundle import default_bundle, weights_file

        given = default_bundle() if config.finetune.model == "default" else config.finetune.model
        with weights_file(given) as path:
            if config.finetune.matching_only:
                done, everything = load_matching(network, path)
                _log.info("%d of %d tensors taken from %s", done, everything, given)
            else:
                load_weights(network, path)
    _freeze(network, config.finetune.freeze)
    return network


def _freeze(network: nn.Module, prefixes: Sequence[str]) -> None:
    names = [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            tops = sorted({".".join(name.split(".")[:2]) for name in names})
            raise ConfigError(f"finetune.freeze: no parameter's name starts with '{prefix}'", expected=", ".join(tops))
    for name, parameter in network.named_parameters():
        if any(name.startswith(prefix) for prefix in prefixes):
            parameter.requires_grad = False


def samples_per_epoch(config: RunConfig, material: Material) -> int:
    """``train.samples``, or as many as there are training samples of weight above 0."""
    if config.train.samples is not None:
        return config.train.samples
    return sum(len(w.source) for w in material.sources if w.weight > 0)


def fold_seed(config: RunConfig, fold: int) -> int:
    """Folds draw differently, and each the same every time."""
    return config.seed + 1_000_003 * fold


def fold_config(config: RunConfig, fold: int) -> RunConfig:
    """``config`` with the seed of a fold."""
    return config.model_copy(update={"seed": fold_seed(config, fold)})


def planned(config: RunConfig, schema: BoneSchema, material: Material) -> tuple[BoneData, Plan]:
    """The samples of a fold and their order; ``config`` is ``fold_config``'s."""
    samples = samples_per_epoch(config, material)
    augment = augment_config(config.data.augment)
    size = config.data.size
    kinds = tuple(w.size or size for w in material.sources)
    data = BoneData(
        material.joined, schema, max(size, *kinds), augment=augment, seed=config.seed, fineness=supersample(size)
    )
    together = config.train.batch * config.train.devices * config.train.nodes
    weights = tuple(w.weight for w in material.sources)
    return data, Plan(material.lengths, weights, samples, config.seed, kinds, together)


def first_shares(config: RunConfig, data: BoneData, material: Material) -> Tensor | None:
    """What ``make_network`` is to start from; None where a whole model is taken over, or ``model.prior`` is off."""
    whole = config.finetune.model is not None and not config.finetune.matching_only
    if whole or not config.model.prior:
        return None
    return bone_shares(data, [(w.source, w.weight) for w in material.sources])


def train_fold(
    config: RunConfig,
    schema: BoneSchema,
    material: Material,
    folder: Path,
    *,
    fold: int = 0,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> FoldResult:
    """Train one fold into ``folder``: last.ckpt, best.ckpt, best.safetensors, metrics.csv, tensorboard/.

    With ``resume``, go on from last.ckpt if there is one: the result is that of a run that was not interrupted,
    bit for bit on a CPU. Raises KeyboardInterrupt after Ctrl-C (last.ckpt is written first), TrainingError for a
    loss that is not a number, DeviceError when memory runs out, ConfigError for settings that do not fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = fold_config(config, fold)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    if config.train.device == "cpu" or not torch.cuda.is_available():
        keep_freed_memory()
    data, plan = planned(config, schema, material)
    shares = first_shares(config, data, material)
    network = make_network(config, schema, shares)
    config = settled(config, network)
    if config.train.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ranks = config.train.devices * config.train.nodes
    if len(material.checks) < ranks:
        raise ConfigError(
            "there are fewer pictures to validate on than devices",
            found=f"{len(material.checks)} pictures, {ranks} devices",
            remedy="Lower train.devices or folds.count, or raise data.phantoms.held_out",
        )
    per_epoch = plan.samples // (config.train.batch * ranks)
    steps = math.ceil(per_epoch / config.train.accumulate) * config.train.epochs
    check_monitored_bone(config, material.checks)
    module = TrainingModule(network, config, schema, max(1, steps), shares)
    if config.train.checkpoint_gradients:
        _log.info("train.checkpoint_gradients: %d parts are computed twice", len(recompute(network)))
    stop, sign = config.train.early_stop, 1 if mode_of(config) == "max" else -1
    keeper = Keeper(folder, stop.patience, stop.min_delta, config.train.save_every, config.train.monitor, sign)
    swa = first_averaged(config) if config.train.swa is not None else None
    average = [Average(config.train.ema, swa)] if config.train.ema or swa is not None else []
    start = keeper.last_path if resume and keeper.last_path.exists() else None
    told = [*average, *callbacks, Metrics(folder, config.logging.every), keeper]
    trainer = _trainer(config, folder, told, 0 if start is None else steps_of(start))
    batches = PlannedBatches(plan, config.train.batch, lambda: module.batches, trainer.global_rank, ranks)
    drawn = data if config.train.validation_loss else None
    checks = Checks(material.checks, config.data.size, int(network.multiple), drawn)  # type: ignore[arg-type]
    mine = list(range(trainer.global_rank, len(checks), ranks))
    seen = DataLoader(checks, batch_size=None, sampler=mine)
    keys = config.data.phantoms
    writers = keys.writers if keys is not None and trainer.is_global_zero else 0
    with (
        Interruption(keeper.last_path) as interruption,
        writing_ahead(material.phantoms, writers, config.train.epochs) as at_work,
    ):
        trainer.callbacks.insert(0, Clock(at_work.tell))  # type: ignore[attr-defined]
        module.after_batch, keeper.after_epoch = interruption.after_batch, interruption.after_epoch
        try:
            _fit(trainer, module, loader(data, batches, config.data.workers), seen, start, config)
        finally:
            _close(trainer)
    best = folder / "best.safetensors"
    keep_all(module.network)
    module.network.load_state_dict(averaged(trainer, module))
    if best.exists():
        load_weights(module.network, best)
    early = trainer.current_epoch < config.train.epochs
    return FoldResult(keeper.dice, keeper.best_epoch, keeper.per_bone, module.network.cpu().eval(), folder, early)


def _trainer(config: RunConfig, folder: Path, callbacks: list[Callback], steps: int = 0) -> pl.Trainer:
    """Lightning's trainer, set from ``config.train``; DeviceError when the device is not there.

    ``steps``: those done before; TensorBoard forgets what an earlier start told of later ones.
    """

    train = config.train
    if train.precision == "16" and device_of(config) == "cpu":
        raise ConfigError("train.precision=16 needs a GPU", remedy="Use bf16 or 32 on a CPU")
    loggers: list[Any] = [
        TensorBoardLogger(str(folder), "", "tensorboard", default_hp_metric=False, purge_step=steps),
    ]
    if config.logging.wandb != "off":
        loggers.append(_wandb(config, folder))
    many = train.devices * train.nodes > 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
            return pl.Trainer(
                accelerator="cuda" if train.device == "gpu" else train.device,
                devices=train.devices,
                num_nodes=train.nodes,
                strategy="ddp" if many else "auto",
                precision=_PRECISION[train.precision],
                max_epochs=train.epochs,
                accumulate_grad_batches=train.accumulate,
                gradient_clip_val=train.clip or None,
                check_val_every_n_epoch=train.validate_every,
                deterministic=True if train.deterministic else None,
                benchmark=False if train.deterministic else None,
                callbacks=callbacks,
                logger=loggers,
                plugins=[SafeCheckpoints()],
                log_every_n_steps=config.logging.every,
                num_sanity_val_steps=0,
                enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
    except OssaError:
        raise
    except (RuntimeError, ValueError, ImportError) as error:  # MisconfigurationException is a ValueError's cousin
        raise _no_device(config, error) from error
    except Exception as error:
        if type(error).__name__ == "MisconfigurationException":
            raise _no_device(config, error) from error
        raise


def _no_device(config: RunConfig, error: Exception) -> DeviceError:
    return DeviceError(
        f"cannot train on {config.train.devices} x '{config.train.device}'",
        found=str(error).splitlines()[0],
        remedy="Set train.device=cpu or train.devices=1",
    )


def require_wandb() -> None:
    """Raise MissingExtraError where W&B is not installed."""
    try:
        import wandb  # noqa: F401
    except ImportError as error:
        from ossa.errors import MissingExtraError

        raise MissingExtraError.of("logging.wandb", "wandb", error) from error


def _wandb(config: RunConfig, folder: Path) -> Any:
    require_wandb()
    os.environ.setdefault("WANDB_SILENT", "true")
    return WandbLogger(
        project=config.logging.project,
        name=f"{config.name}-{folder.name}",
        save_dir=str(folder),
        offline=config.logging.wandb == "offline",
    )


def _close(trainer: pl.Trainer) -> None:
    """End the fold's run at W&B: the next fold's logger would otherwise write into it."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and trainer.is_global_zero:
            logger.experiment.finish()


def _fit(
    trainer: pl.Trainer,
    module: TrainingModule,
    batches: DataLoader[Any],
    checks: DataLoader[Any],
    start: Path | None,
    config: RunConfig,
) -> None:
    """``trainer.fit``, with its ways of failing told apart."""
    try:
        with warnings.catch_warnings(), memory_told(config):
            warnings.filterwarnings("ignore", module="lightning")
            trainer.fit(module, batches, checks, ckpt_path=None if start is None else str(start))
    except Interrupted:
        raise KeyboardInterrupt from None
    except SystemExit as error:  # Lightning leaves so after a second Ctrl-C
        raise KeyboardInterrupt from error


@contextmanager
def memory_told(config: RunConfig) -> Iterator[None]:
    """Memory that runs out inside, on a GPU or on the CPU, as a DeviceError that says what to lower."""
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory(config, error) from error
    except RuntimeError as error:
        if _is_out_of_memory(error):
            raise _out_of_memory(config, error) from error
        raise


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on a GPU or on the CPU."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


def _out_of_memory(config: RunConfig, error: BaseException) -> DeviceError:
    """What to lower, in the order that costs least."""
    train = config.train
    advice = []
    if train.batch > 1:
        half = train.batch // 2
        advice.append(f"train.batch={half} with train.accumulate={train.accumulate * 2} (the same result, slower)")
    if train.precision == "32" and has_bf16(device_of(config)):
        advice.append("train.precision=bf16")
    if config.data.window is not None:
        advice.append(f"data.window.size={max(256, config.data.window.size // 2 // 32 * 32)}")
    else:
        advice.append(f"data.size={max(256, config.data.size * 3 // 4 // 32 * 32)}")
    advice.append("a smaller model.encoder or model.widths")
    return DeviceError(
        "memory ran out in training; the checkpoints before are kept",
        found=str(error).splitlines()[0][:160] if str(error) else type(error).__name__,
        remedy="Lower, in this order: " + "; ".join(advice),
    )
