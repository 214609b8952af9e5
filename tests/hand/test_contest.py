"""Who comes to a rehearsal, and how people outline what they see."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("numba")

from ossa.hand.phantom.annotators import mistaken, outlined
from ossa.hand.phantom.contest import BENT_SHARE, MISTAKES, Mistake, developed, picture_seed, plan
from ossa.phantom.scene import Sitter, age_of, project, render
from ossa.schema import load_schema
from ossa.segmentation.compare import dice
from ossa.segmentation.outlines import region_from_outlines
from ossa.segmentation.segmentation import Segmentation

SCHEMA = load_schema("hand29")


def test_the_plan_keeps_the_published_shares() -> None:
    hands = plan(400, 144, seed=3)
    assert plan(400, 144, seed=3) == hands
    assert plan(400, 144, seed=4) != hands
    splits = Counter(hand.split for hand in hands)
    assert splits == {"train": 800, "test": 288}
    for split, share in BENT_SHARE.items():
        assert sum(h.bent for h in hands if h.split == split) == round(share * splits[split])
    assert Counter(h.mistake for h in hands if h.mistake) == dict.fromkeys(MISTAKES, 1)
    assert all(h.split == "train" for h in hands if h.mistake)
    assert sum(not h.sesamoid for h in hands) == round(0.077 * 1088)
    assert len({h.stem for h in hands}) == len(hands)
    named = [h for h in hands if h.stem.endswith(("_R", "_L"))]
    assert 0 < len(named) < 100
    assert all(h.stem.endswith(f"_{h.side}") for h in named)


def test_a_subject_has_two_hands_of_one_person_in_one_split() -> None:
    hands = plan(6, 2, seed=1)
    by_subject = [[h for h in hands if h.subject == s] for s in dict.fromkeys(h.subject for h in hands)]
    assert len(by_subject) == 8
    for right, left in by_subject:
        assert (right.side, left.side) == ("R", "L")
        assert (right.person, right.split) == (left.person, left.split)
    assert len({pair[0].person for pair in by_subject}) == 8


def test_a_small_contest_has_every_mistake() -> None:
    assert {h.mistake for h in plan(4, 1, seed=1)} == {None, *MISTAKES}


def test_one_person_has_the_same_bones_on_both_sides() -> None:
    hand = plan(4, 1, seed=1)[0]
    _, right, _ = Sitter(7, "R").grow(hand.options, None)
    _, left, _ = Sitter(7, "L").grow(hand.options, None)
    assert all(np.array_equal(a.mesh.vertices, b.mesh.vertices) for a, b in zip(right.bodies, left.bodies, strict=True))
    assert Sitter(7, "R").grow(hand.options, None)[0] == age_of(7, hand.options)


def test_a_sitter_decides_side_and_sesamoid_and_nothing_else() -> None:
    options = plan(4, 1, seed=1)[0].options
    thumb = np.uint32(1 << SCHEMA.index("finger-3"))
    changed = 0
    for person in range(3):
        without, with_it = (
            project(np.random.default_rng(5), 192, options, None, Sitter(person, "L", it)) for it in (False, True)
        )
        assert with_it.drawn.side == "L"
        assert np.array_equal(without.cortex, with_it.cortex)
        more = without.bits != with_it.bits
        assert np.array_equal(without.bits | np.where(more, thumb, np.uint32(0)), with_it.bits)
        changed += int(np.count_nonzero(more))
    assert changed > 0


@pytest.mark.parametrize("bent", [False, True])
def test_wrists_are_bent_as_planned(bent: bool) -> None:
    from ossa.hand.wrist import BENT, wrist_angle
    from ossa.segmentation.outlines import outlines_from_region

    hand = next(h for h in plan(6, 6, seed=2) if h.bent == bent)
    bits = render(picture_seed(hand, 2, None), 256, hand.options, None, hand.sitter)[1].bits
    angle = wrist_angle({n: outlines_from_region(r) for n, r in Segmentation.from_bits(bits, SCHEMA)}, SCHEMA)
    assert angle is not None
    assert (abs(angle) >= BENT) == bent


def test_developed_films_are_dark_on_black() -> None:
    rng = np.random.default_rng(1)
    picture = np.clip(rng.normal(90, 10, (64, 64)), 0, 255).astype(np.uint8)
    picture[16:48, 24:40] = 200
    out = developed(picture, rng)
    assert 0.05 < out.mean() / 255 < 0.22
    assert np.median(out) < 20
    assert out[30, 30] > 120


def truth() -> Segmentation:
    bits = project(np.random.default_rng(3), 512, plan(4, 1, seed=1)[0].options, None, Sitter(3, "R", True)).bits
    return Segmentation.from_bits(bits, SCHEMA)


def test_people_outline_nearly_the_truth() -> None:
    true = truth()
    drawn = outlined(true, np.random.default_rng(2))
    assert list(drawn) == [name for name, _ in true]
    points = np.concatenate([part.exterior for parts in drawn.values() for part in parts])
    assert points.min() >= 0
    assert points.max() <= 511
    scores = [dice(region_from_outlines(drawn[name], true.shape), region) for name, region in true]
    assert 0.96 < float(np.mean(scores)) < 0.999
    assert min(scores) > 0.85


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_made(mistake: Mistake) -> None:
    true = truth()
    rng = np.random.default_rng(2)
    drawn = outlined(true, rng)
    picture = np.full(true.shape, 60, np.uint8)
    wrong, seen = mistaken(drawn, mistake, picture, rng)
    assert set(wrong) == set(drawn)
    changed = [name for name in drawn if wrong[name] is not drawn[name]]
    assert len(changed) == {"reversed": 18, "carpal row": len(changed), "ring": 1, "pisiform": 1}[mistake]
    assert (mistake == "ring") == bool((seen == 255).any())
    if mistake == "carpal row":
        assert len(changed) in (2, 4)
    if mistake == "pisiform":
        ulna, pisiform = (region_from_outlines(wrong[n], true.shape) for n in ("Ulna", "Pisiform"))
        assert ulna is not None
        assert pisiform is not None
        assert dice(pisiform, ulna) > 0.02
