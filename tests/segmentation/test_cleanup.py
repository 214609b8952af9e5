"""Clean-up against a flood fill written out, and rules as data."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers_known import known
from ossa.errors import ConfigError, SchemaError
from ossa.schema import load_schema
from ossa.segmentation.cleanup import (
    Cleanup,
    Rule,
    fill_holes,
    fill_shaft,
    is_whole,
    largest_part,
    parts,
    without_small_parts,
)
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)).filter(np.any)
SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
ALL = (*SIDES, (1, 1), (1, -1), (-1, 1), (-1, -1))


def flood(mask: np.ndarray, steps: tuple[tuple[int, int], ...]) -> list[set[tuple[int, int]]]:
    """Connected sets of True pixels, one pixel after the other."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    for seed in sorted(left):
        if seed not in left:
            continue
        left.discard(seed)
        part, front = {seed}, [seed]
        while front:
            y, x = front.pop()
            for dy, dx in steps:
                if (y + dy, x + dx) in left:
                    left.discard((y + dy, x + dx))
                    part.add((y + dy, x + dx))
                    front.append((y + dy, x + dx))
        found.append(part)
    return found


def pixels(region: Region | None) -> set[tuple[int, int]]:
    return (
        set()
        if region is None
        else {(int(y) + region.top - 5, int(x) + region.left - 8) for y, x in np.argwhere(region.mask)}
    )


def is_tight(region: Region) -> bool:
    return bool(region.mask[0].any() and region.mask[-1].any() and region.mask[:, 0].any() and region.mask[:, -1].any())


@given(masks, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.2, 1.0]))
@settings(deadline=None, max_examples=200)
def test_what_is_whole_is_not_mended(mask: np.ndarray, part: float, hole: float) -> None:
    region = Region(5, 8, mask)
    tight = bool(mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any())
    outside = flood(~np.pad(mask, 1), SIDES)
    assert is_whole(region) is (tight and len(flood(mask, ALL)) == 1 and len(outside) == 1)
    got = Rule(part, hole).tidied(region, (40, 40))
    with patch("ossa.segmentation.cleanup.is_whole", return_value=False):
        assert pixels(got) == pixels(Rule(part, hole).tidied(region, (40, 40)))


@given(masks, st.integers(1, 12))
@settings(deadline=None, max_examples=120)
def test_parts_against_a_flood_fill(mask: np.ndarray, area: int) -> None:
    region = known(Region.tight(mask, 5, 8))
    expected = flood(mask, ALL)
    got = parts(region)
    assert sorted(map(sorted, map(pixels, got))) == sorted(map(sorted, expected))
    assert [part.area for part in got] == sorted((len(part) for part in expected), reverse=True)
    assert all(is_tight(part) for part in got)
    first = min(expected, key=lambda part: (-len(part), min(y for y, _ in part), min(x for _, x in part)))
    assert pixels(largest_part(region)) == first
    kept = without_small_parts(region, area)
    assert pixels(kept) == set().union(*(part for part in expected if len(part) >= area))
    assert kept is None or is_tight(kept)


@given(masks, st.integers(1, 12))
@settings(deadline=None, max_examples=120)
def test_holes_against_a_flood_fill(mask: np.ndarray, area: int) -> None:
    region = known(Region.tight(mask, 5, 8))
    framed = np.pad(~mask, 1, constant_values=True)
    holes = [{(y - 1, x - 1) for y, x in part} for part in flood(framed, SIDES) if (0, 0) not in part]
    bone = pixels(region)
    assert pixels(fill_holes(region)) == bone.union(*holes)
    assert pixels(fill_holes(region, area)) == bone.union(*(hole for hole in holes if len(hole) <= area))


@given(
    hnp.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 5))).filter(np.any),
    st.tuples(*[st.integers(0, 1)] * 4),
    st.integers(0, 3),
    st.integers(0, 30),
)
@settings(deadline=None, max_examples=150)
def test_a_shaft_is_filled_along_the_border_it_leaves_by(
    mask: np.ndarray, room: tuple[int, int, int, int], turns: int, area: int
) -> None:
    """Line by line, for one border after the other."""
    picture = np.rot90(np.pad(mask, (room[:2], room[2:])), turns)
    region = known(Region.tight(picture))
    expected = picture.copy()
    for turn in range(4):
        below = np.rot90(expected, -turn)  # a view: the right, the top, the left border as the lower one
        ys, xs = np.nonzero(below)
        tall, wide = np.ptp(ys) + 1, np.ptp(xs) + 1
        if ys.max() < below.shape[0] - 1 or tall < 1.5 * wide:
            continue
        gaps = []
        for y in range(ys.min() + tall // 2, ys.max() + 1):
            bone = [x for x in range(below.shape[1]) if below[y, x]]
            gaps += [(y, x) for x in range(min(bone), max(bone)) if not below[y, x]] if bone else []
        if len(gaps) <= area:
            for y, x in gaps:
                below[y, x] = True
    assert pixels(fill_shaft(region, picture.shape, area)) == pixels(known(Region.tight(expected)))


def test_a_shaft_that_leaves_the_film_keeps_its_marrow() -> None:
    shaft = np.zeros((30, 14), bool)
    shaft[4:, 3:10] = True
    shaft[18:, 6] = False  # the marrow, open at the film's border
    shaft[27:, 7:] = False  # and one wall that ends before it
    region = known(Region.tight(shaft))
    tidied = Rule(hole=0.25).tidied(region, shaft.shape)
    assert tidied is not None
    assert tidied.area == 26 * 7 - 3 * 4
    higher = Rule(hole=0.25).tidied(region, (31, 14))  # it ends above the border: a notch stays one
    assert higher is not None
    assert higher.area == region.area


@given(
    masks, st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.sampled_from([0.0, 0.05, 1.0]), st.sampled_from([0.0, 0.05, 0.3])
)
@settings(deadline=None, max_examples=120)
def test_a_rule_follows_its_words_and_tidying_twice_changes_nothing(
    mask: np.ndarray, part: float, hole: float, bone: float
) -> None:
    rule = Rule(part, hole, bone)
    region = known(Region.tight(mask, 5, 8))
    shape = (mask.shape[0] + 10, mask.shape[1] + 16)
    once = rule.tidied(region, shape)
    if once is None:
        assert bone > 0
        return
    assert once.area >= bone * shape[0] * shape[1]
    sizes = [p.area for p in parts(region)]
    kept = {p for i, p in enumerate(sizes) if (i == 0 if part == 1 else p >= part * sizes[0])}
    assert len(parts(once)) <= len(sizes)
    if hole == 0:
        assert {p.area for p in parts(once)} == kept
    again = rule.tidied(once, shape)
    if hole != 0.05:  # a filled hole may let another fall under the share
        assert pixels(again) == pixels(once)


def hand() -> Segmentation:
    """finger-3 with a sesamoid and a stray pixel, Lunate with a stray part and a hole, a speck of an Ulna."""
    planes = np.zeros((29, 60, 50), bool)
    thumb, lunate, ulna = (planes[SCHEMA.index(name)] for name in ("finger-3", "Lunate", "Ulna"))
    thumb[5:25, 5:15] = thumb[10:13, 18:21] = True
    thumb[40, 40] = True
    lunate[30:40, 30:40] = lunate[30:33, 44:47] = True
    lunate[34, 34] = False
    ulna[58, 3] = True
    found = Segmentation.from_planes(planes, SCHEMA)
    return Segmentation(SCHEMA, found.shape, found.regions, {"Ulna": 0.2, "Lunate": 0.9}, ("a note",))


def test_the_sesamoid_stays_and_strays_go() -> None:
    tidy = Cleanup(Rule(part=1, hole=1, bone=0.001), {"finger-3": Rule(part=0.02)})
    found = tidy(hand())
    assert list(found.regions) == ["finger-3", "Lunate"]
    assert known(found.get("finger-3")).area == 209
    assert known(found.get("Lunate")).area == 100
    assert found.confidence == {"Lunate": 0.9}
    assert found.notes == ("a note",)
    assert Cleanup.from_json(tidy.to_json()) == tidy


def test_without_rules_nothing_is_done() -> None:
    before = hand()
    for tidy in (Cleanup(), Cleanup.from_json({})):
        assert [region is before.get(name) for name, region in tidy(before)] == [True] * 3


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"rules": {}},
        {"bones": []},
        {"rule": []},
        {"rule": {"parts": 1}},
        {"rule": {"part": 2}},
        {"rule": {"part": True}},
        {"rule": {"hole": "x"}},
        {"rule": {"bone": float("nan")}},
    ],
)
def test_rules_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError):
        Cleanup.from_json(value)


def test_a_rule_for_an_unknown_bone_is_refused() -> None:
    with pytest.raises(SchemaError, match="finger-3"):
        Cleanup(bones={"finger3": Rule()})(hand())


def test_parts_are_measured_against_the_largest_not_against_all() -> None:
    """A part of 12 px beside two of 100 and 99: a tenth of the largest is 10, of everything 21."""
    mask = np.zeros((10, 40), bool)
    mask[:, :10] = mask[:, 12:22] = True
    mask[0, 12] = False
    mask[:3, 30:34] = True
    kept = Rule(part=0.1).tidied(Region(0, 0, mask[:, :34]), (25, 40))
    assert kept is not None
    assert kept.area == 100 + 99 + 12
    less = Rule(part=0.13).tidied(Region(0, 0, mask[:, :34]), (25, 40))
    assert less is not None
    assert less.area == 100 + 99
