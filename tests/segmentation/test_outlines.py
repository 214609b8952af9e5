"""Outlines against pixel loops, whole-canvas filling and a 2048 px truth."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers_known import known
from ossa.errors import LabelError, SchemaError
from ossa.schema import load_schema
from ossa.segmentation import outlines
from ossa.segmentation.compare import dice
from ossa.segmentation.outlines import (
    Outline,
    bits_from_outlines,
    map_outlines,
    outlines_from_region,
    outlines_from_segmentation,
    region_from_outlines,
    segmentation_from_outlines,
    unite,
)
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def whole_points(low: int, high: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    return st.lists(st.tuples(st.integers(low, high), st.integers(low, high)), min_size=3, max_size=9)


def fractional_points(low: float, high: float) -> st.SearchStrategy[list[tuple[float, float]]]:
    number = st.floats(low, high, allow_nan=False)
    return st.lists(st.tuples(number, number), min_size=3, max_size=9)


def outline_of(ring: Any, *holes: Any) -> Outline:
    """An outline of plain points, whatever they are."""
    return Outline(ring, holes)


def plane(region: Region | None, shape: tuple[int, int]) -> np.ndarray:
    return np.zeros(shape, bool) if region is None else region.plane(shape)


def to_edge(x: float, y: float, points: list[tuple[float, float]]) -> float:
    """Distance of a pixel to the nearest edge of a closed polygon, one edge after the other."""
    nearest = np.inf
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        long = (bx - ax) ** 2 + (by - ay) ** 2
        t = 0.0 if long == 0 else min(1.0, max(0.0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / long))
        nearest = min(nearest, np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
    return nearest


def crossings_odd(x: float, y: float, points: list[tuple[float, float]]) -> bool:
    """Even-odd rule for a pixel that is not on an edge."""
    inside = False
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            inside = not inside
    return inside


@given(masks)
@settings(deadline=None, max_examples=150)
def test_pixels_to_outline_to_pixels_is_exact(mask: np.ndarray) -> None:
    shape = (mask.shape[0] + 5, mask.shape[1] + 9)
    region = Region.tight(mask, top=3, left=7)
    if region is None:
        return
    parts = outlines_from_region(region)
    back = region_from_outlines(parts, shape)
    np.testing.assert_array_equal(plane(back, shape), region.plane(shape))
    assert len(parts) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    # every ring can be written to a label file and read again
    assert all(len(ring) >= 3 for part in parts for ring in part.rings)


def test_island_in_a_hole_in_a_bone() -> None:
    mask = np.ones((9, 9), bool)
    mask[1:8, 1:8] = False
    mask[3:6, 3:6] = True
    mask[4, 4] = False
    region = Region(0, 0, mask)
    parts = outlines_from_region(region)
    assert sorted(len(part.holes) for part in parts) == [1, 1]
    np.testing.assert_array_equal(plane(region_from_outlines(parts, (9, 9)), (9, 9)), mask)


@given(whole_points(0, 30))
@settings(deadline=None, max_examples=150)
def test_whole_points_fill_as_opencv_does(points: list[tuple[int, int]]) -> None:
    expected = np.zeros((31, 31), np.uint8)
    cv2.fillPoly(expected, [np.array(points, np.int32)], 1)
    got = region_from_outlines([outline_of(points)], (31, 31))
    np.testing.assert_array_equal(plane(got, (31, 31)), expected > 0)


@given(fractional_points(-6, 18))
@settings(deadline=None, max_examples=100)
def test_fill_against_a_pixel_loop(points: list[tuple[float, float]]) -> None:
    """Inside by the even-odd rule, or on the ring (which OpenCV draws up to a pixel wide); never beyond."""
    got = plane(region_from_outlines([outline_of(points)], (13, 12)), (13, 12))
    for y in range(13):
        for x in range(12):
            if to_edge(x, y, points) > 1.35:
                assert got[y, x] == crossings_odd(x, y, points), (x, y)


@given(whole_points(-25, 40))
@settings(deadline=None, max_examples=100)
def test_what_is_outside_is_cut_and_moves_nothing(points: list[tuple[int, int]]) -> None:
    big = np.zeros((80, 80), np.uint8)
    cv2.fillPoly(big, [np.array(points, np.int32) + 30], 1)
    got = region_from_outlines([outline_of(points)], (16, 12))
    np.testing.assert_array_equal(plane(got, (16, 12)), big[30:46, 30:42] > 0)


@given(fractional_points(-1e6, 1e6))
@settings(deadline=None, max_examples=60)
def test_points_far_outside_keep_their_edges_in_place(points: list[tuple[float, float]]) -> None:
    got = plane(region_from_outlines([outline_of(points)], (11, 9)), (11, 9))
    for y in range(11):
        for x in range(9):
            if to_edge(x, y, points) > 1.35:
                assert got[y, x] == crossings_odd(x, y, points), (x, y)


def test_a_hole_keeps_its_ring() -> None:
    square = [(0, 0), (8, 0), (8, 8), (0, 8)]
    hole = [(2, 2), (6, 2), (6, 6), (2, 6)]
    got = plane(region_from_outlines([outline_of(square, hole)], (9, 9)), (9, 9))
    expected = np.ones((9, 9), bool)
    expected[3:6, 3:6] = False
    np.testing.assert_array_equal(got, expected)


def test_a_hole_outside_the_picture_is_cut_too() -> None:
    square = [(-900, -900), (900, -900), (900, 900), (-900, 900)]
    hole = [(-800, -800), (-700, -800), (-700, -700)]
    got = region_from_outlines([outline_of(square, hole)], (4, 5))
    assert got is not None
    assert got.mask.all()
    assert got.mask.shape == (4, 5)


def test_repeated_labels_unite() -> None:
    left, right = [(0, 0), (2, 0), (2, 2), (0, 2)], [(5, 1), (7, 1), (7, 4), (5, 4)]
    outlines = unite([("Lunate", outline_of(left)), ("Ulna", outline_of(left)), ("Lunate", outline_of(right))])
    found = segmentation_from_outlines(outlines, SCHEMA, (6, 9))
    expected = np.zeros((6, 9), bool)
    expected[0:3, 0:3] = expected[1:5, 5:8] = True
    np.testing.assert_array_equal(found.plane("Lunate"), expected)
    assert known(found.get("Ulna")).area == 9
    again = segmentation_from_outlines(outlines_from_segmentation(found), SCHEMA, (6, 9))
    np.testing.assert_array_equal(again.planes(), found.planes())


def test_nothing_inside_the_picture_is_an_absent_bone() -> None:
    away = outline_of([(20, 20), (30, 20), (30, 30)])
    very_far = outline_of([(2000, 2000), (3000, 2000), (3000, 3000)])
    assert region_from_outlines([away, very_far], (10, 10)) is None
    assert region_from_outlines([], (10, 10)) is None
    assert len(segmentation_from_outlines({"Ulna": (away,), "Radius": ()}, SCHEMA, (10, 10))) == 0
    assert not bits_from_outlines({"Ulna": (away,)}, SCHEMA, (10, 10)).any()


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([], "too few"),
        ([(0, 0), (1, 1)], "too few"),
        (5, "pairs"),
        ([(0, 0), (1, 1), (2,)], "pairs"),
        ([(0, 0, 0), (1, 1, 1), (2, 2, 2)], "pairs"),
        ([1, 2, 3, 4], "pairs"),
        ([("a", 0), (1, 1), (2, 0)], "pairs"),
        ([None, None, None], "pairs"),
        ([(0, 0), (1, float("nan")), (2, 0)], "nan"),
        ([(0, 0), (float("inf"), 1), (2, 0)], "inf"),
        ([(0, 0), (1, -1e12), (2, 0)], "-1e+12"),
    ],
)
def test_what_is_no_outline_is_refused(points: object, word: str) -> None:
    with pytest.raises(LabelError, match=word.replace("+", r"\+")):
        outline_of(points)
    with pytest.raises(LabelError, match=word.replace("+", r"\+")):
        outline_of([(0, 0), (5, 0), (5, 5)], points)


def test_an_unknown_bone_is_named() -> None:
    part = (outline_of([(0, 0), (5, 0), (5, 5)]),)
    with pytest.raises(SchemaError, match="Lunate"):
        segmentation_from_outlines({"Lunat": part}, SCHEMA, (8, 8))
    with pytest.raises(SchemaError, match="Lunate"):
        bits_from_outlines({"Lunat": part}, SCHEMA, (8, 8))


@given(st.lists(fractional_points(-4, 20), min_size=1, max_size=3), st.integers(1, 6))
@settings(deadline=None, max_examples=80)
def test_bits_are_half_the_area_at_any_supersampling(rings: list[list[tuple[float, float]]], factor: int) -> None:
    """Against whole supersampled planes, averaged by a loop over pixels."""
    parts = tuple(outline_of(ring) for ring in rings)
    bits = bits_from_outlines({"finger-3": parts, "Ulna": parts[:1]}, SCHEMA, (14, 17), factor)
    assert bits.shape == (1, 14, 17)
    assert bits.dtype == np.uint32
    for name, drawn in (("finger-3", parts), ("Ulna", parts[:1])):
        finer = [part.mapped(lambda ring: (ring + 0.5) * factor - 0.5) for part in drawn]
        full = plane(region_from_outlines(finer, (14 * factor, 17 * factor)), (14 * factor, 17 * factor))
        for y in range(14):
            for x in range(17):
                cell = full[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
                expected = 2 * int(cell.sum()) >= factor * factor
                assert bool(bits[0, y, x] >> SCHEMA.index(name) & 1) == expected


@pytest.mark.parametrize("factor", [0, 16])
def test_a_supersampling_out_of_range_is_refused(factor: int) -> None:
    with pytest.raises(LabelError, match="1 to 15"):
        bits_from_outlines({}, SCHEMA, (4, 4), factor)


def made_hand(size: int) -> dict[str, tuple[Outline, ...]]:
    """29 waisted, tilted bones of the areas measured in the competition's images, 2048 px frame scaled to size."""
    rng = np.random.default_rng(3)
    areas = np.geomspace(3895, 75128, len(SCHEMA))
    turn = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    outlines: dict[str, tuple[Outline, ...]] = {}
    for i, (name, area) in enumerate(zip(SCHEMA.names, areas, strict=True)):
        slim = rng.uniform(1.0, 2.6)
        radius = np.sqrt(area / np.pi) * (1 + 0.12 * np.cos(2 * turn) + 0.03 * np.cos(5 * turn + i))
        x, y = radius * np.cos(turn) / np.sqrt(slim), radius * np.sin(turn) * np.sqrt(slim)
        tilt = rng.uniform(-1, 1)
        centre = np.array([(i % 6) * 330 + 200, (i // 6) * 390 + 220]) + rng.uniform(-20, 20, 2)
        points = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=1) + centre
        outlines[name] = (Outline((points + 0.5) * (size / 2048) - 0.5),)
    return outlines


@pytest.mark.parametrize(
    ("size", "supersample", "floor", "drift"),
    [
        (384, 5, 0.978, 0.02),
        (384, 4, 0.978, 0.035),  # cells of 1.3 picture pixels fatten the smallest bone by 3 %
        (512, 4, 0.984, 0.02),
        (1024, 2, 0.992, 0.02),
        (1024, 4, 0.991, 0.02),
    ],
)
def test_the_grid_keeps_area_and_shape_of_the_full_size_truth(
    size: int, supersample: int, floor: float, drift: float
) -> None:
    truth = segmentation_from_outlines(made_hand(2048), SCHEMA, (2048, 2048))
    assert len(truth) == 29
    grid = map_outlines(made_hand(2048), lambda points: (points + 0.5) * (size / 2048) - 0.5)
    small = Segmentation.from_bits(bits_from_outlines(grid, SCHEMA, (size, size), supersample), SCHEMA)
    nearest = ((np.arange(2048) + 0.5) * (size / 2048)).astype(int)
    scores = []
    for name, full in truth:
        grown = known(Region.tight(small.plane(name)[np.ix_(nearest, nearest)]))
        assert abs(grown.area / full.area - 1) < drift, name
        scores.append(dice(grown, full))
    assert len(scores) == 29
    assert np.mean(scores) >= floor
    assert min(scores) >= floor - 0.025


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-4, 40), st.floats(-4, 40)), min_size=3, max_size=9),
    st.sampled_from([1, 2, 256]),
    st.integers(8, 40),
    st.integers(8, 40),
)
def test_the_short_way_of_filling_takes_the_same_pixels(
    points: list[tuple[float, float]], parts: int, height: int, width: int
) -> None:
    """On whole, half and 1/256 px; a hole that takes nothing away sends the same ring the long way."""
    ring = np.round(np.array(points) * parts) / parts
    short = outlines._fill_ring(ring, (height, width))
    nothing = np.array([[-300.0, -300.0], [-300.0, -301.0], [-301.0, -300.0]])
    long = region_from_outlines([Outline(ring, (nothing,))], (height, width))
    if short is not None:
        assert long is not None
        assert (short.top, short.left) == (long.top, long.left)
        np.testing.assert_array_equal(short.mask, long.mask)
    elif ring.min() >= 0 and ring[:, 0].max() <= width - 1 and ring[:, 1].max() <= height - 1:
        raise AssertionError("a ring inside the picture went the long way")
