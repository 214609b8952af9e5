"""The truth holds what can be seen, all of it and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ossa.hand.phantom.builtin import builtin_anatomy
from ossa.hand.phantom.pose import DIGITS, sample_pose
from ossa.phantom import clutter, marks
from ossa.phantom.options import FLAT, WIDE, PhantomOptions
from ossa.phantom.part import default_part
from ossa.phantom.placed import placed
from ossa.phantom.pose import Pose, place
from ossa.phantom.projection import thickness
from ossa.phantom.scene import generate, project, render
from ossa.phantom.tissue import add_bones, add_sesamoids
from ossa.schema import load_schema

SCHEMA = load_schema("hand29")
CALM = replace(
    FLAT, bent_wrists=0, oblique_views=0, wrist_only=0, turned=0, clutter=0, thumb_across=0, fill=(0.7, 0.75)
)


def test_what_the_beam_does_not_reach_is_not_in_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    def left_half(picture: np.ndarray, *_: object) -> np.ndarray:
        seen = np.ones(picture.shape, dtype=bool)
        seen[:, : picture.shape[1] // 2] = False
        return seen

    monkeypatch.setattr(clutter, "add_frame", left_half)
    _, scene = render(4, 192, CALM)
    half = scene.bits.shape[1] // 2
    assert not scene.bits[:, :half].any()
    assert scene.bits[:, half:].any()


def test_every_collimated_film_is_dark_of_truth_outside_its_field() -> None:
    """Beyond a hard edge the picture is even; no bone is claimed there."""
    options = replace(CALM, collimated=1.0, fill=(0.45, 0.6))
    cleared = 0
    for seed in range(12):
        _, scene = render(seed, 160, options)
        whole = project(np.random.default_rng(np.random.SeedSequence([20260101, seed])), 160, options)
        assert not (scene.bits & ~whole.bits).any()
        cleared += int((whole.bits > 0).sum()) > int((scene.bits > 0).sum())
    assert cleared >= 4


def test_what_lies_under_a_plate_is_not_in_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    def plate(picture: np.ndarray, *_: object) -> np.ndarray:
        covered = np.zeros(picture.shape, dtype=bool)
        covered[: picture.shape[0] // 2] = True
        return covered

    monkeypatch.setattr(marks, "add_labels", plate)
    _, scene = render(4, 192, CALM)
    assert not scene.bits[: scene.bits.shape[0] // 2].any()
    assert scene.bits.any()


def test_labels_lie_beside_the_bones() -> None:
    rng = np.random.default_rng(0)
    bone = np.zeros((300, 240), dtype=bool)
    bone[30:270, 70:170] = True
    for _ in range(150):
        picture = np.full(bone.shape, 0.5, np.float32)
        covered = marks.add_labels(picture, bone, rng, 2.0)
        window = covered & bone
        window[: int(0.1 * 300)] = window[-int(0.1 * 300) :] = False  # dark windows lie in the corners
        assert not window.any()
        assert np.abs(picture[60:240, 75:165] - 0.5).max() < 1e-6


def test_the_truth_reaches_to_the_outline_of_every_bone() -> None:
    """A bone's truth is its whole shadow, but for an edge too thin to be seen."""
    shape, mm = (700, 560), 0.4
    hand = builtin_anatomy()
    bones = placed(hand, place(hand, Pose()), (np.eye(3) / mm, np.array([280.0, 480.0, 0.0])), mm)
    _, _, bits = add_bones(bones, SCHEMA, shape, mm, 30.0, np.random.default_rng(0))
    for bone in bones:
        y, x, full = thickness(bone.points, bone.faces, shape)
        shadow = full * mm > 1e-3
        box = bits[y : y + full.shape[0], x : x + full.shape[1]]
        found = (box >> SCHEMA.index(bone.bone)) & 1 > 0
        assert not (found & ~shadow).any()
        assert found.sum() > 0.985 * shadow.sum(), bone.bone


def test_the_thumb_lies_beside_the_hand() -> None:
    """Of flat hands hardly one has its thumb's tip over bones other than its neighbour."""
    across = 0
    for seed in range(60):
        scene = project(np.random.default_rng(seed), 160, CALM)
        tip = (scene.bits >> SCHEMA.index("finger-1")) & 1 > 0
        others = sum(1 << SCHEMA.index(n) for n in SCHEMA.names if n not in DIGITS[1])
        across += (tip & (scene.bits & np.uint32(others) > 0)).sum() > 0.6 * tip.sum()
    assert across <= 1


def test_sesamoids_come_as_often_as_published() -> None:
    shape, mm = (700, 560), 0.4
    hand = builtin_anatomy()
    bones = placed(hand, place(hand, Pose()), (np.eye(3) / mm, np.array([280.0, 480.0, 0.0])), mm)
    rng = np.random.default_rng(1)
    for kind in default_part().keys.sesamoid:
        name, rate = kind.bone, kind.chance
        own = [b for b in bones if b.bone in (name, "finger-7", "finger-19")]
        if name in ("finger-7", "finger-19"):
            continue
        single = [b for b in own if b.bone == name]
        count = 0
        for _ in range(150):
            cortex, spongy = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
            add_sesamoids(single, cortex, spongy, mm, 40.0, rng)
            count += bool(cortex.any())
        assert abs(count / 150 - rate) < 0.12, name
    cortex, spongy = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    add_sesamoids(bones, cortex, spongy, mm, 8.0, rng)
    assert not cortex.any()  # not in a child


@pytest.mark.parametrize("seed", range(6))
def test_forearms_run_on_to_the_border(seed: int) -> None:
    """However small the hand, neither radius nor ulna ends inside the picture."""
    options = replace(CALM, fill=(0.22, 0.3), aspect=(0.6, 0.7))
    scene = project(np.random.default_rng(seed), 240, options)
    for name in ("Radius", "Ulna"):
        rows = np.flatnonzero(((scene.bits >> SCHEMA.index(name)) & 1).any(axis=1))
        columns = np.flatnonzero(((scene.bits >> SCHEMA.index(name)) & 1).any(axis=0))
        height, width = scene.bits.shape
        assert rows[-1] == height - 1 or columns[0] == 0 or columns[-1] == width - 1


def test_the_wide_world_draws_films_of_every_kind() -> None:
    kinds: set[str] = set()
    few, many = 0, 0
    for seed in range(60):
        picture, scene = render(seed, 128, WIDE)
        assert picture.shape == scene.bits.shape
        kinds.add(scene.drawn.view)
        few += len(scene.drawn.bones) < 16
        many += len(scene.drawn.bones) == 29
    assert kinds == {"frontal", "oblique", "lateral"}
    assert few >= 4
    assert many >= 15


def test_one_digit_alone_fills_a_narrow_field() -> None:
    options = PhantomOptions(one_digit=1.0, wrist_only=0.0, clutter=0.0)
    digits = default_part().digits
    shares = []
    for seed in range(16):
        radiograph, truth = generate(seed, 128, options)
        longest = 0.0
        for names in digits.values():
            seen = [truth.regions[name] for name in names if name in truth.regions]
            if len(seen) >= 2:
                tall = (max(r.bottom for r in seen) - min(r.top for r in seen)) / radiograph.shape[0]
                wide = (max(r.right for r in seen) - min(r.left for r in seen)) / radiograph.shape[1]
                longest = max(longest, tall, wide)
        shares.append(longest)
    assert min(shares) > 0.5
    assert np.mean(shares) > 0.75


def test_fingers_of_a_lateral_view_are_told_apart_in_most() -> None:
    options = PhantomOptions(lateral_views=1.0, oblique_views=0.0, bent_fingers=0.0)
    fans = ones = 0
    for seed in range(80):
        pose = sample_pose(np.random.default_rng(seed), options)
        assert pose.kind == "lateral"
        bent = np.array([pose.angles[f"mcp{i}_flexion"] + pose.angles[f"pm{i}_flexion"] for i in (2, 3, 4, 5)])
        order = np.sort(bent)
        ones += bool(order[1] - order[0] > 1.0)
        fans += bool(order[1] - order[0] <= 1.0 and order[3] - order[0] > 0.5)
    assert ones >= 10
    assert fans >= 20
    assert ones + fans < 75, "at times they lie one behind the other"
