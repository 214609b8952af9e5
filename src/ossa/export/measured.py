"""Measurements drawn on the radiograph they were taken on: each line is as long as its number, aids are thin."""

from __future__ import annotations

from os import PathLike

import numpy as np
from numpy.typing import NDArray

from ossa.errors import OutputError
from ossa.export.margins import with_legend, with_lines
from ossa.export.overlay import grey_picture, write_picture
from ossa.measurement.types import HandMeasurements, Measurement, Stroke
from ossa.radiograph.radiograph import Radiograph

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

#: Colours of the measurements of a hand, in the order in which they are told.
COLOURS: tuple[Colour, ...] = (
    (255, 140, 60), (255, 225, 80), (110, 220, 90), (60, 200, 190), (90, 180, 255), (190, 140, 255),
    (255, 110, 190), (255, 90, 90), (240, 240, 240), (170, 220, 255), (200, 200, 90),
)  # fmt: skip

#: What is drawn of every bone; the other numbers of bones stand in the tables alone.
DRAWN = ("length", "width", "width_base", "width_middle", "width_head", "joint_space", "cortical_thickness")

#: What rests on lines that are drawn already.
NOT_DRAWN = ("carpal_height_ratio", "carpal_height_ratio_nattrass", "metacarpal_index")

_DARK: Colour = (0, 0, 0)

#: Lines are one pixel per this many pixels of the picture's longer side.
_LINE_PER = 900

#: A picture of one measurement shows this much around it, over its own size, and at least so many px across.
_AROUND, _LEAST = 0.6, 240


def draw_measurements(radiograph: Radiograph, hand: HandMeasurements) -> Picture:
    """(H, W', 3) uint8 RGB: the radiograph with all lines on it, the numbers of the hand beside it, notes above.

    Lengths and widths of a bone have the bone's colour, each measurement of the hand has its own. Raises OutputError
    when a line lies outside of the radiograph: it belongs to another one.
    """
    picture = grey_picture(radiograph)
    for one in hand:
        if one.bone is not None and one.name in DRAWN:
            draw(picture, one, hand.schema.bone(one.bone).colour)
    legend: list[tuple[str, Colour]] = []
    for one, colour in zip(hand.of_hand(), COLOURS, strict=False):
        if one.name not in NOT_DRAWN:
            draw(picture, one, colour)
        legend.append((plain(f"{one.definition.title}: {one.text}"), colour))
    for bone in hand.schema.bones:
        length = hand.get("length", bone.name)
        if length is not None:
            legend.append((plain(f"{bone.title}: {length.text}"), bone.colour))
    return with_lines(with_legend(picture, legend), hand.notes)


def write_measured(path: str | PathLike[str], radiograph: Radiograph, hand: HandMeasurements) -> None:
    """Write ``draw_measurements`` to a .png or .jpg file."""
    write_picture(path, draw_measurements(radiograph, hand))


def draw(picture: Picture, one: Measurement, colour: Colour, thickness: int | None = None) -> None:
    """Draw one measurement on an (H, W, 3) RGB picture, in place: what is measured bold, with its ends; aids thin."""
    thick = thickness or max(1, round(max(picture.shape[:2]) / _LINE_PER))
    for stroke in sorted(one.strokes, key=lambda s: s.role == "measured"):
        _check(picture, stroke)
        _line(picture, stroke, colour, thick)


def panel(radiograph: Radiograph, one: Measurement, side: int, colour: Colour = COLOURS[1]) -> Picture:
    """(side, side, 3) RGB: the part of a radiograph in which one measurement lies, enlarged, with it alone drawn."""
    import cv2

    points = np.array([point for stroke in one.strokes for point in stroke.points])
    if not len(points):
        raise OutputError("there is nothing to draw", found=str(one), expected="a measurement with a value")
    middle, reach = (points.min(axis=0) + points.max(axis=0)) / 2, float(np.ptp(points, axis=0).max())
    half = max((1 + _AROUND) * reach, _LEAST) / 2
    scale = side / (2 * half)
    matrix = np.array([[scale, 0, side / 2 - scale * middle[0]], [0, scale, side / 2 - scale * middle[1]]])
    crop = cv2.warpAffine(grey_picture(radiograph), matrix, (side, side), flags=cv2.INTER_LINEAR)
    moved = tuple(
        Stroke(tuple((float(x), float(y)) for x, y in np.array(s.points) @ matrix[:, :2].T + matrix[:, 2]), s.role)
        for s in one.strokes
    )
    out = np.asarray(crop, np.uint8)
    for stroke in sorted(moved, key=lambda s: s.role == "measured"):
        _line(out, stroke, colour, 2)
    return out


def plain(text: str) -> str:
    """A text in letters that OpenCV draws."""
    return text.replace("°", " deg").replace("²", "2")


def _line(picture: Picture, stroke: Stroke, colour: Colour, thick: int) -> None:
    import cv2

    # In sixteenths of a px.
    points = np.rint(np.array(stroke.points) * 16).astype(np.int32)
    if stroke.role == "help":
        cv2.polylines(picture, [points], False, colour, max(1, thick // 2), cv2.LINE_AA, 4)
        return
    for wide, ink in ((2 * thick + 1, _DARK), (thick, colour)):
        cv2.polylines(picture, [points], False, ink, wide, cv2.LINE_AA, 4)
    for x, y in points:
        cv2.circle(picture, (int(x), int(y)), 16 * (thick + 1), colour, -1, cv2.LINE_AA, 4)


def _check(picture: Picture, stroke: Stroke) -> None:
    """A line may leave the picture a little (where tangents meet), but not lie outside of it."""
    height, width = picture.shape[:2]
    inside = [-1 <= x <= width and -1 <= y <= height for x, y in stroke.points]
    if stroke.role == "measured" and not any(inside):
        raise OutputError(
            "these measurements were not taken on this picture",
            found=f"a line at {stroke.points[0]}",
            expected=f"inside {width} x {height} px",
        )
