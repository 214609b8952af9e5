"""Measures against moments taken pixel by pixel and shapes known by hand."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers_known import known
from ossa.radiograph.radiograph import Spacing
from ossa.schema import load_schema
from ossa.segmentation.measure import centroid, extent, measure
from ossa.segmentation.outlines import Outline, region_from_outlines
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=10)).filter(np.any)


@given(masks, st.sampled_from([(1.0, 1.0), (0.2, 0.2), (0.15, 0.4)]))
@settings(deadline=None, max_examples=150)
def test_moments_and_extents_against_a_pixel_loop(mask: np.ndarray, spacing: tuple[float, float]) -> None:
    row, column = spacing
    region = known(Region.tight(mask, 4, 6))
    points = [((x + 6) * column, (y + 4) * row) for y, x in np.argwhere(mask).tolist()]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    assert centroid(region) == pytest.approx((mean_x / column, mean_y / row), abs=1e-9)
    got = extent(region, row, column)
    assert got.area == pytest.approx(len(points) * row * column)
    xx = sum((x - mean_x) ** 2 for x, _ in points) / len(points) + column**2 / 12
    yy = sum((y - mean_y) ** 2 for _, y in points) / len(points) + row**2 / 12
    xy = sum((x - mean_x) * (y - mean_y) for x, y in points) / len(points)
    small, large = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
    assert got.elongation == pytest.approx(math.sqrt(large / small), rel=1e-6)
    assert -90 < got.orientation <= 90
    dx, dy = math.cos(math.radians(got.orientation)), -math.sin(math.radians(got.orientation))
    if large > small * (1 + 1e-6):  # the axis carries the larger moment
        assert dx * dx * xx + 2 * dx * dy * xy + dy * dy * yy == pytest.approx(large, rel=1e-6)
    along = [x * dx + y * dy for x, y in points]
    across = [y * dx - x * dy for x, y in points]
    assert got.length == pytest.approx(max(along) - min(along) + math.hypot(dx * column, dy * row), abs=1e-9)
    assert got.width == pytest.approx(max(across) - min(across) + math.hypot(dy * column, dx * row), abs=1e-9)


@pytest.mark.parametrize("degrees", [0, 17, 45, 72, 90, 110, 165])
def test_an_ellipse_known_by_hand(degrees: float) -> None:
    turn = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    tilt = math.radians(degrees)
    x, y = 90 * np.cos(turn), 25 * np.sin(turn)
    points = np.stack([200 + x * math.cos(tilt) + y * math.sin(tilt), 150 - x * math.sin(tilt) + y * math.cos(tilt)], 1)
    region = known(region_from_outlines([Outline(points)], (300, 400)))
    got = extent(region, 1, 1)
    assert got.length == pytest.approx(181, abs=1.5)
    assert got.width == pytest.approx(51, abs=1.5)
    assert (got.orientation - degrees + 90) % 180 == pytest.approx(90, abs=0.5)
    assert got.elongation == pytest.approx(90.5 / 25.5, rel=0.01)
    assert centroid(region) == pytest.approx((200, 150), abs=0.2)
    # twice as tall pixels of half the spacing: the same bone in mm
    squeezed = cv2.resize(region.plane((300, 400)).astype(np.uint8), (400, 600), interpolation=cv2.INTER_NEAREST)
    again = extent(known(Region.tight(squeezed)), 0.5, 1.0)
    assert (again.length, again.width) == pytest.approx((got.length, got.width), abs=1.0)
    assert (again.orientation - got.orientation + 90) % 180 == pytest.approx(90, abs=0.5)


def test_a_pixel_and_a_bar() -> None:
    one = extent(Region(3, 4, np.ones((1, 1), bool)), 1, 1)
    assert (one.area, one.length, one.width, one.elongation) == (1, 1, 1, 1)
    bar = extent(Region(3, 4, np.ones((20, 5), bool)), 0.1, 0.3)
    assert (bar.length, bar.width, bar.orientation) == pytest.approx((2.0, 1.5, 90))


def test_a_hand_in_px_and_in_mm() -> None:
    planes = np.zeros((29, 50, 40), bool)
    planes[SCHEMA.index("Radius"), 30:50, 10:20] = True
    planes[SCHEMA.index("finger-1"), 5:15, 5:9] = True
    hand = Segmentation.from_planes(planes, SCHEMA)
    thumb, radius = measure(hand)
    assert (thumb.bone, radius.bone) == ("finger-1", "Radius")
    assert (thumb.cut, radius.cut) == (False, True)
    assert thumb.mm is None
    assert thumb.row()["length_mm"] is None
    assert thumb.row()["length_px"] == pytest.approx(10)
    assert thumb.row()["spacing_source"] is None
    thumb, _ = measure(hand, Spacing(0.2, 0.1, "ImagerPixelSpacing"))
    row = thumb.row()
    assert row["area_px"] == 40
    assert row["area_mm2"] == pytest.approx(0.8)
    assert row["length_mm"] == pytest.approx(2.0)
    assert row["width_mm"] == pytest.approx(0.4)
    assert row["spacing_source"] == "ImagerPixelSpacing"
    assert row["orientation_degrees"] == pytest.approx(90)
