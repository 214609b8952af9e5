"""Decoding against interpolation of the full frame."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ossa.errors import ConfigError, InputError, SchemaError
from ossa.radiograph.prepare import Placement, Preparation, place
from ossa.schema import Bone, BoneSchema, load_schema
from ossa.segmentation.decode import decode, decode_at, logit, resample_logits, scales


def schema_of(count: int) -> BoneSchema:
    bones = tuple(Bone(f"b{i}", f"B{i}", "carpal", None, (1, 2, 3), None, f"b{i}") for i in range(count))
    return BoneSchema("test", "Test", bones)


def full_frame(logits: NDArray[np.float32], placement: Placement) -> NDArray[np.float64]:
    """All planes at the picture's size, pixel by pixel in double precision."""
    out = np.empty((logits.shape[0], *placement.image_shape))
    height, width = logits.shape[1:]
    sy = placement.scale_y * height / placement.grid_shape[0]
    sx = placement.scale_x * width / placement.grid_shape[1]
    planes = logits.astype(np.float64)
    for y in range(placement.image_shape[0]):
        v = min(max((y + 0.5) * sy - 0.5, 0), height - 1)
        y0, y1 = int(v), min(int(v) + 1, height - 1)
        row = planes[:, y0] * (1 - (v - y0)) + planes[:, y1] * (v - y0)
        for x in range(placement.image_shape[1]):
            u = min(max((x + 0.5) * sx - 0.5, 0), width - 1)
            x0, x1 = int(u), min(int(u) + 1, width - 1)
            out[:, y, x] = row[:, x0] * (1 - (u - x0)) + row[:, x1] * (u - x0)
    return out


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.sampled_from([32, 40, 64]),
    stride=st.sampled_from([1, 2, 4]),
    threshold=st.floats(0.02, 0.98),
    seed=st.integers(0, 2**31),
    smooth=st.booleans(),
)
def test_same_as_full_frame(
    height: int, width: int, size: int, stride: int, threshold: float, seed: int, smooth: bool
) -> None:
    placement = place((height, width), Preparation(size, 8))
    rng = np.random.default_rng(seed)
    shape = (3, placement.grid_shape[0] // stride, placement.grid_shape[1] // stride)
    logits = rng.normal(0, 3, shape).astype(np.float32)
    if smooth:  # blobs with far speckles, some bones absent
        logits = np.where(rng.random(shape) > 0.97, logits, np.float32(-4)).astype(np.float32)
    schema = schema_of(3)
    found = decode(logits, placement, schema, {"b0": threshold, "b2": 0.5}).planes()
    expected = full_frame(logits, placement)
    for i, limit in enumerate([logit(threshold), 0.0, 0.0]):
        differs = found[i] != (expected[i] > limit)
        # single precision may decide otherwise only where the value is the threshold itself
        assert np.all(np.abs(expected[i][differs] - limit) < 1e-5)


@pytest.mark.parametrize(
    ("low", "high"), [((32, 48), (256, 384)), ((32, 32), (100, 75)), ((64, 32), (210, 333)), ((50, 50), (30, 20))]
)
def test_same_as_torch(low: tuple[int, int], high: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 4, (4, *low)).astype(np.float32)
    placement = Placement(high, low, low, low[0] / high[0], low[1] / high[1])
    full = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], size=high, mode="bilinear", align_corners=False
    )[0].numpy()
    found = decode(logits, placement, schema_of(4)).planes()
    differs = found != (full > 0)
    assert np.all(np.abs(full[differs]) < 1e-5)
    assert differs.sum() <= 2


def test_absent_everywhere_and_everything() -> None:
    placement = place((37, 53), Preparation(32, 8))
    planes = np.full((3, *placement.grid_shape), -1, np.float32)
    planes[1] = 2
    result = decode(planes, placement, schema_of(3))
    assert list(result.regions) == ["b1"]
    assert result.plane("b1").all()
    assert result.probability["b1"] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)


def test_a_region_as_large_as_the_picture() -> None:
    placement = place((1500, 1400), Preparation(32, 8))
    planes = np.full((1, *placement.grid_shape), 1, np.float32)
    assert decode(planes, placement, schema_of(1)).plane("b0").all()


def test_half_precision_logits() -> None:
    placement = place((64, 64), Preparation(32, 8))
    rng = np.random.default_rng(1)
    half = rng.normal(0, 3, (2, 32, 32)).astype(np.float16)
    a = decode(half, placement, schema_of(2)).planes()
    b = decode(half.astype(np.float32), placement, schema_of(2)).planes()
    assert np.array_equal(a, b)


def test_bad_input() -> None:
    placement = place((64, 64), Preparation(32, 8))
    with pytest.raises(SchemaError, match="do not fit"):
        decode(np.zeros((3, 32, 32), np.float32), placement, load_schema())
    with pytest.raises(SchemaError, match="nope"):
        decode(np.zeros((2, 32, 32), np.float32), placement, schema_of(2), {"nope": 0.5})
    with pytest.raises(ConfigError, match="between 0 and 1"):
        decode(np.zeros((2, 32, 32), np.float32), placement, schema_of(2), {"b0": 1.0})


@pytest.mark.parametrize("threshold", [0.1, 0.35, 0.5, 0.8, 0.97])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    """Pixels a little surer than the threshold are bone, pixels a little less sure are not."""
    placement = place((8, 8), Preparation(8, 8))
    for offset, inside in ((0.01, True), (-0.01, False)):
        p = threshold + offset
        planes = np.full((2, 8, 8), np.log(p / (1 - p)), np.float32)
        found = decode(planes, placement, schema_of(2), {"b0": threshold})
        assert ("b0" in found.regions) == inside
        assert ("b1" in found.regions) == (p > 0.5)


def test_the_mean_probability_is_that_of_what_is_bone() -> None:
    """Pixels between .5 and a higher threshold are none of the bone and do not count."""
    placement = place((8, 8), Preparation(8, 8))
    probabilities = np.full((1, 8, 8), 0.02)
    probabilities[0, 2:4], probabilities[0, 4:6] = 0.3, 0.7
    probabilities[0, 6:8] = 0.95
    logits = np.log(probabilities / (1 - probabilities)).astype(np.float32)
    for threshold, expected in ((0.9, 0.95), (0.5, (0.7 + 0.95) / 2), (0.1, (0.3 + 0.7 + 0.95) / 3)):
        found = decode(logits, placement, schema_of(1), {"b0": threshold})
        assert found.probability["b0"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "broken",
    [
        {"scale_x": 0.0}, {"scale_y": -0.5}, {"scale_y": math.nan}, {"scale_x": math.inf}, {"scale_x": 1e-300},
        {"scale_y": 40.0}, {"image_shape": (0, 64)}, {"image_shape": (64, 1 << 40)},
        {"grid_shape": (0, 32)}, {"grid_shape": (32, -1)},
        {"image_shape": (1 << 14, 1 << 14), "scale_x": 2**-9, "scale_y": 2**-9},
    ],
)  # fmt: skip
def test_a_placement_that_no_picture_has_is_refused(broken: dict[str, Any]) -> None:
    """As a damaged file of probabilities may hold; nothing is allocated by its word."""
    placement = dataclasses.replace(place((64, 64), Preparation(32, 8)), **broken)
    logits = np.ones((2, 32, 32), np.float32)
    with pytest.raises(InputError, match="placed on no picture"):
        decode(logits, placement, schema_of(2))
    with pytest.raises(InputError, match="placed on no picture"):
        resample_logits(logits, placement, place((64, 64), Preparation(32, 8)), (32, 32))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 2048), st.sampled_from([1, 16, 32]))
def test_every_placement_of_a_picture_is_accepted(height: int, width: int, size: int, multiple: int) -> None:
    placement = place((height, width), Preparation(size, multiple))
    y, x = scales(placement.grid_shape, placement)
    assert (y, x) == pytest.approx((placement.scale_y, placement.scale_x))


@settings(max_examples=30, deadline=None)
@given(height=st.integers(8, 60), width=st.integers(8, 60), seed=st.integers(0, 1000))
def test_resampling_between_grids_keeps_a_linear_ramp(height: int, width: int, seed: int) -> None:
    """A ramp in picture coordinates stays that ramp on another grid, away from the clamped border."""
    source, target = place((height, width), Preparation(64, 8)), place((height, width), Preparation(48, 16))
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=2)

    def ramp(placement: Placement, shape: tuple[int, int]) -> NDArray[np.float64]:
        ys = (np.arange(shape[0]) + 0.5) / (placement.scale_y * shape[0] / placement.grid_shape[0])
        xs = (np.arange(shape[1]) + 0.5) / (placement.scale_x * shape[1] / placement.grid_shape[1])
        return a * ys[:, None] + b * xs[None]

    shapes = (
        (source.grid_shape[0] // 2, source.grid_shape[1] // 2),
        (target.grid_shape[0] // 2, target.grid_shape[1] // 2),
    )
    got = resample_logits(ramp(source, shapes[0]).astype(np.float32)[None], source, target, shapes[1])[0]
    expected = ramp(target, shapes[1])
    inner_y = slice(1, max(1, int(target.content_shape[0] // 2) - 2))
    inner_x = slice(1, max(1, int(target.content_shape[1] // 2) - 2))
    assert np.allclose(got[inner_y, inner_x], expected[inner_y, inner_x], atol=1e-3)


@pytest.mark.parametrize("shape", [(40, 30), (173, 121)])
def test_several_thresholds_at_once_are_each_of_them(shape: tuple[int, int]) -> None:
    schema = load_schema()
    placement = place(shape, Preparation(64, 32))
    noise = np.random.default_rng(0).normal(0, 3, (len(schema), 16, 16)).astype(np.float32)
    noise[3] = -20  # absent
    noise[4] = -0.3  # there at some thresholds only
    levels = (0.3, 0.5, 0.9)
    for level, found in zip(levels, decode_at(noise, placement, schema, levels), strict=True):
        one = decode(noise, placement, schema, dict.fromkeys(schema.names, level))
        assert list(found.regions) == list(one.regions)
        assert found.probability == one.probability
        assert (found.planes() != one.planes()).sum() <= (0 if level == 0.5 else 3)  # ties of float32
    with pytest.raises(ConfigError, match="out of range"):
        decode_at(noise, placement, schema, (0.5, 1.0))
