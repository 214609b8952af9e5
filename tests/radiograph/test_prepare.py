"""The grid and the way back: exact in both directions, for every shape."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers_films import film
from ossa.errors import ConfigError
from ossa.radiograph.prepare import Placement, Preparation, normalise, pad, place, prepare, resample
from ossa.radiograph.radiograph import Radiograph, Spacing

sides = st.integers(1, 300)
preparations = st.builds(Preparation, size=st.integers(1, 200), multiple=st.sampled_from([1, 8, 32]))
spacings = st.none() | st.builds(
    Spacing, row=st.floats(0.02, 2), column=st.floats(0.02, 2), source=st.just("PixelSpacing")
)


def area_means(picture: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Each output pixel is the mean of the (fractional) input area under it: slow and obvious."""

    def weights(inputs: int, outputs: int) -> NDArray[np.float64]:
        edges = np.linspace(0, inputs, outputs + 1)
        cells = np.arange(inputs)
        overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
        return np.clip(overlap, 0, None) * outputs / inputs

    return weights(picture.shape[0], shape[0]) @ picture.astype(float) @ weights(picture.shape[1], shape[1]).T


@settings(max_examples=200, deadline=None)
@given(height=sides, width=sides, preparation=preparations, spacing=spacings, data=st.data())
def test_points_go_there_and_back(
    height: int, width: int, preparation: Preparation, spacing: Spacing | None, data: st.DataObject
) -> None:
    placement = place((height, width), preparation, spacing)
    points = np.array(data.draw(st.lists(st.tuples(st.floats(-9, 400), st.floats(-9, 400)), max_size=6))).reshape(-1, 2)
    np.testing.assert_allclose(placement.to_image(placement.to_grid(points)), points, atol=1e-9)
    np.testing.assert_allclose(placement.to_grid(placement.to_image(points)), points, atol=1e-9)


@settings(max_examples=200, deadline=None)
@given(height=sides, width=sides, preparation=preparations, spacing=spacings)
def test_placement(height: int, width: int, preparation: Preparation, spacing: Spacing | None) -> None:
    placement = place((height, width), preparation, spacing)
    content, grid = placement.content_shape, placement.grid_shape
    assert max(content) == preparation.size
    for side in (0, 1):
        assert grid[side] % preparation.multiple == 0
        assert 1 <= content[side] <= grid[side] < content[side] + preparation.multiple
    # The picture's outer edges are the content's outer edges: pixel centres lie half a pixel inside.
    corners = placement.to_grid(np.array([(-0.5, -0.5), (width - 0.5, height - 0.5)]))
    np.testing.assert_allclose(corners, [(-0.5, -0.5), (content[1] - 0.5, content[0] - 0.5)], atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(height=st.integers(50, 300), width=st.integers(50, 300), ratio=st.floats(0.3, 3))
def test_millimetres_become_square(height: int, width: int, ratio: float) -> None:
    placement = place((height, width), Preparation(512), Spacing(0.1 * ratio, 0.1, "PixelSpacing"))
    # One millimetre down is as many grid pixels as one across, within the rounding to whole pixels.
    down, across = placement.scale_y / ratio, placement.scale_x
    tolerance = 0.5 / min(placement.content_shape) * max(down, across) * 2
    assert abs(down - across) <= tolerance


def test_nonsense_spacing_is_left_alone() -> None:
    plain = place((100, 200), Preparation(64))
    for spacing in (Spacing(0.1, 30, "PixelSpacing"), Spacing(0, 0.1, "user"), Spacing(0.2, 0.2, "user")):
        assert place((100, 200), Preparation(64), spacing) == plain


def test_identity() -> None:
    picture = film(128)
    placement = place(picture.shape, Preparation(128, 32))
    assert placement == Placement((128, 128), (128, 128), (128, 128), 1.0, 1.0)
    assert resample(picture, placement) is picture
    points = np.array([(0.0, 0.0), (3.25, 7.5)])
    np.testing.assert_array_equal(placement.to_grid(points), points)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.integers(1, 90),
    deep=st.booleans(),
    seed=st.integers(0, 99),
)
def test_shrinking_is_the_area_mean(height: int, width: int, size: int, deep: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 60000 if deep else 256, (height, width)).astype(np.uint16 if deep else np.uint8)
    placement = place((height, width), Preparation(min(size, max(height, width)), 1))
    found = resample(picture, placement)
    assert found.dtype == picture.dtype
    assert found.shape == placement.content_shape
    assert np.abs(found - area_means(picture, placement.content_shape)).max() <= 1.0


def test_a_point_stays_on_its_blob() -> None:
    """The mapping of points is the mapping of pixels, shrinking, growing and with oblong pixels."""
    y, x = np.mgrid[:150, :210]
    centre = np.array([(130.3, 61.7)])
    picture = (255 * np.exp(-((x - centre[0, 0]) ** 2 + (y - centre[0, 1]) ** 2) / 200)).astype(np.uint8)
    for size, spacing in ((64, None), (500, None), (97, Spacing(0.2, 0.1, "user")), (150, Spacing(0.07, 0.1, "user"))):
        placement = place(picture.shape, Preparation(size), spacing)
        small = resample(picture, placement).astype(float)
        rows, columns = np.mgrid[: small.shape[0], : small.shape[1]]
        found = np.array([((columns * small).sum() / small.sum(), (rows * small).sum() / small.sum())])
        np.testing.assert_allclose(found, placement.to_grid(centre), atol=0.12)


def test_oblong_pixels_that_shrink_one_way_and_grow_the_other_are_averaged() -> None:
    """Stripes along the shrinking axis must become their mean, not be sampled."""
    picture = np.zeros((400, 100), np.uint8)
    picture[::2] = 200
    placement = place(picture.shape, Preparation(200), Spacing(0.025, 0.1, "user"))
    assert placement.content_shape == (200, 200)
    np.testing.assert_array_equal(resample(picture, placement), 100)


def slow_normalise(grey: NDArray[np.generic]) -> NDArray[np.float64]:
    values = grey.astype(float)
    values = np.clip(values, *np.percentile(values, (0.5, 99.5)))
    return (values - values.mean()) / (values.std() + 1e-6)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    spread=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_normalise(shape: tuple[int, int], dtype: type[Any], spread: float, seed: int) -> None:
    top = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    grey: np.ndarray = (np.random.default_rng(seed).random(shape) * spread * top).astype(dtype)
    found = normalise(grey)
    assert found.dtype == np.float32
    if grey.astype(float).std() > 1e-3 * top:
        np.testing.assert_allclose(found, slow_normalise(grey), atol=2e-4)
        assert abs(float(found.mean())) < 1e-3


@pytest.mark.parametrize("value", [0, 200, 255])
def test_one_value_becomes_nothing(value: int) -> None:
    assert not normalise(np.full((33, 7), value, np.uint8)).any()
    assert not normalise(np.full((33, 7), value / 300, np.float32)).any()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 1), (512, 512)),
        ((2048, 2048), (512, 512)),
        ((1, 5000), (32, 512)),
        ((5000, 1), (512, 32)),
        ((333, 777), (224, 512)),
    ],
)
def test_prepare(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    grid, placement = prepare(Radiograph(picture), Preparation())
    assert grid.shape == (1, *expected) == (1, *placement.grid_shape)
    assert grid.dtype == np.float32
    assert grid.flags.c_contiguous
    height, width = placement.content_shape
    np.testing.assert_array_equal(grid[0, :height, :width], normalise(resample(picture, placement)))
    assert not grid[0, height:].any()
    assert not grid[0, :, width:].any()


def test_padding_does_not_enter_the_statistics() -> None:
    picture = film(100)[:, :61]
    square, _ = prepare(Radiograph(picture), Preparation(100, 1))
    padded, placement = prepare(Radiograph(picture), Preparation(100, 64))
    assert placement.grid_shape == (128, 64)
    np.testing.assert_array_equal(padded[:, :100, :61], square)
    np.testing.assert_array_equal(padded[0], pad(square[0], placement))


def test_depth_does_not_matter() -> None:
    picture = film(256)
    shallow, _ = prepare(Radiograph(picture), Preparation(128))
    deep, _ = prepare(Radiograph(picture.astype(np.uint16) * 16), Preparation(128))
    assert np.abs(shallow - deep).max() < 0.05


def test_preparation_as_json() -> None:
    preparation = Preparation(384, 64)
    assert Preparation.from_json(json.loads(json.dumps(preparation.to_json()))) == preparation
    with pytest.raises(ConfigError, match="unknown entries; found sice"):
        Preparation.from_json({"sice": 3})
    for wrong in ({"size": 0}, {"size": "512"}, {"multiple": 1.5}, {"multiple": True}, {"size": 1 << 20}):
        with pytest.raises(ConfigError, match="out of range"):
            Preparation.from_json(wrong)
