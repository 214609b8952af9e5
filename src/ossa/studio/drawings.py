"""The lines of measurements, as a page draws them."""

from __future__ import annotations

from typing import Any

from ossa.measurement.types import HandMeasurements


def drawings(hand: HandMeasurements) -> list[dict[str, Any]]:
    """The lines of every measurement that has a value: those that are measured, and a place for the number."""
    out = []
    for one in hand:
        lines = [[[round(x, 2), round(y, 2)] for x, y in s.points] for s in one.strokes if s.role == "measured"]
        if one.value is None or not lines:
            continue
        points = [point for line in lines for point in line]
        middle = [round(sum(p[i] for p in points) / len(points), 2) for i in (0, 1)]
        out.append({"measurement": one.name, "bone": one.bone, "lines": lines, "text": one.text, "at": middle})
    return out
