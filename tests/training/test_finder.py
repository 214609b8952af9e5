"""The finder's training material: pools that are kept, batches, and batches turned over."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from ossa.hand.phantom.builtin import builtin_anatomy
from ossa.hand.phantom.plates import Plate
from ossa.models import finder_maps as maps
from ossa.training.finder import batch, losses, plate_of, turned_over
from ossa.training.finder_pool import SpritePool, draw, open_sprites


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> SpritePool:
    from ossa.hand.phantom.others import drawing_of, other_sprite
    from ossa.hand.phantom.sprites import hand_sprite

    folder: Path = tmp_path_factory.mktemp("sprites")
    pool = open_sprites(folder, 100)
    rng = np.random.default_rng(0)
    whole = hand_sprite(rng, builtin_anatomy(), close=False)
    made = {"whole": whole, "close": hand_sprite(rng, builtin_anatomy(), close=True)}
    made |= {"foot": other_sprite(rng), "other": other_sprite(rng), "drawing": drawing_of(whole, rng)}
    kinds = list(made)
    for k in range(100):  # every twentieth is held out: all kinds among them too
        kind = kinds[k // 20] if k % 20 == 0 else kinds[k % 5]
        pool.put(k, made[kind], kind)
    return open_sprites(folder)


def test_a_kept_sprite_is_the_one_that_was_drawn(tmp_path: Path) -> None:
    seed = next(s for s in range(50) if draw(s, builtin_anatomy(), None)[1] == "whole")
    sprite, kind = draw(seed, builtin_anatomy(), None)
    open_sprites(tmp_path, 3).put(1, sprite, kind)
    again = open_sprites(tmp_path)
    assert again.ready().tolist() == [1]
    assert again.ready(("close",)).size == 0
    got = again.get(1)
    assert got.view == sprite.view
    assert got.thumb_left == sprite.thumb_left
    assert got.open_ended == sprite.open_ended
    assert np.allclose(got.mu, sprite.mu, atol=5e-3)
    assert np.allclose(got.ends, sprite.ends, atol=1e-3, equal_nan=True)


def test_turning_a_batch_over_is_turning_its_pictures_over(pool: SpritePool, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = next(s for s in range(100) if len(plate_of(pool, s, 96).hands) == 1)
    plate = plate_of(pool, seed, 96)
    square = replace(plate, grey=np.pad(plate.grey, [(0, 96 - n) for n in plate.grey.shape], mode="edge"))
    hand = plate.hands[0]

    def made(plate: Plate) -> tuple[torch.Tensor, ...]:
        monkeypatch.setattr("ossa.training.finder.plate_of", lambda *_, **__: plate)
        return batch(pool, 0, 1, 96)

    start = made(square)
    for across, down, swapped in itertools.product((False, True), repeat=3):
        grey, centre, up, mirrored = square.grey, hand.centre, hand.up, False
        if across:
            grey, centre, up = grey[:, ::-1], np.array([95 - centre[0], centre[1]]), up * (-1, 1)
        if down:
            grey, centre, up = grey[::-1], np.array([centre[0], 95 - centre[1]]), up * (1, -1)
        if swapped:
            grey, centre, up = grey.T, centre[::-1], up[::-1]
        mirrored = bool((across + down + swapped) % 2)
        box = hand.box[[0, 1, 3, 2]] if mirrored else hand.box
        turned = replace(hand, centre=centre, up=up, box=box, thumb_left=hand.thumb_left != mirrored)
        expected = made(replace(square, grey=np.ascontiguousarray(grey), hands=(turned,)))
        x, y, counts = turned_over(start, across, down, swapped)
        assert torch.allclose(x, expected[0], atol=1e-5)
        assert torch.allclose(counts, expected[2], atol=1e-5)
        here = counts[0] > 0
        assert torch.allclose(y[0][:, here], expected[1][0][:, here], atol=1e-4)
        assert torch.allclose(y[0, maps.HEAT], expected[1][0, maps.HEAT], atol=1e-5)


def test_the_loss_is_least_for_the_truth(pool: SpritePool) -> None:
    x, y, counts = batch(pool, 0, 6, 96)
    assert x.shape == (6, 1, 96, 96)
    assert y.shape == (6, maps.PLANES, 12, 12)
    perfect = y.clone()
    for planes in (maps.HEAT, maps.VIEW, maps.IN_VIEW, maps.NEGATIVE, maps.PRESENT):
        perfect[:, planes] = torch.logit(y[:, planes].clamp(1e-4, 1 - 1e-4))
    perfect[:, maps.HEAT] = torch.where(y[:, maps.HEAT] > 0.999, 9.0, -9.0)  # the focal loss asks for the peak alone
    best = losses(perfect, y, counts)
    other = losses(perfect + torch.randn(y.shape, generator=torch.Generator().manual_seed(1)), y, counts)
    worse = {name: float(other[name] - best[name]) for name in best}
    assert min(worse.values()) >= 0, worse
    assert min(worse[name] for name in worse if name != "thumb") > 0, worse
    assert float(best["up"]) < 1e-6
    assert float(best["length"]) < 1e-6


def test_held_out_plates_use_other_sprites(pool: SpritePool) -> None:
    used: dict[bool, set[int]] = {True: set(), False: set()}
    own = SpritePool(pool.mu, pool.about)
    for held_out in used:
        seen = used[held_out]

        class Watched(SpritePool):
            def get(self, index: int, seen: set[int] = seen):
                seen.add(index)
                return own.get(index)

        for seed in range(12):
            plate_of(Watched(pool.mu, pool.about), seed, 96, held_out=held_out)
    assert used[True]
    assert used[False]
    assert not used[True] & used[False]
