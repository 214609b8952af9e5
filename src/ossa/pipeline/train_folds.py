"""One fold after the other, or all of them side by side on a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.config import RunConfig
from ossa.errors import ConfigError, TrainingError
from ossa.parallel.pool import Lost, Needs, Pool, doing
from ossa.pipeline.train_data import material_of
from ossa.pipeline.train_results import finish_fold
from ossa.progress import Track, silent
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.pages.run import FoldFigures
    from ossa.training.deadline import InTime
    from ossa.training.material import Material
    from ossa.training.run import FoldResult

_log = logging.getLogger("ossa.train")

Tell = Callable[[str], object]

#: More cores than any machine has: a fold that says nothing of threads gets a whole machine of the cluster.
WHOLE = 1 << 20


def refuse_cluster(config: RunConfig) -> None:
    """Raise ConfigError for what folds side by side cannot keep to."""
    if config.train.minutes is not None:
        found, why = "train.minutes", "it shares out the time of one machine"
    elif config.train.devices * config.train.nodes > 1:
        found, why = "several devices for one fold", "a worker of the cluster trains a fold by itself"
    else:
        return
    raise ConfigError(f"this does not go with a cluster: {why}", found=found, remedy="Leave it out, or --engine ray")


def folds_by(
    pool: Pool, config: RunConfig, schema: BoneSchema, run: Path, wanted: Sequence[int], track: Track, tell: Tell
) -> list[FoldFigures]:
    """Train the folds ``wanted`` of a run whose folder is prepared, one by each worker of ``pool``; their figures.

    A fold whose worker dies goes on from its last checkpoint. Raises TrainingError when it does so again and again.
    """
    gpu = config.train.device in ("gpu", "cuda")
    needs = Needs(1 + config.data.workers if gpu else config.train.threads or WHOLE, 1 if gpu else 0, together=1)
    found = {}
    work = doing(partial(_fold, config, schema, run))
    for index, made in track(pool.each(work, wanted, needs), len(wanted), "Training folds"):
        if isinstance(made, Lost):
            raise TrainingError(f"fold {wanted[index]} {made.reason}", path=run, remedy="Resume the run here")
        found[index] = made
        tell(f"Fold {wanted[index]}: validation Dice {made.dice:.4f}")
    return [found[index] for index in range(len(wanted))]


def _fold(config: RunConfig, schema: BoneSchema, run: Path, number: int) -> FoldFigures:
    """A whole fold in a process of its own, which says what it does in RUN/foldN/run.log."""
    folder = run / f"fold{number}"
    folder.mkdir(parents=True, exist_ok=True)
    with logging_to(folder, True):
        material = material_of(config, schema, run, number)
        result = train_one(config, schema, material, run, number, _log.info)
        return finish_fold(config, schema, material, run, number, result, silent, _log.info)


@contextmanager
def logging_to(run: Path, first: bool) -> Iterator[None]:
    """ossa's log to run.log while a run goes on; Lightning's chatter only when it warns."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logger = logging.getLogger("ossa")
    handler: logging.Handler = logging.NullHandler()
    if first:
        handler = logging.FileHandler(run / "run.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        _log.error("stopped: %s", error or type(error).__name__)
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()


def train_one(
    config: RunConfig,
    schema: BoneSchema,
    material: Material,
    run: Path,
    number: int,
    tell: Tell,
    until: Sequence[InTime] = (),
) -> FoldResult:
    from ossa.training.progress import make_progress
    from ossa.training.run import train_fold

    tell(f"Fold {number}: {sum(material.lengths)} samples to train on, {len(material.checks)} to validate on")
    around = [*until, *make_progress(f"fold {number}")]
    return train_fold(config, schema, material, run / f"fold{number}", fold=number, resume=True, callbacks=around)
