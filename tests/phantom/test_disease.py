"""Worn joints swell a bone's ends, fracture lines darken it, and neither takes anything away from the truth."""

from __future__ import annotations

import numpy as np
import pytest

from ossa.hand.phantom.builtin import builtin_anatomy
from ossa.phantom.disease import Disease, eroded, fracture, sample_disease, sclerosis, spurred
from ossa.phantom.placed import PlacedBone, along_axis, axis_of, placed
from ossa.phantom.pose import Pose, place
from ossa.phantom.tissue import _joint_rim
from ossa.schema import load_schema

NAMES = load_schema("hand29").names
MM = 0.2


@pytest.fixture(scope="module")
def bones() -> dict[str, PlacedBone]:
    anatomy = builtin_anatomy()
    to_picture = (np.eye(3) / MM, np.array([600.0, 900.0, 0.0]))
    return {bone.bone: bone for bone in placed(anatomy, place(anatomy, Pose()), to_picture, MM)}


def test_spurs_swell_the_ends_only(bones: dict[str, PlacedBone]) -> None:
    bone = bones["finger-4"]
    worn = spurred(bone, Disease(1.0, ()), MM, np.random.default_rng(1))
    moved = np.linalg.norm(worn.points - bone.points, axis=1) * MM
    assert 0.05 < moved.max() <= 1.3
    assert moved[np.abs(bone.t) < 0.5].max() < 1e-6
    outward = ((worn.points - bone.points) * bone.normals).sum(axis=1)
    assert (outward >= 0).all()


def test_healthy_bones_and_those_that_do_not_wear_stay(bones: dict[str, PlacedBone]) -> None:
    rng = np.random.default_rng(1)
    assert spurred(bones["finger-4"], Disease(0.0, ()), MM, rng) is bones["finger-4"]
    assert spurred(bones["Lunate"], Disease(1.0, ()), MM, rng) is bones["Lunate"]
    assert sclerosis(bones["Lunate"], Disease(1.0, ()), (0, 0, 4, 4), MM) == 0.0
    assert fracture(bones["Lunate"], Disease(1.0, ("Radius",)), (0, 0, 4, 4), MM, rng) == 1.0


def test_a_fracture_is_a_thin_dark_line_across_the_bone(bones: dict[str, PlacedBone]) -> None:
    bone = bones["finger-10"]
    low, high = np.floor(bone.points[:, :2].min(axis=0)), np.ceil(bone.points[:, :2].max(axis=0))
    box = (int(low[1]), int(low[0]), int(high[1] - low[1]), int(high[0] - low[0]))
    factor = fracture(bone, Disease(0.0, ("finger-10",)), box, MM, np.random.default_rng(4))
    assert isinstance(factor, np.ndarray)
    assert 0.15 < factor.min() < 0.85
    assert 0 < (factor < 0.95).mean() < 0.2


def test_margins_are_dense_at_the_ends(bones: dict[str, PlacedBone]) -> None:
    bone = bones["finger-5"]
    near, direction, length = axis_of(bone)
    middle = near + direction * length / 2
    dense = sclerosis(bone, Disease(1.0, ()), (int(middle[1]) - 2, int(middle[0]) - 2, 4, 4), MM)
    end = sclerosis(bone, Disease(1.0, ()), (int(near[1]) - 2, int(near[0]) - 2, 4, 4), MM)
    assert isinstance(dense, np.ndarray)
    assert isinstance(end, np.ndarray)
    assert end.mean() > 0.2 > 0.01 > dense.max()


def test_erosions_bite_into_ends_and_carpals_and_spare_the_tips(bones: dict[str, PlacedBone]) -> None:
    sick = Disease(0.0, (), 1.0)
    for name, bitten in (("finger-10", True), ("Lunate", True), ("finger-8", False), ("Radius", False)):
        bone = bones[name]
        inward = []
        for seed in range(20):
            out = eroded(bone, sick, MM, np.random.default_rng(seed))
            moved = ((out.points - bone.points) * bone.normals).sum(axis=1) * MM
            assert moved.max() <= 1e-9
            assert moved.min() >= -2.6
            inward.append(float(-moved.min()))
            if name == "finger-10":
                assert np.abs(moved[np.abs(bone.t) < 0.4]).max() < 0.1
        assert (max(inward) > 1.0) is bitten
    assert eroded(bones["Lunate"], Disease(1.0, ()), MM, np.random.default_rng(0)) is bones["Lunate"]


def test_the_young_are_not_worn_and_half_of_the_old_are() -> None:
    rng = np.random.default_rng(2)
    assert all(sample_disease(NAMES, 30.0, rng).wear == 0.0 for _ in range(50))
    old = [sample_disease(NAMES, 70.0, rng) for _ in range(400)]
    assert 0.4 < np.mean([d.wear > 0 for d in old]) < 0.6
    assert 0.03 < np.mean([bool(d.broken) for d in old]) < 0.14
    assert {b for d in old for b in d.broken} <= set(NAMES)
    assert 0.005 < np.mean([d.erosion > 0 for d in old]) < 0.08


def test_the_radius_shows_its_joint_floor_and_lip_near_its_end_only(bones: dict[str, PlacedBone]) -> None:
    bone = bones["Radius"]
    low, high = np.floor(bone.points[:, :2].min(axis=0)), np.ceil(bone.points[:, :2].max(axis=0))
    box = (int(low[1]), int(low[0]), int(high[1] - low[1]), int(high[0] - low[0]))
    along, across, _ = along_axis(bone, box)
    full = np.where(np.abs(across) * MM < 8, 10.0, 0.0).astype(np.float32)
    depth = (along.max() - along) * MM
    for seed in range(8):
        lip, band = _joint_rim(bone, full, box, MM, np.random.default_rng(seed))
        assert lip.min() > 0.25
        assert lip.max() <= 1.0
        assert band.min() >= 0
        assert band.max() <= 0.51
        far = (depth > 40) & (full > 0)
        assert np.abs(lip[far] - 1).max() < 1e-3
        assert band[far].max() < 1e-3
