"""Whether the outlined bones of one hand lie where those bones lie: reversed, exchanged and misplaced labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ossa.hand.align import Aligned, align
from ossa.hand.bones import CARPALS, DISTAL_CARPALS, PROXIMAL_CARPALS, row
from ossa.hand.geometry import Geometry
from ossa.hand.sides import CERTAIN, side_pairs, votes
from ossa.hand.usual import Usual
from ossa.schema import BoneSchema
from ossa.segmentation.compare import intersection_area, iou
from ossa.segmentation.segmentation import Region

Told = Iterator[tuple[str, str, Sequence[str]]]
Bones = NDArray[np.bool_]

#: Distance (spreads) from which a bone counts as misplaced when another bone's place is much nearer, and from which
#: it does wherever it lies. Of 300 correct phantoms of all poses 2 have a bone beyond either, and 88 % of exchanged
#: pairs of fingers are found; at 3 and 8 it is 4 of 300.
ELSEWHERE, NOWHERE = 3.5, 9.0
#: "Much nearer": this share of the distance to its own place.
NEARER = 0.6
#: The median distance (spreads) of the bones of a right hand in a usual pose: that of a Rayleigh distribution.
RIGHT = 1.18
#: Two bones are in one place when they overlap by this IoU.
TOGETHER = 0.6
#: The pisiform is on the ulna when this share of it is.
ON_ULNA = 0.3

#: An area is wrong beyond this factor and this many standard deviations.
AREA_FACTOR, AREA_SPREADS = 2.5, 5.0

#: A bone with this share of its area is not cut, whatever its outline runs along.
WHOLE = 0.65


def _exchanged(first: Sequence[str], second: Sequence[str]) -> dict[str, str]:
    pairs = list(zip(first, second, strict=True))
    return {**dict(pairs), **{b: a for a, b in pairs}}


def _orders(schema: BoneSchema) -> dict[str, dict[str, str]]:
    """Sentence -> what the labels really are, for the mistakes that concern many labels at once."""
    names = schema.names
    digits = [tuple(b.name for b in schema.bones if b.digit == d) for d in range(1, 6)]
    fingers = tuple(name for digit in digits for name in digit)
    thumb, little = digits[0], digits[4]
    orders = {
        "all labels seem to be in reverse order": _exchanged(names, names[::-1]),
        f"the finger labels seem to be in reverse order ({fingers[-1]} to {fingers[0]})": _exchanged(
            fingers, fingers[::-1]
        ),
        "the digits seem to be counted from the little finger": _exchanged(
            (*thumb, *digits[1], *digits[2]), (little[0], *little[2:], *digits[3], *digits[2])
        ),
        "the bones of each digit seem to be counted from the wrist": {
            name: bone for digit in digits for name, bone in zip(digit, digit[::-1], strict=True)
        },
        "the two carpal rows seem to be exchanged": _exchanged(DISTAL_CARPALS, PROXIMAL_CARPALS),
        "the carpal labels seem to be in reverse order": _exchanged(CARPALS, CARPALS[::-1]),
        "the distal carpal row seems to be labelled from the other side": _exchanged(
            DISTAL_CARPALS, DISTAL_CARPALS[::-1]
        ),
        "the proximal carpal row seems to be labelled from the other side": _exchanged(
            PROXIMAL_CARPALS[:3], PROXIMAL_CARPALS[2::-1]
        ),
        "Radius and Ulna seem to be exchanged": _exchanged(("Radius",), ("Ulna",)),
    }
    return {told: order for told, order in orders.items() if all(name in schema for name in order)}


def placement_findings(
    measured: Geometry, regions: Mapping[str, Region], laid: Aligned, usual: Usual, pose: float = 1.0
) -> Told:
    """(kind, sentence, bones) for labels in a wrong order and for bones that lie where they cannot.

    ``measured`` holds the bones whose place is to be judged, ``laid`` the usual hand over them; ``pose`` is how much
    odder than usual the hand's bones lie to each other (``neighbours.pose``).
    """
    names = measured.schema.names
    suspected = {**misplaced(laid, regions), **_crossed(measured)}
    if len(suspected) >= 2:
        order = _better_order(measured, regions, usual, len(suspected))
        if order is not None:
            sentence, bones = order
            yield "reversed", sentence, bones
            return
    lenience = max(1.0, float(np.nanmedian(laid.z)) / RIGHT, pose)
    wrong = {**misplaced(laid, regions, lenience), **_crossed(measured)}
    on_ulna = _on_ulna(regions)
    if on_ulna is not None:
        yield "misplaced", on_ulna, ("Pisiform", "Ulna")
        wrong = {bone: place for bone, place in wrong.items() if names[bone] != "Pisiform"}
    if wrong:
        told = [
            f"{names[bone]} lies off" if place is None else f"{names[bone]} lies where {names[place]} is expected"
            for bone, place in wrong.items()
        ]
        yield "misplaced", "; ".join(told), tuple(names[bone] for bone in wrong)


def misplaced(laid: Aligned, regions: Mapping[str, Region], lenience: float = 1.0) -> dict[int, int | None]:
    """Bone -> the bone in whose place it lies (None: in nobody's), for all that are not in their own.

    ``lenience`` multiplies the spreads that are allowed: a hand of which all bones lie a little off is seen in an
    unusual pose.
    A place that its own bone keeps is taken only by a bone that lies on that one: two bones side by side in one place
    are a hand in an unusual pose.
    """
    far: dict[int, int | None] = {}
    for bone in np.flatnonzero(np.isfinite(laid.z)).tolist():
        nearest = laid.nearest(bone)
        own, other = abs(laid.anchors[bone] - laid.places[bone]), abs(laid.anchors[bone] - laid.places[nearest])
        if laid.z[bone] > lenience * ELSEWHERE and nearest != bone and other < NEARER * own:
            far[bone] = nearest
        elif laid.z[bone] > lenience * NOWHERE:
            far[bone] = None
    kept = {laid.schema.index(name) for name in regions} - set(far)

    def explained(bone: int, place: int | None) -> bool:
        near = laid.z[bone] <= lenience * NOWHERE
        return near and place in kept and not _together(laid.schema, regions, bone, place)

    return {bone: place for bone, place in far.items() if not explained(bone, place)}


def _crossed(measured: Geometry) -> dict[int, int]:
    """The forearm's two bones, each in the other's place, where they lie the other way round than all other pairs.

    Their places are known to less than their distance, for they turn about each other.
    """
    pair = tuple(row(measured.schema, "forearm"))
    pairs, said = side_pairs(measured.schema), votes(measured)
    if pair not in pairs:
        return {}
    own = int(said[pairs.index(pair)])
    rest = np.delete(said, pairs.index(pair))
    against = own != 0 and abs(int(rest.sum())) >= CERTAIN and bool((rest * own <= 0).all())
    return dict(zip(pair, pair[::-1], strict=True)) if against else {}


def _together(schema: BoneSchema, regions: Mapping[str, Region], bone: int, other: int | None) -> bool:
    a, b = (None if i is None else regions.get(schema.names[i]) for i in (bone, other))
    return a is not None and b is not None and iou(a, b) > TOGETHER


def _better_order(
    measured: Geometry, regions: Mapping[str, Region], usual: Usual, wrong: int
) -> tuple[str, tuple[str, ...]] | None:
    """The order of labels under which at most a third of the misplaced bones stay so, if there is one."""
    names = measured.schema.names
    best: tuple[int, int, float, str, tuple[str, ...]] | None = None
    for sentence, order in _orders(measured.schema).items():
        named = measured.renamed(order)
        laid = align(named, usual)
        if laid is None:
            continue
        seen = {order.get(name, name): region for name, region in regions.items()}
        left = len({**misplaced(laid, seen), **_crossed(named)})
        changed = tuple(n for n in names if order.get(n, n) != n and measured.found[measured.schema.index(n)])
        trial = (left, len(changed), float(np.nanmedian(laid.z)), sentence, changed)
        if left <= wrong // 3 and changed and (best is None or trial < best):
            best = trial
    return None if best is None else (best[3], best[4])


def _on_ulna(regions: Mapping[str, Region]) -> str | None:
    """The pisiform lies over the triquetrum in every view; over the ulna it is a label drawn in the wrong place."""
    pisiform, ulna = regions.get("Pisiform"), regions.get("Ulna")
    if pisiform is None or ulna is None:
        return None
    share = intersection_area(pisiform, ulna) / pisiform.area
    over = intersection_area(pisiform, regions.get("Triquetrum")) / pisiform.area
    if share > ON_ULNA and share > over:
        return f"the pisiform lies on the ulna ({share:.0%} of it), not on the triquetrum"
    return None


def area_ratios(measured: Geometry, cut: Bones, usual: Usual) -> dict[str, float]:
    """Bone -> its area over what it should be in a hand of this size.

    The hand's size is that which most bones say that are not ``cut`` (C,). A bone that is cut counts where it has
    nearly its whole area all the same; the forearm never, for it is cut off anywhere.
    """
    counted = measured.found & np.isfinite(usual.size[:, 0])
    counted[row(measured.schema, "forearm")] = False
    scale = usual.scale(measured, counted & ~cut)
    if math.isnan(scale):
        return {}
    ratio = measured.area / np.exp(2 * (scale + usual.size[:, 0]))
    counted &= ~cut | (ratio > WHOLE)
    return {measured.schema.names[i]: float(ratio[i]) for i in np.flatnonzero(counted).tolist()}


def area_findings(ratios: Mapping[str, float], usual: Usual) -> Told:
    """(kind, sentence, bones) for bones far larger or smaller (``area_ratios``) than a hand of this size can have."""
    for name, ratio in ratios.items():
        off = abs(math.log(max(ratio, 1e-6)))
        if off > max(math.log(AREA_FACTOR), AREA_SPREADS * 2 * usual.size[usual.schema.index(name), 1]):
            hint = ": a ring, or a part of the bone only?" if ratio < 1 else ": two bones in one outline?"
            yield (
                "area",
                f"{name} has {ratio:.2f} times the area that it should have in a hand of this size{hint}",
                (name,),
            )
