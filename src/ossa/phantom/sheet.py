"""Smooth surfaces through bones in picture space, and the part of a bone that lies on one side of such a surface.

A cut bone stays closed: triangles are divided where they pass the sheet, and all beyond it is drawn together into one
point of the sheet, around which those at the rim become a fan. The fans of both sides of a sheet are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ossa.phantom.mesh import F64, I32
from ossa.phantom.placed import PlacedBone


@dataclass(frozen=True, eq=False)
class Sheet:
    """A surface over a plane through ``origin`` (3,) with orthonormal ``axes`` (3, 3), rows u, v and n: its height
    along n is ``curve`` (6,) times (1, u, v, u^2, u v, v^2)."""

    origin: F64
    axes: F64
    curve: F64

    def above(self, points: F64) -> F64:
        """How far (V,) points lie above the sheet, along n."""
        u, v, height = self.axes @ (points - self.origin).T
        return np.asarray(height - terms(u, v) @ self.curve)

    def upward(self, points: F64) -> F64:
        """Unit normals (V, 3) of the sheet under or over points (V, 3)."""
        u, v, _ = self.axes @ (points - self.origin).T
        _, b, c, d, e, f = self.curve
        out = np.column_stack([-(b + 2 * d * u + e * v), -(c + e * u + 2 * f * v), np.ones(len(u))]) @ self.axes
        return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))

    def lifted(self, by: float) -> Sheet:
        """The same sheet, higher by so much."""
        return replace(self, curve=self.curve + np.array([by, 0, 0, 0, 0, 0]))

    def turned(self) -> Sheet:
        """The same sheet seen from its other side: what was above it is below."""
        return replace(self, axes=self.axes * np.array([[1.0], [1.0], [-1.0]]), curve=-self.curve)


def terms(u: F64, v: F64) -> F64:
    """(V, 6): what a sheet's curve is multiplied with."""
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)


def across(normal: F64) -> F64:
    """Orthonormal axes (3, 3) whose last row points along ``normal`` (3,)."""
    n = normal / np.linalg.norm(normal)
    u = np.cross(n, np.eye(3)[int(np.argmin(np.abs(n)))])
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(n, u), n])


def below(bone: PlacedBone, sheet: Sheet) -> PlacedBone:
    """The part of a bone that lies below a sheet, closed by a fan from its middle; its normals there are the sheet's.
    Both parts of a bone add up to it."""
    above = sheet.above(bone.points)
    values, faces = _divided(np.column_stack([bone.points, bone.normals, bone.t]), bone.faces, above)
    points, normals, t = values[:, :3].copy(), values[:, 3:6].copy(), values[:, 6].copy()
    new = np.arange(len(points)) >= len(above)
    beyond = np.concatenate([above > 0, np.zeros(len(points) - len(above), bool)])
    middle = (points[new] if new.any() else points).mean(axis=0)
    middle = middle - sheet.above(middle[None]) * sheet.axes[2]
    # t runs evenly through the bone: what moves takes the t of where it comes to lie.
    slope = np.linalg.lstsq(np.column_stack([bone.points, np.ones(len(above))]), bone.t, rcond=None)[0][:3]
    t[beyond] += (middle - points[beyond]) @ slope
    points[beyond] = middle
    normals[beyond] = sheet.upward(middle[None])
    rim = normals[new] + sheet.upward(points[new])
    normals[new] = rim / np.maximum(np.linalg.norm(rim, axis=1, keepdims=True), 1e-9)
    return replace(bone, points=points, normals=normals, faces=faces, t=t)


def both(first: PlacedBone, second: PlacedBone) -> PlacedBone:
    """Two closed parts of a bone as one."""
    return replace(
        first,
        points=np.concatenate([first.points, second.points]),
        normals=np.concatenate([first.normals, second.normals]),
        faces=np.concatenate([first.faces, second.faces + np.int32(len(first.points))]),
        t=np.concatenate([first.t, second.t]),
    )


def _divided(values: F64, faces: I32, above: F64) -> tuple[F64, I32]:
    """Vertices (V + N, K) and faces after edges that pass height 0 got a vertex there; the new ones come last."""
    up = above > 0
    count = up[faces].sum(axis=1)
    passing = (count == 1) | (count == 2)
    cut = faces[passing]
    # The corner that lies alone on its side comes first.
    first = (up[cut] == (count[passing] == 1)[:, None]).argmax(axis=1)
    a, b, c = (cut[np.arange(len(cut)), (first + k) % 3] for k in range(3))
    edges = np.sort(np.concatenate([np.stack([a, b], 1), np.stack([a, c], 1)]), axis=1)
    edges, index = np.unique(edges, axis=0, return_inverse=True)
    low, high = edges.T
    share = above[low] / (above[low] - above[high])
    new = values[low] + share[:, None] * (values[high] - values[low])
    p, q = np.split(index.reshape(-1) + len(values), 2)
    pieces = [np.stack(corners, 1) for corners in ((a, p, q), (p, b, c), (p, c, q))]
    return np.concatenate([values, new]), np.concatenate([faces[~passing], *pieces]).astype(np.int32)
