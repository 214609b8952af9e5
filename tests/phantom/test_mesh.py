"""Meshes: closed, light, and read only when whole."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.errors import AnatomyError
from ossa.phantom.mesh import Mesh, closed, cluster, ellipsoid, read_stl, smooth, tube, two_sheets


def stl_bytes(mesh: Mesh) -> bytes:
    out = [b"\0" * 80, struct.pack("<I", len(mesh.faces))]
    out += [struct.pack("<12fH", 0, 0, 0, *mesh.vertices[f].astype(np.float32).ravel(), 0) for f in mesh.faces]
    return b"".join(out)


def open_edges(mesh: Mesh) -> int:
    """Directed edges without an opposite: the slow, obvious count."""
    balance: dict[tuple[int, int], int] = {}
    for a, b, c in mesh.faces:
        for u, v in ((a, b), (b, c), (c, a)):
            key, sign = ((u, v), 1) if u < v else ((v, u), -1)
            balance[key] = balance.get(key, 0) + sign
    return sum(abs(v) for v in balance.values())


def test_an_ellipsoid_has_the_volume_of_the_formula() -> None:
    mesh = ellipsoid((4.0, 6.0, 3.0), 40)
    assert mesh.volume() == pytest.approx(4 / 3 * np.pi * 4 * 6 * 3, rel=0.01)
    assert open_edges(mesh) == 0


def test_normals_point_outwards_and_have_length_one() -> None:
    mesh = ellipsoid((5.0, 5.0, 5.0), 16)
    normals = mesh.normals()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    assert (np.einsum("ij,ij->i", normals, mesh.vertices) > 0).all()


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30, unique=True))
@settings(max_examples=25, deadline=None)
def test_whatever_faces_are_missing_the_holes_are_closed(missing: list[int]) -> None:
    whole = ellipsoid((5.0, 7.0, 4.0), 12)
    keep = np.ones(len(whole.faces), bool)
    keep[np.array(missing) % len(keep)] = False
    torn = Mesh(whole.vertices, whole.faces[keep])
    assert open_edges(closed(torn)) == 0


def test_a_closed_mesh_is_returned_as_it_is() -> None:
    mesh = ellipsoid((2.0, 3.0, 4.0))
    assert closed(mesh) is mesh


@pytest.mark.parametrize("cell", [0.5, 1.0, 2.0])
def test_clustering_keeps_a_closed_surface_closed_and_its_size(cell: float) -> None:
    mesh = ellipsoid((9.0, 14.0, 8.0), 40)
    light = cluster(mesh, cell)
    assert len(light.faces) < len(mesh.faces)
    assert open_edges(light) == 0
    assert light.volume() == pytest.approx(mesh.volume(), rel=0.08 * cell)


def test_smoothing_takes_off_noise_without_shrinking() -> None:
    mesh = ellipsoid((10.0, 10.0, 10.0), 24)
    rough = Mesh(mesh.vertices + np.random.default_rng(0).normal(0, 0.2, mesh.vertices.shape), mesh.faces)
    radius = np.linalg.norm(smooth(rough, 10).vertices, axis=1)
    assert radius.std() < 0.6 * np.linalg.norm(rough.vertices, axis=1).std()
    assert radius.mean() == pytest.approx(10, rel=0.02)


def test_two_sheets_rebuild_a_torn_shaft_as_a_closed_one() -> None:
    mesh = ellipsoid((9.0, 40.0, 7.0), 20)
    torn = Mesh(mesh.vertices, mesh.faces[np.random.default_rng(1).uniform(size=len(mesh.faces)) > 0.05])
    rebuilt = two_sheets(torn, 0.8, -50.0, 50.0)
    assert open_edges(rebuilt) == 0
    # Smoothing moves the rim: the outline stays within a millimetre and a half on each side.
    np.testing.assert_allclose(np.ptp(rebuilt.vertices[:, :2], axis=0), np.ptp(mesh.vertices[:, :2], axis=0), atol=3.0)
    assert rebuilt.volume() == pytest.approx(mesh.volume(), rel=0.18)


def test_a_tube_is_closed() -> None:
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rings = np.stack([np.stack([np.cos(angle), np.full(12, float(k)), np.sin(angle)], axis=1) for k in range(5)])
    mesh = tube(rings)
    assert open_edges(mesh) == 0
    assert mesh.volume() == pytest.approx(4 * 12 / 2 * np.sin(2 * np.pi / 12), rel=1e-6)


def test_stl_comes_back_with_shared_corners(tmp_path: Path) -> None:
    mesh = ellipsoid((3.0, 5.0, 2.0), 8)
    path = tmp_path / "bone.stl"
    path.write_bytes(stl_bytes(Mesh(mesh.vertices / 1000, mesh.faces)))
    back = read_stl(path, 1000.0)
    assert back.volume() == pytest.approx(mesh.volume(), rel=1e-4)
    assert len(back.vertices) <= len(mesh.vertices)


@pytest.mark.parametrize(
    "data", [b"", b"solid text", b"\0" * 84, b"\0" * 80 + struct.pack("<I", 3) + b"\0" * 70, b"\0" * 80 + b"\xff" * 4]
)
def test_a_broken_stl_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "radius.stl"
    path.write_bytes(data)
    with pytest.raises(AnatomyError, match=r"radius\.stl"):
        read_stl(path, 1.0)


def test_corners_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ulna.stl"
    path.write_bytes(b"\0" * 80 + struct.pack("<I", 1) + struct.pack("<12fH", *[float("nan")] * 12, 0))
    with pytest.raises(AnatomyError, match="not numbers"):
        read_stl(path, 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, -1e9])
def test_corners_where_no_hand_is_are_refused(tmp_path: Path, value: float) -> None:
    record = np.zeros(3, np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("attribute", "<u2")]))
    record["corner"] = np.random.default_rng(0).normal(size=(3, 3, 3))
    record["corner"][1, 2, 0] = value
    path = tmp_path / "a.stl"
    path.write_bytes(b"\0" * 80 + (3).to_bytes(4, "little") + record.tobytes())
    with pytest.raises(AnatomyError, match=r"a\.stl: holds corners"):
        read_stl(path, 1.0)


def test_a_giant_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    with path.open("wb") as stream:
        stream.write(b"\0" * 80 + (10**9).to_bytes(4, "little"))
        stream.truncate(50_000_000_000)
    with pytest.raises(AnatomyError, match="not a whole binary STL"):
        read_stl(path, 1.0)
