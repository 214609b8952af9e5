"""Single faults of a label: two neighbours exchanged, or one bone out of its place, where all others are right.

What ``misplaced`` sees from the whole hand is told before; here bones are seen from their neighbours (``neighbours``),
and with the picture's help: a finger's bone that is drawn beside itself lies on no bright bone, or on another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ossa.hand.align import Complex
from ossa.hand.geometry import Float, Geometry
from ossa.hand.neighbours import Neighbours
from ossa.schema import BoneSchema
from ossa.segmentation.compare import intersection_area
from ossa.segmentation.segmentation import Region

Told = Iterator[tuple[str, str, Sequence[str]]]

# Chosen on 200 of the phantoms that the neighbours are fitted to; what they find in others: benchmarks/bench_audit.py.
#: Oddness (spreads) from which a bone is out of its place whatever the picture shows.
ODD = 6.0
#: Oddness that is enough where the picture speaks against the bone too, and where it lies on another bone.
DARK_ODD, OVER_ODD = 1.5, 2.0
#: Least contrast to its surroundings, as a share of the median of the hand's digits, that a bone of each row has.
CONTRAST = {"distal": 0.12, "middle": 0.33, "proximal": 0.3, "metacarpal": 0.25, "carpal": -0.2}
#: A phalanx lies on another bone of a digit when this share of the smaller is covered; in a hand that is seen from its
#: side or with bent fingers many do, and none is told.
OVER, OVER_AT_ALL, OVER_MOST = 0.35, 0.2, 2
#: How much less odd (squared spreads, summed over all bones) a hand must become by exchanging two names.
GAIN = 25.0
#: Bones from the thumb's side to the little finger's: the way across the palm, by the first pair that is there.
_ACROSS = (("Scaphoid", "Triquetrum"), ("Trapezoid", "Hamate"), ("Radius", "Ulna"))
#: A bone's squared oddness counts no more than this in that sum.
_CAP = 64.0


def exchanged_findings(points: Complex, model: Neighbours) -> Told:
    """(kind, sentence, bones) for the two bones whose exchange makes the hand most usual, where it makes it much so."""
    schema = model.schema
    before = _sum(model, points)
    best = (0.0, -1, -1)
    for i, j in _pairs(schema):
        if np.isfinite(points[i]) and np.isfinite(points[j]):
            trial = points.copy()
            trial[[i, j]] = points[[j, i]]
            best = max(best, (before - _sum(model, trial), i, j))
    gain, i, j = best
    if gain > GAIN:
        a, b = schema.names[i], schema.names[j]
        yield (
            "misplaced",
            f"{a} and {b} seem to be exchanged: each lies in the other's place among its neighbours",
            (a, b),
        )


def metacarpal_findings(measured: Geometry) -> Told:
    """(kind, sentence, bones) for the two metacarpals of digits 2 to 5 that lie the wrong way round across the palm.

    Also where the film cuts them off, as on films of the wrist. In 560 phantoms of every view no pair comes nearer to
    that than a quarter of their width. More than one pair the wrong way round is left to what sees the whole hand.
    """
    schema, centre = measured.schema, measured.centre
    bones = [i for i, b in enumerate(schema.bones) if b.row == "metacarpal" and b.digit is not None and b.digit > 1]
    bones = sorted((i for i in bones if measured.found[i]), key=lambda i: schema.bones[i].digit or 0)
    across = next(
        (
            centre[schema.index(b)] - centre[schema.index(a)]
            for a, b in _ACROSS
            if a in schema and b in schema and measured.found[[schema.index(a), schema.index(b)]].all()
        ),
        None,
    )
    if across is None or len(bones) < 3:
        return
    order = np.diff(centre[bones] @ across)
    wrong = np.flatnonzero(order < 0)
    if len(wrong) == 1:
        a, b = (schema.names[bones[k]] for k in (wrong[0], wrong[0] + 1))
        yield "misplaced", f"{a} and {b} seem to be exchanged: they lie the wrong way round across the palm", (a, b)


def displaced_findings(
    odd: Float, schema: BoneSchema, regions: Mapping[str, Region], contrasts: Mapping[str, float]
) -> Told:
    """(kind, sentence, bones) for bones out of their place.

    ``odd`` (C,): how odd each lies among its neighbours, as against the hand's other bones (``neighbours.pose``);
    ``contrasts``: bone -> its grey less its surroundings'.
    """
    digits = [contrast for name, contrast in contrasts.items() if schema.bone(name).digit is not None]
    usual = float(np.median(digits or list(contrasts.values()))) if contrasts else math.nan
    over = _over(schema, regions)
    many = sum(share > OVER_AT_ALL for share in over.values()) > OVER_MOST
    for name in regions:
        z = float(odd[schema.index(name)])
        least = CONTRAST.get(schema.bone(name).row)
        dark = least is not None and usual > 0 and contrasts.get(name, math.inf) < least * usual
        if z > ODD:
            yield "misplaced", f"{name} lies off its place among its neighbours", (name,)
        elif dark and z > DARK_ODD:
            yield "misplaced", f"{name} lies a little off, and where the picture shows no bone", (name,)
        elif over.get(name, 0.0) > OVER and z > OVER_ODD and not many and schema.bone(name).row != "metacarpal":
            yield "misplaced", f"{name} lies a little off, and on another bone of the digits", (name,)


def _sum(model: Neighbours, points: Complex) -> float:
    return float(np.nansum(np.minimum(model.oddness(points) ** 2, _CAP)))


def _pairs(schema: BoneSchema) -> list[tuple[int, int]]:
    """Bones that a person may take for each other: carpals, the same bone of two digits, neighbours along a digit."""
    bones = list(enumerate(schema.bones))
    out = []
    for i, a in bones:
        for j, b in bones[i + 1 :]:
            carpals = a.row == b.row == "carpal"
            if carpals or (a.digit is not None and b.digit is not None and (a.row == b.row or a.digit == b.digit)):
                out.append((i, j))
    return out


def _over(schema: BoneSchema, regions: Mapping[str, Region]) -> dict[str, float]:
    """Bone of a digit -> the largest share, of the smaller of two, that it has in common with another one."""
    digits = [(name, region) for name, region in regions.items() if schema.bone(name).digit is not None]
    out = dict.fromkeys((name for name, _ in digits), 0.0)
    for i, (first, one) in enumerate(digits):
        for second, other in digits[i + 1 :]:
            share = intersection_area(one, other) / max(1, min(one.area, other.area))
            out[first], out[second] = max(out[first], share), max(out[second], share)
    return out
