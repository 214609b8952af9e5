"""How far a number may be off: how much it varies over the plausible edges of a bone.

u^2 = (``gain`` * spread)^2 + (``floor`` * size)^2, where spread is the largest change of the number over the plausible
edges and size the root of the bone's area (1 for angles and ratios). Gain and floor of each measurement, by the row of
the bone, were fitted (benchmarks/bench_measure.py --fit) so that +- u holds the truth of 95 of 100 numbers of
predicted phantoms, and are checked on others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from ossa.measurement.definitions import DEFINITIONS
from ossa.segmentation.segmentation import Region, Segmentation

#: What a measurement that was never fitted is taken to have.
_UNFITTED = (2.0, 0.1)

FROM_EDGES = "other edges that the model holds plausible, scaled on phantoms to 95 %"
FROM_PIXELS = "outlines moved by 1 px in and out; how well they were found or drawn is not in it"

#: The row of measurements of a hand.
HAND = "hand"

#: The file of what was fitted: {name: {row: [gain, floor]}}.
_FITTED = "uncertainty.json"


def uncertainty(name: str, row: str, value: float, others: Sequence[float], size: float, judged: bool) -> float | None:
    """Half the width of the 95 % interval of a number; None where nothing tells it.

    ``row``: of the bone in its schema, or HAND; ``others``: the number on the plausible edges; ``size``: the bone's
    size, in the number's unit. ``judged``: the edges are a network's, whose errors were fitted; otherwise the spread
    itself is told.
    """
    spread = max((apart(name, other, value) for other in others), default=None)
    if not judged:
        return spread
    gain, floor = gain_and_floor(fitted(), name, row)
    return float(np.hypot(gain * (spread or 0.0), floor * scaled(name, size)))


def apart(name: str, one: float, other: float) -> float:
    """How far two values of a measurement lie apart; directions go round."""
    difference = one - other
    if name == "axis_angle":
        difference = (difference + 180.0) % 360.0 - 180.0
    return abs(difference)


def scaled(name: str, size: float) -> float:
    """What a floor is multiplied by: errors of lengths grow with the bone, those of angles and ratios do not."""
    quantity = DEFINITIONS[name].quantity
    return size if quantity == "length" else size * size if quantity == "area" else 1.0


Fitted = Mapping[str, Mapping[str, tuple[float, float]]]


def gain_and_floor(known: Fitted, name: str, row: str) -> tuple[float, float]:
    """Those of a measurement in a row; of a row that was not fitted the widest of the measurement's others."""
    rows = known.get(name, {})
    return rows.get(row) or max(rows.values(), key=lambda pair: pair[1], default=_UNFITTED)


@cache
def fitted() -> Fitted:
    """Name -> row -> (gain, floor)."""
    text = files("ossa").joinpath("measurement", _FITTED).read_text(encoding="utf-8")
    return {
        name: {row: (float(gain), float(floor)) for row, (gain, floor) in rows.items()}
        for name, rows in json.loads(text).items()
    }


def moved(segmentation: Segmentation, pixels: int) -> dict[str, Region]:
    """Every bone with its outline ``pixels`` (1 or -1) px further out; one that would vanish is left out."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    out = {}
    for name, region in segmentation:
        framed = np.pad(region.mask.view(np.uint8), 1)
        mask = cv2.dilate(framed, kernel) if pixels > 0 else cv2.erode(framed, kernel)
        found = Region.tight(mask, region.top - 1, region.left - 1)
        if found is not None:
            out[name] = found
    return out
