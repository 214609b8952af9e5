"""What few people have comes as often as the schema says, changes no other bone, and leaves a truth that is known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ossa.errors import SchemaError
from ossa.hand.phantom.builtin import builtin_anatomy
from ossa.phantom import scene
from ossa.phantom.options import FLAT, WIDE
from ossa.phantom.part import Bipartite, Ossicle, default_part, part_of
from ossa.phantom.placed import PlacedBone, placed
from ossa.phantom.pose import Pose, place, rotation
from ossa.phantom.projection import thickness
from ossa.phantom.scene import Sitter, project
from ossa.phantom.sheet import below
from ossa.phantom.tissue import LEAST_BONE, add_bones
from ossa.phantom.variants import (
    Variants,
    add_ossicles,
    gap_of,
    joined,
    midway,
    ossicle,
    parted,
    sample_variants,
    varied,
)
from ossa.schema import load_schema

MM, SHAPE = 0.25, (640, 520)
SCHEMA = load_schema("hand29")
KEYS = default_part().keys
CALM = replace(FLAT, bent_wrists=0, oblique_views=0, wrist_only=0, turned=0, clutter=0, young=0, fill=(0.7, 0.75))


def bones_seen(turn: np.ndarray) -> dict[str, PlacedBone]:
    hand = builtin_anatomy()
    to_picture = (turn / MM, np.array([260.37, 380.21, 0.13]))
    return {bone.bone: bone for bone in placed(hand, place(hand, Pose()), to_picture, MM)}


@pytest.fixture(scope="module")
def bones() -> dict[str, PlacedBone]:
    return bones_seen(np.eye(3))


def rays(bone: PlacedBone) -> np.ndarray:
    """mm of the bone along each ray."""
    out = np.zeros(SHAPE)
    top, left, part = thickness(bone.points, bone.faces, SHAPE)
    out[top : top + part.shape[0], left : left + part.shape[1]] = part * MM
    return out


def truth(bits: np.ndarray, bone: str) -> np.ndarray:
    return np.asarray((bits >> SCHEMA.index(bone)) & 1 > 0)


def test_each_comes_as_often_as_the_schema_says() -> None:
    rng, draws, times = np.random.default_rng(0), 6000, 8.0
    drawn = [sample_variants(default_part(), times, 40.0, rng) for _ in range(draws)]
    expected = {kind: kind.chance for kind in KEYS.ossicle} | {kind: kind.chance for kind in KEYS.bipartite}
    for kind, chance in expected.items():
        count = sum(kind in (*d.ossicles, *d.bipartite) for d in drawn)
        share = min(1.0, chance * times)
        assert abs(count / draws - share) < 4 * np.sqrt(share / draws), kind
    for pair in KEYS.coalition:
        count = sum(pair.bones in d.joined for d in drawn)
        assert abs(count / draws - pair.chance * times) < 4 * np.sqrt(pair.chance * times / draws), pair
    assert not any(sample_variants(default_part(), 0.0, 40.0, rng).ossicles for _ in range(500))
    few = [sample_variants(default_part(), 1.0, 40.0, rng).ankylosed for _ in range(2000)]
    assert KEYS.ankylosis is not None
    assert abs(np.mean([bool(f) for f in few]) - KEYS.ankylosis.chance) < 0.04
    assert abs(np.mean([len(f) > 1 for f in few if f]) - KEYS.ankylosis.several) < 0.09
    assert all(len(set(f)) == len(f) <= KEYS.ankylosis.most for f in few)


def test_children_have_none_and_a_person_has_the_same_on_both_sides() -> None:
    young = sample_variants(default_part(), 1e6, 12.0, np.random.default_rng(0))
    assert (young.ossicles, young.bipartite, young.joined, young.ankylosed) == ((), (), (), ())
    found = set()
    for person in range(10):
        right, left = (sample_variants(default_part(), 9.0, 40.0, Sitter(person, side).own()) for side in ("R", "L"))
        assert (right.ossicles, right.bipartite, right.joined) == (left.ossicles, left.bipartite, left.joined)
        found.add(right.ossicles)
    assert len(found) > 2


def test_the_wide_world_changes_bones_in_a_few_phantoms_of_a_hundred() -> None:
    rng = np.random.default_rng(3)
    drawn = [sample_variants(default_part(), WIDE.variants, 40.0, rng) for _ in range(3000)]
    assert FLAT.variants == 0.0
    assert 0.02 < np.mean([bool(d.bipartite or d.joined) for d in drawn]) < 0.07


def test_who_has_nothing_looks_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variants take no random numbers of anything else: but for them a phantom stays the same to the bit."""
    plain = [scene.render(seed, 96, CALM) for seed in range(3)]
    monkeypatch.setattr(scene, "sample_variants", lambda *_: Variants())
    for seed, (picture, drawn) in enumerate(plain):
        again, other = scene.render(seed, 96, replace(CALM, variants=50.0))
        np.testing.assert_array_equal(again, picture)
        np.testing.assert_array_equal(other.bits, drawn.bits)


def test_ossicles_are_on_the_film_and_not_in_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    plain = project(np.random.default_rng(5), 256, CALM)
    monkeypatch.setattr(scene, "sample_variants", lambda *_: Variants(KEYS.ossicle, rng=rng))
    drawn = project(np.random.default_rng(5), 256, CALM)
    np.testing.assert_array_equal(drawn.bits, plain.bits)
    more = (drawn.cortex + drawn.spongy) - (plain.cortex + plain.spongy)
    assert more.min() > -1e-4
    assert (more > 0.5).sum() > 8 * len(KEYS.ossicle)
    assert (more > 0.01).mean() < 0.03


@pytest.mark.parametrize("kind", KEYS.ossicle, ids=lambda kind: kind.name)
def test_an_ossicle_lies_by_all_the_bones_it_is_said_to(bones: dict[str, PlacedBone], kind: Ossicle) -> None:
    for seed in range(5):
        near = [bones[name] for name in kind.between]
        points, faces = ossicle(near, kind, MM, np.random.default_rng(seed))
        size = np.ptp(points, axis=0) * MM
        assert (size > 1.2).all()
        assert (size < 12).all()
        for bone in near:
            apart = np.linalg.norm(bone.points[:, None] - points[None], axis=2).min() * MM
            assert apart < 11, bone.bone
        alone = Variants((kind,), rng=np.random.default_rng(seed))
        cortex, spongy = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
        add_ossicles(list(bones.values()), alone, cortex, spongy, MM)
        assert cortex.max() > 0.5
        assert spongy.min() >= 0
        without = [bone for bone in bones.values() if bone.bone != kind.between[0]]
        cortex[:] = 0
        add_ossicles(without, alone, cortex, spongy, MM)
        assert not cortex.any()
        assert faces.max() < len(points)


@pytest.mark.parametrize("kind", KEYS.bipartite, ids=lambda kind: kind.bone)
@pytest.mark.parametrize("seed", range(3))
def test_both_parts_are_the_bone_without_the_gap(bones: dict[str, PlacedBone], kind: Bipartite, seed: int) -> None:
    bone = bones[kind.bone]
    lower, upper = gap_of(bone, kind, MM, np.random.default_rng(seed))
    gap = below(below(bone, lower.turned()), upper)
    whole = parted(bone, kind, MM, np.random.default_rng(seed))
    assert rays(gap).sum() > 0.02 * rays(bone).sum()
    # One cut after the other meets coarse triangles a little beside both at once.
    off, full = np.abs(rays(whole) + rays(gap) - rays(bone)), rays(bone)
    assert off.sum() < 0.003 * full.sum()
    assert (off > 0.1).sum() < 0.02 * (full > 0).sum()


def test_a_bone_in_two_parts_is_two_pieces_of_truth_with_cortex_on_both_sides() -> None:
    """Seen along the gap: the scaphoid on a frontal film, the hamate's hook from the side."""
    views = {"Scaphoid": np.eye(3), "Hamate": rotation(np.array([0.0, np.pi / 2, 0.0]))}
    for kind in KEYS.bipartite:
        alone = [bones_seen(views[kind.bone])[kind.bone]]
        wide = kind.model_copy(update={"gap": (1.5, 1.6)})
        pieces, edge = [], []
        for seed in range(4):
            variants = Variants(bipartite=(wide,), rng=np.random.default_rng(seed))
            cortex, _, bits = add_bones(alone, SCHEMA, SHAPE, MM, 40.0, np.random.default_rng(9), variants)
            before, _, one = add_bones(alone, SCHEMA, SHAPE, MM, 40.0, np.random.default_rng(9))
            found = truth(bits, kind.bone)
            assert not (found & ~truth(one, kind.bone)).any()
            pieces.append(cv2.connectedComponents(found.astype(np.uint8), connectivity=4)[0] - 1)
            edge.append(float((cortex > before + 0.5).sum()))
        assert pieces.count(2) >= 3, kind.bone
        assert min(edge) > 20, kind.bone


def test_grown_together_bones_meet_midway_without_cortex(bones: dict[str, PlacedBone]) -> None:
    first, second = bones["Lunate"], bones["Triquetrum"]
    for seed in range(6):
        a, b = joined(first, second, MM, np.random.default_rng(seed))
        found = midway(first, second, MM)
        assert found is not None
        for old, new, sheet in ((first, a, found[0]), (second, b, found[0].turned())):
            moved = np.linalg.norm(new.points - old.points, axis=1) > 1e-9
            bare = np.linalg.norm(new.normals, axis=1) < 1e-3
            assert moved.any()
            assert bare.any()
            assert np.abs(sheet.above(new.points[bare])).max() < 0.05
            assert (np.linalg.norm(new.points - old.points, axis=1) * MM).max() <= 3.0
            np.testing.assert_array_equal(new.normals[~moved], old.normals[~moved])


def test_joined_bones_keep_their_truth_and_fill_the_gap(bones: dict[str, PlacedBone]) -> None:
    for pair in (kind.bones for kind in KEYS.coalition):
        ends = [bones[name] for name in pair]
        before = add_bones(ends, SCHEMA, SHAPE, MM, 40.0, np.random.default_rng(1))
        variants = Variants(joined=(pair,), rng=np.random.default_rng(4))
        after = add_bones(ends, SCHEMA, SHAPE, MM, 40.0, np.random.default_rng(1), variants)
        for name, other in zip(pair, reversed(pair), strict=True):
            old, new = truth(before[2], name), truth(after[2], name)
            assert new.sum() > 0.97 * old.sum(), pair
            # What is new lies by the other bone, no farther from it than bones grow.
            near = cv2.dilate(truth(before[2], other).astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
            assert not (new & ~old & ~near).any(), pair
            assert (new & ~old).any(), pair
        filled = np.asarray(after[1] - before[1])
        assert filled.max() > 1.0, pair
        both = truth(before[2], pair[0]) | truth(before[2], pair[1])
        gap = cv2.morphologyEx(both.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8)).astype(bool) & ~both
        if gap.sum() > 30:
            assert after[1][gap].mean() > before[1][gap].mean() + 0.3, pair


def test_bones_far_apart_stay_as_they_are(bones: dict[str, PlacedBone]) -> None:
    a, b = joined(bones["finger-4"], bones["Ulna"], MM, np.random.default_rng(0))
    assert a is bones["finger-4"]
    assert b is bones["Ulna"]


def test_joints_turn_to_bone_only_where_they_are_eroded(bones: dict[str, PlacedBone]) -> None:
    some = [bones[name] for name in ("Capitate", "Lunate", "Hamate")]
    for eroded in (True, False):
        sick = Variants(ankylosed=(("Capitate", "Lunate"),), rng=np.random.default_rng(0))
        out = varied(some, sick, eroded, MM)
        assert [bone.bone for bone in out] == ["Capitate", "Lunate", "Hamate"]
        assert (out[0] is some[0]) is not eroded
        assert (out[1] is some[1]) is not eroded
        assert out[2] is some[2]


def test_a_bone_that_is_none_is_refused_by_name() -> None:
    for section in (
        {"ossicle": [{"name": "os", "chance": 0.1, "between": ["Lunate", "Talus"]}]},
        {"bipartite": [{"bone": "Talus", "chance": 0.1, "at": [0.4, 0.6]}]},
        {"coalition": [{"bones": ["Talus", "Lunate"], "chance": 0.1}]},
        {"ankylosis": {"chance": 0.1, "several": 0.1, "most": 2, "joints": [["Lunate", "Talus"]]}},
    ):
        with pytest.raises(SchemaError, match="Talus"):
            part_of(replace(SCHEMA, phantom={**SCHEMA.phantom, **section}))


def test_rays_too_short_to_be_seen_are_no_truth(bones: dict[str, PlacedBone]) -> None:
    kind = KEYS.bipartite[0]
    variants = Variants(bipartite=(kind,), rng=np.random.default_rng(2))
    _, _, bits = add_bones([bones[kind.bone]], SCHEMA, SHAPE, MM, 40.0, np.random.default_rng(9), variants)
    part = parted(bones[kind.bone], kind, MM, np.random.default_rng(2))
    np.testing.assert_array_equal(truth(bits, kind.bone), rays(part).astype(np.float32) > LEAST_BONE)
