"""Strips across outlines: what is sampled where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.segmentation.rings import ring
from ossa.segmentation.segmentation import Region
from ossa.segmentation.strips import APART, Sampler, Seen, closed, normalised, sampled, unit_of


@dataclass(frozen=True)
class Whole:
    """A grid that covers a picture."""

    image_shape: tuple[int, int]
    grid_shape: tuple[int, int]

    @property
    def scale_y(self) -> float:
        return self.grid_shape[0] / self.image_shape[0]

    @property
    def scale_x(self) -> float:
        return self.grid_shape[1] / self.image_shape[1]


def slowly(picture: np.ndarray, x: float, y: float) -> float:
    """Between four pixels, beyond the border as at the border."""
    height, width = picture.shape
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    total = 0.0
    for row, down in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
        for column, across in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
            value = float(picture[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])
            total += down * across * value
    return total


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sampled_is_what_lies_between_the_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.uniform(0, 1, (9, 12)).astype(np.float32)
    points = rng.uniform(-3, 15, (4, 5, 2))
    expected = [[slowly(picture, x, y) for x, y in row] for row in points]
    # OpenCV places points to 1/32 px.
    assert sampled(picture, points) == pytest.approx(np.array(expected), abs=0.1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 6))
def test_rivals_are_the_two_highest(seed: int, count: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (count, 5, 7)).astype(np.float32)
    first, second = Seen(logits, Whole((10, 14), (5, 7))).rivals
    ordered = np.sort(logits, axis=0)
    assert (first == ordered[-1]).all()
    assert (second == ordered[-2]).all()


def test_a_strip_runs_from_the_inside_to_the_outside() -> None:
    size = 256
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - 120.0, columns - 130.0)
    picture = np.clip(200 - 3 * distance, 0, 255).astype(np.uint8)
    grid = np.mgrid[:64, :64] * 4 + 1.5
    own = (60 - np.hypot(grid[0] - 120.0, grid[1] - 130.0)).astype(np.float32)
    logits = np.stack([own, own - 5, np.full_like(own, -9)])
    region = Region.tight(distance <= 60)
    assert region is not None
    sampler = Sampler(picture, 9)
    one = ring(region, 3 * sampler.unit)
    assert one is not None
    grey, bone, other = sampler.strip(one, Seen(logits, Whole((size, size), (64, 64))), 0)
    reach = (np.arange(9) - 4) * APART * unit_of((size, size))
    assert grey == pytest.approx(np.repeat(200 - 3 * (60 + reach[:, None]), grey.shape[1], axis=1), abs=4)
    assert bone == pytest.approx(np.repeat(-reach[:, None], bone.shape[1], axis=1), abs=1.2)
    assert other == pytest.approx(bone - 5, abs=0.5)
    # The same bone on a cut-out of the picture, and on a film twice as large.
    top, left = 40, 52
    part = logits[:, top // 4 :, left // 4 :]
    cut = Seen(part, Whole((size - top, size - left), part.shape[1:]), top, left)
    assert sampler.strip(one, cut, 0)[1] == pytest.approx(bone, abs=0.05)


def test_large_films_are_sampled_as_small_ones() -> None:
    rng = np.random.default_rng(3)
    small = np.kron(rng.integers(0, 255, (64, 64)), np.ones((32, 32))).astype(np.uint8)
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    logits = np.zeros((1, 64, 64), np.float32)
    greys = []
    for picture, factor in ((small, 1), (large, 2)):
        plane = np.zeros(picture.shape, bool)
        plane[400 * factor : 900 * factor, 500 * factor : 1200 * factor] = True
        region = Region.tight(plane)
        assert region is not None
        sampler = Sampler(picture, 5)
        one = ring(region, 3 * sampler.unit, sampler.unit)
        assert one is not None
        greys.append(sampler.strip(one, Seen(logits, Whole(picture.shape, (64, 64))), 0)[0])
    assert abs(greys[0].shape[1] - greys[1].shape[1]) <= 2
    assert greys[0].mean() == pytest.approx(greys[1].mean(), abs=4)


def test_contrast_and_brightness_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    strips = [rng.normal(0, 20, (3, 7, 30)).astype(np.float32) for _ in range(3)]
    changed = [one * np.array([3, 1, 1])[:, None, None] + np.array([50, 0, 0])[:, None, None] for one in strips]
    for one, other in zip(normalised(strips), normalised([c.astype(np.float32) for c in changed]), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
        assert np.abs(one[1:]).max() <= 3.0  # logits are cut off
    flat = normalised([np.zeros((3, 7, 30), np.float32)])
    assert np.isfinite(flat[0]).all()
    assert normalised([]) == []


def test_an_outline_goes_round() -> None:
    strip = np.arange(5, dtype=np.float32)[None, None].repeat(2, axis=1)
    assert closed(strip, 7)[0, 0].tolist() == [(k - 7) % 5 for k in range(19)]
