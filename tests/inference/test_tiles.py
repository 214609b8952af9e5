"""Sliding windows give what the whole picture gives when the network sees no further than the overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossa.errors import ConfigError
from ossa.inference.tiles import Tiles, gaussian, run_tiled, run_whole, starts


def pointwise(batch: np.ndarray) -> np.ndarray:
    """A network of stride 2 that looks at single 2x2 blocks."""
    n, c, h, w = batch.shape
    small = batch.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return np.concatenate([small, small**2], axis=1)


@given(
    length=st.integers(1, 40), size=st.integers(1, 12), overlap=st.floats(0, 0.9), multiple=st.sampled_from([1, 2, 4])
)
def test_windows_cover_the_axis(length: int, size: int, overlap: float, multiple: int) -> None:
    length, size = length * 8, size * 8
    places = starts(length, size, overlap, multiple)
    covered = np.zeros(length, bool)
    for place in places:
        assert place % multiple == 0
        assert place + min(size, length) <= length
        covered[place : place + size] = True
    assert covered.all()
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("shape", [(64, 64), (96, 160), (224, 128), (32, 320)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_blending_changes_nothing_where_windows_agree(shape: tuple[int, int], overlap: float) -> None:
    picture = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    tiled = run_tiled(pointwise, picture, 1, 2, Tiles(64, overlap))
    np.testing.assert_allclose(tiled, run_whole(pointwise, picture, 1), atol=1e-5)


def test_the_second_channel_is_the_whole_hand() -> None:
    seen = []

    def network(batch: np.ndarray) -> np.ndarray:
        seen.append(batch)
        return batch[:, :1, ::2, ::2]

    picture = np.zeros((1, 128, 128), np.float32)
    picture[:, :64] = 1
    run_tiled(network, picture, 2, 2, Tiles(64, 0.0))
    assert len(seen) == 4
    for batch in seen:
        assert batch.shape == (1, 2, 64, 64)
        assert batch[0, 1, :32].mean() == pytest.approx(1)  # always the whole picture
        assert batch[0, 1, 32:].mean() == pytest.approx(0)
    assert seen[0][0, 0].mean() == 1  # top windows: inside the bright half
    assert seen[3][0, 0].mean() == 0


def test_the_weight_is_largest_in_the_middle_and_never_zero() -> None:
    weight = gaussian(33, 65)
    assert tuple(map(int, np.unravel_index(weight.argmax(), weight.shape))) == (16, 32)
    assert weight.min() > 0
    np.testing.assert_allclose(weight, weight[::-1, ::-1], rtol=1e-6)


@pytest.mark.parametrize("bad", [(31, 0.2), (100, 0.2), (64, 1.0), (64, -0.1)])
def test_bad_settings(bad: tuple[int, float]) -> None:
    with pytest.raises(ConfigError):
        Tiles(*bad)
