"""Searching for settings: what is drawn, what is kept, and every way in which trials fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

from ossa.config import RunConfig, check, load_config
from ossa.errors import ConfigError, OutputError, TrainingError
from ossa.pipeline.search import check_search, of_trial, search
from ossa.safety import read_json

KEYS = {
    "optimiser.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "train.batch": {"low": 2, "high": 8, "whole": True},
    "model.widths": [[16, 16, 16, 16, 16], [24, 24, 24, 24, 24]],
}


def wanted(trials: int = 6, **more: Any) -> RunConfig:
    return check({"search": {"keys": KEYS, "trials": trials, **more}, "data": {"phantoms": {"count": 4}}})


def score(config: RunConfig) -> float:
    """Best at a batch of 5."""
    return 1 - abs(config.train.batch - 5) / 10


def silent(_text: str) -> None:
    return None


def test_every_trial_has_its_values_and_the_best_are_written(tmp_path: Path) -> None:
    seen: list[tuple[RunConfig, str]] = []

    def training(config: RunConfig, folder: Path) -> float:
        seen.append((config, folder.name))
        return score(config)

    path = search(wanted(), tmp_path, training, silent)
    assert [name for _, name in seen] == [f"trial{n:03d}" for n in range(1, 7)]
    assert all(1e-4 <= c.optimiser.lr <= 0.1 and c.train.batch in range(2, 9) for c, _ in seen)
    assert all(c.search is None and not c.folds.bundle for c, _ in seen)
    assert len({c.optimiser.lr for c, _ in seen}) == 6
    best = load_config(path)
    assert score(best) == max(score(c) for c, _ in seen)
    assert best.search is None
    assert best.folds.bundle


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_that_was_cut_off_draws_what_it_would_have_drawn(tmp_path: Path, sampler: str) -> None:
    class Killed(BaseException):
        pass

    def dying(config: RunConfig, folder: Path) -> float:
        if folder.name == "trial012":
            raise Killed
        return score(config)

    config = wanted(14, sampler=sampler)  # tpe begins to learn at its eleventh trial
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    search(config, tmp_path / "a", lambda c, _: score(c), silent)
    with pytest.raises(Killed):
        search(config, tmp_path / "b", dying, silent)
    assert len(read_json(tmp_path / "b" / "search.json")["trials"]) == 11
    search(config, tmp_path / "b", lambda c, _: score(c), silent)
    assert read_json(tmp_path / "a" / "search.json") == read_json(tmp_path / "b" / "search.json")


def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    told: list[str] = []

    def training(config: RunConfig, folder: Path) -> float:
        if folder.name == "trial002":
            raise TrainingError("the loss is not a number")
        return score(config)

    search(wanted(3), tmp_path, training, told.append)
    assert "Trial 2 failed: the loss is not a number" in told
    assert [t["dice"] is None for t in read_json(tmp_path / "search.json")["trials"]] == [False, True, False]


def test_when_all_fail_the_reason_is_told(tmp_path: Path) -> None:
    def training(config: RunConfig, folder: Path) -> float:
        raise TrainingError("the loss is not a number")

    with pytest.raises(
        TrainingError, match=r"every trial.*failed; found 3 trials; the first: the loss is not a number"
    ):
        search(wanted(3), tmp_path, training, silent)
    assert not (tmp_path / "best.yaml").exists()


def test_a_full_disk_is_no_failing_trial(tmp_path: Path) -> None:
    def training(config: RunConfig, folder: Path) -> float:
        raise OutputError("no space left")

    with pytest.raises(OutputError):
        search(wanted(3), tmp_path, training, silent)
    assert not (tmp_path / "search.json").exists()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"optimiser.lrr": [1]}, "lrr"),
        ({"train.epoks": [1, 2]}, "perhaps 'epochs'"),
        ({"train.batch": {"low": 0, "high": 4, "whole": True}}, "train.batch"),
    ],
)
def test_wrong_keys_and_values_are_told_before_anything_runs(keys: dict[str, Any], words: str) -> None:
    config = check({"search": {"keys": keys}, "data": {"phantoms": {"count": 4}}})
    if keys == {"optimiser.lrr": [1]}:  # an argument of the optimiser: known when it is made
        check_search(config)
        assert of_trial(config, {"optimiser.lrr": 1}).optimiser.arguments() == {"lrr": 1}
        return
    with pytest.raises(ConfigError, match=words):
        check_search(config)


def test_a_search_of_stages_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither stages nor several devices"):
        check({"search": {"keys": KEYS}, "stages": [{"train.epochs": 1}]})
