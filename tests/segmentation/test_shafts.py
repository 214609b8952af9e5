"""Shafts that a network left off in mid-air, on pictures where it is known how far they go."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ossa.segmentation import shafts
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Region
from ossa.segmentation.shafts import best_path, followed

Bits = NDArray[np.bool_]


def stripe(shape: tuple[int, int], top: tuple[float, float], bottom: tuple[float, float], width: float) -> Bits:
    """A straight stripe from ``top`` to ``bottom`` (x, y)."""
    a, b = np.array(top), np.array(bottom)
    along = (b - a) / np.hypot(*(b - a))
    across = np.array([-along[1], along[0]]) * width / 2
    out = np.zeros(shape, np.uint8)
    cv2.fillPoly(out, [np.rint((np.array([a - across, b - across, b + across, a + across])) * 256).astype(np.int32)], 1,
                 shift=8)  # fmt: skip
    return out > 0


def film(shaft: Bits, canal: Bits, noise: float = 2.0, seed: int = 0) -> NDArray[np.uint8]:
    """A shaft with its canal in flesh on a dark film."""
    rng = np.random.default_rng(seed)
    flesh = cv2.dilate(shaft.astype(np.uint8), np.ones((31, 31)))
    grey = 30.0 + 60 * flesh + 90 * shaft - 45 * (canal & shaft)
    grey = cv2.GaussianBlur(grey, (0, 0), 1.2) + rng.normal(0, noise, shaft.shape)
    return np.clip(grey, 0, 255).astype(np.uint8)


SHAPE = (420, 240)
TOP, BOTTOM, WIDE = (130.0, 40.0), (95.0, 460.0), 34.0
SHAFT = stripe(SHAPE, TOP, BOTTOM, WIDE)
CANAL = stripe(SHAPE, TOP, BOTTOM, 12.0)
AWAY = np.array([0.0, 1.0])


def region(mask: Bits) -> Region:
    found = Region.tight(mask)
    assert found is not None
    return found


def cut(mask: Bits, row: int) -> Bits:
    out = mask.copy()
    out[row:] = False
    return out


@pytest.mark.parametrize("last", [150, 250, 330])
def test_a_shaft_that_ends_in_mid_air_goes_on_to_the_films_end(last: int) -> None:
    found = region(cut(SHAFT, last))
    whole = followed(found, film(SHAFT, CANAL), AWAY)
    assert dice(whole, region(SHAFT)) > 0.97
    assert whole.bottom == SHAPE[0]
    # What was found stays, but for the last cross-sections.
    assert (whole.plane(SHAPE)[: last - 60] == SHAFT[: last - 60]).all()


def test_one_wall_of_a_shaft_becomes_all_of_it() -> None:
    notched = SHAFT & ~(CANAL & (np.arange(SHAPE[0])[:, None] > 200))
    left = SHAFT & (np.arange(SHAPE[1])[None] < 108)
    broken = np.where(np.arange(SHAPE[0])[:, None] < 300, notched, left & notched)
    whole = followed(region(broken), film(SHAFT, CANAL), AWAY)
    assert dice(whole, region(SHAFT)) > 0.97


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_it_does_not_matter_which_way_up(turns: int) -> None:
    away = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]][turns])
    found = region(np.rot90(cut(SHAFT, 220), turns))
    picture = np.ascontiguousarray(np.rot90(film(SHAFT, CANAL), turns))
    assert dice(followed(found, picture, away), region(np.rot90(SHAFT, turns))) > 0.97


@pytest.mark.parametrize("scale", [0.4, 4.0])
def test_nor_how_large_it_is(scale: float) -> None:
    shape = (round(SHAPE[0] * scale), round(SHAPE[1] * scale))
    top, bottom = (tuple(np.array(p) * scale) for p in (TOP, BOTTOM))
    shaft, canal = stripe(shape, top, bottom, WIDE * scale), stripe(shape, top, bottom, 12 * scale)
    whole = followed(region(cut(shaft, round(220 * scale))), film(shaft, canal), AWAY)
    assert dice(whole, region(shaft)) > 0.96


def test_of_16_bits_too() -> None:
    grey = film(SHAFT, CANAL).astype(np.uint16) * 200
    assert dice(followed(region(cut(SHAFT, 220)), grey, AWAY), region(SHAFT)) > 0.97


def test_a_whole_shaft_stays_as_it_is() -> None:
    found = region(SHAFT)
    assert followed(found, film(SHAFT, CANAL), AWAY) is found


def test_it_ends_where_the_exposed_field_ends() -> None:
    for outside in (8, 200):  # a dark surround, and a bright one
        grey = film(SHAFT, CANAL)
        grey[330:] = outside
        whole = followed(region(cut(SHAFT, 200)), grey, AWAY)
        assert abs(whole.bottom - 330) <= 6
        assert dice(whole, region(cut(SHAFT, 330))) > 0.96


def test_and_where_the_bone_ends() -> None:
    short = cut(SHAFT, 300)
    whole = followed(region(cut(SHAFT, 200)), film(short, CANAL & short), AWAY)
    assert abs(whole.bottom - 300) <= 8


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_made_of_noise(seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, SHAPE).astype(np.uint8)
    found = region(cut(SHAFT, 200))
    assert followed(found, grey, AWAY).bottom <= 215


def test_a_short_or_sideways_one_stays_as_it_is() -> None:
    grey = film(SHAFT, CANAL)
    for found, away in ((region(cut(SHAFT, 70)), AWAY), (region(cut(SHAFT, 250)), np.array([1.0, 0.0]))):
        assert followed(found, grey, away) is found


def test_tiny_regions_and_flat_pictures_stay() -> None:
    flat = np.zeros(SHAPE, np.uint8)
    for shape in ((1, 1), (4, 4), (40, 1), (40, 4)):
        dot = Region(5, 5, np.ones(shape, bool))
        assert followed(dot, flat, AWAY) is dot
    found = region(cut(SHAFT, 200))
    assert followed(found, flat, AWAY) is found


def worth(rising: NDArray[np.float32], falling: NDArray[np.float32], path: list[tuple[int, int]]) -> float:
    """What a path is worth, step by step."""
    total = 0.0
    for t, ((a, b), (c, d)) in enumerate(itertools.pairwise(path), start=1):
        bend, wider = c - a, (d - c) - (b - a)
        total += float(rising[t, c] + falling[t, d]) - shafts.BENT * bend**2 - shafts.WIDER * wider**2
    return total


@pytest.mark.parametrize("seed", range(20))
def test_the_best_path_is_as_good_as_the_best_of_all_paths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rising, falling = rng.uniform(0, 1.2, (2, 5, 14)).astype(np.float32)
    start = (4, 9)
    widths = range(round(shafts.WIDTHS[0] * 5), round(shafts.WIDTHS[1] * 5) + 1)
    best = -np.inf
    for moves in itertools.product(itertools.product((-1, 0, 1), (-1, 0, 1)), repeat=4):
        path = [start]
        for left, wider in moves:
            path.append((path[-1][0] + left, path[-1][1] + left + wider))
        if all(b - a in widths and a >= 0 and b < 14 for a, b in path):
            best = max(best, worth(rising, falling, path))
    found = [(int(a), int(b)) for a, b in best_path(rising, falling, start)]
    assert found[0] == start
    assert worth(rising, falling, found) == pytest.approx(best, abs=1e-4)
