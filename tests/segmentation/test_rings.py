"""Outlines as points, and bones after their outlines moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.segmentation.rings import moved, ring
from ossa.segmentation.segmentation import Region

SHAPE = (120, 140)


def after_moving(plane: np.ndarray, by: float, step: float = 3.0, kept: float = 0.0) -> np.ndarray:
    """A plane (H, W) after the outline of what it holds went outwards by so many px everywhere."""
    region = Region.tight(plane)
    assert region is not None
    one = ring(region, step)
    assert one is not None
    new = moved(one, np.full(len(one.points), by), SHAPE, kept)
    assert new is not None
    return new.plane(SHAPE)


def disc(radius: float, x: float = 70.0, y: float = 60.0) -> Region:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    found = Region.tight(np.hypot(rows - y, columns - x) <= radius)
    assert found is not None
    return found


def test_points_lie_on_the_edge_and_look_outwards() -> None:
    one = ring(disc(30.0), 3.0)
    assert one is not None
    away = one.points - (70.0, 60.0)
    distance = np.hypot(*away.T)
    assert distance == pytest.approx(np.full(len(distance), 30.0), abs=0.8)
    assert np.hypot(*one.outwards.T) == pytest.approx(np.ones(len(away)))
    assert (np.sum(away * one.outwards, axis=1) / distance > 0.95).all()
    steps = np.hypot(*(np.roll(one.points, -1, axis=0) - one.points).T)
    assert steps == pytest.approx(np.full(len(steps), 2 * np.pi * 30 / len(steps)), rel=0.12)


@settings(max_examples=40, deadline=None)
@given(radius=st.floats(12, 30), by=st.floats(-5, 5), x=st.floats(45, 90), y=st.floats(45, 70))
def test_a_disc_moved_outwards_is_a_larger_disc(radius: float, by: float, x: float, y: float) -> None:
    one = ring(disc(radius, x, y), 2.0)
    assert one is not None
    new = moved(one, np.full(len(one.points), by), SHAPE)
    assert new is not None
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    distance = np.hypot(rows - y, columns - x)
    # The slow and obvious way, but for the pixels that smoothing may win or lose.
    plane = new.plane(SHAPE)
    assert plane[distance <= radius + by - 1.2].all()
    assert not plane[distance > radius + by + 1.2].any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_not_moved_is_hardly_changed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    angle = np.arctan2(rows - 60, columns - 70)
    reach = 28 + sum(rng.normal(0, 2.5 / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in (1, 2, 3))
    region = Region.tight(np.hypot(rows - 60, columns - 70) < reach)
    assert region is not None
    one = ring(region, 3.0)
    assert one is not None
    new = moved(one, np.zeros(len(one.points)), SHAPE)
    assert new is not None
    old, plane = region.plane(SHAPE), new.plane(SHAPE)
    assert np.count_nonzero(old != plane) <= 0.03 * region.area


def test_holes_and_other_parts_stay() -> None:
    plane = disc(30.0).plane(SHAPE)
    plane[55:64, 66:73] = False  # a hole
    plane[5:9, 5:9] = True  # a part of its own
    after = after_moving(plane, 4.0)
    assert not after[55:64, 66:73].any()
    assert after[5:9, 5:9].all()
    assert np.count_nonzero(after) > np.count_nonzero(plane) + 500


def test_a_notch_that_closes_is_no_hole() -> None:
    plane = np.zeros(SHAPE, bool)
    plane[30:90, 30:110] = True
    plane[30:60, 66:72] = False  # a notch from above
    plane[48:60, 60:78] = False  # wider at its end
    after = after_moving(plane, 5.0, step=2.0)
    assert after[28:90, 30:110].all()


def test_a_shaft_that_the_film_ends_still_reaches_the_border() -> None:
    plane = np.zeros(SHAPE, bool)
    plane[40:, 50:80] = True
    for by in (-3.0, 3.0):
        after = after_moving(plane, by, kept=2.0)
        assert (after[-2:] == plane[-2:]).all()  # where the film ends
        assert after[-6:, 55:75].all()  # and no gap above it
        assert np.count_nonzero(after[80]) == pytest.approx(30 + 2 * by, abs=1)


def test_a_bone_that_moves_away_is_none() -> None:
    one = ring(disc(12.0), 3.0)
    assert one is not None
    gone = moved(one, np.full(len(one.points), -40.0), SHAPE)
    assert gone is None or gone.area < 4 * disc(40.0).area  # turned inside out at worst, never an error
    far = ring(disc(12.0, 8.0, 8.0), 3.0)
    assert far is not None
    new = moved(far, np.full(len(far.points), 20.0), SHAPE)
    assert new is not None
    assert (new.top, new.left) == (0, 0)  # cut at the picture's border


def test_specks_have_no_outline() -> None:
    speck = Region.tight(np.ones((2, 3), bool))
    assert speck is not None
    assert ring(speck, 3.0) is None
    small = Region.tight(np.ones((8, 8), bool))
    assert small is not None
    assert ring(small, 3.0, smooth=9.0) is None
