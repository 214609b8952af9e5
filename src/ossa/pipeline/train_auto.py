"""A run that plans itself: the trip behind ``ossa train auto``, up to the run file that is then trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ossa.errors import MissingExtraError
from ossa.progress import Track, silent
from ossa.safety import refuse_inputs, write_text

if TYPE_CHECKING:
    from ossa.config import RunConfig
    from ossa.training.plan import Machine, Plan
    from ossa.training.trial import Trial


@dataclass(frozen=True)
class Planned:
    """The run file that was written, and what it says."""

    recipe: Path
    config: RunConfig


def planned_config(
    root: str | Path,
    overrides: Sequence[str] = (),
    *,
    minutes: float | None = None,
    began: float | None = None,
    machine: Machine | None = None,
    workers: int | None = None,
    track: Track = silent,
    tell: Callable[[str], object] = lambda _: None,
) -> Planned:
    """Measure a data set, time steps of the run that suits it, plan, write the recipe with its reasons, and give it.

    ``minutes`` is the time for all folds together, from ``began`` (``time.monotonic()``) on, so that measuring and
    timing are part of it, or from the start of the training when None; ``overrides`` (KEY=VALUE) have the last word and
    stand in the recipe; ``tell`` hears every setting with its reason. The recipe is OUTPUT/NAME.yaml, or NAME-2.yaml
    where that exists. Raises DatasetError for a set that nobody can train on, ConfigError for settings that are wrong,
    for too little memory and for a time that is too short for an epoch, MissingExtraError without torch.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.dataset.fingerprint import fingerprint
    from ossa.training.plan import plan, this_machine
    from ossa.training.whole_plan import given_by, plan_run, with_overrides

    try:
        from ossa.training import _lightning  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("training", "train", error) from error
    given = given_by(overrides)
    measured = fingerprint(open_dataset(root), workers, track)
    where = machine or this_machine()
    first = with_overrides(plan(measured, where, None, given), overrides)
    trial = _try(first, track, tell)

    def run_of(trial: Trial, given: Mapping[str, Any]) -> Plan:
        spent = 0.0 if began is None else (time.monotonic() - began) / 60
        left = None if minutes is None else minutes - spent
        return plan_run(measured, where, trial, left, given, spent)

    chosen = with_overrides(run_of(trial, given), overrides)
    if chosen["data.size"] != trial.size:  # a grid that suits the time: what it takes is timed, too; the grid stays
        reason = next(line.reason for line in chosen.lines if line.key == "data.size")
        again = _try(chosen, track, tell)
        chosen = run_of(again, {**given, "data.size": again.size}).because("data.size", reason)
        chosen = with_overrides(chosen, overrides)
    config = _checked(chosen)
    recipe = _free(config.output, config.name)
    refuse_inputs(recipe, [root])
    write_text(recipe, chosen.to_yaml())
    for line in chosen.lines:
        tell(f"{line.key}: {line.told} ({line.reason})")
    for warning in chosen.warnings:
        tell(warning)
    tell(f"The recipe: {recipe}")
    return Planned(recipe, config)


def _checked(planned: Plan) -> RunConfig:
    from ossa.config import check

    return check(planned.settings(), "the planned run")


def _try(planned: Plan, track: Track, tell: Callable[[str], object]) -> Trial:
    """Time steps of the planned run, with its own network and pictures; whatever is wrong with it is told here."""
    from ossa.pipeline.train import check_stages
    from ossa.pipeline.train_data import folds_of, material_from, read_groups
    from ossa.schema import load_schema
    from ossa.training.trial import try_out

    config = _checked(planned).model_copy(update={"pseudo": None})
    schema = load_schema(config.bones)
    check_stages(config, schema)
    with TemporaryDirectory(prefix="ossa-trial-") as cache:  # so that reading is timed, and nothing is left
        config = config.model_copy(update={"data": config.data.model_copy(update={"cache": Path(cache)})})
        groups = read_groups(config, schema, tell)
        folds = folds_of(config, schema, groups, config.output / "none", False, track)
        number = config.folds.run[0] if config.folds.run else 0
        return try_out(config, schema, material_from(config, schema, groups, folds, number, ()), track=track)


def _free(folder: Path, name: str) -> Path:
    """FOLDER/NAME.yaml, or the first of NAME-2.yaml, ... that is not there yet."""
    number, path = 1, folder / f"{name}.yaml"
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.yaml"
    return path
