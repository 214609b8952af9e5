"""A bone cut by a sheet: its parts are closed, add up to the whole, and their new faces look the right way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.phantom.mesh import Mesh, ellipsoid
from ossa.phantom.placed import PlacedBone
from ossa.phantom.pose import rotation
from ossa.phantom.projection import thickness
from ossa.phantom.sheet import Sheet, across, below, both

SHAPE = (48, 48)


def bone_of(mesh: Mesh, turn: np.ndarray) -> PlacedBone:
    """The mesh about the middle of the picture, its first axis as the long one."""
    points = mesh.vertices @ turn.T + 23.7
    t = mesh.vertices[:, 0] / np.abs(mesh.vertices[:, 0]).max()
    return PlacedBone("bone", points, mesh.normals() @ turn.T, mesh.faces, t, 20.0, 10.0)


def rays(bone: PlacedBone) -> np.ndarray:
    out = np.zeros(SHAPE)
    top, left, part = thickness(bone.points, bone.faces, SHAPE)
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out


def any_bone(rng: np.random.Generator) -> PlacedBone:
    return bone_of(ellipsoid(tuple(rng.uniform(6, 16, 3)), 24), rotation(rng.normal(size=3)))


def any_sheet(rng: np.random.Generator, bend: float) -> Sheet:
    curve = np.concatenate([rng.normal(0, 0.2, 3), rng.normal(0, bend, 3)])
    return Sheet(23.7 + rng.uniform(-5, 5, 3), across(rng.normal(size=3)), curve)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02]))
@settings(max_examples=20, deadline=None)
def test_both_sides_of_a_sheet_add_up_to_the_bone(seed: int, bend: float) -> None:
    rng = np.random.default_rng(seed)
    bone, sheet = any_bone(rng), any_sheet(rng, bend)
    lower, upper = below(bone, sheet), below(bone, sheet.turned())
    whole = rays(bone)
    np.testing.assert_allclose(rays(lower) + rays(upper), whole, atol=2e-3)
    np.testing.assert_allclose(rays(both(lower, upper)), whole, atol=2e-3)
    # Nothing hangs over, however wide the bone is beyond the sheet.
    assert not ((rays(lower) > 0.01) & (whole <= 1e-3)).any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_what_is_left_is_what_a_slow_walk_along_each_ray_finds(seed: int) -> None:
    """Points along the rays, asked one by one whether they lie in the ellipsoid and below the plane."""
    rng = np.random.default_rng(seed)
    radii, turn = rng.uniform(6, 14, 3), rotation(rng.normal(size=3))
    bone, sheet = bone_of(ellipsoid(tuple(radii), 40), turn), any_sheet(rng, 0.0)
    y, x = np.mgrid[4:44:5, 4:44:5]
    depth = np.arange(5.0, 43.0, 0.05)
    points = np.stack(np.broadcast_arrays(x[..., None], y[..., None], depth), -1).reshape(-1, 3).astype(float)
    inside = ((((points - 23.7) @ turn) / radii) ** 2).sum(axis=1) < 1
    walked = (inside & (sheet.above(points) < 0)).reshape(*x.shape, -1).sum(axis=-1) * 0.05
    found = rays(below(bone, sheet))[4:44:5, 4:44:5]
    # The mesh is a polyhedron: at its rim a ray sees less of it than of the ellipsoid.
    assert np.quantile(np.abs(found - walked), 0.95) < 0.3
    assert np.abs(found - walked).mean() < 0.1


def test_a_cap_of_a_ball_has_the_volume_of_the_formula() -> None:
    ball = bone_of(ellipsoid((10.0, 10.0, 10.0), 60), np.eye(3))
    for height in (3.0, 10.0, 16.0):
        plane = Sheet(np.array([23.7, 23.7, 13.7 + height]), np.eye(3), np.zeros(6))
        cap = below(ball, plane)
        expected = np.pi * height**2 * (30 - height) / 3
        assert Mesh(cap.points, cap.faces).volume() == pytest.approx(expected, rel=0.01)


def test_a_new_face_looks_along_the_sheet_and_knows_where_it_lies() -> None:
    bone = bone_of(ellipsoid((12.0, 8.0, 8.0), 20), np.eye(3))
    plane = Sheet(np.array([26.0, 23.7, 23.7]), across(np.array([1.0, 0.0, 0.0])), np.zeros(6))
    part = below(bone, plane)
    face = np.isclose(part.points[:, 0], 26.0)
    assert face.sum() > 50
    assert np.hypot(*(part.points[face, 1:] - 23.7).T).max() < 8 * np.sqrt(1 - (2.3 / 12) ** 2) + 1e-6
    assert part.points[:, 0].max() <= 26.0 + 1e-9
    assert (part.normals[face] @ [1.0, 0.0, 0.0] > 0.5).all()
    np.testing.assert_allclose(np.linalg.norm(part.normals, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(part.t, (part.points[:, 0] - 23.7) / 12.0, atol=1e-2)


def test_a_sheet_beside_the_bone_takes_all_or_nothing() -> None:
    bone = bone_of(ellipsoid((9.0, 6.0, 7.0), 10), np.eye(3))
    beyond = Sheet(np.array([23.7, 23.7, 60.0]), np.eye(3), np.zeros(6))
    np.testing.assert_array_equal(rays(below(bone, beyond)), rays(bone))
    assert rays(below(bone, replace(beyond, origin=np.zeros(3)))).max() < 1e-6
