"""Measurements as JSON and back, so that a table, a page or a DICOM object can be made without measuring again."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from ossa import safety
from ossa.errors import InputError
from ossa.measurement.definitions import DEFINITIONS
from ossa.measurement.types import UCUM, HandMeasurements, Measurement, Stroke
from ossa.radiograph.radiograph import Spacing
from ossa.schema import load_schema
from ossa.segmentation.origin import KEY, Origin

#: Says what a file is, and that a reader knows its layout.
KIND = "ossa measurements 1"


def to_json(hand: HandMeasurements) -> dict[str, Any]:
    """As plain values."""
    spacing = hand.spacing
    return {
        "kind": KIND,
        "hand": hand.name,
        "schema": hand.schema.name,
        "side": hand.side,
        "marked_side": hand.marked,
        "spacing_mm": None if spacing is None else {"row": spacing.row, "column": spacing.column},
        "spacing_source": hand.spacing_source,
        "uncertainty_source": hand.uncertainty_source,
        KEY: None if hand.origin is None else hand.origin.to_json(),
        "notes": list(hand.notes),
        "cut": sorted(hand.cut),
        "confidence": dict(hand.confidence),
        "centroids": {bone: [round(x, 2), round(y, 2)] for bone, (x, y) in hand.centroids.items()},
        "measurements": [_one(one) for one in hand],
    }


def from_json(value: Mapping[str, Any]) -> HandMeasurements:
    """From ``to_json``. Raises InputError for anything else, SchemaError for a schema that is not known."""
    try:
        if value["kind"] != KIND:
            raise ValueError(value["kind"])
        mm, source = value["spacing_mm"], str(value["spacing_source"])
        return HandMeasurements(
            name=str(value["hand"]),
            schema=load_schema(str(value["schema"])),
            measurements=tuple(_measurement(one) for one in value["measurements"]),
            spacing=None if mm is None else Spacing(float(mm["row"]), float(mm["column"]), source),
            side=value["side"],
            marked=value["marked_side"],
            cut=frozenset(map(str, value["cut"])),
            confidence={str(bone): float(sure) for bone, sure in value["confidence"].items()},
            centroids={str(bone): (float(x), float(y)) for bone, (x, y) in value["centroids"].items()},
            uncertainty_source=str(value["uncertainty_source"]),
            origin=Origin.from_json(value.get(KEY)),
            notes=tuple(map(str, value["notes"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        found = f"{type(error).__name__}: {error}"
        raise InputError("are no measurements of a hand", found=found, expected=f"a file of kind '{KIND}'") from error


def write_measurements(path: str | PathLike[str], hand: HandMeasurements) -> None:
    """Write the measurements of one hand, whole or not at all."""
    safety.write_json(path, to_json(hand))


def read_measurements(path: str | PathLike[str]) -> HandMeasurements:
    """Read what ``write_measurements`` wrote. Raises InputError naming the file."""
    value = safety.read_json(path)
    try:
        return from_json(value)
    except InputError as error:
        raise InputError(error.what, path=path, found=error.found, expected=error.expected) from error


def _one(one: Measurement) -> dict[str, Any]:
    out: dict[str, Any] = {"name": one.name, "title": one.definition.title}
    if one.bone is not None:
        out["bone"] = one.bone
    if one.value is None:
        return out | {"value": None, "unit": one.unit, "reason": one.reason}
    out |= {"value": _short(one.value), "uncertainty": _short(one.uncertainty), "unit": one.unit}
    strokes = [[stroke.role, [[round(x, 2), round(y, 2)] for x, y in stroke.points]] for stroke in one.strokes]
    return out | ({"strokes": strokes} if strokes else {})


def _measurement(value: Mapping[str, Any]) -> Measurement:
    name, unit = value["name"], value["unit"]
    if name not in DEFINITIONS or unit not in UCUM:
        raise ValueError(f"{name} in {unit}")
    number, doubt = value["value"], value.get("uncertainty")
    strokes = tuple(
        Stroke(tuple((float(x), float(y)) for x, y in points), role) for role, points in value.get("strokes", ())
    )
    return Measurement(
        name=name,
        bone=value.get("bone"),
        value=None if number is None else float(number),
        uncertainty=None if doubt is None else float(doubt),
        unit=unit,
        reason=value.get("reason"),
        strokes=strokes,
    )


def _short(value: float | None) -> float | None:
    """Six significant digits: more than any of these numbers holds."""
    return None if value is None else float(f"{value:.6g}")
