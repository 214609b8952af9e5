"""Bones as polygons: from label files to pixels, from pixels back, and onto the training grid.

Outlines flow in from label files and phantoms; regions, bit planes and outlines flow out. Points are
(x, y) in pixels, an integer is a pixel's centre. A polygon traced along the centres of a region's border
pixels (as ``cv2.findContours`` does, and the annotators' tool) is filled including those pixels, so that
pixels -> outline -> pixels is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ossa.errors import LabelError
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Region, Segmentation, bit_plane_count

#: (N, 2) float64 points (x, y) of a closed polygon; the last point joins the first.
Ring = NDArray[np.float64]

#: Coordinates beyond this many pixels are no coordinates.
MAX_COORDINATE = 1e9

#: How far outside the picture (px) a polygon is followed exactly; beyond, it is cut along a straight border.
_MARGIN = 256

#: Fractional bits of the fixed-point coordinates given to ``cv2.fillPoly`` (1/256 px).
_SHIFT = 8


@dataclass(frozen=True, eq=False)
class Outline:
    """One connected part of a bone: an ``exterior`` ring and the rings of its ``holes``.

    Takes anything array-like of (N, 2) points. Raises LabelError for fewer than three points, for
    points that are not pairs of numbers, and for NaN, infinite or absurd coordinates.
    The rings themselves belong to the bone: a hole is what lies strictly inside its ring.
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "exterior", _ring(self.exterior))
        object.__setattr__(self, "holes", tuple(_ring(hole) for hole in self.holes))

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The exterior, then the holes."""
        return (self.exterior, *self.holes)

    def mapped(self, move: Callable[[Ring], ArrayLike]) -> Outline:
        """This outline with every ring's points sent through ``move`` ((N, 2) -> (N, 2))."""
        return Outline(_as_ring(move(self.exterior)), tuple(_as_ring(move(hole)) for hole in self.holes))


#: Bone name -> its parts. A bone without parts is absent.
Outlines = Mapping[str, tuple[Outline, ...]]


def map_outlines(outlines: Outlines, move: Callable[[Ring], ArrayLike]) -> dict[str, tuple[Outline, ...]]:
    """All outlines with their points sent through ``move`` ((N, 2) -> (N, 2)), e.g. ``Placement.to_grid``."""
    return {name: tuple(part.mapped(move) for part in parts) for name, parts in outlines.items()}


def unite(labelled: Iterable[tuple[str, Outline]]) -> dict[str, tuple[Outline, ...]]:
    """Outlines from (bone name, part) pairs in any order; a name that repeats gets several parts."""
    found: dict[str, list[Outline]] = {}
    for name, part in labelled:
        found.setdefault(name, []).append(part)
    return {name: tuple(parts) for name, parts in found.items()}


def region_from_outlines(parts: Iterable[Outline], shape: tuple[int, int]) -> Region | None:
    """The pixels of a bone in a picture of ``shape`` (H, W): all its parts united, None when there are none.

    Whole-number points give the very pixels of ``cv2.fillPoly`` (even-odd rule, ring included); fractional
    ones are filled at 1/256 px. Either way the ring is drawn a pixel wide, so that a bone is half a pixel
    larger all around than its polygon, as the pixels are that the polygon was traced on. What lies outside
    the picture is cut off and moves nothing inside it.
    """
    pieces = [piece for piece in (_fill(part, shape) for part in parts) if piece is not None]
    if len(pieces) < 2:
        return pieces[0] if pieces else None
    top, left = min(p.top for p in pieces), min(p.left for p in pieces)
    mask = np.zeros((max(p.bottom for p in pieces) - top, max(p.right for p in pieces) - left), dtype=bool)
    for piece in pieces:
        mask[piece.top - top : piece.bottom - top, piece.left - left : piece.right - left] |= piece.mask
    return Region(top, left, mask)


def segmentation_from_outlines(outlines: Outlines, schema: BoneSchema, shape: tuple[int, int]) -> Segmentation:
    """A Segmentation of ``shape`` (H, W) from outlines in its pixels. SchemaError for an unknown bone."""
    regions = {}
    for name, parts in outlines.items():
        schema.index(name)
        region = region_from_outlines(parts, shape)
        if region is not None:
            regions[name] = region
    return Segmentation(schema, shape, regions)


def outlines_from_region(region: Region) -> tuple[Outline, ...]:
    """The parts (8-connected) of a region with their holes; filling them gives exactly its pixels.

    A part of one or two pixels repeats a point, so that every ring has at least three.
    """
    import cv2

    # findContours reads the border of its input as background only inside a frame of its own.
    framed = cv2.copyMakeBorder(region.mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    contours, tree = cv2.findContours(
        framed, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(region.left - 1, region.top - 1)
    )
    rings = [_as_ring(contour.reshape(-1, 2)) for contour in contours]
    rings = [ring if len(ring) > 2 else np.concatenate([ring, ring, ring])[:3] for ring in rings]
    parents = [] if tree is None else tree.reshape(-1, 4)[:, 3].tolist()
    holes: dict[int, list[Ring]] = {i: [] for i, parent in enumerate(parents) if parent < 0}
    for i, parent in enumerate(parents):
        if parent >= 0:
            holes[parent].append(rings[i])
    return tuple(Outline(rings[i], tuple(inner)) for i, inner in holes.items())


def outlines_from_segmentation(segmentation: Segmentation) -> dict[str, tuple[Outline, ...]]:
    """The outlines of every bone that is present, in schema order."""
    return {name: outlines_from_region(region) for name, region in segmentation}


def bits_from_outlines(
    outlines: Outlines, schema: BoneSchema, shape: tuple[int, int], supersample: int = 4
) -> NDArray[np.uint32]:
    """Bit planes (P, H, W) on a grid of ``shape`` (H, W) from outlines in grid pixels.

    Each bone is drawn in its own box at ``supersample`` times the resolution, and a pixel is bone when at
    least half of its area is. ``cv2.fillPoly`` straight on a coarse grid takes every pixel that the ring
    touches and fattens bones (area x1.095 at 384 px, worst 1.2). ``supersample`` is 1..15 and best when a
    cell is about one pixel of the picture (4 for 2048 px on a 512 grid): the ring is one cell wide.
    """
    import cv2

    if not 1 <= supersample <= 15:
        raise LabelError("outlines cannot be drawn at this supersampling", found=supersample, expected="1 to 15")
    cells = supersample * supersample
    full = 255 // cells * cells  # so that the mean over a pixel's cells is exact in uint8
    half = -(-full // 2)
    out = np.zeros((bit_plane_count(schema), *shape), dtype=np.uint32)
    for name, parts in outlines.items():
        bone = schema.index(name)
        bit = np.uint32(1 << (bone % 32))
        for box, canvas in _supersampled(parts, shape, supersample, full):
            small = cv2.resize(canvas, None, fx=1 / supersample, fy=1 / supersample, interpolation=cv2.INTER_AREA)
            target = out[bone // 32][box]
            # Not bitwise_or(..., where=): numpy does that pixel by pixel, fifty times slower.
            np.bitwise_or(target, (small >= half) * bit, out=target)
    return out


def _supersampled(
    parts: tuple[Outline, ...], shape: tuple[int, int], factor: int, value: int
) -> list[tuple[tuple[slice, slice], NDArray[np.uint8]]]:
    """The box of a bone on the grid and its canvas of ``factor`` times that size; empty when it is outside."""
    height, width = shape
    if len(parts) == 1 and not parts[0].holes:
        simple = _supersampled_ring(parts[0].exterior, shape, factor, value)
        if simple is not None:
            return [simple]
    finer = [part.mapped(lambda ring: (ring + 0.5) * factor - 0.5) for part in parts]
    pieces = [piece for piece in (_fill(part, (height * factor, width * factor)) for part in finer) if piece]
    if not pieces:
        return []
    top, left = min(p.top for p in pieces) // factor, min(p.left for p in pieces) // factor
    bottom, right = -(-max(p.bottom for p in pieces) // factor), -(-max(p.right for p in pieces) // factor)
    canvas = np.zeros(((bottom - top) * factor, (right - left) * factor), dtype=np.uint8)
    for piece in pieces:
        row, column = piece.top - top * factor, piece.left - left * factor
        view = canvas[row : row + piece.mask.shape[0], column : column + piece.mask.shape[1]]
        view[piece.mask] = value
    return [((slice(top, bottom), slice(left, right)), canvas)]


def _supersampled_ring(
    ring: Ring, shape: tuple[int, int], factor: int, value: int
) -> tuple[tuple[slice, slice], NDArray[np.uint8]] | None:
    """``_supersampled`` for one ring wholly inside the picture, with the same pixels; None for other rings.

    Training draws thousands of bones a second: what ``_fill`` does for the rest costs more than the filling.
    """
    import cv2

    height, width = shape
    finer = (ring + 0.5) * factor - 0.5
    whole = np.rint(finer)
    shift = 0 if np.array_equal(whole, finer) else _SHIFT
    if not np.abs(finer).max() < 1 << 20:
        return None
    points = (whole if shift == 0 else np.rint(finer * (1 << shift))).astype(np.int32)
    x, y, wide, high = cv2.boundingRect(points)
    left, top = (x >> shift) // factor, (y >> shift) // factor
    right, bottom = -((1 - x - wide) >> shift), -((1 - y - high) >> shift)  # rounded up
    right, bottom = right // factor + 1, bottom // factor + 1
    if left < 0 or top < 0 or right > width or bottom > height:
        return None
    canvas = np.zeros(((bottom - top) * factor, (right - left) * factor), dtype=np.uint8)
    points -= np.array([left * factor << shift, top * factor << shift], dtype=np.int32)
    cv2.fillPoly(canvas, [points], value, lineType=cv2.LINE_8, shift=shift)
    return (slice(top, bottom), slice(left, right)), canvas


def _fill(part: Outline, shape: tuple[int, int]) -> Region | None:
    """The pixels of one part inside a picture of ``shape``."""
    import cv2

    if not part.holes:
        simple = _fill_ring(part.exterior, shape)
        if simple is not None:
            return simple
    height, width = shape
    exterior = _cut(part.exterior, height, width)
    if len(exterior) == 0:
        return None
    # The canvas is the polygon's own box, so that nothing of it is clipped by OpenCV, whose clipped lines
    # take other pixels than the same lines on a larger canvas.
    x0, y0 = np.floor(exterior.min(axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(exterior.max(axis=0)).astype(int).tolist()
    if x1 < 0 or y1 < 0 or x0 >= width or y0 >= height:
        return None
    canvas = np.zeros((y1 - y0 + 1, x1 - x0 + 1), dtype=np.uint8)
    points, shift = _fixed(exterior, x0, y0)
    cv2.fillPoly(canvas, [points], 1, lineType=cv2.LINE_8, shift=shift)
    for hole in part.holes:
        ring = _cut(hole, height, width)
        if len(ring) == 0:
            continue
        points, shift = _fixed(ring, x0, y0)
        inside = np.zeros_like(canvas)
        cv2.fillPoly(inside, [points], 1, lineType=cv2.LINE_8, shift=shift)
        cv2.polylines(inside, [points], True, 0, lineType=cv2.LINE_8, shift=shift)
        canvas[inside > 0] = 0
    top, left = max(0, -y0), max(0, -x0)
    visible = canvas[top : height - y0, left : width - x0]
    return Region.tight(np.ascontiguousarray(visible).view(bool), y0 + top, x0 + left)


def _fill_ring(ring: Ring, shape: tuple[int, int]) -> Region | None:
    """``_fill`` for a ring without holes wholly inside the picture, with the same pixels; None for other rings.

    Nearly every bone is one, and what ``_fill`` does for the rest costs more than the filling.
    """
    import cv2

    whole = np.rint(ring)
    if not -(1 << 20) < whole.min() <= whole.max() < 1 << 20:
        return None
    shift = 0 if np.array_equal(whole, ring) else _SHIFT
    points = (whole if shift == 0 else np.rint(ring * (1 << shift))).astype(np.int32)
    x, y, wide, high = cv2.boundingRect(points)
    left, top = x >> shift, y >> shift
    right, bottom = 1 - ((1 - x - wide) >> shift), 1 - ((1 - y - high) >> shift)  # rounded up
    if left < 0 or top < 0 or right > shape[1] or bottom > shape[0]:
        return None
    canvas = np.zeros((bottom - top, right - left), dtype=np.uint8)
    points -= np.array([left << shift, top << shift], dtype=np.int32)
    cv2.fillPoly(canvas, [points], 1, lineType=cv2.LINE_8, shift=shift)
    if shift == 0:  # every outermost point is a pixel of its own, so the box is tight
        return Region(top, left, canvas.view(bool))
    return Region.tight(canvas.view(bool), top, left)


def _fixed(ring: Ring, x0: int, y0: int) -> tuple[NDArray[np.int32], int]:
    """Points relative to (x0, y0) as OpenCV takes them: whole when they are whole, else fixed-point."""
    local = ring - (x0, y0)
    whole = np.rint(local)
    if np.array_equal(whole, local):
        return whole.astype(np.int32), 0
    return np.rint(local * (1 << _SHIFT)).astype(np.int32), _SHIFT


def _cut(ring: Ring, height: int, width: int) -> Ring:
    """The ring clipped (Sutherland and Hodgman 1974) to the picture and a margin; as it is when inside."""
    for axis, low, high in ((0, -_MARGIN, width + _MARGIN), (1, -_MARGIN, height + _MARGIN)):
        for bound, sign in ((float(low), 1.0), (float(high), -1.0)):
            depth = sign * (ring[:, axis] - bound)
            if depth.size and depth.min() < 0:
                ring = _cut_half_plane(ring, depth, axis, bound)
    return ring


def _cut_half_plane(ring: Ring, depth: NDArray[np.float64], axis: int, bound: float) -> Ring:
    """What of the ring has ``depth`` >= 0; crossings lie at ``bound`` along ``axis``."""
    kept: list[NDArray[np.float64]] = []
    for i in range(len(ring)):
        before = depth[i - 1]
        if (before < 0) != (depth[i] < 0):
            crossing = ring[i - 1] + (ring[i] - ring[i - 1]) * (before / (before - depth[i]))
            crossing[axis] = bound
            kept.append(crossing)
        if depth[i] >= 0:
            kept.append(ring[i])
    return np.array(kept, dtype=np.float64).reshape(-1, 2)


def _as_ring(points: ArrayLike) -> Ring:
    return np.asarray(points, dtype=np.float64)


def _ring(points: Any) -> Ring:
    """Checked points."""
    try:
        ring = _as_ring(points)
    except (TypeError, ValueError, OverflowError) as error:
        raise LabelError(
            "an outline's points are not pairs of numbers", found=str(error), expected="[[x, y], ...]"
        ) from error
    if ring.size == 0 or (ring.ndim == 2 and ring.shape[1] == 2 and len(ring) < 3):
        raise LabelError("an outline has too few points", found=len(ring) if ring.ndim else 0, expected="at least 3")
    if ring.ndim != 2 or ring.shape[1] != 2:
        raise LabelError(
            "an outline's points are not pairs of numbers", found=f"an array of shape {ring.shape}", expected="(N, 2)"
        )
    if not np.all(np.abs(ring) <= MAX_COORDINATE):
        bad = ring[~np.all(np.abs(ring) <= MAX_COORDINATE, axis=1)][0]
        raise LabelError(
            "an outline has a coordinate that is no position in a picture",
            found=f"({bad[0]:g}, {bad[1]:g})",
            expected="finite pixel coordinates",
        )
    return ring
