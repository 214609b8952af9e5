"""The projection equals a slow one, and a sphere's rays have the length of the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.phantom.mesh import Mesh, ellipsoid
from ossa.phantom.pose import rotation
from ossa.phantom.projection import thickness


def full(points: np.ndarray, faces: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    out = np.zeros(shape, np.float32)
    top, left, part = thickness(points, faces, shape)
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out


def plain_thickness(points: np.ndarray, faces: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The same for the whole picture, one triangle and one pixel at a time: slow and obvious."""
    out = np.zeros(shape, np.float64)
    for a, b, c in points[faces]:
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-12:
            continue
        for y in range(shape[0]):
            for x in range(shape[1]):
                u = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
                v = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
                if u >= 0 and v >= 0 and u + v <= 1:
                    out[y, x] += np.sign(area) * (a[2] + u * (b[2] - a[2]) + v * (c[2] - a[2]))
    return np.asarray(np.abs(out), dtype=np.float32)


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=12, deadline=None)
def test_fast_and_plain_projection_agree(seed: int, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)
    mesh = ellipsoid(tuple(rng.uniform(2, 9, 3)), 5)
    points = mesh.vertices @ rotation(rng.normal(size=3)).T + [
        rng.uniform(-3, 20),
        rng.uniform(-3, 20),
        rng.uniform(-50, 50),
    ]
    if mirrored:
        points = points * [-1, 1, 1] + [15, 0, 0]
    shape = (19, 17)
    # Away from the border a ray through a shared edge may count twice: the points are random, so none is.
    np.testing.assert_allclose(full(points, mesh.faces, shape), plain_thickness(points, mesh.faces, shape), atol=1e-3)


def test_a_sphere_is_crossed_as_long_as_the_chord_formula_says() -> None:
    mesh = ellipsoid((30.0, 30.0, 30.0), 90)
    out = full(mesh.vertices @ rotation((0.3, 0.2, 0.1)).T + 40.13, mesh.faces, (80, 80))
    y, x = np.mgrid[:80, :80]
    squared = (x - 40.13) ** 2 + (y - 40.13) ** 2
    inside = squared < 27**2
    np.testing.assert_allclose(out[inside], 2 * np.sqrt(900 - squared[inside]), rtol=0.01)
    assert not out[squared > 31**2].any()


def test_beside_the_picture_there_is_nothing() -> None:
    mesh = ellipsoid((3.0, 3.0, 3.0))
    assert thickness(mesh.vertices + np.array([100, 5, 0]), mesh.faces, (20, 20))[2].size == 0


def test_two_bones_in_one_ray_add_up() -> None:
    mesh = ellipsoid((5.0, 5.0, 5.0), 20)
    near, far = mesh.vertices + np.array([10.2, 10.3, 0]), mesh.vertices + np.array([10.2, 10.3, 40])
    both = Mesh(np.concatenate([near, far]), np.concatenate([mesh.faces, mesh.faces + len(near)]))
    single = full(near, mesh.faces, (21, 21))
    assert full(both.vertices, both.faces, (21, 21)) == pytest.approx(2 * single, abs=1e-3)
