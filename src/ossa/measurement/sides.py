"""Left against right: what differs between the two hands of a person."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ossa.errors import ConfigError
from ossa.measurement.types import HandMeasurements, Measurement

#: Directions in the picture say how a hand was laid down, not what it is like.
_OF_THE_PICTURE = frozenset({"axis_angle"})

#: Columns of ``Difference.row``.
COLUMNS = (
    "left_hand", "right_hand", "bone", "title", "measurement", "left", "right", "difference", "uncertainty", "percent",
    "unit", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One measurement of both hands. ``value``: left less right, in the unit of both; ``uncertainty`` as a
    Measurement's; ``percent`` of the mean of both, None for angles. ``reason``: why there is no value.
    """

    left: Measurement
    right: Measurement
    value: float | None = None
    uncertainty: float | None = None
    percent: float | None = None
    reason: str | None = None

    @property
    def clear(self) -> bool:
        """Whether the difference is larger than what may be chance."""
        return self.value is not None and self.uncertainty is not None and abs(self.value) > self.uncertainty

    def row(self, left: HandMeasurements, right: HandMeasurements) -> dict[str, Any]:
        """Flat and plain, with the columns of ``COLUMNS``."""
        return {
            "left_hand": left.name,
            "right_hand": right.name,
            "bone": self.left.bone or "",
            "title": "" if self.left.bone is None else left.schema.bone(self.left.bone).title,
            "measurement": self.left.name,
            "left": self.left.value,
            "right": self.right.value,
            "difference": self.value,
            "uncertainty": self.uncertainty,
            "percent": self.percent,
            "unit": self.left.unit,
            "reason": self.reason or "",
        }


def compare_sides(left: HandMeasurements, right: HandMeasurements, same_film: bool = False) -> tuple[Difference, ...]:
    """Every measurement of the left hand against the right hand's, directions in the picture left out.

    Lengths in px compare only on one film (``same_film``). Raises ConfigError when the bones of the two do not show a
    left and a right hand.
    """
    if (left.side, right.side) != ("L", "R"):
        raise ConfigError(
            "a left and a right hand are compared, and these are not",
            found=f"{left.name}: {left.side or 'side not told'}; {right.name}: {right.side or 'side not told'}",
            expected="bones that lie as in a left hand, and as in a right one",
            remedy="Look whether one of the films is mirrored",
        )
    return tuple(_differences(left, right, same_film))


def _differences(left: HandMeasurements, right: HandMeasurements, same_film: bool) -> Iterator[Difference]:
    for one in left:
        other = right.get(one.name, one.bone)
        if other is None or one.name in _OF_THE_PICTURE:
            continue
        if one.value is None or other.value is None:
            missing = " and ".join(
                f"{side}: {each.reason}" for side, each in (("left", one), ("right", other)) if each.value is None
            )
            yield Difference(one, other, reason=missing)
        elif one.unit != other.unit:
            yield Difference(one, other, reason=f"left in {one.unit}, right in {other.unit}")
        elif one.unit in ("px", "px2") and not same_film:
            yield Difference(one, other, reason="px of two films cannot be compared: their spacing is not known")
        else:
            value = one.value - other.value
            doubt = math.hypot(one.uncertainty or 0.0, other.uncertainty or 0.0)
            mean = (one.value + other.value) / 2
            percent = None if one.unit == "degrees" or abs(mean) < 1e-9 else 100 * value / abs(mean)
            yield Difference(one, other, value, doubt, percent)
