"""Bones that the picture's border or the field's edge cuts are known from the outlines alone."""

from __future__ import annotations

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
