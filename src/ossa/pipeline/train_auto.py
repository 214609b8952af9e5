"""A run that plans itself: the trip behind ``ossa train auto``, up to the run file that is then trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import MissingExtraError
from ossa.progress import Track, silent
from ossa.safety import refuse_inputs, write_text

if TYPE_CHECKING:
    from ossa.config import RunConfig
    from ossa.training.plan import Machine

#: The recipe with its reasons, in the folder of the run folders.
RECIPE = "planned.yaml"


def planned_config(
    root: str | Path,
    overrides: Sequence[str] = (),
    *,
    minutes: float | None = None,
    machine: Machine | None = None,
    workers: int | None = None,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> RunConfig:
    """Measure a data set, time a few steps, plan, write the recipe with its reasons, and give it as a config.

    ``minutes`` is the time for all folds together; ``overrides`` (KEY=VALUE) have the last word; ``tell`` hears every
    setting with its reason. Raises DatasetError for a set that nobody can train on, ConfigError for a time that is too
    short for an epoch, MissingExtraError without torch.
    """
    from dataclasses import replace

    from ossa.config import load_config
    from ossa.dataset.dataset import open_dataset
    from ossa.dataset.fingerprint import fingerprint
    from ossa.training.plan import plan, this_machine

    dataset = open_dataset(root)
    measured = fingerprint(dataset, workers, track)
    where = machine or this_machine()
    folds = int(plan(measured, where)["folds.count"])
    if where.seconds_per_px is None:
        try:
            from ossa.training.speed import seconds_per_px
        except ImportError as error:
            raise MissingExtraError.of("training", "train", error) from error
        where = replace(where, seconds_per_px=seconds_per_px(dataset.schema))
    chosen = plan(measured, where, None if minutes is None else minutes / folds)
    output = Path("runs")
    refuse_inputs(output / RECIPE, [root])
    write_text(output / RECIPE, chosen.to_yaml())
    for line in chosen.lines:
        tell(f"{line.key}: {line.told} ({line.reason})")
    for warning in chosen.warnings:
        tell(warning)
    if chosen.minutes is not None:
        tell(f"{folds} folds of about {chosen.minutes:.0f} minutes each; the recipe: {output / RECIPE}")
    return load_config(output / RECIPE, overrides)
