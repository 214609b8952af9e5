import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helpers_dataset import SCHEMA, schematic_hand
from helpers_dataset import draw as draw_hand
from helpers_known import known
from ossa.schema import Bone, BoneSchema
from ossa.segmentation.outlines import Outline, bits_from_outlines, map_outlines
from ossa.training.augment import (
    Bend,
    Variation,
    apply_affine,
    bend_of,
    curve,
    draw,
    edge_grey,
    matrix,
    mirrored,
    mirrored_bits,
    move_bits,
    move_outlines,
    move_picture,
    vary_grey,
)
from ossa.training.augment_keys import NONE, AugmentConfig

ALWAYS = AugmentConfig.model_validate({n: 1.0 for n in AugmentConfig.model_fields if n.startswith("p_")})


def white_bones(outlines, size):
    """A picture whose bones alone are white: thresholded, it is the truth."""
    return np.where(bits_from_outlines(outlines, SCHEMA, (size, size))[0] > 0, 255, 0).astype(np.uint8)


def overlap(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


# --- drawing ------------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_and_another_one_does_not():
    drawn = [draw(AugmentConfig(), np.random.default_rng([1, k])) for k in range(50)]
    again = [draw(AugmentConfig(), np.random.default_rng([1, k])) for k in range(50)]
    assert drawn == again
    assert len(set(drawn)) == 50


def test_nothing_is_drawn_without_variation():
    for k in range(20):
        still = draw(NONE, np.random.default_rng(k))
        assert still == Variation(noise_seed=still.noise_seed)


def test_all_that_can_be_drawn_stays_in_its_range():
    drawn = [draw(ALWAYS, np.random.default_rng(k)) for k in range(200)]
    for v in drawn:
        assert 0.8 <= v.scale <= 1.2
        assert max(abs(v.shift[0]), abs(v.shift[1])) <= 0.06
        assert abs(v.angle) <= 20
        assert 12 <= abs(v.bend) <= 35
        assert 0.6 <= v.gamma <= 1.6
        assert 1 <= len(v.boxes) <= 6
    assert {v.bend > 0 for v in drawn} == {True, False}
    shares = [draw(AugmentConfig(), np.random.default_rng(k)).flip for k in range(600)]
    assert 0.42 < np.mean(shares) < 0.58


def test_misspelt_and_impossible_settings_are_refused():
    with pytest.raises(ValidationError, match="p_flipp"):
        AugmentConfig(p_flipp=0.5)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        AugmentConfig(p_flip=1.5)
    assert all(field.description for field in AugmentConfig.model_fields.values())


# --- geometry -----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.7, 1.3),
    st.floats(-0.1, 0.1),
    st.floats(-180, 180),
    st.booleans(),
    st.integers(8, 40),
    st.integers(8, 40),
)
def test_matrix_is_mirror_turn_scale_and_shift_in_that_order(scale, shift, angle, flip, height, width):
    affine = matrix(Variation(scale=scale, shift=(shift, -shift), angle=angle, flip=flip), (height, width))
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    points = np.random.default_rng(0).uniform(0, 40, (5, 2))
    expected = []
    for x, y in points:
        x, y = (2 * centre[0] - x if flip else x), y
        a = np.deg2rad(angle)
        dx, dy = x - centre[0], y - centre[1]
        x, y = scale * (np.cos(a) * dx - np.sin(a) * dy), scale * (np.sin(a) * dx + np.cos(a) * dy)
        expected.append([x + centre[0] + shift * width, y + centre[1] - shift * height])
    np.testing.assert_allclose(apply_affine(points, affine), expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_picture_and_outlines_move_together(seed):
    """A picture of white bones, moved and thresholded, is the truth drawn from the moved outlines."""
    size = 384
    outlines = schematic_hand(size, seed=seed, side="RL"[seed % 2])
    variation = draw(AugmentConfig(p_affine=1, p_bend=seed % 2, p_flip=0.5), np.random.default_rng(seed))
    affine, bend = matrix(variation, (size, size)), bend_of(outlines, variation.bend)
    picture = move_picture(white_bones(outlines, size), affine, (size, size), bend) > 127
    bits = bits_from_outlines(move_outlines(outlines, affine, bend), SCHEMA, (size, size))
    assert overlap(picture, bits[0] > 0) > 0.98
    drawn = bits_from_outlines(outlines, SCHEMA, (size, size))
    moved = move_bits(drawn, affine, (size, size), bend)
    assert overlap(moved[0] > 0, bits[0] > 0) > 0.97
    for bit in (0, 10, 22, 28):  # bone by bone, too
        assert overlap(moved[0] >> bit & 1, bits[0] >> bit & 1) > 0.93


def test_bent_wrist_turns_the_forearm_by_the_angle_and_leaves_the_hand():
    from ossa.hand.geometry import middle_of
    from ossa.hand.wrist import wrist_angle

    outlines = schematic_hand(512, seed=1)
    for degrees in (-30.0, 15.0, 30.0):
        bend = bend_of(outlines, degrees)
        moved = move_outlines(outlines, np.array([[1.0, 0, 0], [0, 1.0, 0]]), bend)
        # The forearm turns by +degrees (x to y), so the hand's angle against it falls by as much.
        assert known(wrist_angle(moved, SCHEMA)) - known(wrist_angle(outlines, SCHEMA)) == pytest.approx(
            -degrees, abs=3
        )
        for name in ("finger-5", "finger-11", "finger-13"):
            np.testing.assert_allclose(known(middle_of(moved, (name,))), known(middle_of(outlines, (name,))), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.floats(-35, 35), st.floats(-np.pi, np.pi), st.integers(0, 999))
def test_bend_backward_undoes_forward(degrees, forearm, seed):
    bend = Bend((100.0, 90.0), forearm, np.deg2rad(degrees))
    points = np.random.default_rng(seed).uniform(-50, 250, (200, 2))
    np.testing.assert_allclose(bend.backward(bend.forward(points)), points, atol=1e-2)
    np.testing.assert_allclose(
        np.hypot(*(bend.forward(points) - bend.centre).T), np.hypot(*(points - bend.centre).T), rtol=1e-12
    )


def test_bend_is_kept_one_to_one_and_needs_a_wrist():
    outlines = schematic_hand(256)
    assert abs(known(bend_of(outlines, 170.0)).angle) < Bend.LIMIT
    assert bend_of(outlines, 0.0) is None
    assert bend_of({n: outlines[n] for n in ("finger-1", "Radius")}, 20.0) is None
    assert bend_of({n: outlines[n] for n in ("Lunate", "finger-1")}, 20.0) is None


def test_long_edges_of_a_few_points_curve_with_the_bend():
    corners = Outline(np.array([[90, 20], [110, 20], [110, 180], [90, 180]], float))
    bend = Bend((100.0, 100.0), np.pi / 2, np.deg2rad(30))
    (moved,) = move_outlines({"Radius": (corners,)}, np.array([[1.0, 0, 0], [0, 1.0, 0]]), bend)["Radius"]
    assert len(moved.exterior) > 40


PAIR = BoneSchema(
    "pair",
    "Left and right",
    (
        Bone("left", "Left", "x", None, (1, 2, 3), None, "right"),
        Bone("middle", "Middle", "x", None, (1, 2, 3), None, "middle"),
        Bone("right", "Right", "x", None, (1, 2, 3), None, "left"),
    ),
)


def test_mirrored_bones_take_their_partners_names_and_bits():
    square = (Outline(np.array([[1, 1], [4, 1], [4, 4], [1, 4]], float)),)
    assert set(mirrored({"left": square, "middle": square}, PAIR)) == {"right", "middle"}
    bits = bits_from_outlines({"left": square, "middle": square}, PAIR, (6, 6))
    expected = bits_from_outlines({"right": square, "middle": square}, PAIR, (6, 6))
    np.testing.assert_array_equal(mirrored_bits(bits, PAIR), expected)
    hand = bits_from_outlines(schematic_hand(64), SCHEMA, (64, 64))
    assert mirrored_bits(hand, SCHEMA) is hand


def test_what_moves_in_from_outside_has_one_grey_and_no_bone():
    picture = np.full((40, 40), 90, np.uint8)
    picture[-1] = 20
    assert edge_grey(picture) == 90
    affine = matrix(Variation(shift=(0.0, -0.25)), (40, 40))
    assert (move_picture(picture, affine, (40, 40), None, 90)[-8:] == 90).all()
    assert (move_picture(picture, affine, (40, 40))[-8:] == 0).all()


def test_no_movement_gives_the_very_same_picture():
    picture = draw_hand(schematic_hand(64), 64)
    identity = matrix(Variation(), (64, 64))
    assert move_picture(picture, identity, (64, 64)) is picture
    bits = bits_from_outlines(schematic_hand(64), SCHEMA, (64, 64))
    assert move_bits(bits, identity, (64, 64)) is bits


# --- grey values --------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_grey_changes_repeat_keep_shape_and_leave_their_input(seed):
    picture = draw_hand(schematic_hand(96, seed=seed % 5), 96)
    before = picture.copy()
    variation = draw(ALWAYS, np.random.default_rng(seed))
    first, second = vary_grey(picture, variation), vary_grey(picture, variation)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.uint8
    assert first.shape == picture.shape
    assert not np.array_equal(first, picture)


def test_each_grey_change_does_what_its_name_says():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    noise = np.random.default_rng(0).integers(0, 255, (64, 256)).astype(np.uint8)
    assert vary_grey(ramp, Variation()) is ramp
    np.testing.assert_array_equal(vary_grey(ramp, Variation(invert=True)), 255 - ramp)
    np.testing.assert_array_equal(vary_grey(ramp, Variation(gamma=2.0))[0], np.rint((np.arange(256) / 255) ** 2 * 255))
    assert vary_grey(noise, Variation(blur=1.5)).std() < noise.std() * 0.4
    soft = cv2.GaussianBlur(noise, (0, 0), 2).astype(np.uint8)
    assert vary_grey(soft, Variation(sharpen=1.0)).std() > soft.std()
    flat = np.full((700, 900), 128, np.uint8)
    grain = vary_grey(flat, Variation(noise=6.0, noise_seed=3)).astype(float) - 128
    assert grain.std() == pytest.approx(6, rel=0.02)
    assert abs(grain.mean()) < 0.1
    low = (ramp // 8) + 100
    assert np.ptp(vary_grey(low, Variation(clahe=4.0))) > np.ptp(low)
    boxed = vary_grey(flat, Variation(boxes=((0.5, 0.5, 0.1, 0.2, 7), (0.95, -0.05, 0.1, 0.1, 9))))
    assert (boxed == 7).sum() == 90 * 140
    assert (boxed == 9).sum() == 45 * 35
    assert curve(Variation(gain=1.2, offset=10)).dtype == np.uint8


def test_map_outlines_and_matrix_agree_on_the_pixel_centre():
    """Flipping a picture of 10 columns sends the centre of column 0 to that of column 9."""
    affine = matrix(Variation(flip=True), (4, 10))
    np.testing.assert_allclose(apply_affine(np.array([[0.0, 2.0]]), affine), [[9.0, 2.0]])
    picture = np.arange(40, dtype=np.uint8).reshape(4, 10)
    np.testing.assert_array_equal(move_picture(picture, affine, (4, 10)), picture[:, ::-1])
    square = {"Ulna": (Outline(np.array([[1, 0], [3, 0], [3, 2]], float)),)}
    moved = map_outlines(square, lambda ring: apply_affine(ring, affine))
    assert moved["Ulna"][0].exterior[:, 0].tolist() == [8, 6, 6]
