"""The trip behind ``ossa train``: config -> run folder -> data and folds -> folds trained -> models and a summary."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.config import RunConfig, stage_configs, started_from, to_yaml
from ossa.errors import ConfigError, MissingExtraError, TrainingError
from ossa.pipeline.train_results import closer_of, finish_fold
from ossa.progress import Track, silent
from ossa.safety import read_json, write_text
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.dataset.folds import Folds
    from ossa.labels.case import Case
    from ossa.pages.run import FoldFigures
    from ossa.training.material import Material
    from ossa.training.run import FoldResult

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


@dataclass(frozen=True)
class _Group:
    """The labelled cases of one data set and their weight."""

    cases: tuple[Case, ...]
    weight: float


def train(
    config: RunConfig,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    track: Track = silent,
    tell: Tell = _log.info,
) -> Trained:
    """Train every fold that ``config`` asks for, in a new numbered run folder or in ``folder``.

    ``resume`` goes on with the run in ``folder``: finished folds are kept, the one that was cut off goes on from its
    last checkpoint. Raises OutputError for a folder that is taken, KeyboardInterrupt after Ctrl-C, and what
    ``training.run.train_fold`` raises.
    """
    try:
        from ossa.training import _lightning  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("training", "train", error) from error
    schema = load_schema(config.bones)
    check_stages(config, schema)
    run = _run_folder(config, folder, resume)
    try:
        if config.stages:
            return _train_stages(run, config, schema, track, tell)
        return _train_in(run, config, schema, track, tell)
    except KeyboardInterrupt:
        begun = (run / "config.yaml").exists()
        again = f"Go on with: ossa train --resume --folder {shlex.quote(str(run))}"
        tell(f"Interrupted. {again}" if begun else "Interrupted before training began. Give the same command again.")
        raise


def _train_stages(run: Path, config: RunConfig, schema: BoneSchema, track: Track, tell: Tell) -> Trained:
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
        done = _train_in(resumed_folder(part, own) if begun else exact_folder(part), own, schema, track, tell)
    assert done is not None
    return Trained(run, done.dice, done.bundles)


def _train_in(run: Path, config: RunConfig, schema: BoneSchema, track: Track, tell: Tell) -> Trained:
    from ossa.training.folder import record
    from ossa.training.ranks import is_first

    first = is_first()
    with _logging(run, first):
        groups = _groups(config, schema, tell)
        _first_look(config, schema, groups, track, tell)
        if first:
            record(run, config, _fingerprint(config, groups))
            tell(f"Run folder: {run}")
        else:
            _await(run / "provenance.json")
        folds = _folds(config, schema, groups, run, first, track)
        pseudo = _pseudo(config, schema, run, first, track, tell)
        wanted = (config.folds.run or tuple(range(folds.count))) if folds is not None else (0,)
        figures: list[FoldFigures] = []
        for number in wanted:
            material = _material(config, schema, groups, folds, number, pseudo)
            result = _train_one(config, schema, material, run, number, tell)
            if first:
                figures.append(finish_fold(config, schema, material, run, number, result, track, tell))
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


def check_early(config: RunConfig, schema: BoneSchema) -> None:
    """Everything that can be wrong with names and arguments, before a folder is made or a picture read."""
    from ossa.training.augment_keys import augment_config
    from ossa.training.losses import WeightedLoss
    from ossa.training.material import phantom_sources
    from ossa.training.optim import make_optimiser, make_schedule
    from ossa.training.run import make_network, refuse_single_values

    WeightedLoss(config.loss)
    augment_config(config.data.augment)
    phantom_sources(config, schema)
    network = make_network(config, schema)
    optimiser = make_optimiser(
        config.optimiser.name, {"lr": config.optimiser.lr, **config.optimiser.arguments()}, network
    )
    plan = config.scheduler
    make_schedule(
        plan.name, plan.arguments(), optimiser, interval=plan.interval, warmup=plan.warmup, steps=100, epochs=10
    )
    if config.train.batch == 1:
        refuse_single_values(network, config)
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


@contextmanager
def _logging(run: Path, first: bool) -> Iterator[None]:
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


def _groups(config: RunConfig, schema: BoneSchema, tell: Tell) -> list[_Group]:
    from ossa.dataset.dataset import open_dataset

    groups = []
    for source in config.data.datasets:
        dataset = open_dataset(source.path, schema, source.format)
        chosen = dataset.split(source.split) if source.split else dataset
        for problem in dataset.problems[:20]:
            _log.warning("%s", problem)
        if dataset.problems:
            tell(f"{source.path}: {len(dataset.problems)} problem(s), listed in run.log; first: {dataset.problems[0]}")
        if not chosen.labelled:
            splits = sorted({case.split for case in dataset})
            raise ConfigError(f"{source.path}: no labelled picture", found=f"split={source.split}", expected=splits)
        groups.append(_Group(tuple(chosen.labelled), source.weight))
    if config.folds.store:
        _check_names([case for group in groups for case in group.cases])
    return groups


def _check_names(cases: Sequence[Case]) -> None:
    """Out-of-fold predictions are kept by the picture's name: two of one name would replace each other."""
    seen: dict[str, Case] = {}
    for case in cases:
        other = seen.setdefault(case.id, case)
        if other is not case:
            twice = f"{case.image}, listed twice"
            raise ConfigError(
                f"two pictures are called '{case.id}'",
                found=twice if other.image == case.image else f"{other.image} and {case.image}",
                expected="every picture's name once over all data sets, since predictions are kept by it",
                remedy="Rename one of them, leave one data set out, or keep no predictions (folds.store=false)",
            )


def _cache_folder(config: RunConfig) -> Path | None:
    if not config.data.datasets and config.pseudo is None:
        return None
    # Copies of patients' films: beside the runs, where they are expected, and never in the home folder.
    return config.data.cache or config.output / "cache"


def _first_look(config: RunConfig, schema: BoneSchema, groups: Sequence[_Group], track: Track, tell: Tell) -> None:
    """Read every picture (into the cache) and every label once, before hours are spent on the others.

    Every file that cannot be used is told; then DatasetError, as nothing is left out of a training without a word.
    """
    from ossa.training.ranks import is_first

    folder = _cache_folder(config)
    cases = [case for group in groups for case in group.cases]
    if folder is None or not cases or not is_first():
        return
    from ossa.dataset.cache import GreyCache
    from ossa.errors import DatasetError, InputError
    from ossa.radiograph.prepare import Preparation

    cache = GreyCache(folder, Preparation(config.data.size, 32))
    bad: dict[Path, str] = {}
    for problem in cache.build([case.image for case in cases], config.data.workers or None, track):
        bad[Path(problem.path)] = str(problem)
    for case in track(cases, len(cases), "reading labels"):
        if case.image in bad:
            continue
        try:
            case.truth(schema, cache.get(case.image)[1].image_shape)
        except InputError as error:
            bad[case.label or case.image] = str(error)
    for line in bad.values():
        tell(line)
    if bad:
        raise DatasetError(
            "pictures or labels cannot be used",
            found=f"{len(bad)} of {len(cases)}, told above",
            remedy="Repair or remove each with its counterpart, then start again",
        )


def _fingerprint(config: RunConfig, groups: Sequence[_Group]) -> dict[str, Any]:
    from ossa.training.folder import fingerprint
    from ossa.training.material import fingerprint_lines

    return fingerprint(fingerprint_lines(config, [group.cases for group in groups]))


def _folds(
    config: RunConfig, schema: BoneSchema, groups: Sequence[_Group], run: Path, first: bool, track: Track
) -> Folds | None:
    """The run's folds: those of folds.file, or made; kept in the run folder. None without a data set.

    Raises DatasetError when a run that is resumed had other folds.
    """
    from ossa.dataset.folds import make_folds, measure, read_folds, write_folds

    if not groups:
        return None
    path = run / "folds.json"
    if config.folds.file is not None:
        folds = read_folds(config.folds.file)
    elif path.exists():
        return read_folds(path)
    else:
        cases = [case for group in groups for case in group.cases]
        folds = make_folds(measure(cases, schema, track), config.folds.count, config.folds.seed)
    if first:
        write_folds(path, folds)
    return folds


def _pseudo(
    config: RunConfig, schema: BoneSchema, run: Path, first: bool, track: Track, tell: Tell
) -> tuple[Case, ...]:
    """The run's pseudo-labelled cases, made once."""
    from ossa.training.pseudo import read_pseudo

    if config.pseudo is None:
        return ()
    folder = run / "pseudo"
    if first and not (folder / "pseudo.json").exists():
        from ossa.pipeline.pseudo import make_pseudo

        kept, left_out = make_pseudo(config.pseudo, schema, folder, track)
        tell(f"Pseudo-labels: {kept} pictures kept, {left_out} left out (reasons in {folder / 'pseudo.json'})")
    _await(folder / "pseudo.json")
    return read_pseudo(folder)


def _await(path: Path, seconds: float = 7200.0) -> None:
    """Wait for what the run's first process writes; TrainingError when it does not come."""
    until = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > until:
            raise TrainingError("the run's first process has not got this far", path=path, remedy="See its messages")
        time.sleep(0.2)


# --- folds -------------------------------------------------------------------------------------------


def material_of(config: RunConfig, schema: BoneSchema, run: Path, number: int, track: Track = silent) -> Material:
    """What fold ``number`` of the run in ``run`` trained on, from its config and its folder; nothing is written.

    Raises ConfigError when the data is no longer that of the run, or when it has no such fold.
    """
    from ossa.training.folder import refuse_other_data

    groups = _groups(config, schema, _log.info)
    refuse_other_data(run, _fingerprint(config, groups))
    folds = _folds(config, schema, groups, run, False, track)
    if folds is None and number != 0:
        raise ConfigError("there is no such fold", found=number, expected="0, as the run has phantoms alone")
    if config.pseudo is not None and not (run / "pseudo" / "pseudo.json").exists():
        raise ConfigError("the run was left before it had its pseudo-labels", path=run, remedy="Resume it first")
    return _material(config, schema, groups, folds, number, _pseudo(config, schema, run, False, track, _log.info))


def _material(
    config: RunConfig,
    schema: BoneSchema,
    groups: Sequence[_Group],
    folds: Folds | None,
    number: int,
    pseudo: Sequence[Case],
) -> Material:
    from ossa.training.material import make_material

    train: list[tuple[tuple[Case, ...], float]] = []
    held_out: list[Case] = []
    for group in groups:
        assert folds is not None
        training, validation = folds.split(group.cases, number)
        train.append((training, group.weight))
        held_out += validation
    more = (pseudo, config.pseudo.weight) if config.pseudo is not None else None
    return make_material(config, schema, _cache_folder(config), train, held_out, more)


def _train_one(
    config: RunConfig, schema: BoneSchema, material: Material, run: Path, number: int, tell: Tell
) -> FoldResult:
    from ossa.training.progress import Bars, make_progress
    from ossa.training.run import train_fold

    tell(f"Fold {number}: {sum(material.lengths)} samples to train on, {len(material.checks)} to validate on")
    callbacks = make_progress(f"fold {number}")
    try:
        return train_fold(
            config, schema, material, run / f"fold{number}", fold=number, resume=True, callbacks=callbacks
        )
    finally:
        for callback in callbacks:
            if isinstance(callback, Bars):
                callback.close()


# --- after -------------------------------------------------------------------------------------------


def _report(run: Path, config: RunConfig, figures: Sequence[FoldFigures], pseudo: int) -> None:
    from ossa.pages.run import write_curves, write_summary

    notes = [f"{pseudo} pseudo-labelled pictures were trained on, none validated on."] if pseudo else []
    if not config.data.datasets:
        notes.append("Trained and validated on phantoms alone: the figures say nothing about real radiographs.")
    write_curves(run / "curves.svg", figures)
    write_summary(run / _LAST, run.name, figures, to_yaml(config), read_json(run / "provenance.json"), notes)
