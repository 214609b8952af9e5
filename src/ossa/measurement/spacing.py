"""Millimetres that the user vouches for: a spacing, or a thing of known length on the film. Each carries its source."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ossa.errors import ConfigError
from ossa.radiograph.radiograph import Radiograph, Spacing

#: Sides of a pixel in mm that are believed: micro-focus magnification below, a portal imager above (as in DICOM files).
SMALLEST, LARGEST = 0.001, 10.0


@dataclass(frozen=True, slots=True)
class KnownLength:
    """Two places (x, y in px) on a film that lie ``mm`` apart: the ends of a ruler, the rim of a coin.

    A ruler at the detector tells millimetres there: bones, which lie above it, are magnified against it by a few
    percent.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    mm: float


def spacing_by_user(row: float, column: float | None = None) -> Spacing:
    """Millimetres per pixel as the user gives them, square ones unless ``column`` is given too.

    Raises ConfigError for what is no size of a pixel.

    >>> spacing_by_user(0.15)
    Spacing(row=0.15, column=0.15, source='user')
    """
    sides = (row, row if column is None else column)
    if not all(SMALLEST <= side <= LARGEST for side in sides):  # no NaN passes
        raise ConfigError(
            "the spacing is no size of a pixel",
            found=" x ".join(f"{side:g}" for side in sides) + " mm",
            expected=f"{SMALLEST:g} to {LARGEST:g} mm between the centres of neighbouring pixels",
            remedy="Leave --spacing out where it is not known: lengths are then in px",
        )
    return Spacing(*sides, "user")


def spacing_from(known: KnownLength, radiograph: Radiograph) -> Spacing:
    """Millimetres per pixel of a film from a thing of known length on it.

    The shape of a pixel is the picture's own where it is known, else square. Raises ConfigError for places outside of
    the picture, for two that are (nearly) the same, and for a length that is none.
    """
    height, width = radiograph.shape
    for x, y in (known.start, known.end):
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise ConfigError(
                "an end of the known length lies outside of the picture",
                path=radiograph.provenance.path,
                found=f"{x:g}, {y:g}",
                expected=f"x of 0 to {width - 1} and y of 0 to {height - 1}",
            )
    sides = radiograph.sides
    tall = 1.0 if sides is None else sides.row / sides.column
    apart = math.hypot(known.end[0] - known.start[0], (known.end[1] - known.start[1]) * tall)
    if apart < 10.0 or not (math.isfinite(known.mm) and known.mm > 0):
        raise ConfigError(
            "the known length gives no spacing",
            path=radiograph.provenance.path,
            found=f"{known.mm:g} mm between places {apart:.1f} px apart",
            expected="a length above 0 mm between two places at least 10 px apart",
        )
    column = known.mm / apart
    found = spacing_by_user(column * tall, column)
    return Spacing(found.row, found.column, f"known length of {known.mm:g} mm")


def chosen_spacing(
    radiograph: Radiograph, given: Spacing | None = None, known: KnownLength | None = None
) -> tuple[Spacing | None, tuple[str, ...]]:
    """The spacing to measure by and what has to be said of it: the user's before the file's.

    A file that says otherwise by more than a tenth is told: one of the two is wrong.
    """
    chosen = given if known is None else spacing_from(known, radiograph)
    said = radiograph.spacing
    if chosen is None:
        return said, ()
    if said is None or abs(math.log(chosen.column / said.column)) <= math.log(1.1):
        return chosen, ()
    note = (
        f"the spacing given is {chosen.column:.4g} mm, the file says {said.column:.4g} mm ({said.source}): "
        "the one given was used"
    )
    return chosen, (note,)
