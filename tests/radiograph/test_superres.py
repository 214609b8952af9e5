"""Tiles: they cover the picture once, leave no seams and bring it back to its own size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers_films import film
from ossa.errors import ConfigError
from ossa.radiograph.superres import Tiling, enhance, enhance_tiles, pixels_seen, tile_count, windows

tilings = st.builds(Tiling, tile=st.sampled_from([32, 40, 64, 200]), overlap=st.sampled_from([0, 8, 24]))
FILM = film(150)[:, :130]


@settings(max_examples=100, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), tiling=tilings)
def test_cores_cover_every_pixel_once(height: int, width: int, tiling: Tiling) -> None:
    count = np.zeros((height, width), int)
    seen = 0
    for window in windows((height, width), tiling):
        top, left, bottom, right = window.core
        y, x, y_end, x_end = window.seen
        count[top:bottom, left:right] += 1
        assert 0 <= y <= top < bottom <= y_end <= height
        assert 0 <= x <= left < right <= x_end <= width
        assert y % 8 == x % 8 == 0  # every tile begins on the same phase
        assert top - y in (0, tiling.overlap)
        seen += (y_end - y) * (x_end - x)
    assert (count == 1).all()
    assert pixels_seen((height, width), tiling) == seen
    assert tile_count((height, width), tiling) == len(windows((height, width), tiling))


def repeat(scale: int) -> object:
    return lambda grey: np.kron(grey, np.ones((scale, scale), np.float32))


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 120),
    width=st.integers(1, 120),
    scale=st.sampled_from([1, 2, 3, 4]),
    deep=st.booleans(),
    tiling=tilings,
    seed=st.integers(0, 99),
)
def test_a_network_that_repeats_pixels_changes_nothing(
    height: int, width: int, scale: int, deep: bool, tiling: Tiling, seed: int
) -> None:
    top = 4096 if deep else 256
    picture = np.random.default_rng(seed).integers(0, top, (height, width)).astype(np.uint16 if deep else np.uint8)
    found = enhance(picture, repeat(scale), scale, tiling)  # type: ignore[arg-type]
    assert found.dtype == picture.dtype
    np.testing.assert_array_equal(found, picture)


def blur_up(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Looks 6 px around each pixel, like a shallow network, and doubles the size."""
    smooth = cv2.blur(grey, (13, 13), borderType=cv2.BORDER_REFLECT_101)
    return np.kron(smooth, np.ones((2, 2), np.float32)).astype(np.float32)


def test_tiles_leave_no_seams_when_they_overlap_enough() -> None:
    whole = enhance(FILM, blur_up, 2, Tiling(tile=200, overlap=0))
    tiled = enhance(FILM, blur_up, 2, Tiling(tile=32, overlap=8))
    np.testing.assert_allclose(tiled.astype(int), whole.astype(int), atol=1)
    apart = enhance(FILM, blur_up, 2, Tiling(tile=32, overlap=0))
    assert np.abs(apart.astype(int) - whole).max() > 5


def test_answers_outside_the_range_are_clipped() -> None:
    found = enhance(FILM, lambda grey: grey * 9 - 1, 1)
    assert found.min() == 0
    assert found.max() == 255


def test_all_black_16_bit() -> None:
    assert not enhance(np.zeros((40, 30), np.uint16), lambda grey: grey, 1).any()


def test_one_step_for_each_tile() -> None:
    out = np.zeros_like(FILM)
    steps = enhance_tiles(FILM, out, lambda grey: grey, 1, Tiling(tile=64))
    next(steps)
    np.testing.assert_array_equal(out[:64, :64], FILM[:64, :64])
    assert not out[:, 64:].any()
    assert 1 + sum(1 for _ in steps) == len(windows(FILM.shape, Tiling(tile=64)))
    np.testing.assert_array_equal(out, FILM)


@pytest.mark.parametrize("wrong", [{"tile": 20}, {"tile": 100}, {"tile": 8192}, {"overlap": -8}, {"overlap": 3}])
def test_wrong_tiles_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="multiple of 8"):
        Tiling(**wrong)
