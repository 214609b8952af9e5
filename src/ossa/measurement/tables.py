"""Measurements as the rows of two tables: one row per bone, one row per hand.

Every number has three columns, NAME, NAME_uncertainty and (in a row's ``reasons``) why it is missing. Every row names
its hand, the source of its millimetres, what its uncertainties rest on and, where that is told, who found the bones.
Lengths of a row are in its ``unit``, areas in the square of it, angles in degrees; ratios have none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ossa.measurement.definitions import DEFINITIONS
from ossa.measurement.types import HandMeasurements, Measurement

_BONE = tuple(name for name, one in DEFINITIONS.items() if one.of == "bone")
_HAND = tuple(name for name, one in DEFINITIONS.items() if one.of == "hand")


def _columns(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(column for name in names for column in (name, f"{name}_uncertainty"))


_COMMON = ("spacing_mm", "spacing_source", "uncertainty_source", "made_by")

#: Columns of ``bone_rows``.
BONE_COLUMNS = (
    "hand", "side", "bone", "title", "found", "cut", "confidence", "centroid_x_px", "centroid_y_px", "unit",
    *_columns(_BONE), "reasons", *_COMMON,
)  # fmt: skip

#: Columns of ``hand_row``.
HAND_COLUMNS = (
    "hand", "side", "marked_side", "bones_found", "unit", *_columns(_HAND), "reasons", "notes", *_COMMON,
)  # fmt: skip


def bone_rows(hand: HandMeasurements) -> Iterator[dict[str, Any]]:
    """A row for each bone of the schema, found or not."""
    for bone in hand.schema.bones:
        numbers = hand.of_bone(bone.name)
        centre = hand.centroids.get(bone.name)
        yield {
            "hand": hand.name,
            "side": hand.side,
            "bone": bone.name,
            "title": bone.title,
            "found": centre is not None,
            "cut": bone.name in hand.cut,
            "confidence": hand.confidence.get(bone.name),
            "centroid_x_px": None if centre is None else round(centre[0], 2),
            "centroid_y_px": None if centre is None else round(centre[1], 2),
            **_numbers(numbers),
            **_common(hand),
        }


def hand_row(hand: HandMeasurements) -> dict[str, Any]:
    """The row of one hand."""
    return {
        "hand": hand.name,
        "side": hand.side,
        "marked_side": hand.marked,
        "bones_found": len(hand.centroids),
        **_numbers(hand.of_hand()),
        "notes": "; ".join(hand.notes),
        **_common(hand),
    }


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A CSV with a header; what is not known is empty, numbers have six significant digits."""
    out = io.StringIO()
    table = csv.DictWriter(out, columns, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({key: _cell(value) for key, value in row.items()})
    return out.getvalue()


def _numbers(numbers: Sequence[Measurement]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for one in numbers:
        out |= {one.name: one.value, f"{one.name}_uncertainty": one.uncertainty}
    return out | {"reasons": _reasons(numbers)}


def _common(hand: HandMeasurements) -> dict[str, Any]:
    spacing = hand.spacing
    sides = [] if spacing is None else [spacing.row, spacing.column]
    return {
        "unit": "px" if spacing is None else "mm",
        "spacing_mm": " x ".join(f"{side:g}" for side in dict.fromkeys(sides)),
        "spacing_source": hand.spacing_source,
        "uncertainty_source": hand.uncertainty_source,
        "made_by": hand.made_by,
    }


def _reasons(numbers: Iterable[Measurement]) -> str:
    """Why numbers are missing, each reason once with what it concerns."""
    told: dict[str, list[str]] = {}
    for one in numbers:
        if one.reason is not None:
            told.setdefault(one.reason, []).append(one.name)
    if len(told) == 1 and len(next(iter(told.values()))) == len(list(numbers)):
        return next(iter(told))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in told.items())


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is quoted; a line break would end the row's line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = " ".join(str(value).splitlines())
    return f"'{text}" if text[:1] in ("=", "+", "@", "\t") else text
