"""How far a number may be off: from how it changes over the edges that a bone may as well have.

u^2 = (``gain`` * spread)^2 + (``floor`` * size)^2, where spread is the largest change of the number over the plausible
edges and size the root of the bone's area (1 for angles and ratios). Gain and floor of each measurement were fitted
(benchmarks/bench_measure.py --fit) so that +- u holds the truth of 95 of 100 numbers of predicted phantoms, and are
checked on others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from ossa.measurement.definitions import DEFINITIONS
from ossa.segmentation.segmentation import Region, Segmentation

FROM_EDGES = "edges at probabilities .3 to .7 and of another look, scaled on phantoms to 95 %"
FROM_PIXELS = "outlines moved by 1 px in and out; how well they were found or drawn is not in it"

#: The file of what was fitted: {name: [gain, floor]}.
_FITTED = "uncertainty.json"


def uncertainty(name: str, value: float, others: Sequence[float], size: float, judged: bool) -> float | None:
    """Half the width of the 95 % interval of a number; None where nothing tells it.

    ``others``: the number on the plausible edges; ``size``: the bone's size, in the number's unit. ``judged``: the
    edges are a network's, whose errors were fitted; otherwise the spread itself is told.
    """
    spread = max((apart(name, other, value) for other in others), default=None)
    if not judged:
        return spread
    gain, floor = fitted().get(name, (2.0, 0.0))
    least = floor * scaled(name, size)
    return float(np.hypot(gain * (spread or 0.0), least))


def apart(name: str, one: float, other: float) -> float:
    """How far two values of a measurement lie apart; directions go round."""
    difference = one - other
    if name == "axis_angle":
        difference = (difference + 180.0) % 360.0 - 180.0
    return abs(difference)


def scaled(name: str, size: float) -> float:
    """What a floor is multiplied by: errors of lengths grow with the bone, those of angles and ratios do not."""
    return {"length": size, "area": size * size}.get(DEFINITIONS[name].quantity, 1.0)


@cache
def fitted() -> Mapping[str, tuple[float, float]]:
    """Name -> (gain, floor)."""
    text = files("ossa").joinpath("measurement", _FITTED).read_text(encoding="utf-8")
    return {name: (float(gain), float(floor)) for name, (gain, floor) in json.loads(text).items()}


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
