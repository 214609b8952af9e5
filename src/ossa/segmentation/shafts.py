"""Shafts followed to where the film ends them.

A network that looks at a whole part leaves its long shafts off in mid-air, or finds but one wall of them. Yet a shaft
is plain: two edges side by side, and what lies between them is brighter than what lies beside them. From the last
cross-section that is whole both edges are followed together, along the path that has most edge under it (Viterbi, IEEE
Trans Inf Theory 13:260-269, 1967), until the exposed film or the edges end.

A region and the picture it was found in flow in; the region with its shaft flows out. Points are (x, y) in px.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.segmentation import BoolArray, Region
from ossa.segmentation.strips import Greys

Points = NDArray[np.float64]

#: Samples across a shaft of the usual width, and how many of its widths are looked at across.
FINE, ACROSS = 16, 3.2

#: A shaft of which less than this many widths are whole is not followed.
LEAST = 1.3

#: A cross-section is whole where at least this share of it is bone, and its width within these shares of the usual one.
FILLED, NARROW, BROAD = 0.93, 0.62, 1.9

#: Widths of a followed shaft, as shares of its last whole one.
WIDTHS = (0.62, 1.5)

#: Beside this share of the usual spread of greys across a shaft a smaller one counts as none.
FAINT = 0.35

#: The exposed field has ended where a shaft has less than this share of its contrast, or where the shaft and what lies
#: beside it change at once by this share of it.
DULL, JUMP = 0.2, 0.6

#: Both edges have ended where less than this share of their usual steepness is left over half a width.
ENDED = 0.3

#: A change of direction and of width by a sample, in steepness.
BENT, WIDER = 0.6, 0.5

#: What adds less than this many square widths is not worth a change.
WORTH = 0.12

#: Columns beside one within which its edge lies.
_NEAR = np.arange(-2, 3)


@dataclass(frozen=True, eq=False)
class _Strip:
    """A shaft laid straight: row t, column u lies at ``origin + t along + u across`` (px each); ``grey`` and ``bone``
    (T, U); ``inside``: within the film."""

    origin: Points
    along: Points
    across: Points
    grey: NDArray[np.float32]
    bone: BoolArray
    inside: BoolArray

    @property
    def count(self) -> int:
        """Rows until the middle leaves the film."""
        middle = self.inside[:, self.inside.shape[1] // 2]
        return int(np.flatnonzero(middle)[-1]) + 1 if middle.any() else 0

    def at(self, rows: NDArray[Any], columns: NDArray[Any]) -> Points:
        """Points (N, 2) of the picture."""
        return self.origin + rows[:, None] * self.along + columns[:, None] * self.across


def followed(region: Region, picture: NDArray[Any], away: Points) -> Region:
    """``region`` of a bone in ``picture`` (H, W), whose shaft leads ``away`` (2,), with all of the shaft that shows.

    The same region where the shaft reaches the film's end as it is, or where nothing is seen of it beyond.
    """
    strip = _laid(region, picture, away)
    if strip is None:
        return region
    last = _last_whole(strip)
    if last is None or strip.count - last < FINE // 3:
        return region
    edges = _tracked(strip, last)
    if edges is None:
        return region
    rows, left, right = edges
    ring = np.concatenate([strip.at(rows, left), strip.at(rows, right)[::-1]])
    return _joined(region, ring, strip, rows, picture.shape)


def _laid(region: Region, picture: NDArray[Any], away: Points) -> _Strip | None:
    """The shaft from the region's near end to the film's; None where too little of it shows to tell where it leads."""
    import cv2

    if min(region.mask.shape) < 4:
        return None
    ys, xs = np.nonzero(region.mask)
    points = np.stack([xs + region.left, ys + region.top], axis=1).astype(np.float64)
    points = points[:: max(1, len(points) // 4000)]
    depth = points @ away
    far = points[depth > np.quantile(depth, 0.35)]
    values, vectors = np.linalg.eigh(np.cov((far - far.mean(axis=0)).T))
    if values[1] < 2.0 * values[0]:
        return None
    along = vectors[:, 1] * np.sign(vectors[:, 1] @ away)
    if along @ away < 0.64:
        return None
    across = np.array([-along[1], along[0]])
    depth = (points - far.mean(axis=0)) @ along
    near, end = depth.min(), depth.max()
    width = float(np.sqrt(12.0 * values[0]))  # of an even stripe
    if end - near < LEAST * width or width < 4.0:
        return None
    step = width / FINE
    half = round(ACROSS * FINE / 2)
    origin = far.mean(axis=0) + near * along
    # How far the film goes on.
    film = np.array([picture.shape[1] - 1.0, picture.shape[0] - 1.0])
    with np.errstate(divide="ignore"):
        room = np.where(along > 0, film - origin, -origin) / along
    reach = float(np.abs(room).min()) + width / 2
    rows, columns = np.arange(int(reach / step) + 1.0), np.arange(-half, half + 1.0)
    grid = origin + rows[:, None, None] * (along * step) + columns[None, :, None] * (across * step)
    inside = ((grid >= -0.5) & (grid <= film + 0.5)).all(axis=2)
    local = (grid - (region.left, region.top)).astype(np.float32)
    bone = cv2.remap(region.mask.astype(np.uint8), local[..., 0], local[..., 1], cv2.INTER_NEAREST)
    corner = origin - half * step * across
    return _Strip(corner, along * step, across * step, Greys(picture, step).at(grid), bone > 0, inside)


def _sections(bone: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """First and last column of bone in each row, and the share between them that is bone; -1, -1, 0 in empty rows."""
    there = bone.any(axis=1)
    left = np.where(there, bone.argmax(axis=1), -1)
    right = np.where(there, bone.shape[1] - 1 - bone[:, ::-1].argmax(axis=1), -1)
    share = np.where(there, bone.sum(axis=1) / np.maximum(right - left + 1, 1), 0.0)
    return left, right, share


def _last_whole(strip: _Strip) -> int | None:
    """The last row up to which the shaft's cross-sections are whole."""
    left, right, share = _sections(strip.bone)
    start = round(0.8 * FINE)
    width = (right - left + 1).astype(np.float64)
    solid = share >= FILLED
    solid[:start] = False
    if solid.sum() < FINE // 2:
        return None
    usual = float(np.median(width[solid]))
    whole = solid & (width >= NARROW * usual) & (width <= BROAD * usual)
    # It begins beyond the joint's flare; the first stretch of a quarter width that is not whole ends it.
    run = FINE // 4
    for_a_while = np.convolve(whole, np.ones(run), "valid") >= run
    if not for_a_while.any():
        return None
    start = int(for_a_while.argmax())
    broken = np.convolve(~whole[start:], np.ones(run), "valid") >= run
    last = start + (int(broken.argmax()) if broken.any() else len(whole) - start) - 3
    return last if last - start >= FINE // 3 else None


def _steepness(strip: _Strip, known: NDArray[np.int64]) -> NDArray[np.float32]:
    """(T, U): how steeply grey rises across the shaft at each place, in the spread of the greys of that row; in that of
    the rows ``known``, or a share of it, where a row is duller."""
    import cv2

    smooth = cv2.GaussianBlur(strip.grey, (0, 0), sigmaX=0.8, sigmaY=1.6, borderType=cv2.BORDER_REPLICATE)
    rise = np.gradient(smooth, axis=1)
    spread = cv2.GaussianBlur(smooth.std(axis=1)[:, None], (1, 0), sigmaX=1, sigmaY=FINE / 2)[:, 0]
    least = FAINT * float(np.median(spread[known])) + 1e-6
    return np.asarray(rise / np.maximum(spread, least)[:, None], np.float32)


def _tracked(strip: _Strip, last: int) -> tuple[Points, Points, Points] | None:
    """Rows, and both edges' columns there, of the shaft from row ``last`` on as far as edges are seen."""
    left, right, share = _sections(strip.bone)
    rows = np.arange(max(0, last - 2 * FINE), last + 1)
    rows = rows[share[rows] >= FILLED]
    steep = _steepness(strip, rows)
    usual_left, shift_left = _known(steep, rows, left)
    usual_right, shift_right = _known(-steep, rows, right)
    if min(usual_left, usual_right) <= 0:
        return None
    rising, falling = steep[last:] / usual_left, -steep[last:] / usual_right
    beyond = ~strip.inside[last:]
    for plane in (rising, falling):
        np.clip(plane, 0.0, 1.2, out=plane)
        plane[beyond] = 0.5
    start = (left[last] + shift_left, right[last] + shift_right)
    path = best_path(rising, falling, (round(start[0]), round(start[1])))
    along = np.arange(len(path))
    seen = np.minimum(rising[along, path[:, 0]], 1.0) + np.minimum(falling[along, path[:, 1]], 1.0)
    before = np.stack([left, right], axis=1)[rows]
    count = min(_until_faint(seen / 2), _until_film_ends(strip, last, path, rows, before))
    if count < 2:
        return None
    edges = [_between(plane[:count], path[:count, k]) for k, plane in enumerate((rising, falling))]
    columns = _smoothed(np.stack(edges, axis=1)) - (shift_left, shift_right) + (-0.5, 0.5)
    return last + along[:count].astype(np.float64), columns[:, 0], columns[:, 1]


def _until_faint(seen: NDArray[np.floating]) -> int:
    """How many rows there are before half a width with hardly any edge; ``seen`` (T,)."""
    window = min(FINE // 2, len(seen))
    means = np.convolve(seen, np.ones(window) / window, "valid")
    faint = np.flatnonzero(means < ENDED)
    return len(seen) if faint.size == 0 else int(faint[0])


def _until_film_ends(
    strip: _Strip, last: int, path: NDArray[np.int64], rows: NDArray[np.int64], edges: NDArray[np.int64]
) -> int:
    """How many rows of ``path`` (T, 2) from ``last`` on there are before the exposed field ends.

    There the shaft is no brighter than what lies beside it, by its contrast in ``rows`` whose ``edges`` (K, 2) are
    known, or both change at once.
    """
    known_bone, known_beside = _greys(strip.grey[rows], edges)
    contrast = float(np.median(known_bone - known_beside))
    if contrast <= 0:
        return 0
    bone, beside = _greys(strip.grey[last:], path)
    dull = np.flatnonzero(bone - beside < DULL * contrast)
    step = FINE // 4
    inner, outer = bone[step:] - bone[:-step], beside[step:] - beside[:-step]
    jump = np.flatnonzero((inner * outer > 0) & (np.minimum(np.abs(inner), np.abs(outer)) > JUMP * contrast))
    ends = [len(path), *dull[:1], *(jump[:1] + step // 2)]
    return int(min(ends))


def _greys(grey: NDArray[np.float32], edges: NDArray[np.int64]) -> tuple[Points, Points]:
    """Mean grey (T,) between the ``edges`` (T, 2) of each row, and on the darker side beside them; over some rows."""
    import cv2

    sums = np.concatenate([np.zeros((len(grey), 1)), np.cumsum(grey, axis=1, dtype=np.float64)], axis=1)
    rows = np.arange(len(grey))

    def mean(low: NDArray[np.int64], high: NDArray[np.int64]) -> Points:
        low, high = np.clip(low, 0, grey.shape[1] - 1), np.clip(high, 1, grey.shape[1])
        high = np.maximum(high, low + 1)
        values = (sums[rows, high] - sums[rows, low]) / (high - low)
        return np.asarray(cv2.blur(values[:, None], (1, 3))[:, 0])

    left, right = edges[:, 0], edges[:, 1]
    aside = FINE // 3
    beside = np.minimum(mean(left - 2 - aside, left - 2), mean(right + 3, right + 3 + aside))
    return mean(left + 2, right - 1), beside


def _known(steep: NDArray[np.float32], rows: NDArray[np.int64], edge: NDArray[np.int64]) -> tuple[float, float]:
    """How steep the edge usually is that was found in ``rows``, and how many columns beside ``edge`` (T,) it lies."""
    here = steep[rows]
    around = np.take_along_axis(here, np.clip(edge[rows][:, None] + _NEAR, 0, steep.shape[1] - 1), axis=1)
    best = edge[rows] + int(_NEAR[int(around.mean(axis=0).argmax())])
    return float(np.median(around.max(axis=1))), float(np.median(_between(here, best) - edge[rows]))


def _between(steep: NDArray[np.float32], edge: NDArray[np.int64]) -> Points:
    """Where the rise around the column ``edge`` (T,) of each row has its middle, between columns too."""
    columns = np.clip(edge[:, None] + _NEAR, 0, steep.shape[1] - 1)
    weight = np.maximum(np.take_along_axis(steep, columns, axis=1), 0) + 1e-6
    return np.asarray((columns * weight).sum(axis=1) / weight.sum(axis=1), np.float64)


def best_path(rising: NDArray[np.float32], falling: NDArray[np.float32], start: tuple[int, int]) -> NDArray[np.int64]:
    """(T, 2): the left and the right edge's column in each row, from ``start`` on, with the most edge under them.

    ``rising`` and ``falling`` (T, U): what an edge is worth there. From row to row the left edge and the width change
    by a column at most, at a cost (BENT, WIDER); the width stays within WIDTHS of that at the start.
    """
    count, columns = rising.shape
    width = start[1] - start[0]
    widths = np.arange(max(3, round(WIDTHS[0] * width)), round(WIDTHS[1] * width) + 1)
    lefts = np.arange(columns)
    right = np.minimum(lefts[:, None] + widths, columns - 1)  # (L, W)
    possible = lefts[:, None] + widths < columns
    far = np.float32(-1e9)
    score = np.full(possible.shape, far, np.float32)
    first = int(np.clip(width - widths[0], 0, len(widths) - 1)), int(np.clip(start[0], 0, columns - 1))
    score[first[1], first[0]] = 0.0
    moves = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    cost = np.array([BENT * a * a + WIDER * b * b for a, b in moves], np.float32)
    came = np.zeros((count, *possible.shape), np.int8)
    for t in range(1, count):
        padded = np.pad(score, 1, constant_values=far)
        # A move (a, b): the left edge by a, the width by b.
        options = np.stack(
            [
                padded[1 - a : 1 - a + score.shape[0], 1 - b : 1 - b + score.shape[1]] - c
                for (a, b), c in zip(moves, cost, strict=True)
            ]
        )
        came[t] = options.argmax(axis=0)
        score = np.take_along_axis(options, came[t][None].astype(np.int64), axis=0)[0]
        score = np.where(possible, score + rising[t][:, None] + falling[t][right], far)
    at = np.unravel_index(int(score.argmax()), score.shape)
    out = np.empty((count, 2), np.int64)
    a, b = int(at[0]), int(at[1])
    for t in range(count - 1, -1, -1):
        out[t] = a, a + widths[b]
        move = moves[came[t][a, b]]
        if t:
            a, b = a - move[0], b - move[1]
    return out


def _smoothed(path: Points) -> Points:
    """Columns (T, 2) without the steps of the grid."""
    import cv2

    columns = [np.ascontiguousarray(path[:, k : k + 1]) for k in (0, 1)]
    return np.hstack([cv2.GaussianBlur(one, (1, 0), sigmaX=1, sigmaY=FINE / 4) for one in columns])


def _joined(region: Region, ring: Points, strip: _Strip, rows: Points, shape: tuple[int, int]) -> Region:
    """``region`` up to the first of ``rows``, the shaft inside ``ring`` from there on."""
    import cv2

    low = np.minimum(np.floor(ring.min(axis=0)).astype(int) - 1, (region.left, region.top))
    high = np.maximum(np.ceil(ring.max(axis=0)).astype(int) + 2, (region.right, region.bottom))
    left, top = (int(v) for v in np.maximum(low, 0))
    right, bottom = (int(v) for v in np.minimum(high, shape[::-1]))
    new = np.zeros((bottom - top, right - left), np.uint8)
    box = (slice(region.top - top, region.bottom - top), slice(region.left - left, region.right - left))
    new[box] = region.mask
    step = float(np.hypot(*strip.along))
    ys, xs = np.mgrid[top:bottom, left:right]
    depth = ((xs - strip.origin[0]) * strip.along[0] + (ys - strip.origin[1]) * strip.along[1]) / step**2
    new[(depth > rows[0]) & (depth <= rows[-1])] = 0
    cv2.fillPoly(new, [np.rint((ring - (left, top)) * 256).astype(np.int32)], 1, shift=8)
    shaft = Region.tight(new.view(bool), top, left)
    if shaft is None or abs(shaft.area - region.area) < WORTH * (step * FINE) ** 2:
        return region
    return shaft
