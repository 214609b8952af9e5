"""Whether the outlined bones of one hand lie where those bones lie: reversed, exchanged and misplaced labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ossa.hand.reference import Fit, Reference, anchors_of, area_ratios, fit_hand
from ossa.segmentation.compare import intersection_area
from ossa.segmentation.outlines import Outlines
from ossa.segmentation.segmentation import Region

Told = Iterator[tuple[str, str, Sequence[str]]]

#: Distance (spreads) from which a bone counts as misplaced when another bone's place is much nearer, and from which
#: it does wherever it lies.
ELSEWHERE, NOWHERE = 5.0, 14.0
#: "Much nearer": this share of the distance to its own place.
NEARER = 0.6

#: An area is wrong beyond this factor and this many spreads of the reference.
AREA_FACTOR, AREA_SPREADS = 2.5, 5.0

_FINGERS = tuple(f"finger-{n}" for n in range(1, 20))
_DISTAL_ROW = ("Trapezium", "Trapezoid", "Capitate", "Hamate")
_PROXIMAL_ROW = ("Scaphoid", "Lunate", "Triquetrum", "Pisiform")
_DIGITS = (_FINGERS[:3], *(_FINGERS[3 + 4 * k : 7 + 4 * k] for k in range(4)))


def _exchanged(first: Sequence[str], second: Sequence[str]) -> dict[str, str]:
    pairs = list(zip(first, second, strict=True))
    return {**dict(pairs), **{b: a for a, b in pairs}}


def _orders(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Sentence -> what the labels really are, for the mistakes that concern many labels at once."""
    little, thumb = _DIGITS[4], _DIGITS[0]
    return {
        "all labels seem to be in reverse order": _exchanged(names, names[::-1]),
        "the finger labels seem to be in reverse order (finger-19 to finger-1)": _exchanged(_FINGERS, _FINGERS[::-1]),
        "the digits seem to be counted from the little finger": _exchanged(
            (*thumb, *_DIGITS[1], *_DIGITS[2]), (little[0], little[2], little[3], *_DIGITS[3], *_DIGITS[2])
        ),
        "the bones of each digit seem to be counted from the wrist": {
            name: bone for digit in _DIGITS for name, bone in zip(digit, digit[::-1], strict=True)
        },
        "the two carpal rows seem to be exchanged": _exchanged(_DISTAL_ROW, _PROXIMAL_ROW),
        "the carpal labels seem to be in reverse order": _exchanged(
            _DISTAL_ROW + _PROXIMAL_ROW, (_DISTAL_ROW + _PROXIMAL_ROW)[::-1]
        ),
        "the distal carpal row seems to be labelled from the other side": _exchanged(_DISTAL_ROW, _DISTAL_ROW[::-1]),
        "the proximal carpal row seems to be labelled from the other side": _exchanged(
            _PROXIMAL_ROW[:3], _PROXIMAL_ROW[2::-1]
        ),
        "Radius and Ulna seem to be exchanged": _exchanged(("Radius",), ("Ulna",)),
    }


def placement_findings(outlines: Outlines, regions: Mapping[str, Region], fit: Fit, reference: Reference) -> Told:
    """(kind, sentence, bones) for labels in a wrong order and for bones that lie where they cannot."""
    wrong = misplaced(anchors_of(outlines), fit)
    if len(wrong) >= 2:
        order = _better_order(outlines, reference, len(wrong))
        if order is not None:
            sentence, bones = order
            yield "reversed", sentence, bones
            return
    on_ulna = _on_ulna(regions)
    if on_ulna is not None:
        yield "misplaced", on_ulna, ("Pisiform", "Ulna")
        wrong = {name: place for name, place in wrong.items() if name != "Pisiform"}
    if wrong:
        told = [
            f"{name} lies where {place} is expected" if place else f"{name} lies off" for name, place in wrong.items()
        ]
        yield "misplaced", "; ".join(told), tuple(wrong)


def misplaced(anchors: Mapping[str, complex], fit: Fit) -> dict[str, str | None]:
    """Bone -> the bone in whose place it lies (None: in nobody's), for all that are not in their own."""
    found: dict[str, str | None] = {}
    for name, z in fit.z.items():
        nearest = fit.nearest(anchors[name])
        own, other = abs(anchors[name] - fit.places[name]), abs(anchors[name] - fit.places[nearest])
        if z > ELSEWHERE and nearest != name and other < NEARER * own:
            found[name] = nearest
        elif z > NOWHERE:
            found[name] = None
    return found


def _better_order(outlines: Outlines, reference: Reference, wrong: int) -> tuple[str, tuple[str, ...]] | None:
    """The order of labels under which at most a third of the misplaced bones stay so, if there is one."""
    best: tuple[int, float, str, tuple[str, ...]] | None = None
    for sentence, order in _orders(tuple(reference.anchors)).items():
        named = {order.get(name, name): parts for name, parts in outlines.items()}
        anchors = anchors_of(named)
        fit = fit_hand(anchors, reference)
        if fit is None:
            continue
        left = len(misplaced(anchors, fit))
        median = float(np.median(list(fit.z.values())))
        changed = tuple(name for name in outlines if order.get(name, name) != name)
        if (
            left <= wrong // 3
            and changed
            and (best is None or (left, len(changed), median) < (best[0], len(best[3]), best[1]))
        ):
            best = (left, median, sentence, changed)
    return None if best is None else (best[2], best[3])


def _on_ulna(regions: Mapping[str, Region]) -> str | None:
    """The pisiform lies over the triquetrum in every view; over the ulna it is a label drawn in the wrong place."""
    pisiform, ulna = regions.get("Pisiform"), regions.get("Ulna")
    if pisiform is None or ulna is None:
        return None
    share = _share_of(pisiform, ulna)
    triquetrum = regions.get("Triquetrum")
    over = 0.0 if triquetrum is None else _share_of(pisiform, triquetrum)
    if share > 0.3 and share > over:
        return f"the pisiform lies on the ulna ({share:.0%} of it), not on the triquetrum"
    return None


def _share_of(a: Region, b: Region) -> float:
    """The share of ``a`` that lies in ``b``."""
    return intersection_area(a, b) / a.area


def area_findings(outlines: Outlines, fit: Fit, reference: Reference) -> Told:
    """(kind, sentence, bones) for bones far larger or smaller than they can be in a hand of this size."""
    for name, ratio in area_ratios(outlines, fit, reference).items():
        off = abs(math.log(max(ratio, 1e-6)))
        if off > max(math.log(AREA_FACTOR), AREA_SPREADS * reference.area_spread[name]):
            hint = ": a ring, or a part of the bone only?" if ratio < 1 else ": two bones in one outline?"
            yield (
                "area",
                f"{name} has {ratio:.2f} times the area that it should have in a hand of this size{hint}",
                (name,),
            )
