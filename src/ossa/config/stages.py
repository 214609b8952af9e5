"""A run in stages: one after the other, each from the weights of the one before."""

from __future__ import annotations

from pathlib import Path

from ossa.config.keys import RunConfig
from ossa.config.load import check, dump, put
from ossa.errors import ConfigError


def stage_configs(config: RunConfig) -> tuple[RunConfig, ...]:
    """The run file of every stage: the run's own, with the (dotted) keys that the stage changes.

    Stages before the last write no bundle and no predictions. Raises ConfigError for a key that does not exist, and for
    stages that would train several folds or on several devices.

    >>> from ossa.config import load_config, stage_configs
    >>> run = load_config("laptop", ["stages=[{data.size: 256}, {data.size: 384}]"])
    >>> [stage.data.size for stage in stage_configs(run)]
    [256, 384]
    """
    if config.train.devices * config.train.nodes > 1 or (config.data.datasets and len(config.folds.run) != 1):
        raise ConfigError(
            "stages train one fold on one device",
            found=f"folds.run={list(config.folds.run)}, {config.train.devices * config.train.nodes} device(s)",
            expected="folds.run=[0], train.devices=1",
            remedy="Give the stages as runs of their own, with finetune.model",
        )
    out = []
    for number, changes in enumerate(config.stages, 1):
        values = dump(config)
        values["stages"] = []
        for key, value in changes.items():
            put(values, key, value)
        if number < len(config.stages):
            put(values, "folds.store", False)
            put(values, "folds.bundle", False)
        out.append(check(values, f"stage {number}"))
    return tuple(out)


def started_from(config: RunConfig, weights: Path) -> RunConfig:
    """``config`` with the weights of the stage before.

    >>> from ossa.config import load_config, started_from
    >>> started_from(load_config("laptop"), Path("last.ckpt")).finetune.model
    'last.ckpt'
    """
    return config.model_copy(update={"finetune": config.finetune.model_copy(update={"model": str(weights)})})
