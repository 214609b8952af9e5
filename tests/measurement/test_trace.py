"""Edges of bones against what is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from helpers_known import known
from ossa.measurement.midlines import midlines
from ossa.measurement.trace import Scale, left_of, shaft_axis, sides_at, tangent, trace
from ossa.segmentation.segmentation import Region

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)).filter(np.any)
UNIT = Scale(1.0, 1.0)


@given(masks)
@settings(deadline=None, max_examples=100)
def test_the_edge_reaches_half_a_pixel_beyond_the_pixels(mask: np.ndarray) -> None:
    region = known(Region.tight(mask, 4, 6))
    bone = trace(region, UNIT)
    largest = bone.points
    assert (largest.min(axis=0) >= [region.left - 0.5, region.top - 0.5]).all()
    assert (largest.max(axis=0) <= [region.right - 0.5, region.bottom - 0.5]).all()
    assert 0 < bone.area <= region.area
    assert np.hypot(*bone.axis) == pytest.approx(1)


@given(masks)
@settings(deadline=None, max_examples=100)
def test_the_edge_lies_between_each_pixel_and_the_next_that_is_outside(mask: np.ndarray) -> None:
    filled = np.pad(mask, 1)
    if ndimage.label(filled, np.ones((3, 3)))[1] > 1 or ndimage.label(~filled)[1] > 1:
        return  # parts may be specks, and what lies inside of a ring is no edge
    slow = [
        (x + dx / 2 - 1, y + dy / 2 - 1)
        for y, x in np.argwhere(filled)
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
        if not filled[y + dy, x + dx]
    ]
    assert sorted(set(map(tuple, trace(Region(0, 0, mask), UNIT).points.tolist()))) == sorted(slow)


def test_a_rectangle() -> None:
    bone = trace(Region(10, 20, np.ones((60, 12), bool)), Scale(0.1, 0.2))
    assert bone.area == pytest.approx(60 * 12 * 0.02)
    assert bone.centre == pytest.approx([(20 + 5.5) * 0.1, (10 + 29.5) * 0.2])
    up = np.array([0.0, -1.0])
    assert abs(float(bone.axis @ up)) == pytest.approx(1)
    assert bone.extent(up) == pytest.approx(60 * 0.2)
    assert bone.extent(left_of(up)) == pytest.approx(12 * 0.1)
    found = sides_at(bone, up, 0.0, 0.5)
    assert found == pytest.approx((-0.6, 0.6))


def test_specks_move_no_end_and_epiphyses_count() -> None:
    mask = np.zeros((100, 30), bool)
    mask[20:100, 10:20] = True
    mask[0, 0] = True
    assert trace(Region(0, 0, mask), UNIT).extent(np.array([0.0, 1.0])) == pytest.approx(80)
    mask[10:16, 10:20] = True
    assert trace(Region(0, 0, mask), UNIT).extent(np.array([0.0, 1.0])) == pytest.approx(90)


@pytest.mark.parametrize("degrees", [0, 12, 45, 80])
def test_a_flared_end_does_not_turn_the_midline(degrees: float) -> None:
    turn = np.radians(degrees)
    axis = np.array([np.sin(turn), -np.cos(turn)])
    across = left_of(axis)
    y, x = np.mgrid[0:400, 0:400]
    t = (x - 200) * axis[0] + (y - 200) * axis[1]
    u = (x - 200) * across[0] + (y - 200) * across[1]
    shaft = (np.abs(t) < 120) & (np.abs(u) < 15)
    flare = (t > 90) & (t < 120) & (u > 0) & (u < 40)
    bone = trace(known(Region.tight(shaft | flare)), UNIT)
    start = bone.axis if bone.axis @ axis > 0 else -bone.axis
    assert np.degrees(np.arccos(abs(midlines([bone], [start])[0] @ axis))) < 1
    found = shaft_axis(bone, axis + 0.1 * across)
    assert found is not None
    assert np.degrees(np.arccos(min(1.0, found[1] @ axis))) < 1.5


@given(st.floats(0, 6.28))
@settings(deadline=None, max_examples=40)
def test_a_tangent_leaves_both_on_one_side(turn: float) -> None:
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ring = np.stack([np.cos(np.linspace(0, 6.2, 40)), np.sin(np.linspace(0, 6.2, 40))], axis=1)
    one, other = ring * 10 @ spin.T, (ring * 6 + [30, 4]) @ spin.T
    outside = spin @ np.array([0.0, 1.0])
    touched = tangent(one, other, outside)
    assert touched is not None
    a, b = touched
    normal = left_of(b - a)
    normal = normal if normal @ outside > 0 else -normal
    assert float(((np.concatenate([one, other]) - a) @ normal).max()) < 1e-3 * np.hypot(*(b - a))


def test_a_part_far_from_the_rest_is_something_else_and_an_epiphysis_is_not() -> None:
    down = np.array([0.0, 1.0])
    shaft = np.zeros((400, 60), bool)
    shaft[100:200, 20:40] = True
    alone = trace(known(Region.tight(shaft)), UNIT)
    stray = shaft.copy()
    stray[330:360, 20:40] = True
    assert trace(known(Region.tight(stray)), UNIT).extent(down) == alone.extent(down) == 100
    epiphysis = shaft.copy()
    epiphysis[204:214, 20:40] = True
    assert trace(known(Region.tight(epiphysis)), UNIT).extent(down) == 114
