"""Sprites and plates: what a hand's record says lies where the picture shows it, and follows its map."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.hand.phantom.builtin import builtin_anatomy
from ossa.hand.phantom.others import KINDS, drawing_of
from ossa.hand.phantom.plates import PARTS, compose, laid, seen_of
from ossa.hand.phantom.shots import RAYS, digit_shot, joined, moved, similarity
from ossa.hand.phantom.sprites import SIDE, Sprite, bare_sprite, hand_sprite

EVERYTHING = np.array([[-1e4, -1e4], [1e4, -1e4], [1e4, 1e4], [-1e4, 1e4]])


@pytest.fixture(scope="module")
def hand() -> Sprite:
    return hand_sprite(np.random.default_rng(1), builtin_anatomy(), close=False)


def test_a_whole_hand_lies_in_its_sprite_with_the_fingers_up(hand: Sprite) -> None:
    points = hand.ends[np.isfinite(hand.ends[:, 0, 0])].reshape(-1, 2)
    assert hand.is_hand
    assert hand.open_ended
    assert (points[:, 1] > 0).all()
    assert hand.up[1] < -0.5
    record = seen_of(hand, np.eye(2, 3), EVERYTHING)
    assert record is not None
    assert record.parts.all()
    assert len(record.parts) == len(PARTS)
    assert 0.3 * SIDE < hand.length < 0.8 * SIDE


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0.2, 2.0), st.floats(-np.pi, np.pi), st.booleans(), st.floats(-300, 300), st.floats(-300, 300)
)  # fmt: skip
def test_the_record_follows_its_map(
    hand: Sprite, scale: float, angle: float, mirrored: bool, x: float, y: float
) -> None:
    to_plate = similarity(scale, angle, mirrored, np.array([100.0, 200.0]), np.array([x, y]))
    before, after = seen_of(hand, np.eye(2, 3), EVERYTHING), seen_of(hand, to_plate, EVERYTHING)
    assert before is not None
    assert after is not None
    assert after.centre == pytest.approx(moved(to_plate, before.centre), abs=1e-6)
    assert after.length == pytest.approx(before.length * scale)
    assert after.up == pytest.approx(to_plate[:, :2] @ before.up / scale)
    assert after.thumb_left == (before.thumb_left != mirrored)
    aside = before.box[[0, 1, 3, 2]] if mirrored else before.box
    assert after.box == pytest.approx(aside * scale, rel=1e-6)


def test_what_the_field_cuts_off_is_not_told(hand: Sprite) -> None:
    record = seen_of(hand, np.eye(2, 3), EVERYTHING)
    assert record is not None
    low, high = record.centre[1] - record.box[0], record.centre[1] + record.box[1]
    wrist = np.array([[0, high - 0.28 * (high - low)], [SIDE, high - 0.28 * (high - low)], [SIDE, SIDE], [0, SIDE]])
    cut = seen_of(hand, np.eye(2, 3), wrist)
    assert cut is not None
    assert cut.parts[5]
    assert cut.parts[6]
    assert not cut.parts[:5].any()
    assert seen_of(hand, np.eye(2, 3), np.array([[0, 0], [5.0, 0], [5, 5], [0, 5]])) is None


def test_maps_join_and_pictures_follow_them() -> None:
    first = similarity(0.5, 0.3, True, np.array([3.0, 4.0]), np.array([7.0, 9.0]))
    second = similarity(1.7, -1.1, False, np.array([0.0, 1.0]), np.array([2.0, -3.0]))
    points = np.random.default_rng(0).normal(0, 10, (20, 2))
    assert moved(joined(second, first), points) == pytest.approx(moved(second, moved(first, points)))
    mu = np.zeros((SIDE, SIDE), np.float32)
    cv2.circle(mu, (120, 300), 20, 1.0, -1)
    for scale in (1.2, 0.5, 0.2, 0.1):
        to_plate = similarity(scale, 0.4, False, np.array([120.0, 300.0]), np.array([61.0, 40.0]))
        out = laid(mu, to_plate, (100, 130))
        y, x = np.mgrid[0:100, 0:130]
        middle = np.array([(x * out).sum(), (y * out).sum()]) / out.sum()
        assert middle == pytest.approx([61.0, 40.0], abs=0.6)
        assert out.sum() == pytest.approx(mu.sum() * scale**2, rel=0.1)


def test_plates_are_the_same_again_and_have_hands_and_none(hand: Sprite) -> None:
    rng = np.random.default_rng(5)
    close = hand_sprite(rng, builtin_anatomy(), close=True)
    drawn = {"whole": hand, "close": close, "foot": bare_sprite(KINDS["sticks"](rng)), "drawing": drawing_of(hand, rng)}
    drawn["other"] = bare_sprite(KINDS["chest"](rng))

    def plate(seed: int):
        own = np.random.default_rng(seed)
        return compose(own, lambda kinds: drawn[str(own.choice(kinds))], 160)

    plates = [plate(seed) for seed in range(30)]
    assert {len(p.hands) for p in plates} >= {0, 1, 2}
    assert all(max(p.grey.shape) == 160 and p.grey.dtype == np.uint8 for p in plates)
    again = plate(7)
    assert (again.grey == plates[7].grey).all()
    assert len(again.hands) == len(plates[7].hands)
    for p in plates:
        for one in p.hands:
            height, width = p.grey.shape
            assert -1 <= one.centre[0] <= width
            assert -1 <= one.centre[1] <= height


def test_a_digit_shot_holds_a_digit_along_its_field(hand: Sprite) -> None:
    rng = np.random.default_rng(3)
    steep = 0
    for _ in range(30):
        one = digit_shot(rng, hand)
        ((sprite, to_shot),) = one.sprites
        assert sprite is hand
        # In the field's own frame.
        c, s = np.cos(one.angle), np.sin(one.angle)
        ends = (moved(to_shot, hand.ends) - one.middle) @ np.array([[c, s], [-s, c]]).T
        inside = (np.abs(ends) <= one.half).all(axis=(1, 2))
        whole = [ray for ray in RAYS if inside[ray].sum() >= 2]
        assert whole
        along = ends[whole[0][-1], 1] - ends[whole[0][0], 0]
        steep += along[1] < -2 * abs(along[0])
        assert one.half[0] < 0.45 * hand.length
    assert steep > 20


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_other_things_show_no_bone_of_a_hand(kind: str) -> None:
    sprite = bare_sprite(KINDS[kind](np.random.default_rng(2)))
    assert sprite.mu.shape == (SIDE, SIDE)
    assert np.isfinite(sprite.mu).all()
    assert not sprite.is_hand
    assert seen_of(sprite, np.eye(2, 3), EVERYTHING) is None
