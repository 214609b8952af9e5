"""Several people's bones as one: every bone of the others is laid over the first one's, point by point.

The first person gives the mesh; each other one gives where the first one's vertices lie on its surface. ``vary`` then
draws a person between them. Lengths in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ossa.errors import AnatomyError
from ossa.phantom.mesh import F64, Mesh, cluster, surface_points
from ossa.phantom.skeleton import Body
from ossa.quiet import may_keep_beside

#: A surface farther than this from the one that it was laid over (mean, mm) is another bone or another shape.
MAX_MISFIT = 0.8

#: Widths of the smoothing of a fit in mm, from the whole bone to its details, and rounds at each.
_SCALES, _ROUNDS = (9.0, 6.0, 4.0, 2.6, 1.8, 1.2), 5
#: Vertices with which a bone is fitted.
_VERTICES = 500


def with_forms(body: Body, others: Sequence[Mesh]) -> Body:
    """The bone, which knows the shapes of other people's same bone. Raises AnatomyError for one that does not fit."""
    forms = [_form(body, mesh) for mesh in others]
    return replace(body, forms=np.stack(forms)) if forms else body


def _form(body: Body, other: Mesh) -> F64:
    """Where ``body``'s vertices lie on another person's same bone, as displacements (V, 3)."""
    light = cluster(body.mesh, _cell(body.mesh, _VERTICES))
    points, moved, misfit = lay_over(light, other)
    if misfit > MAX_MISFIT:
        raise AnatomyError(
            f"{body.bone} does not fit the first person's",
            found=f"{misfit:.2f} mm apart after fitting",
            expected=f"at most {MAX_MISFIT} mm",
            remedy="Look at the mesh: another bone, a left one, or torn",
        )
    return spread(points, moved - points, body.mesh.vertices, 0.8 * _cell(body.mesh, _VERTICES))


def lay_over(template: Mesh, other: Mesh) -> tuple[F64, F64, float]:
    """The template's vertices (V, 3), the points (V, 3) of ``other`` that they correspond to, turned and shifted to
    where they lie best, and the mean distance in mm that is left between both surfaces.

    Rigid fitting from several turns (P. Besl, N. McKay, IEEE PAMI 14(2):239-256, 1992), then smooth displacements from
    coarse to fine, each the mean of both directions' nearest points.
    """
    points = template.vertices
    surface = surface_points(other, _cell(other, 4 * _VERTICES))
    surface = surface[:: max(1, len(surface) // (5 * _VERTICES))]
    size = float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))
    starts = [_rigid(points, surface, turn) for turn in _turns()]
    surface = min(starts, key=lambda s: s[0])[1]
    moved = points.copy()
    for scale in _SCALES:
        kernel = _kernel(points, min(scale, size))
        for _ in range(_ROUNDS):
            pull = _pull(moved, surface)
            moved = moved + kernel @ pull
    there, _ = nearest(moved, surface)
    back, _ = nearest(surface, moved)
    misfit = (
        np.linalg.norm(surface[there] - moved, axis=1).mean() + np.linalg.norm(moved[back] - surface, axis=1).mean()
    )
    return points, moved, float(misfit / 2)


def _cell(mesh: Mesh, count: int) -> float:
    """The side in mm of cubes of which the surface crosses about ``count``."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    area = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2
    return float(np.sqrt(area / count))


def spread(at: F64, values: F64, points: F64, width: float) -> F64:
    """Values (N, 3) known ``at`` points (N, 3), smoothly carried to other ``points`` (V, 3): Gaussian means."""
    out = np.empty_like(points)
    for start in range(0, len(points), 2000):
        part = points[start : start + 2000]
        squared = ((part[:, None] - at[None]) ** 2).sum(axis=2)
        weight = np.exp(-(squared - squared.min(axis=1, keepdims=True)) / (2 * width**2))
        out[start : start + 2000] = weight @ values / weight.sum(axis=1, keepdims=True)
    return out


def _pull(moved: F64, surface: F64) -> F64:
    """How each moved vertex is drawn: the mean of its nearest surface point and of those it is nearest to."""
    there, _ = nearest(moved, surface)
    back, _ = nearest(surface, moved)
    count = np.bincount(back, minlength=len(moved))
    total = np.stack([np.bincount(back, surface[:, k], minlength=len(moved)) for k in range(3)], axis=1)
    drawn = surface[there]
    met = count > 0
    drawn[met] = (drawn[met] + total[met] / count[met, None]) / 2
    return np.asarray(drawn - moved)


def _kernel(points: F64, width: float) -> F64:
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    weight = np.exp(-squared / (2 * width**2))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _turns() -> list[F64]:
    """No turn first, then 35 degrees about each axis both ways."""
    from ossa.phantom.pose import rotation

    axes = np.concatenate([np.eye(3), -np.eye(3)])
    return [np.eye(3)] + [rotation(axis * np.deg2rad(35)) for axis in axes]


def _rigid(points: F64, surface: F64, turn: F64) -> tuple[float, F64]:
    """(mean distance, the surface laid over the points) after iterated closest points from a first turn."""
    few = surface[:: max(1, len(surface) // 500)]
    middle = points.mean(axis=0)
    matrix, shift = turn, middle - turn @ surface.mean(axis=0)
    for _ in range(15):
        laid = few @ matrix.T + shift
        there, _ = nearest(laid, points)
        back, _ = nearest(points, laid)
        source, target = np.concatenate([few, few[back]]), np.concatenate([points[there], points])
        a, b = source.mean(axis=0), target.mean(axis=0)
        u, _, vt = np.linalg.svd((target - b).T @ (source - a))
        matrix = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
        shift = b - matrix @ a
    laid = few @ matrix.T + shift
    _, d1 = nearest(laid, points)
    _, d2 = nearest(points, laid)
    return float(np.sqrt(d1).mean() + np.sqrt(d2).mean()), np.asarray(surface @ matrix.T + shift)


_compiled: Any = None


def nearest(of: F64, among: F64) -> tuple[Any, F64]:
    """For each point ``of`` (N, 3) the index of the nearest ``among`` (M, 3), and the squared distance."""
    global _compiled
    if _compiled is None:
        from numba import njit

        _compiled = njit(cache=may_keep_beside(__file__), fastmath=True)(_search)
    index, squared = np.zeros(len(of), np.int64), np.zeros(len(of))
    _compiled(np.ascontiguousarray(of), np.ascontiguousarray(among), index, squared)
    return index, squared


def _search(of: F64, among: F64, index: Any, squared: F64) -> None:
    for i in range(of.shape[0]):
        best, found = 1e300, 0
        x, y, z = of[i, 0], of[i, 1], of[i, 2]
        for j in range(among.shape[0]):
            d = (x - among[j, 0]) ** 2 + (y - among[j, 1]) ** 2 + (z - among[j, 2]) ** 2
            if d < best:
                best, found = d, j
        index[i], squared[i] = found, best
