"""A radiograph as SVG: the picture, a layer per bone, a drawing per measurement; and one measurement by itself.

Everything is said in attributes, none in a stylesheet: what makes a PDF of the page does not look into the page's style
for a drawing. The page's script switches ``display``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.measurement.types import Measurement, Stroke
from ossa.pages.page import data_uri, escape
from ossa.pages.report.content import ReportHand
from ossa.pages.report.words import Words
from ossa.radiograph.display import for_the_eye, jpeg
from ossa.segmentation.outlines import outlines_from_region
from ossa.segmentation.segmentation import Region

Picture = NDArray[np.uint8]
Float = NDArray[np.float64]

#: Longer side of the picture, px; of the picture of one measurement; and the quality of both as JPEG.
LONGEST, PANEL, QUALITY = 1400, 220, 82

#: Of a film with several hands the part around one is shown, with so much of its own size around.
_AROUND = 0.06

#: A picture of one measurement shows this much around it, over its own size, and at least this share of the hand.
_PANEL_AROUND, _PANEL_LEAST = 0.5, 0.12

#: Outlines may leave their pixels by so many px of what is shown.
_TOLERANCE = 0.4

#: What is measured, and what helped.
MEASURED, HELP = "#ffd84d", "#7fd4ff"

#: Lengths of the bar beside the film, mm.
_BARS = (5, 10, 20, 50)


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of a radiograph: ``picture`` and how its px lie: shown = (px - ``start``) * ``scale``."""

    picture: Picture
    start: tuple[float, float]
    scale: tuple[float, float]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return int(self.picture.shape[1]), int(self.picture.shape[0])

    def at(self, points: Iterable[tuple[float, float]] | Float) -> Float:
        """Points (N, 2) of the radiograph, where an integer is the centre of a pixel, in the coordinates of an SVG."""
        where = np.asarray(list(points), dtype=float).reshape(-1, 2)
        return np.asarray((where + 0.5 - self.start) * self.scale)


def shown(hand: ReportHand) -> Shown:
    """The part of the radiograph that the report shows, in square pixels and not too large."""
    grey = for_the_eye(hand.radiograph.pixels)
    top, bottom, left, right = _part(hand)
    sides = hand.radiograph.sides
    tall = 1.0 if sides is None else sides.row / sides.column
    scale = min(1.0, LONGEST / max((bottom - top) * tall, right - left))
    picture = _resized(grey[top:bottom, left:right], (right - left) * scale, (bottom - top) * tall * scale)
    height, width = picture.shape
    return Shown(picture, (left, top), (width / (right - left), height / (bottom - top)))


def _part(hand: ReportHand) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is shown."""
    height, width = hand.radiograph.shape
    regions = list(hand.segmentation.regions.values())
    if not hand.several or not regions:
        return 0, height, 0, width
    top, bottom = min(r.top for r in regions), max(r.bottom for r in regions)
    left, right = min(r.left for r in regions), max(r.right for r in regions)
    around = round(_AROUND * max(bottom - top, right - left))
    return max(0, top - around), min(height, bottom + around), max(0, left - around), min(width, right + around)


def _resized(grey: Picture, width: float, height: float) -> Picture:
    import cv2

    size = (max(1, round(width)), max(1, round(height)))
    smaller = size[0] < grey.shape[1] or size[1] < grey.shape[0]
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


def film(hand: ReportHand, view: Shown, number: int, words: Words) -> str:
    """The radiograph with a layer per bone and, hidden, a drawing per measurement; ``number`` tells hands apart."""
    width, height = view.size
    text = max(width, height) / 75
    line = max(width, height) / 900
    layers, labels = [], []
    for index, bone in enumerate(hand.segmentation.schema.bones, 1):
        region = hand.segmentation.get(bone.name)
        if region is None:
            continue
        colour = _hex(bone.colour)
        layers.append(
            f'<g data-bone="{index}"><title>{escape(words.bone(bone))}</title><path d="{_path(region, view)}" '
            f'fill="{colour}" fill-opacity="0.28" fill-rule="evenodd" stroke="{colour}" stroke-width="{line:.2f}" '
            'stroke-linejoin="round"/></g>'
        )
        labels.append(_label(region, view, index, text))
    drawings = "".join(
        f'<g data-drawing="{escape(one.name)}" data-of="{_index(one, hand)}" display="none">'
        f"{strokes(one.strokes, view, line * 1.6)}</g>"
        for one in hand.measurements
        if one.strokes
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="film" data-hand="{number}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(hand.file)}">'
        f'<image href="{data_uri(jpeg(view.picture, QUALITY))}" width="{width}" height="{height}"/>'
        f'<g data-layers="">{"".join(layers)}</g><g data-drawings="">{drawings}</g>'
        f'<g data-labels="" font-family="sans-serif" font-weight="700" font-size="{text:.1f}" text-anchor="middle">'
        f"{''.join(labels)}</g>{_bar(hand, view, text)}</svg>"
    )


def panel(one: Measurement, view: Shown) -> str:
    """One measurement by itself, enlarged, on its part of the picture; empty where nothing is drawn."""
    if not one.strokes:
        return ""
    points = view.at([point for stroke in one.strokes for point in stroke.points])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = float(np.ptp(points, axis=0).max())
    half = max((1 + _PANEL_AROUND) * reach, _PANEL_LEAST * max(view.size)) / 2
    scale = PANEL / (2 * half)
    import cv2

    matrix = np.array([[scale, 0, PANEL / 2 - scale * middle[0]], [0, scale, PANEL / 2 - scale * middle[1]]])
    # Pixel centres lie at halves in an SVG and at integers for OpenCV.
    matrix_cv = matrix.copy()
    matrix_cv[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    crop = np.asarray(cv2.warpAffine(view.picture, matrix_cv, (PANEL, PANEL), flags=cv2.INTER_AREA), np.uint8)
    scales = (scale * view.scale[0], scale * view.scale[1])
    start = (view.start[0] - matrix[0, 2] / scales[0], view.start[1] - matrix[1, 2] / scales[1])
    inside = Shown(crop, start, scales)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="panel" viewBox="0 0 {PANEL} {PANEL}" role="img" '
        f'aria-label="{escape(one.definition.title)}"><image href="{data_uri(jpeg(crop, 70))}" width="{PANEL}" '
        f'height="{PANEL}"/>{strokes(one.strokes, inside, 1.8)}</svg>'
    )


def strokes(lines: Sequence[Stroke], view: Shown, line: float) -> str:
    """What is measured bold with its ends, on a dark rim; what helped thin and below."""
    out = []
    for stroke in sorted(lines, key=lambda one: one.role == "measured"):
        points = view.at(stroke.points)
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        if stroke.role == "help":
            out.append(f'<polyline points="{way}" fill="none" stroke="{HELP}" stroke-width="{line * 0.6:.2f}"/>')
            continue
        for wide, ink in ((line * 2.2, "#000"), (line, MEASURED)):
            out.append(f'<polyline points="{way}" fill="none" stroke="{ink}" stroke-width="{wide:.2f}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{line * 1.5:.2f}" fill="{MEASURED}"/>' for x, y in points]
    return "".join(out)


def _index(one: Measurement, hand: ReportHand) -> int:
    """Number of a measurement's bone in the report, 0 for the hand."""
    return 0 if one.bone is None else hand.segmentation.schema.index(one.bone) + 1


def _path(region: Region, view: Shown) -> str:
    """A region's outline, with its holes, as the data of an SVG path."""
    import cv2

    parts = []
    for outline in outlines_from_region(region):
        for ring in outline.rings:
            points = view.at(ring).astype(np.float32)
            few = cv2.approxPolyDP(points[:, None], _TOLERANCE, True)[:, 0]
            kept = few if len(few) >= 3 else points
            parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in kept) + "Z")
    return "".join(parts)


def _label(region: Region, view: Shown, number: int, size: float) -> str:
    """A bone's number, at the middle of its pixels."""
    rows, columns = np.nonzero(region.mask)
    (x, y) = view.at([(region.left + float(columns.mean()), region.top + float(rows.mean()))])[0]
    where = f'x="{x:.1f}" y="{y + size * 0.35:.1f}"'
    rim = f'<text {where} fill="none" stroke="#000" stroke-opacity="0.75" stroke-width="{size / 5:.1f}">{number}</text>'
    return f'<g data-label="{number}">{rim}<text {where} fill="#fff">{number}</text></g>'


def _bar(hand: ReportHand, view: Shown, size: float) -> str:
    """A bar of so many mm at the lower left, where millimetres are known."""
    spacing = hand.measurements.spacing
    if spacing is None:
        return ""
    width, height = view.size
    per_mm = view.scale[0] / spacing.column
    mm = min(_BARS, key=lambda one: abs(one * per_mm - width / 6))
    left, low, long = size, height - size, mm * per_mm
    return (
        f'<rect x="{left - size * 0.4:.1f}" y="{low - size * 1.6:.1f}" width="{long + size * 0.8:.1f}" '
        f'height="{size * 2:.1f}" fill="#000" fill-opacity="0.55"/>'
        f'<rect x="{left:.1f}" y="{low - size * 0.2:.1f}" width="{long:.1f}" height="{size * 0.2:.1f}" fill="#fff"/>'
        f'<text x="{left + long / 2:.1f}" y="{low - size * 0.45:.1f}" font-family="sans-serif" '
        f'font-size="{size:.1f}" text-anchor="middle" fill="#fff">{mm} mm</text>'
    )


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
