"""Names and sentences around a picture: what can be seen of them, and that they cover nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossa.export import margins
from ossa.export.margins import with_lines, with_names
from ossa.export.overlay import overlay, write_overlay
from ossa.radiograph.radiograph import Radiograph
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
SHAPE = (600, 500)


def block(top: int, left: int) -> Region:
    return Region(top, left, np.ones((20, 20), bool))


@pytest.fixture
def hand() -> Segmentation:
    """29 blocks, many at one height."""
    rng = np.random.default_rng(1)
    return Segmentation(
        SCHEMA, SHAPE, {n: block(int(rng.integers(0, 580)), int(rng.integers(0, 480))) for n in SCHEMA.names}
    )


def test_every_bone_is_named_beside_the_picture(hand: Segmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.full((*SHAPE, 3), 90, np.uint8)
    written: dict[str, tuple[int, int]] = {}
    put = cv2.putText

    def noted(picture, text, place, *more):
        written[text] = place
        return put(picture, text, place, *more)

    monkeypatch.setattr(cv2, "putText", noted)
    out = with_names(grey.copy(), hand)
    assert set(written) == {bone.title for bone in SCHEMA.bones}
    assert out.shape[0] == SHAPE[0]
    lefts = [place for place in written.values() if place[0] < out.shape[1] // 2]
    rights = [place for place in written.values() if place[0] >= out.shape[1] // 2]
    assert abs(len(lefts) - len(rights)) <= 1
    for side in (lefts, rights):
        rows = sorted(y for _, y in side)
        assert min(np.diff(rows)) >= 8
        assert rows[0] > 0
        assert rows[-1] <= SHAPE[0]
    # Of the picture, only thin lines are drawn over: letters lie in the margins.
    left = (out.shape[1] - SHAPE[1]) // 2
    shown = [np.any(out[:, x : x + SHAPE[1]] != 90, axis=2).mean() for x in range(left - 60, left + 60)]
    assert min(shown) < 0.12


def test_a_name_stands_at_its_bones_side_and_height() -> None:
    found = Segmentation(SCHEMA, SHAPE, {"Radius": block(500, 100), "Ulna": block(100, 400)})
    out = with_names(np.zeros((*SHAPE, 3), np.uint8), found)
    ink = (out > 200).all(axis=2)
    rows, columns = np.nonzero(ink)
    left = columns < out.shape[1] // 2
    assert abs(rows[left].mean() - 510) < 6
    assert abs(rows[~left].mean() - 110) < 6


@given(st.lists(st.integers(0, 999), min_size=1, max_size=30))
def test_names_are_spread_and_stay_inside(wanted: list[int]) -> None:
    rows = margins._spread(sorted(wanted), 30, 1000)
    assert len(rows) == len(wanted)
    assert rows[0] >= 15
    assert rows[-1] <= 985
    assert all(b - a >= 29 for a, b in pairwise(rows))
    if all(b - a >= 30 for a, b in pairwise(sorted(wanted))):
        kept = [row for row in sorted(wanted) if 200 < row < 800]
        assert len(wanted) > 3 or [row for row in rows if 200 < row < 800] == kept


def test_a_small_or_empty_picture_stays_as_it_is() -> None:
    small = Segmentation(SCHEMA, (200, 300), {"Radius": block(10, 10)})
    picture = np.full((200, 300, 3), 7, np.uint8)
    assert with_names(picture, small) is picture
    wide = np.full((*SHAPE, 3), 7, np.uint8)
    assert with_names(wide, Segmentation(SCHEMA, SHAPE, {})) is wide
    assert with_lines(picture, []) is picture


def test_sentences_stand_above_the_picture_and_are_broken(tmp_path: Path) -> None:
    picture = np.full((300, 400, 3), 90, np.uint8)
    one, long = with_lines(picture, ["Is it a hand?"]), with_lines(picture, ["Is this one hand? " * 40, "\u00fc"])
    for out in (one, long):
        assert (out[-300:] == 90).all()
        assert (out[:-300] > 180).any()
        assert out.shape[1] == 400
    assert long.shape[0] - 300 > 4 * (one.shape[0] - 300)
    assert not (long[:-300, -4:] > 100).any()  # no letter is cut off at the right
    grey = Radiograph(np.full((300, 350), 90, np.uint8))
    found = Segmentation(SCHEMA, (300, 350), {"Lunate": block(0, 0)}, notes=("a doubt",))
    write_overlay(tmp_path / "a.png", grey, found)
    back = cv2.imread(str(tmp_path / "a.png"))
    assert back is not None
    assert (back[-300:, :, ::-1] == overlay(grey, found)).all()
