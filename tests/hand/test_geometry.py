import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_dataset import SCHEMA, schematic_hand
from ossa.hand.geometry import area, bone_axis, centre, side_of, wrist_angle
from ossa.phantom.scene import PhantomOptions, generate
from ossa.segmentation.outlines import Outline, map_outlines, outlines_from_segmentation, region_from_outlines


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-55, 55), st.floats(-180, 180), st.sampled_from("LR"), st.integers(0, 50), st.sampled_from([256, 2048])
)
def test_wrist_angle_and_side_whatever_way_the_hand_lies(wrist, turn, side, seed, size):
    outlines = schematic_hand(size, seed=seed, side=side, wrist=wrist, turn=turn)
    straight = schematic_hand(size, seed=seed, side=side)
    assert side_of(outlines) == side
    assert wrist_angle(outlines) == pytest.approx(wrist + wrist_angle(straight), abs=1.5)
    assert abs(wrist_angle(straight)) < 6


def test_mirrored_hand_changes_side_and_keeps_its_angle():
    outlines = schematic_hand(512, seed=3, wrist=25)
    mirrored = map_outlines(outlines, lambda ring: ring * (-1, 1) + (511, 0))
    assert (side_of(outlines), side_of(mirrored)) == ("R", "L")
    assert wrist_angle(mirrored) == pytest.approx(wrist_angle(outlines), abs=0.5)


def test_a_radius_cut_off_close_to_the_wrist_keeps_the_direction_of_the_forearm():
    outlines = dict(schematic_hand(512, wrist=10))
    for name in ("Radius", "Ulna"):
        (part,) = outlines[name]
        top = part.exterior[:, 1].min()
        outlines[name] = (Outline(np.minimum(part.exterior, [1e6, top + 30])),)
    assert wrist_angle(outlines) == pytest.approx(10, abs=8)


def test_missing_bones_give_no_answer():
    outlines = dict(schematic_hand(256))
    assert wrist_angle({n: p for n, p in outlines.items() if n != "Radius"}) is None
    assert wrist_angle({n: p for n, p in outlines.items() if n != "finger-11"}) is None
    assert wrist_angle({n: outlines[n] for n in ("Radius", "finger-11")}) is not None
    assert side_of({n: outlines[n] for n in ("finger-2", "finger-19")}) == "R"
    assert side_of({n: outlines[n] for n in ("finger-2", "Radius")}) is None
    assert bone_axis({}, "Radius", np.array([0.0, 1.0])) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from(SCHEMA.names))
def test_centre_and_area_against_the_pixels(seed, name):
    outlines = schematic_hand(2048, seed=seed)
    region = region_from_outlines(outlines[name], (2048, 2048))
    rows, columns = np.nonzero(region.mask)
    expected = [columns.mean() + region.left, rows.mean() + region.top]
    np.testing.assert_allclose(centre(outlines, name), expected, atol=0.5)
    assert area(outlines, name) == pytest.approx(region.area, rel=0.05)


def test_area_takes_holes_off_and_centre_adds_parts():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    outlines = {"Ulna": (Outline(square, (square / 2 + 2,)), Outline(square[::-1] + 20))}
    assert area(outlines, "Ulna") == pytest.approx(100 - 25 + 100)
    np.testing.assert_allclose(centre(outlines, "Ulna"), [15, 15])
    assert centre(outlines, "Radius") is None
    assert area(outlines, "Radius") == 0


def test_phantoms_say_the_side_that_their_outlines_show():
    options = PhantomOptions(wrist_only=0, oblique_views=0, clutter=0)
    for seed in range(4):
        radiograph, truth = generate(32_000_000 + seed, 160, options)
        assert side_of(outlines_from_segmentation(truth)) == radiograph.side
