"""Measurements as plain rows, a row per bone or per hand, and as JSON values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ossa.measurement.types import Measurement


def rounded(value: float | None) -> float | None:
    """Six significant digits: more than any of these numbers holds."""
    return None if value is None else float(f"{value:.6g}")


def stroke_points(one: Measurement) -> list[dict[str, Any]]:
    """What to draw as JSON values: points x, y in px of the picture."""
    return [
        {"role": stroke.role, "points": [[round(x, 2), round(y, 2)] for x, y in stroke.points]}
        for stroke in one.strokes
    ]


def reasons_of(measurements: Iterable[Measurement]) -> str:
    """Why numbers are missing, each reason once with what it concerns."""
    told: dict[str, list[str]] = {}
    for one in measurements:
        if one.reason is not None:
            told.setdefault(one.reason, []).append(one.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in told.items())
