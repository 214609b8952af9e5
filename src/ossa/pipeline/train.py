"""The trip behind ``ossa train``: config -> run folder -> data and folds -> folds trained -> models and a summary."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.config import RunConfig, stage_configs, started_from, to_yaml
from ossa.errors import ConfigError, MissingExtraError
from ossa.parallel.pool import HERE, Pool
from ossa.pipeline.train_data import (
    fingerprint_of,
    first_look,
    folds_of,
    material_from,
    pseudo_of,
    read_groups,
    refuse_other_folds,
    wait_for,
)
from ossa.pipeline.train_folds import folds_by, logging_to, refuse_cluster, train_one
from ossa.pipeline.train_results import closer_of, finish_fold
from ossa.progress import Track, silent
from ossa.safety import output_folder, read_json, write_text
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.pages.run import FoldFigures
    from ossa.training.rate import Rates

_log = logging.getLogger("ossa.train")

#: Set by the first process of a DDP run, so that the processes it starts share its run folder.
_FOLDER = "OSSA_RUN_FOLDER"

#: A run's file that is written last.
_LAST = "summary.html"

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Trained:
    """What a run came to: its folder, the validation Dice of each fold trained, the bundles written."""

    folder: Path
    dice: tuple[float, ...]
    bundles: tuple[Path, ...]


def train(
    config: RunConfig,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    pool: Pool = HERE,
    track: Track = silent,
    tell: Tell = _log.info,
) -> Trained:
    """Train every fold that ``config`` asks for, in a new numbered run folder or in ``folder``.

    ``resume`` goes on with the run in ``folder``: finished folds are kept, the one that was cut off goes on from its
    last checkpoint. ``pool``: a cluster trains the folds side by side. Raises OutputError for a folder that is taken or
    that a living run writes into, KeyboardInterrupt after Ctrl-C, and what ``training.run.train_fold`` raises.
    """
    try:
        from ossa.training import _lightning  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("training", "train", error) from error
    schema = load_schema(config.bones)
    check_stages(config, schema)
    if pool is not HERE:
        refuse_cluster(config)
    from ossa.training.ranks import is_first

    run = _run_folder(config, folder, resume)
    try:
        with output_folder(run) if is_first() else nullcontext():  # the other ranks write for the first one
            if config.search is not None:
                return _train_search(run, config, schema, pool, track, tell)
            if config.stages:
                return _train_stages(run, config, schema, pool, track, tell)
            return _train_in(run, config, schema, pool, track, tell)
    except KeyboardInterrupt:
        begun = (run / "config.yaml").exists()
        again = f"Go on with: ossa train --resume --folder {shlex.quote(str(run))}"
        tell(f"Interrupted. {again}" if begun else "Interrupted before training began. Give the same command again.")
        raise


def _train_stages(run: Path, config: RunConfig, schema: BoneSchema, pool: Pool, track: Track, tell: Tell) -> Trained:
    """Each stage as a run in RUN/stage1, stage2, ...; those that are done are kept. What the last one came to."""
    from ossa.training.folder import exact_folder, resumed_folder

    write_text(run / "config.yaml", to_yaml(config))
    fold = config.folds.run[0] if config.folds.run else 0
    before: Path | None = None
    done: Trained | None = None
    for number, stage in enumerate(stage_configs(config), 1):
        part = run / f"stage{number}"
        own = stage if before is None else started_from(stage, before)
        before = part / f"fold{fold}" / "best.safetensors"
        last = number == len(config.stages)
        if not last and (part / _LAST).exists():
            continue
        tell(f"Stage {number} of {len(config.stages)}")
        begun = (part / "config.yaml").exists()
        done = _train_in(resumed_folder(part, own) if begun else exact_folder(part), own, schema, pool, track, tell)
    assert done is not None
    return Trained(run, done.dice, done.bundles)


def _train_search(run: Path, config: RunConfig, schema: BoneSchema, pool: Pool, track: Track, tell: Tell) -> Trained:
    """Each trial as a run in RUN/trial001, trial002, ...; nothing but their Dice and RUN/best.yaml comes of them."""
    from ossa.pipeline.search import search
    from ossa.training.folder import exact_folder, resumed_folder

    write_text(run / "config.yaml", to_yaml(config))

    def training(own: RunConfig, part: Path) -> float:
        check_stages(own, schema)
        begun = (part / "config.yaml").exists()
        done = _train_in(resumed_folder(part, own) if begun else exact_folder(part), own, schema, pool, track, tell)
        return sum(done.dice) / len(done.dice)

    best = search(config, run, training, tell)
    tell(f"Train with them: ossa train {shlex.quote(str(best))}")
    return Trained(run, (), ())


def find_learning_rate(config: RunConfig, steps: int, track: Track = silent, tell: Tell = _log.info) -> Rates:
    """The learning rate at which the first fold's loss falls fastest, by ``steps`` short steps; nothing is kept.

    Pictures go into the run's image cache as in training. Raises as ``train`` does, and TrainingError when the loss
    falls at no rate.
    """
    try:
        from ossa.training.rate import find_rate
    except ImportError as error:
        raise MissingExtraError.of("training", "train", error) from error
    schema = load_schema(config.bones)
    own = stage_configs(config)[0] if config.stages else config
    check_early(own.model_copy(update={"search": None}), schema)
    groups = read_groups(own, schema, tell)
    strata = first_look(own, schema, groups, track, tell)
    folds = folds_of(own, schema, groups, own.output / "none", False, track, strata)
    number = own.folds.run[0] if own.folds.run else 0
    material = material_from(own.model_copy(update={"pseudo": None}), schema, groups, folds, number, ())
    return find_rate(own, schema, material, steps, track)


def _train_in(run: Path, config: RunConfig, schema: BoneSchema, pool: Pool, track: Track, tell: Tell) -> Trained:
    from ossa.training.deadline import Deadline
    from ossa.training.folder import record
    from ossa.training.ranks import is_first

    first = is_first()
    deadline = Deadline(config.train.minutes) if config.train.minutes is not None else None
    with logging_to(run, first):
        groups = read_groups(config, schema, tell)
        refuse_other_folds(config, groups)
        strata = first_look(config, schema, groups, track, tell)
        if first:
            record(run, config, fingerprint_of(config, groups))
            tell(f"Run folder: {run}")
        else:
            wait_for(run / "provenance.json")
        folds = folds_of(config, schema, groups, run, first, track, strata)
        pseudo = pseudo_of(config, schema, run, first, track, tell)
        wanted = (config.folds.run or tuple(range(folds.count))) if folds is not None else (0,)
        figures: list[FoldFigures] = []
        if pool is not HERE:
            figures += folds_by(pool, config, schema, run, wanted, track, tell)
        for done, number in enumerate(wanted if pool is HERE else ()):
            material = material_from(config, schema, groups, folds, number, pseudo)
            until = [deadline.fold(len(wanted) - done, tell)] if deadline else []
            result = train_one(config, schema, material, run, number, tell, until)
            if deadline:
                deadline.trained()
            if first:
                figures.append(finish_fold(config, schema, material, run, number, result, track, tell))
            if deadline:
                deadline.finished()
        if first:
            _report(run, config, figures, len(pseudo))
            tell(f"Mean validation Dice {sum(f.dice for f in figures) / len(figures):.4f} -> {run / _LAST}")
    bundles = tuple(run / f.bundle for f in figures if f.bundle)
    return Trained(run, tuple(f.dice for f in figures), bundles)


# --- before ------------------------------------------------------------------------------------------


def check_stages(config: RunConfig, schema: BoneSchema) -> None:
    """``check_early`` for a run, or for every stage of one that has stages."""
    for stage in stage_configs(config) if config.stages else (config,):
        check_early(stage, schema)
    if config.search is not None:
        from ossa.pipeline.search import check_search

        check_search(config)


def check_early(config: RunConfig, schema: BoneSchema) -> None:
    """Everything that can be wrong with names and arguments, before a folder is made or a picture read."""
    from ossa.training import transforms
    from ossa.training.augment_keys import augment_config
    from ossa.training.material import phantom_sources
    from ossa.training.module import thresholds_of
    from ossa.training.monitor import check_monitor
    from ossa.training.objective import Objective
    from ossa.training.optim import make_optimiser, make_schedule
    from ossa.training.run import make_network, require_wandb

    check_monitor(config, schema)
    thresholds_of(config, schema)
    transforms.check(augment_config(config.data.augment).transforms)
    phantom_sources(config, schema)
    network = make_network(config, schema)
    Objective(network, config, schema)
    optimiser = make_optimiser(
        config.optimiser.name, {"lr": config.optimiser.lr, **config.optimiser.arguments()}, network
    )
    plan = config.scheduler
    make_schedule(
        plan.name, plan.arguments(), optimiser, interval=plan.interval, warmup=plan.warmup, steps=100, epochs=10
    )
    if config.logging.wandb != "off":
        require_wandb()
    closer_of(config, schema)
    if not config.data.datasets and config.data.phantoms is None:
        raise ConfigError(
            "there is nothing to train on", expected="data.datasets=[{path: FOLDER}] or data.phantoms={count: 200}"
        )


def _run_folder(config: RunConfig, folder: str | Path | None, resume: bool) -> Path:
    from ossa.training.folder import exact_folder, new_folder, resumed_folder
    from ossa.training.ranks import is_first, is_launched

    if is_launched() and folder is None:
        raise ConfigError(
            "a launcher (torchrun, srun) started several processes, which must share one run folder",
            remedy="Give the folder with --folder",
        )
    if not is_first():
        return Path(os.environ[_FOLDER] if folder is None else folder)
    if resume:
        if folder is None:
            raise ConfigError("which run is to be resumed?", remedy="Give the run's folder with --folder")
        run = resumed_folder(Path(folder), config)
    else:
        run = new_folder(config) if folder is None else exact_folder(Path(folder))
    os.environ[_FOLDER] = str(run)
    return run


# --- after -------------------------------------------------------------------------------------------


def _report(run: Path, config: RunConfig, figures: Sequence[FoldFigures], pseudo: int) -> None:
    from ossa.pages.run import write_curves, write_summary

    notes = [f"{pseudo} pseudo-labelled pictures were trained on, none validated on."] if pseudo else []
    if not config.data.datasets:
        notes.append("Trained and validated on phantoms alone: the figures say nothing about real radiographs.")
    write_curves(run / "curves.svg", figures)
    write_summary(run / _LAST, run.name, figures, to_yaml(config), read_json(run / "provenance.json"), notes)
