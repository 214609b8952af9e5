"""The search behind a run file with ``search``: trainings with different values, drawn by Optuna, each kept as a run.

What is sought is the best mean validation Dice. RUN/search.json holds what every trial came to; a search that was cut
off goes on from it, and draws what it would have drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ossa.config import Range, RunConfig, check, dump, to_yaml
from ossa.config.load import put
from ossa.errors import MissingExtraError, OssaError, OutputError, TrainingError
from ossa.safety import read_json, write_json, write_text

_log = logging.getLogger("ossa.train")

#: Trains a config in a folder of its own; the mean validation Dice.
Training = Callable[[RunConfig, Path], float]
Tell = Callable[[str], object]


def check_search(config: RunConfig) -> None:
    """Raise ConfigError for a key that does not exist or a value that it refuses, MissingExtraError without Optuna."""
    assert config.search is not None
    _optuna()
    for key, span in config.search.keys.items():
        ends: Sequence[Any] = span.values or (span.low, span.high)
        for value in ends:
            of_trial(config, {key: int(value) if span.whole else value})


def of_trial(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """``config`` with a trial's values, without the search, and without what only a finished model needs."""
    changed = dump(config)
    changed["search"] = None
    for key, value in {**values, "folds.store": False, "folds.bundle": False}.items():
        put(changed, key, value)
    return check(changed, "search: " + ", ".join(f"{key}={value}" for key, value in values.items()))


def search(config: RunConfig, run: Path, training: Training, tell: Tell) -> Path:
    """Run the trials that are not yet in RUN/search.json; the run file with the best values, RUN/best.yaml.

    A trial that fails is told and counts as tried. Raises TrainingError when all of them failed; a full disk ends the
    search at once.
    """
    assert config.search is not None
    record = run / "search.json"
    done: list[dict[str, Any]] = read_json(record)["trials"] if record.exists() else []
    for number in range(len(done), config.search.trials):
        values = _drawn(config, done)
        told = ", ".join(f"{key}={_short(value)}" for key, value in values.items())
        tell(f"Trial {number + 1} of {config.search.trials}: {told}")
        trial: dict[str, Any] = {"values": values, "dice": None, "failed": None}
        try:
            trial["dice"] = training(of_trial(config, values), run / f"trial{number + 1:03d}")
        except OutputError:
            raise
        except OssaError as error:
            trial["failed"] = str(error)
            tell(f"Trial {number + 1} failed: {error}")
        done.append(trial)
        write_json(record, {"trials": done})
    good = [trial for trial in done if trial["dice"] is not None]
    if not good:
        raise TrainingError(
            "every trial of the search failed",
            path=record,
            found=f"{len(done)} trials; the first: {done[0]['failed']}",
            remedy="Train once without search to see what is wrong, or give other values under search.keys",
        )
    best = max(good, key=lambda trial: float(trial["dice"]))
    told = ", ".join(f"{key}={_short(value)}" for key, value in best["values"].items())
    tell(f"Best of {len(good)}: {told}: mean validation Dice {best['dice']:.4f}")
    values = dump(config)
    values["search"] = None
    for key, value in best["values"].items():
        put(values, key, value)
    path = run / "best.yaml"
    write_text(path, to_yaml(check(values, path)))
    return path


def _drawn(config: RunConfig, done: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The next trial's values: they follow from the seed and the trials before, and from nothing else."""
    optuna = _optuna()
    assert config.search is not None
    spans = {key: _distribution(optuna, span) for key, span in config.search.keys.items()}
    seed = config.seed + 7919 * len(done)
    kind = optuna.samplers.TPESampler if config.search.sampler == "tpe" else optuna.samplers.RandomSampler
    study = optuna.create_study(direction="maximize", sampler=kind(seed=seed))
    for trial in done:
        state = optuna.trial.TrialState.COMPLETE if trial["dice"] is not None else optuna.trial.TrialState.FAIL
        params = {key: _index(config.search.keys[key], value) for key, value in trial["values"].items()}
        value = trial["dice"] if trial["dice"] is not None else None
        study.add_trial(optuna.trial.create_trial(state=state, value=value, params=params, distributions=spans))
    drawn = study.ask(spans).params
    return {
        key: config.search.keys[key].values[drawn[key]] if config.search.keys[key].values else drawn[key]
        for key in config.search.keys
    }


def _distribution(optuna: Any, span: Range) -> Any:
    if span.values:  # by their places, as Optuna takes no lists
        return optuna.distributions.CategoricalDistribution(range(len(span.values)))
    if span.whole:
        return optuna.distributions.IntDistribution(int(span.low or 0), int(span.high or 0), log=span.log)
    return optuna.distributions.FloatDistribution(span.low, span.high, log=span.log)


def _index(span: Range, value: Any) -> Any:
    """What Optuna knows ``value`` as: a list from JSON may have been a tuple."""
    plain = [list(v) if isinstance(v, tuple) else v for v in span.values]
    return plain.index(list(value) if isinstance(value, tuple) else value) if span.values else value


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError.of("search", "search", error) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
