"""Triangle meshes: binary STL in, watertight and light meshes out. Lengths in mm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.errors import AnatomyError

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

#: Largest accepted mesh, in triangles; a bone from CT has a few thousand. So many are read in 160 MB.
MAX_TRIANGLES = 300_000

#: Corners further from the origin than this (mm) belong to no bone.
MAX_MM = 10_000.0


@dataclass(frozen=True, eq=False)
class Mesh:
    """``vertices`` (V, 3) mm and ``faces`` (F, 3), counter-clockwise seen from outside."""

    vertices: F64
    faces: I32

    def normals(self) -> F64:
        """Area-weighted unit vertex normals (V, 3), pointing outwards."""
        corner = self.vertices[self.faces]
        face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        out = np.zeros_like(self.vertices)
        for axis in range(3):
            for k in range(3):
                out[:, axis] += np.bincount(self.faces[:, k], face[:, axis], minlength=len(out))
        length = np.linalg.norm(out, axis=1, keepdims=True)
        return np.asarray(out / np.maximum(length, 1e-12))

    def volume(self) -> float:
        """Signed volume in mm^3 (divergence theorem); positive when faces look outwards."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)

    def outward(self) -> Mesh:
        """The same mesh with its faces looking outwards."""
        return self if self.volume() >= 0 else Mesh(self.vertices, np.ascontiguousarray(self.faces[:, ::-1]))


def read_stl(path: Path, scale: float) -> Mesh:
    """A binary STL whose lengths are multiplied by ``scale``; equal corners become one vertex.

    Raises AnatomyError when the file is missing, truncated or not a binary STL.
    """
    try:
        with path.open("rb") as stream:  # no more than the largest mesh, whatever the file's size
            data = stream.read(84 + 50 * MAX_TRIANGLES + 1)
    except OSError as error:
        raise AnatomyError("cannot be read", path=path, found=error.strerror, expected="a binary STL") from error
    count = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if not 0 < count <= MAX_TRIANGLES or len(data) != 84 + 50 * count:
        raise AnatomyError(
            "is not a whole binary STL",
            path=path,
            found=f"{len(data)} bytes announcing {count} triangles",
            expected=f"84 + 50 * triangles bytes, at most {MAX_TRIANGLES:,} triangles",
        )
    record = np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("attribute", "<u2")])
    corners = np.frombuffer(data, record, count, offset=84)["corner"].reshape(-1, 3)
    if not (np.abs(corners.astype(np.float64) * scale) <= MAX_MM).all():  # also NaN and infinity
        raise AnatomyError(
            "holds corners that are not numbers, or lie where no bone is",
            path=path,
            expected=f"coordinates of at most {MAX_MM:g} mm",
        )
    unique, index = np.unique(corners, axis=0, return_inverse=True)
    faces = index.reshape(-1, 3).astype(np.int32)
    keep = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    return Mesh(unique.astype(np.float64) * scale, np.ascontiguousarray(faces[keep]))


def cluster(mesh: Mesh, cell: float) -> Mesh:
    """Fewer triangles: vertices that share a cube of ``cell`` mm become their mean.

    A closed surface stays a closed cycle, so signed depths still cancel outside of the bone.
    """
    index = cells(mesh, cell)
    faces = index[mesh.faces].astype(np.int32)
    keep = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    return Mesh(means(mesh.vertices, index), np.ascontiguousarray(faces[keep]))


def cells(mesh: Mesh, cell: float) -> NDArray[np.int64]:
    """For each vertex (V,) the number of the cube of ``cell`` mm that it lies in, counted from 0 without gaps."""
    key = np.floor(mesh.vertices / cell).astype(np.int64)
    return np.asarray(np.unique(key, axis=0, return_inverse=True)[1].reshape(-1))


def means(values: F64, index: NDArray[np.int64]) -> F64:
    """The mean (G, 3) of those ``values`` (V, 3) that share a number in ``index`` (V,)."""
    count = np.bincount(index)
    return np.stack([np.bincount(index, values[:, k]) / count for k in range(3)], axis=1)


def smooth(mesh: Mesh, rounds: int) -> Mesh:
    """Taubin's smoothing (lambda .5, mu -.53: G. Taubin, SIGGRAPH 1995), which does not shrink."""
    return _stepped(mesh, (0.5, -0.53) * rounds)


def _relaxed(mesh: Mesh, rounds: int) -> Mesh:
    """Plain Laplacian smoothing: takes off the steps of a lattice, and a little of sharp corners."""
    return _stepped(mesh, (0.5,) * rounds)


def _stepped(mesh: Mesh, steps: tuple[float, ...]) -> Mesh:
    edges = np.unique(
        np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1), axis=0
    )
    a, b = np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]])
    degree = np.maximum(np.bincount(a, minlength=len(mesh.vertices)), 1)
    points = mesh.vertices.copy()
    for step in steps:
        mean = np.stack([np.bincount(a, points[b, k], minlength=len(points)) / degree for k in range(3)], axis=1)
        points = points + step * (mean - points)
    return Mesh(points, mesh.faces)


def closed(mesh: Mesh) -> Mesh:
    """The mesh with its holes filled: each open edge is joined to the middle of its hole's edges.

    The open edges of any surface form cycles, so these cones close it exactly, whatever its faults.
    """
    directed = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]).astype(np.int64)
    size = len(mesh.vertices)
    low, high = directed.min(axis=1), directed.max(axis=1)
    key, index = np.unique(low * size + high, return_inverse=True)
    surplus = np.bincount(index.reshape(-1), np.where(directed[:, 0] < directed[:, 1], 1.0, -1.0)).astype(int)
    if not surplus.any():
        return mesh
    group = {int(v): int(v) for k in np.flatnonzero(surplus) for v in (key[k] // size, key[k] % size)}

    def root(v: int) -> int:
        while group[v] != v:
            v = group[v]
        return v

    for k in np.flatnonzero(surplus):
        group[root(int(key[k] // size))] = root(int(key[k] % size))
    members: dict[int, list[int]] = {}
    for v in group:
        members.setdefault(root(v), []).append(v)
    centre = {r: size + i for i, r in enumerate(members)}
    added = []
    for k in np.flatnonzero(surplus):
        a, b = int(key[k] // size), int(key[k] % size)
        edge = [b, a] if surplus[k] > 0 else [a, b]
        added += [[*edge, centre[root(a)]]] * abs(int(surplus[k]))
    middles = [mesh.vertices[m].mean(axis=0) for m in members.values()]
    return Mesh(np.concatenate([mesh.vertices, middles]), np.concatenate([mesh.faces, np.array(added, np.int32)]))


def two_sheets(mesh: Mesh, cell: float, start: float, stop: float) -> Mesh:
    """A watertight stand-in for a coarse, torn mesh: its near and far surface along z.

    The triangles between ``start`` < y < ``stop`` are sampled on an (x, y) lattice of ``cell`` mm;
    small gaps are closed; the two height fields, joined at the rim, are smoothed. What a ray along
    z sees of a bone without holes is kept; a hollow between the rims is filled.
    """
    import cv2

    points = surface_points(mesh, cell / 2)
    points = points[(points[:, 1] >= start) & (points[:, 1] <= stop)]
    low = points[:, :2].min(axis=0) - 3 * cell
    node = np.round((points[:, :2] - low) / cell).astype(np.int64)
    columns, rows = node.max(axis=0) + 4
    near = np.full((rows, columns), np.inf)
    far = np.full((rows, columns), -np.inf)
    np.minimum.at(near, (node[:, 1], node[:, 0]), points[:, 2])
    np.maximum.at(far, (node[:, 1], node[:, 0]), points[:, 2])
    hit = np.isfinite(near)
    size = max(3, round(4.0 / cell) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    filled = cv2.morphologyEx(hit.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    # Blurring the filled outline and cutting at one half rounds off the facets of the source.
    inside = cv2.GaussianBlur(filled.astype(np.float32), (0, 0), 1.3 / cell) > 0.5
    inside[:3] = inside[-3:] = False
    near, far = _spread(np.where(hit, near, 0.0), hit, cell), _spread(np.where(hit, far, 0.0), hit, cell)
    edge = inside & (cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    middle = (near + far) / 2
    number = np.full(inside.shape, -1, dtype=np.int32)
    number[inside] = np.arange(int(inside.sum()))
    y, x = np.nonzero(inside)
    flat = np.stack([low[0] + x * cell, low[1] + y * cell], axis=1)
    rim = edge[inside]
    top = np.column_stack([flat, np.where(rim, middle[inside], far[inside])])
    bottom = np.column_stack([flat, near[inside]])
    second = np.where(rim, np.arange(len(flat)), len(flat) + np.arange(len(flat)))
    quad = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:] & inside[1:, 1:]
    a, b, c, d = (n[quad] for n in (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]))
    upper = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    lower = second[upper][:, ::-1]
    joined = Mesh(np.concatenate([top, bottom]), np.concatenate([upper, lower]).astype(np.int32))
    keep = (
        (joined.faces[:, 0] != joined.faces[:, 1])
        & (joined.faces[:, 1] != joined.faces[:, 2])
        & (joined.faces[:, 0] != joined.faces[:, 2])
    )
    return smooth(_relaxed(Mesh(joined.vertices, joined.faces[keep]), 10), 10).outward()


def surface_points(mesh: Mesh, step: float) -> F64:
    """Points on the triangles, at most ``step`` mm apart."""
    out = []
    for a, b, c in mesh.vertices[mesh.faces]:
        n = int(max(np.linalg.norm(b - a), np.linalg.norm(c - a), np.linalg.norm(c - b)) / step) + 2
        u, v = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n))
        inside = u + v <= 1 + 1e-9
        out.append(a + u[inside][:, None] * (b - a) + v[inside][:, None] * (c - a))
    return np.concatenate(out)


def _spread(height: F64, known: NDArray[np.bool_], cell: float) -> F64:
    """Fill unknown lattice nodes by normalised Gaussian blurring, and smooth the known ones."""
    import cv2

    out = height.copy()
    for sigma in (6.0 / cell, 2.5 / cell, 1.2 / cell):
        weight = cv2.GaussianBlur(known.astype(np.float64), (0, 0), sigma)
        value = cv2.GaussianBlur(np.where(known, height, 0.0), (0, 0), sigma)
        reach = weight > 1e-3
        out[reach] = value[reach] / weight[reach]
    return out


def ellipsoid(radii: tuple[float, float, float], detail: int = 12) -> Mesh:
    """A closed ellipsoid around the origin with semi-axes ``radii`` in mm."""
    # Just beside the poles, where the caps' triangles still have an area and so a normal.
    theta = np.linspace(0.1 / detail, np.pi - 0.1 / detail, detail + 1)
    phi = np.linspace(0, 2 * np.pi, 2 * detail, endpoint=False)
    ring = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.sin(theta), np.sin(phi)),
            np.outer(np.cos(theta), np.ones_like(phi)),
        ],
        axis=-1,
    )
    return tube(ring * np.asarray(radii))


def tube(rings: F64) -> Mesh:
    """A closed surface through ``rings`` (R, K, 3): R rings of K points, capped at both ends."""
    count, around, _ = rings.shape
    first, last = rings[0].mean(axis=0), rings[-1].mean(axis=0)
    vertices = np.concatenate([rings.reshape(-1, 3), first[None], last[None]])
    r, k = np.meshgrid(np.arange(count - 1), np.arange(around), indexing="ij")
    a, b = r * around + k, r * around + (k + 1) % around
    c, d = a + around, b + around
    sides = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    ring = np.arange(around)
    head = np.stack([np.full(around, count * around), (ring + 1) % around, ring], axis=1)
    base = (count - 1) * around
    tail = np.stack([np.full(around, count * around + 1), base + ring, base + (ring + 1) % around], axis=1)
    return Mesh(vertices, np.concatenate([sides, head, tail]).astype(np.int32)).outward()


def merged(first: Mesh, second: Mesh) -> Mesh:
    """Two closed surfaces as one mesh; where they overlap, rays count both."""
    return Mesh(
        np.concatenate([first.vertices, second.vertices]),
        np.concatenate([first.faces, second.faces + np.int32(len(first.vertices))]),
    )
