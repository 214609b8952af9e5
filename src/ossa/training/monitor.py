"""Which logged figure says that an epoch is better than another (``train.monitor``)."""

from __future__ import annotations

from difflib import get_close_matches

from ossa.config import RunConfig
from ossa.errors import ConfigError
from ossa.schema import BoneSchema
from ossa.training.samples import CheckSource


def logged(config: RunConfig, schema: BoneSchema) -> list[str]:
    """Every figure that a run of ``config`` logs at least once in an epoch that ends with a validation."""
    train = config.train
    names = ["val/dice", *(f"val/dice/{name}" for name in schema.names)]
    names += ["val/loss"] if train.validation_loss else []
    names += ["train/loss", "train/loss_epoch", *(f"train/{term}" for term in config.loss)]
    further = {
        "coarse": config.data.window is not None,
        "deep": train.deep_supervision is not None,
        "distil": config.distil is not None,
    }
    return [*names, *(f"train/{name}" for name, there in further.items() if there), "lr"]


def check_monitor(config: RunConfig, schema: BoneSchema) -> None:
    """Raise ConfigError, with the nearest that is, when the monitored figure is one that the run never logs."""
    wanted, known = config.train.monitor, logged(config, schema)
    if wanted in known:
        return
    near = get_close_matches(wanted, known, n=1)
    bones = {f"val/dice/{name}" for name in schema.names}
    plain = ", ".join(name for name in known if name not in bones) + ", val/dice/<bone>"
    raise ConfigError(
        f"train.monitor: '{wanted}' is never logged",
        expected=f"perhaps '{near[0]}'; all are {plain}" if near else f"one of {plain}",
    )


def check_monitored_bone(config: RunConfig, checks: CheckSource) -> None:
    """Raise ConfigError when the Dice of a bone is monitored that no held-out picture annotates."""
    import numpy as np

    bone = config.train.monitor.removeprefix("val/dice/")
    if bone == config.train.monitor:
        return
    none = np.random.default_rng(0)
    if not any(bone in checks.sample(index, none).annotated for index in range(len(checks))):
        raise ConfigError(
            f"train.monitor: '{config.train.monitor}' is never logged",
            found=f"no held-out picture that annotates '{bone}', of {len(checks)}",
            remedy="Monitor val/dice, or another bone's",
        )


def mode_of(config: RunConfig) -> str:
    """ "max" or "min": which way the monitored figure is better."""
    if config.train.monitor_mode != "auto":
        return config.train.monitor_mode
    return "min" if config.train.monitor.startswith("train/") or config.train.monitor == "val/loss" else "max"
