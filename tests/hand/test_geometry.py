import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from helpers_known import known
from ossa.hand.geometry import geometry, geometry_of_outlines, middle_of
from ossa.hand.sides import side_of
from ossa.hand.wrist import bone_axis, wrist_angle
from ossa.phantom.scene import PhantomOptions, generate
from ossa.segmentation.outlines import Outline, map_outlines, outlines_from_segmentation


def side_in(outlines):
    return side_of(geometry_of_outlines(outlines, SCHEMA))


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-55, 55), st.floats(-180, 180), st.sampled_from("LR"), st.integers(0, 50), st.sampled_from([256, 2048])
)
def test_wrist_angle_and_side_whatever_way_the_hand_lies(wrist, turn, side, seed, size):
    outlines = schematic_hand(size, seed=seed, side=side, wrist=wrist, turn=turn)
    straight = schematic_hand(size, seed=seed, side=side)
    assert side_in(outlines) == side
    assert wrist_angle(outlines, SCHEMA) == pytest.approx(wrist + wrist_angle(straight, SCHEMA), abs=1.5)
    assert abs(known(wrist_angle(straight, SCHEMA))) < 6


def test_mirrored_hand_changes_side_and_keeps_its_angle():
    outlines = schematic_hand(512, seed=3, wrist=25)
    mirrored = map_outlines(outlines, lambda ring: ring * (-1, 1) + (511, 0))
    assert (side_in(outlines), side_in(mirrored)) == ("R", "L")
    assert wrist_angle(mirrored, SCHEMA) == pytest.approx(wrist_angle(outlines, SCHEMA), abs=0.5)


def test_a_radius_cut_off_close_to_the_wrist_keeps_the_direction_of_the_forearm():
    outlines = dict(schematic_hand(512, wrist=10))
    for name in ("Radius", "Ulna"):
        (part,) = outlines[name]
        top = part.exterior[:, 1].min()
        outlines[name] = (Outline(np.minimum(part.exterior, [1e6, top + 30])),)
    assert wrist_angle(outlines, SCHEMA) == pytest.approx(10, abs=8)


def test_missing_bones_give_no_answer():
    outlines = dict(schematic_hand(256))
    assert wrist_angle({n: p for n, p in outlines.items() if n != "Radius"}, SCHEMA) is None
    assert wrist_angle({n: p for n, p in outlines.items() if n != "finger-11"}, SCHEMA) is None
    assert wrist_angle({n: outlines[n] for n in ("Radius", "finger-11")}, SCHEMA) is not None
    assert side_in({n: outlines[n] for n in ("finger-2", "finger-19")}) == "R"
    assert side_in({n: outlines[n] for n in ("finger-2", "Radius")}) is None
    assert bone_axis((), np.array([0.0, 1.0])) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.floats(-180, 180))
def test_outlines_measure_what_their_pixels_do(seed, turn):
    """Either way to a geometry leads to the same one; an outline runs half a pixel inside of its pixels' border."""
    outlines = schematic_hand(1024, seed=seed, turn=turn)
    by_lines = geometry_of_outlines(outlines, SCHEMA, (1024, 1024))
    by_pixels = geometry(segmentation(outlines, 1024))
    whole = by_pixels.found & ~by_pixels.cut
    by_pixels, by_lines = by_pixels.where(whole), by_lines.where(whole)
    np.testing.assert_allclose(by_lines.centre, by_pixels.centre, atol=0.5)
    np.testing.assert_allclose(by_lines.area, by_pixels.area, rtol=0.15)
    np.testing.assert_allclose(by_lines.length, by_pixels.length, atol=3)
    np.testing.assert_allclose(by_lines.width, by_pixels.width, atol=3)
    slender = whole & (by_pixels.length > 1.3 * by_pixels.width)
    assert (np.abs((by_lines.axis * by_pixels.axis).sum(axis=1)) > 0.99)[slender].all()
    assert side_of(by_lines) == side_of(by_pixels)


def test_holes_are_taken_off_and_parts_added():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    outlines = {"Ulna": (Outline(square, (square / 2 + 2,)), Outline(square[::-1] + 20))}
    measured = geometry_of_outlines(outlines, SCHEMA)
    i = SCHEMA.index("Ulna")
    assert measured.area[i] == pytest.approx(100 - 25 + 100)
    np.testing.assert_allclose(measured.centre[i], np.array([100 * 5 - 25 * 4.5 + 100 * 25] * 2) / 175)
    np.testing.assert_allclose(known(middle_of(outlines, ("Ulna", "Radius"))), measured.centre[i])
    assert middle_of(outlines, ("Radius",)) is None
    assert measured.found.sum() == 1
    assert not measured.cut.any()


def test_an_outline_without_area_lies_among_its_points():
    line = {"Ulna": (Outline(np.array([[0, 0], [4, 8], [2, 4]], float)),)}
    measured = geometry_of_outlines(line, SCHEMA)
    np.testing.assert_allclose(measured.centre[SCHEMA.index("Ulna")], (2, 4))
    assert measured.area[SCHEMA.index("Ulna")] == 0


@pytest.mark.parametrize(("shift", "cut"), [((-10, 0), True), ((0, -10), True), ((20, 20), False), ((0, 81), True)])
def test_bones_at_the_border_are_cut(shift, cut):
    square = np.array([[10, 10], [18, 10], [18, 18], [10, 18]], float) + shift
    outlines = {"Ulna": (Outline(square),)}
    assert geometry_of_outlines(outlines, SCHEMA, (100, 100)).cut[SCHEMA.index("Ulna")] == cut


def test_bones_left_out_and_renamed():
    whole = geometry_of_outlines(schematic_hand(256), SCHEMA)
    a, b = SCHEMA.index("Radius"), SCHEMA.index("Ulna")
    other = whole.renamed({"Radius": "Ulna", "Ulna": "Radius"})
    np.testing.assert_array_equal(other.centre[[a, b]], whole.centre[[b, a]])
    np.testing.assert_array_equal(other.area[:27], whole.area[:27])
    kept = np.arange(29) % 2 == 0
    np.testing.assert_array_equal(whole.where(kept).found, kept)


def test_phantoms_say_the_side_that_their_outlines_show():
    options = PhantomOptions(wrist_only=0, oblique_views=0, clutter=0)
    for seed in range(4):
        radiograph, truth = generate(32_000_000 + seed, 160, options)
        assert side_in(outlines_from_segmentation(truth)) == radiograph.side
