"""How well a segmentation agrees with another: Dice, IoU, surface Dice, HD95, ASSD and overlap Dice, per bone.

Two segmentations of one picture flow in; a ``Comparison`` (one picture) or a ``Summary`` (many) flows out.
Everything is computed in the bones' own boxes. (rlemasklib counts overlaps of its run lengths as fast, but the surface
measures need the pixels, and making its run lengths of these takes longer than the count: benchmarks/bench_rle.py.)

Conventions, where a bone is absent on both sides / on one side:
Dice and IoU 1 / about 0, surface Dice 1 / 0, HD95 and ASSD NaN (nothing to measure) / infinite,
overlap Dice NaN (not in the overlap) / about 0. Means leave out what is not finite; the counts say how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, LabelError, SchemaError
from ossa.radiograph.radiograph import Spacing
from ossa.schema import BoneSchema
from ossa.segmentation.distances import surface_distances
from ossa.segmentation.scores import finite_mean
from ossa.segmentation.segmentation import BoolArray, Region, Segmentation

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

#: The competition's epsilon: Dice = (2 |A and B| + eps) / (|A| + |B| + eps).
EPS = 1e-4

#: Default tolerance of surface Dice, in px (or mm when a spacing is given).
TOLERANCE = 2.0

#: The measures of a comparison, in the order of its table.
METRICS = ("dice", "iou", "surface_dice", "hd95", "assd", "overlap_dice")


def intersection_area(a: Region | None, b: Region | None) -> int:
    """Pixels in both regions."""
    import cv2

    both = None if a is None or b is None else a.shared(b)
    if both is None:
        return 0
    # The sum of the one where the other is: one pass and no third mask, in less than half the time of counting a & b.
    return int(cv2.norm(both[0].view(np.uint8), cv2.NORM_L1, both[1].view(np.uint8)))


def _area(region: Region | None) -> int:
    return 0 if region is None else region.area


def dice(a: Region | None, b: Region | None, eps: float = EPS) -> float:
    """(2 |A and B| + eps) / (|A| + |B| + eps), the competition's formula: 1 when both are absent."""
    return (2 * intersection_area(a, b) + eps) / (_area(a) + _area(b) + eps)


def iou(a: Region | None, b: Region | None, eps: float = EPS) -> float:
    """(|A and B| + eps) / (|A or B| + eps): 1 when both are absent."""
    both = intersection_area(a, b)
    return (both + eps) / (_area(a) + _area(b) - both + eps)


def surface_dice(a: Region | None, b: Region | None, tolerance: float, spacing: Spacing | None = None) -> float:
    """The share of both borders' pixels that lie within ``tolerance`` (px, or mm with ``spacing``) of the other's.

    Normalised surface distance of Nikolov et al. 2018 (arXiv:1809.04430), counted in border pixels as
    MONAI's ``compute_surface_dice`` does. Both absent 1, one absent 0.
    """
    if a is None or b is None:
        return 1.0 if a is b else 0.0
    return _surface_dice(surface_distances(a, b, spacing), _checked(tolerance))


def hd95(a: Region | None, b: Region | None, spacing: Spacing | None = None) -> float:
    """The 95 % Hausdorff distance in px, or mm with ``spacing``.

    The larger of the two directed 95th percentiles (linear interpolation) of the border distances, as
    MONAI's ``compute_hausdorff_distance(percentile=95)``. Both absent NaN, one absent infinite.
    """
    if a is None or b is None:
        return np.nan if a is b else np.inf
    return _hd95(surface_distances(a, b, spacing))


def assd(a: Region | None, b: Region | None, spacing: Spacing | None = None) -> float:
    """The average symmetric surface distance in px, or mm with ``spacing``.

    The mean over the border pixels of both, each to the other's border (Heimann et al. 2009).
    Both absent NaN, one absent infinite.
    """
    if a is None or b is None:
        return np.nan if a is b else np.inf
    return _assd(surface_distances(a, b, spacing))


def _surface_dice(distances: tuple[Values, Values], tolerance: float) -> float:
    near = sum(int(np.count_nonzero(d <= tolerance)) for d in distances)
    return near / sum(len(d) for d in distances)


def _hd95(distances: tuple[Values, Values]) -> float:
    return float(max(np.percentile(d, 95) for d in distances))


def _assd(distances: tuple[Values, Values]) -> float:
    return float(sum(d.sum() for d in distances)) / sum(len(d) for d in distances)


def dice_per_bone(pred: Segmentation, truth: Segmentation, eps: float = EPS) -> Values:
    """(C,) Dice of every bone of the schema, in its order. Its mean over images is the competition's score."""
    _comparable(pred, truth)
    return np.array([dice(pred.get(name), truth.get(name), eps) for name in truth.schema.names])


def overlap_dice(pred: Segmentation, truth: Segmentation, eps: float = EPS) -> Values:
    """(C,) Dice of every bone among the pixels that carry two or more bones, in ``pred`` or in ``truth``.

    NaN for a bone without such a pixel on either side. It tells a model that keeps overlapping bones whole
    from one that gives each pixel to one bone.
    """
    _comparable(pred, truth)
    shared = _shared(pred) | _shared(truth)
    out = np.full(len(truth.schema), np.nan)
    for i, name in enumerate(truth.schema.names):
        a, b = _within(pred.get(name), shared), _within(truth.get(name), shared)
        if a is not None or b is not None:
            out[i] = dice(a, b, eps)
    return out


def _shared(segmentation: Segmentation) -> BoolArray:
    """(H, W): the pixels of two or more bones."""
    once, twice = np.zeros(segmentation.shape, dtype=bool), np.zeros(segmentation.shape, dtype=bool)
    for _, region in segmentation:
        box = (slice(region.top, region.bottom), slice(region.left, region.right))
        twice[box] |= once[box] & region.mask
        once[box] |= region.mask
    return twice


def _within(region: Region | None, plane: BoolArray) -> Region | None:
    if region is None:
        return None
    kept = region.mask & plane[region.top : region.bottom, region.left : region.right]
    return Region(region.top, region.left, kept) if kept.any() else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """The agreement of two segmentations of one picture, bone by bone: every array is (C,) in schema order.

    ``predicted`` and ``annotated`` say which bones are present, with their areas in px. ``hd95``, ``assd``
    and ``tolerance`` (that of ``surface_dice``) are in ``unit``, "px" or "mm"; ``spacing_source`` says where
    the millimetres come from. What absent bones count is said at the top of this module.
    """

    schema: BoneSchema
    tolerance: float
    unit: str
    spacing_source: str | None
    predicted: BoolArray
    annotated: BoolArray
    predicted_area: Counts
    annotated_area: Counts
    dice: Values
    iou: Values
    surface_dice: Values
    hd95: Values
    assd: Values
    overlap_dice: Values

    def rows(self) -> list[dict[str, object]]:
        """One plain dict per bone: its name, presence, areas and metrics."""
        columns = ("predicted", "annotated", "predicted_area", "annotated_area", *METRICS)
        return _rows(self, columns)

    def means(self) -> dict[str, float]:
        """Each metric's mean over the bones for which it is finite; NaN when there is none."""
        return {metric: float(finite_mean(getattr(self, metric), axis=0)) for metric in METRICS}

    def counts(self) -> dict[str, int]:
        """How many bones are on both sides, missed (annotated only), extra (predicted only), on neither."""
        return {
            "both": int(np.count_nonzero(self.predicted & self.annotated)),
            "missed": int(np.count_nonzero(self.annotated & ~self.predicted)),
            "extra": int(np.count_nonzero(self.predicted & ~self.annotated)),
            "absent": int(np.count_nonzero(~self.predicted & ~self.annotated)),
        }


@dataclass(frozen=True, eq=False)
class Summary:
    """Comparisons of ``images`` pictures put together: every array is (C,) in schema order.

    A metric is the mean over the pictures in which it is finite, ``scored`` says how many those are.
    ``both``, ``missed``, ``extra`` and ``absent`` count pictures, as ``Comparison.counts``.
    """

    schema: BoneSchema
    images: int
    tolerance: float
    unit: str
    both: Counts
    missed: Counts
    extra: Counts
    absent: Counts
    dice: Values
    iou: Values
    surface_dice: Values
    hd95: Values
    assd: Values
    overlap_dice: Values
    scored: Mapping[str, Counts]

    def rows(self) -> list[dict[str, object]]:
        """One plain dict per bone: its name, the counts and the metrics."""
        return _rows(self, ("both", "missed", "extra", "absent", *METRICS))

    def means(self) -> dict[str, float]:
        """Each metric's mean over all pairs of picture and bone for which it is finite; NaN when there is none.

        That is ``Scores.mean``, and for ``dice`` the competition's score: a bone that few pictures show counts
        as often as it is shown.
        """
        return {metric: self._mean(getattr(self, metric), self.scored[metric]) for metric in METRICS}

    @staticmethod
    def _mean(values: Values, pairs: Counts) -> float:
        seen = pairs > 0
        return float(np.average(values[seen], weights=pairs[seen])) if seen.any() else float("nan")


def compare(
    pred: Segmentation, truth: Segmentation, tolerance: float = TOLERANCE, spacing: Spacing | None = None
) -> Comparison:
    """All metrics of all bones. ``tolerance`` is in px, or in mm when ``spacing`` is given; so are distances.

    Raises SchemaError when the two have different bones, LabelError when they have different sizes,
    ConfigError for a negative tolerance.

    >>> square = ossa.Region(10, 10, np.ones((20, 20), bool))
    >>> moved = ossa.Region(10, 15, np.ones((20, 20), bool))
    >>> found, truth = (ossa.Segmentation(ossa.load_schema(), (64, 64), {"Radius": r}) for r in (moved, square))
    >>> round(float(ossa.compare(found, truth).dice[truth.schema.index("Radius")]), 3)
    0.75
    """
    _comparable(pred, truth)
    _checked(tolerance)
    names = truth.schema.names
    surface, far, mean = (np.empty(len(names)) for _ in range(3))
    for i, name in enumerate(names):
        a, b = pred.get(name), truth.get(name)
        if a is None or b is None:
            surface[i], far[i], mean[i] = (1.0, np.nan, np.nan) if a is b else (0.0, np.inf, np.inf)
            continue
        distances = surface_distances(a, b, spacing)
        surface[i], far[i], mean[i] = _surface_dice(distances, tolerance), _hd95(distances), _assd(distances)
    both = np.array([intersection_area(pred.get(name), truth.get(name)) for name in names])
    first = np.array([_area(pred.get(name)) for name in names])
    second = np.array([_area(truth.get(name)) for name in names])
    return Comparison(
        schema=truth.schema,
        tolerance=tolerance,
        unit="px" if spacing is None else "mm",
        spacing_source=None if spacing is None else spacing.source,
        predicted=first > 0,
        annotated=second > 0,
        predicted_area=first,
        annotated_area=second,
        dice=(2 * both + EPS) / (first + second + EPS),
        iou=(both + EPS) / (first + second - both + EPS),
        surface_dice=surface,
        hd95=far,
        assd=mean,
        overlap_dice=overlap_dice(pred, truth),
    )


def aggregate(comparisons: Iterable[Comparison]) -> Summary:
    """Put pictures together; a generator is read once and nothing is kept but sums.

    Raises ConfigError when there is none, or when they differ in bones, tolerance or unit.
    """
    first: Comparison | None = None
    images = 0
    sums: dict[str, Values] = {}
    finite: dict[str, Counts] = {}
    seen: dict[str, Counts] = {}
    for comparison in comparisons:
        if first is None:
            first = comparison
            size = len(comparison.schema)
            sums = {metric: np.zeros(size) for metric in METRICS}
            finite = {metric: np.zeros(size, dtype=np.int64) for metric in METRICS}
            seen = {count: np.zeros(size, dtype=np.int64) for count in ("both", "missed", "extra", "absent")}
        _same_kind(first, comparison)
        images += 1
        for metric in METRICS:
            values = getattr(comparison, metric)
            good = np.isfinite(values)
            sums[metric] += np.where(good, values, 0.0)
            finite[metric] += good
        predicted, annotated = comparison.predicted, comparison.annotated
        seen["both"] += predicted & annotated
        seen["missed"] += annotated & ~predicted
        seen["extra"] += predicted & ~annotated
        seen["absent"] += ~predicted & ~annotated
    if first is None:
        raise ConfigError("there is nothing to put together", found="no comparison", expected="at least one picture")
    means = {m: np.where(finite[m] > 0, sums[m] / np.maximum(finite[m], 1), np.nan) for m in METRICS}
    return Summary(
        schema=first.schema,
        images=images,
        tolerance=first.tolerance,
        unit=first.unit,
        both=seen["both"],
        missed=seen["missed"],
        extra=seen["extra"],
        absent=seen["absent"],
        scored=finite,
        **means,
    )


def _rows(table: Comparison | Summary, columns: Iterable[str]) -> list[dict[str, object]]:
    lists = {column: getattr(table, column).tolist() for column in columns}
    return [{"bone": name} | {c: values[i] for c, values in lists.items()} for i, name in enumerate(table.schema.names)]


def _comparable(pred: Segmentation, truth: Segmentation) -> None:
    if pred.schema.names != truth.schema.names:
        raise SchemaError(
            "segmentations of different bones cannot be compared",
            found=f"schema '{pred.schema.name}'",
            expected=f"the bones of '{truth.schema.name}', in its order",
        )
    if pred.shape != truth.shape:
        raise LabelError(
            "segmentations of different sizes cannot be compared",
            found=f"{pred.shape[0]}x{pred.shape[1]}",
            expected=f"{truth.shape[0]}x{truth.shape[1]}",
        )


def _same_kind(first: Comparison, other: Comparison) -> None:
    if first.schema.names != other.schema.names:
        raise ConfigError(
            "comparisons of different bones cannot be put together", found=f"schema '{other.schema.name}'"
        )
    if (first.unit, first.tolerance) != (other.unit, other.tolerance):
        raise ConfigError(
            "comparisons of different units or tolerances cannot be put together",
            found=f"{other.tolerance:g} {other.unit}",
            expected=f"{first.tolerance:g} {first.unit} as in the first",
            remedy="Give every picture's spacing, or none",
        )


def _checked(tolerance: float) -> float:
    if not tolerance >= 0:
        raise ConfigError("the tolerance of surface Dice is out of range", found=tolerance, expected="0 or more")
    return tolerance
