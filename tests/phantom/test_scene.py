"""Phantoms: the same from the same seed, whole hands with every bone, truth where the bones are."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ossa.errors import AnatomyError
from ossa.hand.phantom.builtin import LENGTHS, builtin_anatomy
from ossa.hand.phantom.myohand import MYOHAND, load_anatomy
from ossa.hand.phantom.pose import sample_pose
from ossa.phantom.pose import Pose, place, proximal_end, rotation
from ossa.phantom.scene import PhantomOptions, generate, render
from ossa.phantom.variation import long_axis, vary
from ossa.schema import load_schema

CALM = PhantomOptions(
    bent_wrists=0, oblique_views=0, wrist_only=0, turned=0, clutter=0, fill=(0.7, 0.75), aspect=(0.95, 1.0)
)
MYOHAND_FOLDER = Path(os.environ.get("OSSA_ANATOMY", Path(__file__).parents[3] / "shared" / "anatomy" / "myohand"))


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others() -> None:
    first, truth = generate(7, 160)
    again, truth_again = generate(7, 160)
    other, _ = generate(8, 160)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(truth.bits(), truth_again.bits())
    assert first.shape != other.shape or (first.pixels != other.pixels).any()


def test_a_calm_view_shows_all_29_bones_brighter_than_what_surrounds_them() -> None:
    brighter = 0
    for seed in range(4):
        radiograph, truth = generate(seed, 320, CALM)
        assert set(truth.regions) == set(load_schema().names)
        bone = truth.bits()[0] > 0
        brighter += radiograph.pixels[bone].mean() > radiograph.pixels[~bone].mean() + 20
        assert radiograph.spacing is not None
        assert radiograph.spacing.source == "phantom"
    assert brighter == 4


def test_bones_overlap_in_the_truth() -> None:
    _, truth = generate(0, 320, CALM)
    bits = truth.bits()[0]
    assert ((bits & (bits - 1)) > 0).any()


def test_spacing_measures_bones_in_plausible_millimetres() -> None:
    for seed in range(3):
        radiograph, truth = generate(seed, 320, CALM)
        assert radiograph.spacing is not None
        region = truth.get("finger-11")
        assert region is not None
        length = np.hypot(*region.mask.shape) * radiograph.spacing.row
        assert 45 < length < 95


@pytest.mark.parametrize("seed", range(6))
def test_pictures_of_any_size_and_kind_come_out_whole(seed: int) -> None:
    picture, scene = render(seed, 97 + 31 * seed, PhantomOptions(inverted=0.5), None)
    assert picture.dtype == np.uint8
    assert max(picture.shape) == 97 + 31 * seed
    assert scene.bits.shape == picture.shape
    for layer in (scene.cortex, scene.spongy, scene.soft, scene.metal):
        assert np.isfinite(layer).all()
        assert layer.min() >= 0


def test_left_hands_are_mirrored_right_hands() -> None:
    thumbs: dict[str | None, set[bool]] = {}
    for seed in range(12):
        radiograph, truth = generate(seed, 128, CALM)
        thumb, little = truth.get("finger-2"), truth.get("finger-18")
        assert thumb is not None
        assert little is not None
        thumbs.setdefault(radiograph.side, set()).add(thumb.left > little.left)
    # Seen from the back, as radiographs are: a thumb on the picture's left is a right hand.
    assert thumbs == {"L": {True}, "R": {False}}


def test_built_in_bones_have_the_published_lengths() -> None:
    bodies = {b.bone: b for b in builtin_anatomy().bodies}
    for bone, length in (("finger-11", LENGTHS[3][0]), ("finger-6", LENGTHS[2][1]), ("finger-1", LENGTHS[1][2])):
        points = bodies[bone].mesh.vertices
        along = points @ long_axis(points)
        assert np.ptp(along) == pytest.approx(length, abs=2.5)


def test_a_bent_joint_moves_what_lies_beyond_it_and_nothing_else() -> None:
    hand = builtin_anatomy()
    rest, bent = place(hand, Pose()), place(hand, Pose({"pm2_flexion": 0.5}))
    moved = {b for b in rest if not np.allclose(rest[b][1], bent[b][1]) or not np.allclose(rest[b][0], bent[b][0])}
    assert moved == {"finger-4", "finger-5"}


def test_rotations_are_rotations() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        r = rotation(rng.normal(size=3))
        np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(r) == pytest.approx(1)


def test_variation_keeps_neighbours_together() -> None:
    hand = builtin_anatomy()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        other = vary(hand, rng)
        frames = place(other, Pose())
        bodies = {b.bone: b for b in other.bodies}
        for near, far in (("finger-11", "finger-10"), ("finger-6", "finger-5"), ("finger-3", "finger-2")):
            head = bodies[near].mesh.vertices @ frames[near][0].T + frames[near][1]
            base = proximal_end(bodies[far]) @ frames[far][0].T + frames[far][1]
            assert np.linalg.norm(head - base, axis=1).min() < 6.0


def test_poses_cover_bent_wrists_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    poses = [sample_pose(rng) for _ in range(400)]
    angles = [pose.angles["deviation"] + pose.angles["midcarpal"] for pose in poses]
    assert np.degrees(np.min(angles)) < -55
    assert np.degrees(np.max(angles)) > 25


@pytest.mark.skipif(not MYOHAND_FOLDER.is_dir(), reason="no MyoHand folder")
def test_the_myohand_folder_gives_29_closed_bones() -> None:
    hand = load_anatomy(MYOHAND_FOLDER)
    assert {b.bone for b in hand.bodies} == set(load_schema().names)
    assert all(b.mesh.volume() > 100 for b in hand.bodies)
    _, truth = generate(1, 256, CALM, hand.lightened(0.6))
    assert len(truth) == 29


def test_a_folder_without_an_anatomy_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match=r"myohand_body\.xml"):
        load_anatomy(tmp_path)


@pytest.mark.parametrize(
    ("xml", "problem"),
    [
        ("<mujocoinclude/>", "no body called 'ulna'"),
        ("<broken", "cannot be read"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", "entities"),
        ("<m><body name='ulna'><geom mesh='ulna'/></body></m>", "ulna.stl"),
        ("<m><body name='ulna'/></m>", "malformed"),
    ],
)
def test_a_malformed_tree_is_refused(tmp_path: Path, xml: str, problem: str) -> None:
    (tmp_path / "myohand_body.xml").write_text(xml)
    with pytest.raises(AnatomyError, match=problem):
        load_anatomy(tmp_path)


def test_every_schema_bone_has_a_mesh_name() -> None:
    assert set(MYOHAND.values()) == set(load_schema().names)


@pytest.mark.parametrize("seed", range(8))
def test_the_record_tells_where_the_hand_lies(seed: int) -> None:
    """The wrist's middle lies at the capitate's near end, the way from it leads along the middle finger, and the length
    is that of wrist and finger."""
    options = replace(CALM, turned=1.0, fill=(0.5, 0.6))
    radiograph, truth = generate(seed, 320, options)
    _, scene = render(seed, 320, options)
    hand = scene.drawn
    assert hand.side == radiograph.side
    assert set(hand.bones) == set(truth.regions)
    assert hand.rays == (1, 2, 3, 4, 5)

    def middle(name: str) -> np.ndarray:
        region = truth.get(name)
        assert region is not None
        y, x = np.nonzero(region.mask)
        return np.array([region.left + x.mean(), region.top + y.mean()])

    wrist, knuckle, tip = middle("Lunate") / 2 + middle("Capitate") / 2, middle("finger-11"), middle("finger-8")
    assert np.linalg.norm(np.array(hand.centre) - wrist) < 0.05 * hand.length
    way = (knuckle - wrist) / np.linalg.norm(knuckle - wrist)
    assert np.dot(way, hand.towards_tips) > np.cos(np.deg2rad(12))
    # Fingers may be bent a little: then the tip lies nearer than the stretched finger would reach.
    assert 0.75 < np.linalg.norm(tip - wrist) / hand.length < 1.0
    top, left, bottom, right = hand.box
    region = truth.get("finger-1")
    assert region is not None
    assert top - 1 <= region.top < region.bottom <= bottom + 1
    assert left - 1 <= region.left < region.right <= right + 1


def test_the_record_names_only_what_the_truth_holds() -> None:
    _, scene = render(3, 256, replace(CALM, wrist_only=1.0))
    seen = np.bitwise_or.reduce(scene.bits, axis=None)
    assert set(scene.drawn.bones) == {n for k, n in enumerate(load_schema().names) if seen >> k & 1}
    assert len(scene.drawn.bones) < 29
