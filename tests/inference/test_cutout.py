"""Cut-outs: a hand comes upright, and bones found there lie on the film where they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.inference.cutout import box_corners, cut_out, laid_back
from ossa.inference.finder import FoundHand
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.schema import load_schema
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Segmentation

SCHEMA = load_schema("hand29")


def a_hand(centre: tuple[float, float], angle: float, length: float, negative: bool = False) -> FoundHand:
    turn = np.radians(angle)
    return FoundHand(
        sure=0.9,
        centre=np.array(centre),
        up=np.array([np.sin(turn), -np.cos(turn)]),
        length=length,
        box=np.array([0.45, 0.45, 0.25, 0.3]) * length,
        side="L",
        view="frontal",
        parts=frozenset(),
        negative=negative,
    )


def film_of(hand: FoundHand, shape: tuple[int, int], tall: float = 1.0) -> tuple[Radiograph, Segmentation]:
    """A dark film with a bright wedge in the hand's box, narrow towards the fingers, which is also the one bone."""
    a, b, c, d = box_corners(hand, -0.1 * hand.length)
    corners = np.array([(a + b) / 2, c, d])
    corners[:, 1] = (corners[:, 1] + 0.5) / tall - 0.5
    plane = np.zeros(shape, np.uint8)
    cv2.fillPoly(plane, [np.rint(corners * 16).astype(np.int32)], 200, shift=4)
    spacing = None if tall == 1.0 else Spacing(0.2 * tall, 0.2, "test")
    bits = (plane > 0).astype(np.uint32)
    return Radiograph(plane, spacing), Segmentation.from_bits(bits, SCHEMA)


def bright(radiograph: Radiograph) -> Segmentation:
    return Segmentation.from_bits((radiograph.pixels > 100).astype(np.uint32), SCHEMA)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-180, 180), st.floats(90, 220), st.floats(100, 200), st.floats(80, 160), st.sampled_from([1.0, 1.0, 1.6])
)
def test_what_is_found_upright_lies_where_it_is(angle: float, length: float, x: float, y: float, tall: float) -> None:
    hand = a_hand((x, y), angle, length)
    film, truth = film_of(hand, (round(260 / tall), 300), tall)
    cutout = cut_out(film, hand)
    back = laid_back(bright(cutout.radiograph), cutout)
    assert back.shape == film.shape
    if len(truth) and next(iter(truth))[1].area > 800:
        assert dice(next(iter(back))[1], next(iter(truth))[1]) > 0.965
        rows = np.flatnonzero(bright(cutout.radiograph).plane(SCHEMA.names[0]).any(axis=1))
        plane = cutout.radiograph.pixels[rows[0] : rows[-1] + 1] > 100
        width = plane.sum(axis=1)
        inside = rows[0] > 0 and rows[-1] < cutout.radiograph.shape[0] - 1 and truth_inside(truth, film)
        if inside:  # the wedge's narrow end, the fingers, is at the top
            assert width[: len(width) // 3].mean() < width[-len(width) // 3 :].mean()


def truth_inside(truth: Segmentation, film: Radiograph) -> bool:
    region = next(iter(truth))[1]
    height, width = film.shape
    return region.top > 0 and region.left > 0 and region.bottom < height and region.right < width


@pytest.mark.parametrize("angle", [0.0, 90.0, -90.0, 180.0, 8.0, 95.0])
def test_quarter_turns_and_crops_move_pixels_and_change_none(angle: float) -> None:
    rng = np.random.default_rng(1)
    film = Radiograph(rng.integers(0, 255, (300, 340), np.uint8))
    cutout = cut_out(film, a_hand((170.3, 150.8), angle, 120))
    quarter = round(angle / 90) % 4
    height, width = cutout.radiograph.shape
    assert not cutout.whole
    assert max(height, width) < 260
    seen = np.rot90(cutout.radiograph.pixels, -quarter)
    places = cv2.matchTemplate(film.pixels, np.ascontiguousarray(seen), cv2.TM_SQDIFF)
    y, x = np.unravel_index(places.argmin(), places.shape)
    assert (film.pixels[y : y + seen.shape[0], x : x + seen.shape[1]] == seen).all()
    mask = rng.uniform(size=(height, width)) < 0.5
    back = laid_back(Segmentation.from_bits(mask.astype(np.uint32), SCHEMA), cutout)
    region = next(iter(back))[1]
    again = region.plane(film.shape)[y : y + seen.shape[0], x : x + seen.shape[1]]
    assert (again == np.rot90(mask, -quarter)).all()


def test_a_film_that_the_hand_fills_is_taken_as_it_is() -> None:
    film = Radiograph(np.zeros((400, 300), np.uint8))
    cutout = cut_out(film, a_hand((150, 190), 6.0, 330))
    assert cutout.whole
    assert cutout.radiograph is film
    found = bright(film)
    assert laid_back(found, cutout) is found


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6])
def test_a_hand_that_leaves_much_of_its_film_bare_is_cut_out(share: float) -> None:
    film = Radiograph(np.zeros((500, 500), np.uint8))
    hand = a_hand((250, 250), 0.0, share * 500 / 0.9)  # of this share of the film from its wrist to its fingers
    cutout = cut_out(film, hand)
    assert not cutout.whole
    assert cutout.radiograph.shape[0] < 450
    assert cutout.radiograph.shape[1] < 450


@pytest.mark.parametrize("angle", [90.0, -97.0, 180.0])
def test_a_film_that_the_hand_fills_on_its_side_is_turned_and_not_cut(angle: float) -> None:
    rng = np.random.default_rng(0)
    film = Radiograph(rng.integers(0, 255, (300, 380) if abs(angle) < 100 else (380, 300), np.uint8))
    height, width = film.shape
    cutout = cut_out(film, a_hand((width / 2, height / 2), angle, 330))
    assert cutout.whole
    assert (cutout.radiograph.pixels == np.rot90(film.pixels, round(angle / 90))).all()
    mask = rng.uniform(size=cutout.radiograph.shape) < 0.5
    back = laid_back(Segmentation.from_bits(mask.astype(np.uint32), SCHEMA), cutout)
    assert (next(iter(back))[1].plane(film.shape) == np.rot90(mask, -round(angle / 90))).all()


def test_a_negative_is_turned_over_in_its_cutout_alone() -> None:
    film = Radiograph(np.full((400, 300), 30, np.uint8))
    for hand in (a_hand((150, 190), 6.0, 330, negative=True), a_hand((150, 190), 40.0, 120, negative=True)):
        assert (cut_out(film, hand).radiograph.pixels == 225).all()
    assert (film.pixels == 30).all()


def test_another_hand_is_covered() -> None:
    pixels = np.full((300, 500), 10, np.uint8)
    first, second = a_hand((130, 150), 0.0, 180), a_hand((250, 150), 0.0, 180)
    for hand, grey in ((first, 100), (second, 200)):
        cv2.fillConvexPoly(pixels, np.rint(box_corners(hand)).astype(np.int32), grey)
    cutout = cut_out(Radiograph(pixels), first, [second])
    assert (cutout.radiograph.pixels == 100).any()
    assert not (cutout.radiograph.pixels == 200).any()
