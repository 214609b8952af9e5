"""A run with train.minutes ends in time, on a clock that does not run by itself."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

from ossa.training.deadline import Deadline, InTime
from ossa.training.trial import Trial
from ossa.training.whole_plan import Costs


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def fold(clock: Clock, guard: InTime, epochs: int, epoch: float, check: float, every: int = 1) -> int:
    """Epochs that a fold of ``epochs`` trains; an epoch takes ``epoch`` seconds, a validation ``check``."""
    trainer: Any = SimpleNamespace(world_size=1, current_epoch=0, max_epochs=epochs, should_stop=False)
    guard.on_train_start(trainer, None)
    while trainer.current_epoch < epochs and not trainer.should_stop:
        clock.seconds += epoch
        if (trainer.current_epoch + 1) % every == 0:
            guard.on_validation_start(trainer, None)
            clock.seconds += check
            guard.on_validation_end(trainer, None)
        guard.on_train_epoch_end(trainer, None)
        trainer.current_epoch += 1
    return trainer.current_epoch


def run(minutes: float, folds: int, epochs: int, epoch: float, check: float, writing: float, every: int = 1) -> Any:
    """(minutes that a run took, epochs of each fold)."""
    clock = Clock()
    trained: list[int] = []
    deadline = Deadline(minutes, clock)
    for number in range(folds):
        trained.append(fold(clock, deadline.fold(folds - number), epochs, epoch, check, every))
        deadline.trained()
        clock.seconds += writing
        deadline.finished()
    return (clock.seconds - 100) / 60, trained


def planned(minutes: float, folds: int, trial: Trial, pictures: int) -> int:
    costs = Costs.of(trial, pictures, 5, 1)
    return int(costs.left(minutes, folds) * 60 // costs.epoch)


@pytest.mark.parametrize("minutes", [3, 6, 60])
@pytest.mark.parametrize("folds", [1, 2, 5])
@pytest.mark.parametrize("slower", [0.5, 1.0, 1.3, 3.0])
def test_a_run_keeps_its_time_on_a_machine_that_becomes_slower(minutes, folds, slower):
    trial = Trial(sample=0.02, check=0.05, reading=0.05, size=256, batch=8, saving=0.1, writing=8.0)
    epochs = planned(minutes, folds, trial, 40)
    took, trained = run(minutes, folds, epochs, 0.84 * slower, 0.4 * slower, 8 * slower)
    assert took <= 1.1 * minutes
    if slower <= 1:
        assert sum(trained) >= folds * epochs - 1  # what was planned is trained, but for what the first fold keeps
    else:
        assert took >= 0.7 * minutes


def test_later_folds_know_what_writing_takes():
    took, trained = run(10, 3, 10_000, 1.0, 1.0, 60.0)
    assert 9 < took <= 10.7
    assert trained[0] > trained[1]


def test_a_fold_ends_after_a_validation_and_has_one():
    took, trained = run(1, 1, 1000, 1.0, 1.0, 5.0, every=4)
    assert trained[0] % 4 == 0
    assert took <= 1.1
    assert run(1, 1, 1000, 300.0, 1.0, 5.0)[1] == [1]


def test_what_stopped_it_is_told():
    clock = Clock()
    told: list[str] = []
    guard = Deadline(1, clock).fold(1, told.append)
    fold(clock, guard, 100, 10.0, 1.0)
    assert told == ["The time is up (train.minutes): stopped after epoch 3 of 100"]
