"""The refiner's training: pools, variation, learning, going on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from ossa.errors import InputError
from ossa.models.refiner_shape import ACROSS, AROUND
from ossa.segmentation.strips import APART
from ossa.training import refiner
from ossa.training.refiner import LENGTH, VISIBLE, Training, batch, judge, main, read_pool, varied


def made(folder: Path, count: int = 14, seed: int = 0) -> Path:
    """A pool in which each silhouette lies where grey falls to half, a slow wave along each outline."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    across = np.arange(ACROSS)[:, None] - ACROSS // 2
    for number in range(count):
        counts = rng.integers(60, 110, 4)
        columns = np.arange(counts.sum())
        offset = 3 * np.sin(columns / rng.uniform(9, 20) + rng.uniform(0, 6)) + rng.normal(0, 1)
        grey = 120 / (1 + np.exp(2.0 * (across - offset))) + rng.normal(0, 3, (ACROSS, columns.size))
        own = -across + rng.normal(0, 1.5, columns.size)
        strips = np.stack([grey, own, np.full_like(grey, -8)]).astype(np.float16)
        known = np.where(columns % 37 == 0, np.nan, offset).astype(np.float32)
        np.savez(folder / f"{number}.npz", strips=strips, counts=counts, offset=known)
    return folder


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("strips"))


def test_a_pool_is_read_and_parted(pool: Path) -> None:
    train, held_out = read_pool(pool)
    assert len(train) == 12 * 4  # of 14 phantoms two are held out
    assert len(held_out) == 2 * 4
    with np.load(pool / "0.npz") as kept:
        first = kept["offset"][: kept["counts"][0]]
    # What is asked for is the edge one sees, a little inside the silhouette.
    assert held_out[0].offset == pytest.approx(first - VISIBLE / APART, nan_ok=True, abs=1e-6)


def test_an_empty_pool_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pool of strips"):
        read_pool(tmp_path)


def test_a_batch_goes_round_each_outline(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refiner, "varied", lambda strip, rng: strip)
    train, _ = read_pool(pool)
    strips, offsets = batch(train[:1], np.random.default_rng(0), 3)
    assert strips.shape[3] == offsets.shape[1] + 2 * AROUND == LENGTH + 2 * AROUND
    own = train[0]
    for strip, offset in zip(strips.numpy(), offsets.numpy(), strict=True):
        middle = strip[:, :, AROUND:-AROUND]
        for column in range(0, LENGTH, 9):
            place = np.flatnonzero((own.strip == middle[:, :, column, None]).all(axis=(0, 1)))
            assert place.size
            assert own.offset[place[0]] == pytest.approx(offset[column], nan_ok=True)


def test_varying_keeps_the_shape_and_the_strip_itself(pool: Path) -> None:
    train, _ = read_pool(pool)
    before = train[0].strip.copy()
    rng = np.random.default_rng(0)
    several = [varied(train[0].strip, rng) for _ in range(8)]
    assert all(one.shape == before.shape and np.isfinite(one).all() for one in several)
    assert (train[0].strip == before).all()
    assert not np.array_equal(several[0], several[1])


def test_it_learns_where_edges_lie(pool: Path) -> None:
    train, held_out = read_pool(pool)
    training = Training(120, 3e-3)
    losses = [training.go(train, 12) for _ in range(120)]
    assert np.mean(losses[-20:]) < 0.75 * np.mean(losses[:20])
    told = judge(training.mean, held_out, batches=2)
    assert told["refined_median"] < 0.5 * told["before_median"]


def test_it_goes_on_where_it_was_stopped(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(out: Path, steps: int = 6) -> None:
        monkeypatch.setattr(
            sys, "argv", ["refiner", str(pool), str(out), "--steps", str(steps), "--batch", "4", "--every", "3"]
        )
        main()

    run(tmp_path / "whole")
    go = Training.go

    def stopped(self: Training, examples: list[refiner.Example], size: int) -> float:
        if self.step == 4:
            raise KeyboardInterrupt
        return go(self, examples, size)

    monkeypatch.setattr(Training, "go", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped")
    monkeypatch.setattr(Training, "go", go)
    run(tmp_path / "stopped")
    whole, again = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "stopped"))
    assert whole["step"] == again["step"] == 6
    assert all(torch.equal(whole["mean"][key], again["mean"][key]) for key in whole["mean"])
    steps = [json.loads(line)["step"] for line in (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 6]
    with pytest.raises(InputError, match="another number of steps"):
        run(tmp_path / "stopped", 9)
