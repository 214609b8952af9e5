"""From a network's logits to bones at the picture's size, one bone's box at a time.

The result is that of interpolating all planes to the full picture and thresholding there, but
only boxes are ever built: bilinear interpolation never exceeds its neighbours, so nothing above
the threshold lies further than one low-resolution pixel from a low-resolution pixel above it; and
inside a box only the pixels along the outline are interpolated in both directions.
Needs numpy only, so that training can validate with the same code that predicts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, InputError, SchemaError
from ossa.safety import MAX_PIXELS
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Region, Segmentation

Float = NDArray[np.float32]
#: Logits: float32, or float16 as a GPU may return them.
Logits = NDArray[np.floating[Any]]


class GridPlacement(Protocol):
    """What decoding needs of radiograph.prepare.Placement: x_grid = (x_image + .5) * scale - .5."""

    @property
    def image_shape(self) -> tuple[int, int]: ...
    @property
    def grid_shape(self) -> tuple[int, int]: ...
    @property
    def scale_y(self) -> float: ...
    @property
    def scale_x(self) -> float: ...


@dataclass(frozen=True, eq=False)
class Taps:
    """Along one axis, each output pixel's two source pixels ``low``, ``high`` (n,) and the weight of ``high``."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: Float


def per_bone(schema: BoneSchema, given: Mapping[str, float]) -> dict[str, float]:
    """Thresholds by bone from ``given``, where "*" stands for every bone that has none of its own.

    Raises ConfigError for a threshold outside 0..1 (both excluded), SchemaError for an unknown bone.
    """
    for name, value in given.items():
        if not 0.0 < value < 1.0:
            what = "every bone" if name == "*" else f"'{name}'"
            raise ConfigError(f"the threshold of {what} is out of range", found=value, expected="between 0 and 1")
    named = {schema.bone(name).name: value for name, value in given.items() if name != "*"}
    return {**(dict.fromkeys(schema.names, given["*"]) if "*" in given else {}), **named}


def taps(start: int, stop: int, scale: float, size: int) -> Taps:
    """Bilinear taps of output pixels ``start`` to ``stop`` - 1 on an axis of ``size`` source pixels.

    Pixel centres as in torch.nn.functional.interpolate(align_corners=False) and cv2.resize:
    source = (output + .5) * scale - .5, clamped to the source's first and last pixel.
    """
    source = np.clip((np.arange(start, stop) + 0.5) * scale - 0.5, 0.0, size - 1.0)
    low = source.astype(np.intp)
    return Taps(low, np.minimum(low + 1, size - 1), (source - low).astype(np.float32))


def interpolate(plane: Float, rows: Taps, columns: Taps) -> Float:
    """``plane`` (h, w) sampled at ``rows`` x ``columns``: along x first, then along y."""
    first = int(rows.low[0])
    band = plane[first : int(rows.high[-1]) + 1]
    left = band[:, columns.low]
    across = left + (band[:, columns.high] - left) * columns.weight
    top = across[rows.low - first]
    top += (across[rows.high - first] - top) * rows.weight[:, None]
    return top


def scales(shape: tuple[int, int], placement: GridPlacement) -> tuple[float, float]:
    """(y, x): pixels of logits of ``shape`` (h, w), which cover the whole grid, per pixel of the picture.

    Raises InputError for a placement that no picture can have (a damaged file's): every way from logits to a
    picture starts here.
    """
    picture, grid = placement.image_shape, placement.grid_shape
    across = (placement.scale_y, placement.scale_x)
    sound = min(*shape, *picture, *grid) >= 1 and all(0.0 < scale < math.inf for scale in across)
    if sound:
        # The picture ends inside the grid, give or take the rounding of its sides to whole grid pixels.
        sound = all(0.5 <= side * scale < size + 1 for side, scale, size in zip(picture, across, grid, strict=True))
    if not sound or picture[0] * picture[1] > MAX_PIXELS:
        raise InputError(
            "logits are placed on no picture",
            found=f"a picture of {picture[0]}x{picture[1]} on a grid of {grid[0]}x{grid[1]} by {across}",
            expected=f"a picture of at most {MAX_PIXELS:,} px that fills part of its grid",
        )
    return shape[0] / grid[0] * across[0], shape[1] / grid[1] * across[1]


def resample_logits(logits: Logits, source: GridPlacement, target: GridPlacement, shape: tuple[int, int]) -> Float:
    """Logits (C, h, w) of one grid on another grid of the same picture, (C, *shape) float32.

    ``source`` and ``target`` place the same picture; ``shape`` is the size of the target's logits.
    """
    height, width = logits.shape[1:]
    (from_y, from_x), (to_y, to_x) = scales((height, width), source), scales(shape, target)
    rows, columns = taps(0, shape[0], from_y / to_y, height), taps(0, shape[1], from_x / to_x, width)
    return np.stack([interpolate(plane.astype(np.float32, copy=False), rows, columns) for plane in logits])


def logit(probability: float) -> float:
    """The logit of a probability in (0, 1)."""
    return math.log(probability / (1.0 - probability))


def threshold_logits(schema: BoneSchema, thresholds: Mapping[str, float] | None) -> Float:
    """Per channel, the logit above which a pixel is bone; probability .5 where nothing is said.

    Raises SchemaError for an unknown bone and ConfigError for a threshold outside (0, 1).
    """
    out = np.zeros(len(schema), np.float32)
    for name, probability in (thresholds or {}).items():
        if not 0.0 < probability < 1.0:
            raise ConfigError(
                f"the threshold of '{name}' is out of range", found=probability, expected="between 0 and 1"
            )
        out[schema.index(name)] = logit(probability)
    return out


def decode(
    logits: Logits,
    placement: GridPlacement,
    schema: BoneSchema,
    thresholds: Mapping[str, float] | None = None,
    names: Collection[str] | None = None,
) -> Segmentation:
    """The bones of ``logits`` (C, h, w), which cover the whole grid of ``placement``; those in ``names`` (None: all).

    A pixel of the picture is bone where its interpolated logit is above the bone's threshold
    (``thresholds``: bone name -> probability). ``probability`` is the mean one over the
    network's own pixels above the threshold. Raises SchemaError when the channels do not fit.
    """
    if logits.ndim != 3 or logits.shape[0] != len(schema):
        raise SchemaError("logits do not fit the schema", found=logits.shape, expected=f"({len(schema)}, h, w)")
    scale_y, scale_x = scales((logits.shape[1], logits.shape[2]), placement)
    regions, probability = {}, {}
    for name, plane, limit in zip(schema.names, logits, threshold_logits(schema, thresholds), strict=True):
        box = box_above(plane, limit) if names is None or name in names else None
        if box is None:
            continue
        top, bottom = reach(box[0], box[1], scale_y, placement.image_shape[0])
        left, right = reach(box[2], box[3], scale_x, placement.image_shape[1])
        if top >= bottom or left >= right:
            continue
        mask = _above(plane, float(limit), (top, bottom, scale_y), (left, right, scale_x))
        region = Region.tight(mask, top, left)
        if region is not None:
            regions[name] = region
            probability[name] = _mean_probability(plane[box[0] : box[1], box[2] : box[3]], float(limit))
    return Segmentation(schema, placement.image_shape, regions, probability=probability)


def decode_at(
    logits: Logits, placement: GridPlacement, schema: BoneSchema, thresholds: Sequence[float | Mapping[str, float]]
) -> list[Segmentation]:
    """The bones at each of several thresholds: ``decode``, interpolated once for all.

    Each is a probability for every bone, or bone -> probability as ``decode`` takes them.

    Raises SchemaError when the channels do not fit, ConfigError for a threshold outside (0, 1).
    """
    if logits.ndim != 3 or logits.shape[0] != len(schema):
        raise SchemaError("logits do not fit the schema", found=logits.shape, expected=f"({len(schema)}, h, w)")
    each = [t if isinstance(t, Mapping) else dict.fromkeys(schema.names, t) for t in thresholds]
    limits = np.stack([threshold_logits(schema, t) for t in each], axis=1)
    scale_y, scale_x = scales((logits.shape[1], logits.shape[2]), placement)
    found: list[dict[str, Region]] = [{} for _ in each]
    sure: list[dict[str, float]] = [{} for _ in each]
    for name, plane, own in zip(schema.names, logits, limits, strict=True):
        box = box_above(plane, np.float32(own.min()))
        if box is None:
            continue
        top, bottom = reach(box[0], box[1], scale_y, placement.image_shape[0])
        left, right = reach(box[2], box[3], scale_x, placement.image_shape[1])
        if top >= bottom or left >= right:
            continue
        lines, low, weight = lines_of(plane, 0.0, (top, bottom, scale_y), (left, right, scale_x))
        inside = plane[box[0] : box[1], box[2] : box[3]]
        for limit, regions, probability in zip(own.tolist(), found, sure, strict=True):
            region = Region.tight(positive(lines - np.float32(limit), low, weight), top, left)
            if region is not None and (inside > limit).any():
                regions[name] = region
                probability[name] = _mean_probability(inside, limit)
    return [
        Segmentation(schema, placement.image_shape, regions, probability=probability)
        for regions, probability in zip(found, sure, strict=True)
    ]


def box_above(plane: Logits, limit: np.float32) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, bottom, left, right) of the pixels above ``limit``."""
    above = plane > limit
    rows = np.flatnonzero(above.any(axis=1))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(above[top:bottom].any(axis=0))
    return top, bottom, int(columns[0]), int(columns[-1]) + 1


def reach(first: int, stop: int, scale: float, size: int) -> tuple[int, int]:
    """Start and stop of the output pixels, 0 to ``size``, that source pixels ``first`` to ``stop`` - 1 can touch.

    One more at each end does no harm. ``scale``: source pixels per output pixel.
    """
    start = math.floor((first - 0.5) / scale - 0.5)
    end = math.ceil((stop + 0.5) / scale - 0.5) + 1
    return max(0, start), min(size, end)


def _above(
    plane: Logits, limit: float, rows: tuple[int, int, float], columns: tuple[int, int, float]
) -> NDArray[np.bool_]:
    """Interpolated ``plane`` > ``limit`` over output rows and columns (start, stop, scale).

    Columns are interpolated first. Between two source rows a column needs no second interpolation
    unless its sign changes there, which happens along the outline only.
    """
    # Subtracting the limit first keeps the comparison exact where the plane is constant.
    lines, low, weight = lines_of(plane, limit, rows, columns)
    return positive(lines, low, weight)


def lines_of(
    plane: Logits, limit: float, rows: tuple[int, int, float], columns: tuple[int, int, float]
) -> tuple[Float, NDArray[np.intp], Float]:
    """``plane`` - ``limit`` along x at its own rows; for each output row the upper one of them, and its weight."""
    height, width = plane.shape
    down, across = taps(*rows, height), taps(*columns, width)
    top, bottom = int(down.low[0]), int(down.high[-1]) + 1
    first, last = int(across.low[0]), int(across.high[-1]) + 1
    crop: Float = plane[top:bottom, first:last].astype(np.float32) - np.float32(limit)
    left = crop.take(across.low - first, axis=1)
    lines: Float = np.asarray(left + (crop.take(across.high - first, axis=1) - left) * across.weight, np.float32)
    return lines, down.low - top, down.weight


def positive(lines: Float, low: NDArray[np.intp], weight: Float) -> NDArray[np.bool_]:
    """Where ``lines``, interpolated along y, are above 0: rows ``low`` and the next one, by ``weight``."""
    positive = lines > 0.0
    out = positive.take(low, axis=0)
    upper, column = np.nonzero(positive[1:] != positive[:-1])
    starts = np.searchsorted(low, np.arange(len(lines) + 1))
    counts = (starts[1:] - starts[:-1])[upper]
    # One entry per output pixel that lies between source rows of different sign.
    pair = np.repeat(np.arange(upper.size), counts)
    row = np.arange(pair.size) + np.repeat(starts[upper] - (np.cumsum(counts) - counts), counts)
    above, below = lines[upper, column], lines[upper + 1, column]
    out[row, column[pair]] = above[pair] + (below - above)[pair] * weight[row] > 0.0
    return out


def _mean_probability(box: Logits, limit: float) -> float:
    values = box[box > limit].astype(np.float64)
    return float(np.mean(1.0 / (1.0 + np.exp(-values))))
