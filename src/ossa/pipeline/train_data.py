"""What a run trains on: its data sets read once, their folds, its pseudo-labels, and a fold's material."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.config import RunConfig
from ossa.errors import ConfigError, TrainingError
from ossa.progress import Track, silent
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.dataset.folds import Folds, Stratum
    from ossa.labels.case import Case
    from ossa.training.material import Material

_log = logging.getLogger("ossa.train")

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Group:
    """The labelled cases of one data set and their weight."""

    cases: tuple[Case, ...]
    weight: float


def read_groups(config: RunConfig, schema: BoneSchema, tell: Tell) -> list[Group]:
    """The labelled cases of every data set; what did not fit is told. Raises ConfigError where there is none."""
    from ossa.dataset.dataset import open_dataset
    from ossa.dataset.pictures import other_pictures

    groups = []
    for source in config.data.datasets:
        dataset = open_dataset(source.path, schema, source.format, source.names)
        if source.scale_labels:
            dataset = dataset.with_scaled_labels()
        chosen = dataset.split(source.split) if source.split else dataset
        images = source.images or config.data.images
        for problem in dataset.problems[:20]:
            _log.warning("%s", problem)
        if dataset.problems:
            tell(f"{source.path}: {len(dataset.problems)} problem(s), listed in run.log; first: {dataset.problems[0]}")
        if not chosen.labelled:
            splits = sorted({case.split for case in dataset})
            raise ConfigError(f"{source.path}: no labelled picture", found=f"split={source.split}", expected=splits)
        cases = tuple(chosen.labelled)
        groups.append(Group(other_pictures(cases, source.path, images) if images else cases, source.weight))
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


def first_look(
    config: RunConfig, schema: BoneSchema, groups: Sequence[Group], track: Track, tell: Tell
) -> dict[Path, Stratum]:
    """Read every picture (into the cache) and every label once, before hours are spent on the others.

    A label that was read well at an earlier start is not read again (dataset.known_labels). Gives wrist and side of
    every picture's label, for the folds. Every file that cannot be used is told; then DatasetError, as nothing is left
    out of a training without a word.
    """
    from ossa.training.ranks import is_first

    folder = _cache_folder(config)
    cases = [case for group in groups for case in group.cases]
    if folder is None or not cases or not is_first():
        return {}
    from ossa.dataset.cache import GreyCache
    from ossa.dataset.folds import stratum_from
    from ossa.dataset.known_labels import KnownLabels
    from ossa.errors import DatasetError, InputError
    from ossa.radiograph.prepare import Preparation

    cache = GreyCache(folder, Preparation(config.data.size, 32))
    known = KnownLabels.load(folder)
    strata: dict[Path, Stratum] = {}
    bad: dict[Path, str] = {}
    for problem in cache.build([case.image for case in cases], config.data.workers or None, track):
        bad[Path(problem.path)] = str(problem)
    try:
        for case in track(cases, len(cases), "reading labels"):
            if case.image in bad:
                continue
            shape = cache.placement(case.image).image_shape
            try:
                key = known.key(case, schema, shape)
                stratum = known.get(key)
                if stratum is None:
                    stratum = stratum_from(case, case.truth(schema, shape).outlines, schema)
                    known.put(key, stratum)
                strata[case.image] = stratum
            except InputError as error:
                bad[case.label or case.image] = str(error)
    finally:
        known.save()
    for line in bad.values():
        tell(line)
    if bad:
        raise DatasetError(
            "pictures or labels cannot be used",
            found=f"{len(bad)} of {len(cases)}, told above",
            remedy="Repair or remove each with its counterpart, then start again",
        )
    return strata


def fingerprint_of(config: RunConfig, groups: Sequence[Group]) -> dict[str, Any]:
    """What the data is known by, so that a run is not resumed with other data."""
    from ossa.training.folder import fingerprint
    from ossa.training.material import fingerprint_lines

    return fingerprint(fingerprint_lines(config, [group.cases for group in groups]))


def folds_of(
    config: RunConfig,
    schema: BoneSchema,
    groups: Sequence[Group],
    run: Path,
    first: bool,
    track: Track,
    known: Mapping[Path, Stratum] | None = None,
) -> Folds | None:
    """The run's folds: those of folds.file, or made; kept in the run folder. None without a data set.

    ``known``: what ``first_look`` found in the labels. Raises DatasetError when a run that is resumed had other folds.
    """
    from ossa.dataset.folds import make_folds, read_folds, strata_of, write_folds

    if not groups:
        return None
    path = run / "folds.json"
    if config.folds.file is not None:
        folds = read_folds(config.folds.file)
    elif path.exists():
        return read_folds(path)
    else:
        cases = [case for group in groups for case in group.cases]
        folds = make_folds(strata_of(cases, schema, track, known), config.folds.count, config.folds.seed)
    if first:
        write_folds(path, folds)
    return folds


def refuse_other_folds(config: RunConfig, groups: Sequence[Group]) -> None:
    """Raise DatasetError or ConfigError when folds.file does not fit the data, before anything is prepared."""
    from ossa.dataset.folds import read_folds

    if config.folds.file is None or not groups:
        return
    folds = read_folds(config.folds.file)
    cases = [case for group in groups for case in group.cases]
    for number in config.folds.run or (0,):
        folds.split(cases, number)


def pseudo_of(
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
    wait_for(folder / "pseudo.json")
    return read_pseudo(folder)


def wait_for(path: Path, seconds: float = 7200.0) -> None:
    """Wait for what the run's first process writes; TrainingError when it does not come."""
    until = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > until:
            raise TrainingError("the run's first process has not got this far", path=path, remedy="See its messages")
        time.sleep(0.2)


def material_of(config: RunConfig, schema: BoneSchema, run: Path, number: int, track: Track = silent) -> Material:
    """What fold ``number`` of the run in ``run`` trained on, from its config and its folder; nothing is written.

    Raises ConfigError when the data is no longer that of the run, or when it has no such fold.
    """
    from ossa.training.folder import refuse_other_data

    groups = read_groups(config, schema, _log.info)
    refuse_other_data(run, fingerprint_of(config, groups))
    folds = folds_of(config, schema, groups, run, False, track)
    if folds is None and number != 0:
        raise ConfigError("there is no such fold", found=number, expected="0, as the run has phantoms alone")
    if config.pseudo is not None and not (run / "pseudo" / "pseudo.json").exists():
        raise ConfigError("the run was left before it had its pseudo-labels", path=run, remedy="Resume it first")
    return material_from(config, schema, groups, folds, number, pseudo_of(config, schema, run, False, track, _log.info))


def material_from(
    config: RunConfig,
    schema: BoneSchema,
    groups: Sequence[Group],
    folds: Folds | None,
    number: int,
    pseudo: Sequence[Case],
) -> Material:
    """The material of fold ``number``: its part of every data set, pseudo-labels, phantoms."""
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
