"""Whether a result agrees with itself, and with the film, about left and right.

On a picture from the back of the hand with the fingers up, the thumb of a right hand lies on the left. Every pair of
neighbouring rays, radius and ulna, and the ends of the carpal rows say the same; a pair that says otherwise was
exchanged, and a film whose marker says otherwise is mirrored, seen from the palm, or marked wrongly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ossa.hand.usual import Geometry, geometry, towards_fingers
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Side
    from ossa.segmentation.segmentation import Segmentation

#: Pairs (thumb's side, little finger's side) besides those of neighbouring metacarpals.
_ACROSS = (("Radius", "Ulna"), ("Trapezium", "Hamate"), ("Scaphoid", "Triquetrum"))

#: A pair tells a side when it lies apart across the hand by this share of the distance of its two middles.
_CLEAR = 0.35

_WORDS = {"L": "left", "R": "right"}


def side_pairs(schema: BoneSchema) -> tuple[tuple[int, int], ...]:
    """Channels (thumb's side, little finger's side) of the pairs that a schema has."""
    metacarpals = sorted((b.digit, b.name) for b in schema.bones if b.row == "metacarpal" and b.digit is not None)
    names = [name for _, name in metacarpals]
    pairs = [*pairwise(names), *_ACROSS]
    return tuple((schema.index(a), schema.index(b)) for a, b in pairs if a in schema and b in schema)


def votes(measured: Geometry, schema: BoneSchema) -> NDArray[np.int8]:
    """What each pair of ``side_pairs`` says: 1 a right hand, -1 a left one, 0 nothing (absent, or not apart)."""
    pairs = side_pairs(schema)
    out = np.zeros(len(pairs), np.int8)
    up = towards_fingers(measured.centre, schema)
    length = 0.0 if up is None else float(np.hypot(*up))
    if up is None or length == 0:
        return out
    up = up / length
    for k, (thumb, little) in enumerate(pairs):
        if measured.found[thumb] and measured.found[little]:
            apart = measured.centre[thumb] - measured.centre[little]
            across = float(up[0] * apart[1] - up[1] * apart[0])
            if abs(across) > _CLEAR * float(np.hypot(*apart)):
                out[k] = 1 if across < 0 else -1
    return out


def side_notes(found: Segmentation, marked: Side | None) -> tuple[str, ...]:
    """Sentences for the reader of a result; empty when everything agrees or too little is seen to tell."""
    schema = found.schema
    said = votes(geometry(found), schema)
    total = int(said.sum())
    if abs(total) < 3:
        return ()
    notes = []
    for (thumb, little), vote in zip(side_pairs(schema), said.tolist(), strict=True):
        if vote * total < 0:
            a, b = schema.names[thumb], schema.names[little]
            notes.append(f"{a} and {b} lie the other way round than the rest of the hand: they may be exchanged")
    side: Side = "R" if total > 0 else "L"
    if marked is not None and marked != side:
        notes.append(
            f"the film is marked as a {_WORDS[marked]} hand, the bones lie as in a {_WORDS[side]} one seen from the "
            "back: mirrored, taken from the palm, or marked wrongly"
        )
    return tuple(notes)
