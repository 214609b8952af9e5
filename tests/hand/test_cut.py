"""Bones that the picture's border or the field's edge cuts are known from the outlines alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from helpers_known import known
from ossa.hand.cut import find_cut
from ossa.segmentation.outlines import outlines_from_segmentation
from ossa.segmentation.segmentation import Segmentation

SIZE = 512


def within(field: np.ndarray, seed: int) -> tuple[dict, set[str]]:
    """A hand's outlines inside a field (H, W), and the bones of which it takes a tenth or more."""
    whole = segmentation(schematic_hand(SIZE, seed=seed), SIZE)
    seen = Segmentation.from_planes(whole.planes() & field, SCHEMA)
    lost = {name for name, region in seen if region.area < 0.9 * known(whole.get(name)).area}
    return outlines_from_segmentation(seen), lost


def named(cut) -> set[str]:
    return {SCHEMA.names[i] for i in np.flatnonzero(cut.bones)}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.floats(-0.3, 0.3), st.floats(0.25, 0.5))
def test_a_tilted_edge_across_the_fingers(seed: int, tilt: float, height: float) -> None:
    y, x = np.mgrid[:SIZE, :SIZE]
    field = y > SIZE * height + tilt * (x - SIZE / 2)
    outlines, lost = within(field, seed)
    cut = find_cut(outlines, SCHEMA, (SIZE, SIZE))
    assert len(lost - named(cut)) <= max(1, len(lost) // 4)
    inside = complex(SIZE / 2, SIZE * height + 60)
    if lost & named(cut):
        assert cut.holds(inside)
        assert not cut.holds(complex(SIZE / 2, SIZE * height - 20))


def test_a_round_field() -> None:
    field = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(field, (SIZE // 2, int(SIZE * 0.45)), int(SIZE * 0.24), 1, -1)
    outlines, lost = within(field.astype(bool), 3)
    cut = named(find_cut(outlines, SCHEMA, (SIZE, SIZE)))
    assert len(lost) >= 4
    assert len(lost & cut) >= 0.75 * len(lost)


@pytest.mark.parametrize("seed", range(6))
def test_whole_hands_are_hardly_ever_cut(seed: int) -> None:
    outlines = schematic_hand(SIZE, seed=seed, turn=10.0 * seed)
    cut = named(find_cut(outlines, SCHEMA, (4 * SIZE, 4 * SIZE)))
    assert len(cut - {"Radius", "Ulna"}) <= 3, cut


def test_the_border_cuts() -> None:
    square = schematic_hand(SIZE)["Capitate"]
    shifted = {"Capitate": tuple(part.mapped(lambda ring: ring - ring.min(axis=0)) for part in square)}
    assert named(find_cut(shifted, SCHEMA, (SIZE, SIZE))) == {"Capitate"}
    assert named(find_cut({}, SCHEMA, (SIZE, SIZE))) == set()


def test_a_thumb_that_the_field_ends_needs_less_of_an_edge_where_nothing_follows() -> None:
    """A shaft narrower than its head runs along the edge for about half the root of its area."""
    found = 0
    for seed in range(6):
        whole = schematic_hand(SIZE, seed=seed)
        thumb = whole["finger-2"][0].exterior
        x = float(np.quantile(thumb[:, 0], 0.5))
        left = thumb[:, 0].mean() < SIZE / 2
        field = (np.arange(SIZE) > x if left else np.arange(SIZE) < x)[None].repeat(SIZE, axis=0)
        cut = find_cut(within(field, seed)[0], SCHEMA, (4 * SIZE, 4 * SIZE))
        assert (cut.ends >= cut.bones).all()
        found += bool(cut.ends[SCHEMA.index("finger-2")])
        whole_ends = find_cut(whole, SCHEMA, (4 * SIZE, 4 * SIZE)).ends
        assert not whole_ends[[SCHEMA.index(f"finger-{k}") for k in (5, 9, 13, 17)]].any()
    assert found >= 5


def test_the_field_is_inside_of_what_cuts() -> None:
    y, x = np.mgrid[:SIZE, :SIZE]
    field = y > SIZE * 0.4 + 0.2 * (x - SIZE / 2)
    cut = find_cut(within(field, 1)[0], SCHEMA, (SIZE, SIZE))
    half = cut.field((SIZE // 2, SIZE // 2), (0.5, 0.5))
    assert len(cut.lines)
    assert (half == field[::2, ::2]).mean() > 0.97
    assert find_cut({}, SCHEMA, (SIZE, SIZE)).field((5, 7)).all()


def test_the_bones_of_one_straight_finger_are_not_cut_by_its_side() -> None:
    """As the little finger lies in many films: its three phalanges line up along the hull of the hand."""
    hand = schematic_hand(SIZE, seed=2)
    x = max(part.exterior[:, 0].max() for parts in hand.values() for part in parts) + 12.0
    # A waist between base and head, 16 px wide and 28 long.
    side = [(8, -14), (8, -10), (5, -5), (5, 5), (8, 10), (8, 14)]
    phalanx = np.array([*side, (-8, 14), (-8, -14)], float)

    def placed(name: str, y: float) -> dict:
        return {name: (replace(hand[name][0], exterior=np.add(phalanx, (x - 8, y)), holes=()),)}

    fingers = {"finger-16", "finger-17", "finger-18"}
    for k, name in enumerate(sorted(fingers)):
        hand = {**hand, **placed(name, 200.0 + 32 * k)}
    assert not fingers & named(find_cut(hand, SCHEMA, (4 * SIZE, 4 * SIZE)))
    # An edge that shaves it lengthwise cuts it, and the bones of the other digits along it.
    phalanx = np.array([(8, -14), (8, 14), (-8, 14), (-8, -14)], float)
    hand = {**hand, **placed("finger-4", 320.0)}
    assert "finger-4" in named(find_cut(hand, SCHEMA, (4 * SIZE, 4 * SIZE)))
