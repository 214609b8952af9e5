"""Children: bones that are not there yet are absent, ends belong to their bone and are parted from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ossa.hand.phantom.builtin import builtin_anatomy
from ossa.hand.phantom.pose import DIGITS
from ossa.phantom.growth import CHILD, grown, sample_age
from ossa.phantom.injury import broken, lost
from ossa.phantom.options import FLAT
from ossa.phantom.part import default_part
from ossa.phantom.pose import Pose, place
from ossa.phantom.scene import project
from ossa.phantom.variation import long_axis
from ossa.schema import load_schema

SCHEMA = load_schema("hand29")

#: Age at which each carpal is first seen.
SEEN = SCHEMA.phantom["growth"]["seen"]


def test_ages_are_drawn_in_the_given_shares() -> None:
    rng = np.random.default_rng(0)
    ages = np.array([sample_age(0.3, 0.2, rng) for _ in range(2000)])
    assert (ages < CHILD).mean() == pytest.approx(0.2, abs=0.03)
    assert ((ages >= CHILD) & (ages < 22)).mean() == pytest.approx(0.3, abs=0.03)
    assert ages.min() >= 1
    assert ages.max() <= 90


def test_carpals_appear_in_their_order() -> None:
    hand = builtin_anatomy()
    for age, there in ((2.0, {"Capitate", "Hamate"}), (8.0, set(SEEN) - {"Pisiform"})):
        missing = [grown(hand, age, np.random.default_rng(seed))[1] for seed in range(40)]
        often = {n for n in SEEN if np.mean([n in m for m in missing]) < 0.5}
        assert there <= often
    assert grown(hand, 2.0, np.random.default_rng(1))[1] >= {"Trapezoid", "Scaphoid", "Pisiform"}
    assert grown(hand, 30.0, np.random.default_rng(1)) == (hand, frozenset())


def test_a_childs_carpal_is_smaller_than_its_place() -> None:
    hand = builtin_anatomy()
    child, _ = grown(hand, 3.0, np.random.default_rng(0))
    size = {b.bone: abs(b.mesh.volume()) for b in hand.bodies}
    for body in child.bodies:
        share = abs(body.mesh.volume()) / size[body.bone]
        assert share < (0.12 if body.bone == "Capitate" else 0.6)


def test_a_childs_phalanx_has_two_parts_and_an_infants_one() -> None:
    """Along the bone there is a gap, where no vertex has any width."""
    body = next(b for b in builtin_anatomy().bodies if b.bone == "finger-10")
    axis = long_axis(body.mesh.vertices)

    def widths(age: float) -> np.ndarray:
        child, _ = grown(builtin_anatomy(), age, np.random.default_rng(2))
        points = next(b for b in child.bodies if b.bone == "finger-10").mesh.vertices
        along = points @ axis
        steps = np.arange(along.min() + 0.2, along.min() + 0.3 * np.ptp(along), 0.15)
        across = points - along[:, None] * axis
        return np.array(
            [
                np.ptp(across[np.abs(along - s) < 0.12], axis=0).max(initial=0)
                if (np.abs(along - s) < 0.12).any()
                else 0
                for s in steps
            ]
        )

    child = widths(5.0)
    inside = np.flatnonzero(child > 1.0)
    assert (child[inside[0] : inside[-1]] < 0.2).any()
    assert widths(30.0)[3:].max() > 3.0


def test_bones_of_a_child_that_are_not_there_are_not_in_the_truth() -> None:
    options = replace(FLAT, children=1.0, wrist_only=0, turned=0, fill=(0.7, 0.75), aspect=(0.95, 1.0))
    counts = [len(project(np.random.default_rng(seed), 256, options).drawn.bones) for seed in range(12)]
    assert min(counts) <= 24
    assert max(counts) >= 26
    for seed in range(4):
        assert "Pisiform" not in project(np.random.default_rng(seed), 256, options).drawn.bones


def test_lost_fingers_are_lost_to_their_tips() -> None:
    for seed in range(30):
        gone = lost(default_part(), np.random.default_rng(seed))
        assert gone
        for bones in DIGITS.values():
            there = [b not in gone for b in bones]
            assert there == sorted(there, reverse=True)


def test_beyond_a_displaced_fracture_everything_moves_and_before_it_nothing() -> None:
    hand = builtin_anatomy()
    whole = place(hand, Pose())
    for seed in range(6):
        changed, pose = broken(hand, Pose(), "finger-11", np.random.default_rng(seed))
        frames = place(changed, pose)
        moved = {b for b in whole if not np.allclose(whole[b][1], frames[b][1], atol=1e-6)}
        assert moved == {"finger-10", "finger-9", "finger-8"}
        mesh = next(b.mesh for b in changed.bodies if b.bone == "finger-11")
        before = next(b.mesh for b in hand.bodies if b.bone == "finger-11")
        same = np.isclose(mesh.vertices, before.vertices).all(axis=1)
        assert 0.1 < same.mean() < 0.95
