"""Which side a hand is, and whether a result agrees with itself, and with the film, about it.

On a picture from the back of the hand with the fingers up, the thumb of a right hand lies on the left. Every pair of
neighbouring rays, radius and ulna, and the ends of the carpal rows say the same; a pair that says otherwise was
exchanged, and a film whose marker says otherwise is mirrored, seen from the palm, or marked wrongly.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ossa.hand.bones import ROOTS, called, middle, rays, towards_fingers
from ossa.hand.geometry import Float, Geometry, geometry
from ossa.radiograph.radiograph import Side
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation

#: Pairs (thumb's side, little finger's side) besides those of neighbouring metacarpals.
_ACROSS = (("Radius", "Ulna"), ("Trapezium", "Hamate"), ("Scaphoid", "Triquetrum"))

#: A pair tells a side when it lies apart across the hand by this share of the distance of its two middles.
_CLEAR = 0.35

#: From so many votes more on one side than on the other a result is held to its side.
CERTAIN = 3

_WORDS = {"L": "left", "R": "right"}


def side_pairs(schema: BoneSchema) -> tuple[tuple[int, int], ...]:
    """Channels (thumb's side, little finger's side) of the pairs that a schema has."""
    roots = [ray[0] for ray in rays(schema) if ray and schema.bones[ray[0]].row in ROOTS]
    across = [(schema.index(a), schema.index(b)) for a, b in _ACROSS if a in schema and b in schema]
    return (*pairwise(roots), *across)


def votes(measured: Geometry) -> NDArray[np.int8]:
    """What each pair of ``side_pairs`` says: 1 a right hand, -1 a left one, 0 nothing (absent, or not apart)."""
    pairs = side_pairs(measured.schema)
    out = np.zeros(len(pairs), np.int8)
    up = towards_fingers(measured.centre, measured.schema)
    length = 0.0 if up is None else float(np.hypot(*up))
    if up is None or length == 0:
        return out
    up = up / length
    for k, (thumb, little) in enumerate(pairs):
        if measured.found[thumb] and measured.found[little]:
            apart = measured.centre[thumb] - measured.centre[little]
            across = _across(up, apart)
            if abs(across) > _CLEAR * float(np.hypot(*apart)):
                out[k] = 1 if across < 0 else -1
    return out


def side_of(measured: Geometry) -> Side | None:
    """The side of a hand seen from the back: what most pairs say; where they say nothing, what the outer digits say.

    Of digits alone the fingers are taken to point up. None when fewer than two digits are there.
    """
    total = int(votes(measured).sum())
    if total:
        return "R" if total > 0 else "L"
    seen = [place for ray in rays(measured.schema) if (place := middle(measured.centre, ray)) is not None]
    if len(seen) < 2:
        return None
    up = towards_fingers(measured.centre, measured.schema)
    turn = _across(np.array([0.0, -1.0]) if up is None else up, seen[0] - seen[-1])
    return None if turn == 0 else "R" if turn < 0 else "L"


def _across(up: Float, apart: Float) -> float:
    """How far ``apart`` leads across ``up`` (times its length): below 0 to the left of a hand that points up."""
    return float(up[0] * apart[1] - up[1] * apart[0])


def side_notes(found: Segmentation, marked: Side | None) -> tuple[str, ...]:
    """Sentences for the reader of a result; empty when everything agrees or too little is seen to tell."""
    schema = found.schema
    said = votes(geometry(found))
    total = int(said.sum())
    if abs(total) < CERTAIN:
        return ()
    notes: list[str] = []
    whole = called(schema)
    for (thumb, little), vote in zip(side_pairs(schema), said.tolist(), strict=True):
        if vote * total < 0:
            a, b = schema.names[thumb], schema.names[little]
            notes.append(f"{a} and {b} lie the other way round than the rest of the {whole}: they may be exchanged")
    side: Side = "R" if total > 0 else "L"
    if marked is not None and marked != side:
        notes.append(
            f"the film is marked as a {_WORDS[marked]} {whole}, the bones lie as in a {_WORDS[side]} one seen from the "
            f"back: mirrored, taken from the {'palm' if whole == 'hand' else 'sole'}, or marked wrongly"
        )
    return tuple(notes)
