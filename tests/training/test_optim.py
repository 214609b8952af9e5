"""Optimisers and schedules by name."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from ossa.errors import ConfigError
from ossa.training.optim import make_optimiser, make_schedule, optimisers, schedules


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def rates(name: str | None, steps: int, epochs: int, **options: object) -> list[float]:
    interval, warmup = str(options.pop("interval", "auto")), int(options.pop("warmup", 0))  # type: ignore[call-overload]
    optimiser = make_optimiser("SGD", {"lr": 1.0}, network())
    schedule = make_schedule(name, options, optimiser, interval=interval, warmup=warmup, steps=steps, epochs=epochs)
    out = []
    for step in range(steps):
        out.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        schedule.after_step()
        if (step + 1) % (steps // epochs) == 0:
            schedule.after_epoch(0.5)
    return out


def test_every_optimiser_that_needs_only_a_rate_is_built() -> None:
    assert {"SGD", "Adam", "AdamW", "RMSprop", "NAdam", "Adadelta"} <= set(optimisers())
    for name in set(optimisers()) - {"Muon"}:
        optimiser = make_optimiser(name, {"lr": 0.1}, net := network())
        net(torch.ones(2, 3)).sum().backward()
        optimiser.step()


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Muon"])
def test_optimisers_that_cannot_work_in_the_loop_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}'.*\n?.*Take AdamW"):
        make_optimiser(name, {"lr": 0.1}, network())


def test_weight_decay_spares_biases_and_norms() -> None:
    groups = make_optimiser("AdamW", {"lr": 0.1, "weight_decay": 0.3}, network()).param_groups
    decays = {p.ndim: g["weight_decay"] for g in groups for p in g["params"]}
    assert decays == {2: 0.3, 1: 0.0}


def test_every_schedule_runs_to_its_end() -> None:
    options: dict[str, dict[str, Any]] = {
        "StepLR": {"step_size": 2},
        "MultiStepLR": {"milestones": [2]},
        "ExponentialLR": {"gamma": 0.9},
        "SequentialLR": {"schedulers": ["LinearLR", "PolynomialLR"], "milestones": [4]},
        "ChainedScheduler": {"schedulers": [{"name": "StepLR", "step_size": 1}, "ConstantLR"]},
    }
    assert {"OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau", "StepLR"} <= set(schedules())
    for name in schedules():
        assert len(rates(name, 12, 4, **options.get(name, {}))) == 12


def test_lengths_fill_themselves() -> None:
    one = rates("OneCycleLR", 20, 4)
    assert max(one) == pytest.approx(1.0)
    assert one[-1] < 1e-3
    cosine = rates("CosineAnnealingLR", 20, 4)
    assert cosine[0] == 1.0
    assert cosine[-1] < 0.02
    assert rates(None, 5, 1) == [1.0] * 5
    step = rates("StepLR", 8, 4, step_size=1, gamma=0.5)
    assert step == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_schedules_of_a_list() -> None:
    rising = {"name": "LinearLR", "start_factor": 0.2}
    found = rates("SequentialLR", 20, 4, schedulers=[rising, {"name": "CosineAnnealingLR"}], milestones=[0.2])
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[-1] < 0.02
    both = rates(
        "ChainedScheduler",
        8,
        4,
        schedulers=[{"name": "StepLR", "step_size": 2, "gamma": 0.5}, {"name": "ExponentialLR", "gamma": 0.5}],
    )
    assert both == pytest.approx([1, 1, 0.5, 0.5, 0.125, 0.125, 0.0625, 0.0625])


def test_a_sequence_goes_on_where_its_state_says() -> None:
    def made() -> tuple[torch.optim.Optimizer, Any]:
        optimiser = make_optimiser("SGD", {"lr": 1.0}, network())
        inner = [{"name": "LinearLR", "start_factor": 0.2}, {"name": "CosineAnnealingLR"}]
        given = {"schedulers": inner, "milestones": [5]}
        return optimiser, make_schedule("SequentialLR", given, optimiser, warmup=2, steps=20, epochs=4)

    first, schedule = made()
    for _ in range(11):
        first.step()
        schedule.after_step()
    second, resumed = made()
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for _ in range(9):
        first.step()
        second.step()
        schedule.after_step()
        resumed.after_step()
        assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"]


@pytest.mark.parametrize("given", [{"epochs": 10, "steps_per_epoch": 1}, {"total_steps": 10}])
def test_one_cycle_with_its_peak_at_the_first_step(given: dict[str, int]) -> None:
    """torch 2.13 divides 0 by 0 there."""
    optimiser = make_optimiser("SGD", {"lr": 1.0}, network())
    schedule = make_schedule("OneCycleLR", {"pct_start": 0.1, **given}, optimiser, steps=20, epochs=4)
    found = []
    for _ in range(20):
        found.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        schedule.after_step()
    assert max(found) == pytest.approx(1.0, rel=1e-3)


def test_warm_up_climbs_to_where_the_schedule_starts() -> None:
    climbing = rates("CosineAnnealingLR", 20, 4, warmup=4)
    assert climbing[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert climbing[-1] < 0.05


def test_reduce_on_plateau_wants_growth() -> None:
    optimiser = make_optimiser("SGD", {"lr": 1.0}, network())
    schedule = make_schedule("ReduceLROnPlateau", {"patience": 0, "factor": 0.5}, optimiser, steps=10, epochs=5)
    for metric, expected in ((0.5, 1.0), (0.6, 1.0), (0.6, 0.5), (None, 0.5), (0.7, 0.5)):
        schedule.after_step()
        schedule.after_epoch(metric)
        assert optimiser.param_groups[0]["lr"] == expected


@pytest.mark.parametrize(
    ("kind", "name", "arguments", "said"),
    [
        ("optimiser", "AdamWW", {}, "perhaps 'AdamW'"),
        ("optimiser", "Adam", {"beta": 1}, "perhaps 'betas'"),
        ("optimiser", "Adam", {"betas": [2, 3]}, "refuses"),
        ("optimiser", "SGD", {"nesterov": True}, "refuses"),
        ("scheduler", "StepLr", {}, "perhaps 'StepLR'"),
        ("scheduler", "LambdaLR", {}, "no scheduler is called"),
        ("scheduler", "StepLR", {"stepsize": 1}, "perhaps 'step_size'"),
        ("scheduler", "StepLR", {}, "refuses"),
        ("scheduler", "CosineAnnealingLR", {"T_max": 0}, "refuses"),
        ("scheduler", "SequentialLR", {}, "needs a list"),
        ("scheduler", "SequentialLR", {"schedulers": ["LinearLR", "ConstantLR"], "milestones": [3]}, "interval=step"),
        ("scheduler", "SequentialLR", {"schedulers": ["LinearLR", "PolynomialLR"]}, "1 growing"),
        ("scheduler", "SequentialLR", {"schedulers": ["LinearLR", "OneCycleLR"], "milestones": [3]}, "one of a list"),
        ("scheduler", "ChainedScheduler", {"schedulers": ["LinerLR"]}, "perhaps 'LinearLR'"),
        ("scheduler", "ChainedScheduler", {"schedulers": [{"name": "StepLR", "size": 3}]}, "perhaps 'step_size'"),
    ],
)
def test_mistakes(kind: str, name: str, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        if kind == "optimiser":
            make_optimiser(name, {"lr": 0.1, **arguments}, network())
        else:
            make_schedule(name, arguments, make_optimiser("SGD", {"lr": 1.0}, network()), steps=10, epochs=2)
    assert said in str(caught.value)
