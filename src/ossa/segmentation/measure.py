"""Lengths, widths, areas and axes of bones, in px, and in mm where the pixel spacing is known.

A Segmentation flows in, one plain ``BoneMeasures`` per bone flows out. Millimetres carry the source of
their spacing: at the detector ("ImagerPixelSpacing") lengths read a few percent too long.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ossa.radiograph.radiograph import Spacing
from ossa.segmentation.distances import border
from ossa.segmentation.segmentation import Region, Segmentation

#: Variance of a pixel's own square along each side, in px^2.
_PIXEL_VARIANCE = 1 / 12


@dataclass(frozen=True, slots=True)
class Extent:
    """A region along its principal axis: ``area``, ``length`` and ``width`` (across), in one unit.

    ``orientation``: degrees from the picture's horizontal to the axis, counter-clockwise as seen, in
    (-90, 90]. ``elongation``: root of the ratio of the second moments; about 1 means that the axis has no
    direction to speak of.
    """

    area: float
    length: float
    width: float
    orientation: float
    elongation: float


@dataclass(frozen=True, slots=True)
class BoneMeasures:
    """One bone: its ``centroid`` (x, y) in px, its extent in ``px`` and, with a known spacing, in ``mm``.

    ``spacing_source`` is that of the millimetres. ``cut`` says that the bone touches the picture's border:
    its length is then a lower bound.
    """

    bone: str
    centroid: tuple[float, float]
    px: Extent
    mm: Extent | None
    spacing_source: str | None
    cut: bool

    def row(self) -> dict[str, object]:
        """Flat and plain, for a table or CSV; the mm columns are None when the spacing is not known."""
        flat: dict[str, object] = {"bone": self.bone, "centroid_x": self.centroid[0], "centroid_y": self.centroid[1]}
        px = asdict(self.px)
        mm: dict[str, float | None] = dict.fromkeys(px) if self.mm is None else dict(asdict(self.mm))
        flat |= {"area_px": px["area"], "length_px": px["length"], "width_px": px["width"]}
        flat |= {"area_mm2": mm["area"], "length_mm": mm["length"], "width_mm": mm["width"]}
        shape = px if self.mm is None else mm
        flat |= {"orientation_degrees": shape["orientation"], "elongation": shape["elongation"]}
        return flat | {"spacing_source": self.spacing_source, "cut": self.cut}


def measure(segmentation: Segmentation, spacing: Spacing | None = None) -> tuple[BoneMeasures, ...]:
    """Every bone that is present, in schema order; in mm too when ``spacing`` is given."""
    height, width = segmentation.shape
    return tuple(
        BoneMeasures(
            bone=name,
            centroid=centroid(region),
            px=extent(region, 1.0, 1.0),
            mm=None if spacing is None else extent(region, spacing.row, spacing.column),
            spacing_source=None if spacing is None else spacing.source,
            cut=region.top == 0 or region.left == 0 or region.bottom == height or region.right == width,
        )
        for name, region in segmentation
    )


def centroid(region: Region) -> tuple[float, float]:
    """The mean (x, y) of the region's pixel centres, in px of the picture."""
    moments = _moments(region)
    return region.left + moments["m10"] / moments["m00"], region.top + moments["m01"] / moments["m00"]


def extent(region: Region, row: float, column: float) -> Extent:
    """The extent of a region whose rows lie ``row`` and columns ``column`` apart (1, 1 for px).

    The axis is the larger eigenvector of the second central moments of its pixels' squares. Length and
    width run between the outermost pixel centres along and across it, plus one pixel.
    """
    moments = _moments(region)
    pixels = moments["m00"]
    xx = (moments["mu20"] / pixels + _PIXEL_VARIANCE) * column * column
    yy = (moments["mu02"] / pixels + _PIXEL_VARIANCE) * row * row
    xy = moments["mu11"] / pixels * column * row
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)  # of the major axis, y down
    middle, radius = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    along, across = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
    edge = border(region)
    x, y = edge.columns * column, edge.rows * row
    length, width = (float(np.ptp(x * dx + y * dy) + np.hypot(dx * column, dy * row)) for dx, dy in (along, across))
    degrees = -float(np.degrees(angle))
    return Extent(
        area=pixels * row * column,
        length=length,
        width=width,
        orientation=degrees if degrees > -90 else degrees + 180,
        elongation=float(np.sqrt((middle + radius) / (middle - radius))),
    )


def _moments(region: Region) -> dict[str, float]:
    import cv2

    found: dict[str, float] = cv2.moments(region.mask.view(np.uint8), binaryImage=True)
    return found
