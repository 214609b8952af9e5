"""How a schema's bones make up a hand or a foot: rays, rows, digits, and which way they point. No such list elsewhere.

Bones are meant by their channel (index in the schema), places by arrays with one row per bone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.schema import BoneSchema

Float = NDArray[np.float64]

#: What schemas call the bones at the roots of digits, the short bones that carry them and the shafts beyond: those of a
#: hand, and those of a foot, which has the same plan.
ROOTS = ("metacarpal", "metatarsal")
SHORT = ("carpal", "tarsal")
SHAFTS = ("forearm", "leg")

#: The bones of a digit from its root to the tip, as schemas call their rows.
ROWS = (*ROOTS, "proximal", "middle", "distal")

#: The two rows of carpals, each from the thumb's side; schemas call them all "carpal".
DISTAL_CARPALS = ("Trapezium", "Trapezoid", "Capitate", "Hamate")
PROXIMAL_CARPALS = ("Scaphoid", "Lunate", "Triquetrum", "Pisiform")
CARPALS = DISTAL_CARPALS + PROXIMAL_CARPALS


def called(schema: BoneSchema) -> str:
    """What a reader is told that a schema's bones make up: "foot" where it has metatarsals, else "hand"."""
    return "foot" if schema.in_row("metatarsal") else "hand"


def rays(schema: BoneSchema) -> list[list[int]]:
    """The digits, the thumb first, as lists of bones from the root to the tip."""
    digits = sorted({bone.digit for bone in schema.bones if bone.digit is not None})
    return [
        [schema.index(bone.name) for row in ROWS for bone in schema.bones if bone.digit == d and bone.row == row]
        for d in digits
    ]


def row(schema: BoneSchema, *names: str) -> list[int]:
    """The bones of the rows ``names`` ("carpal", "forearm", "metacarpal", ...), in schema order."""
    return [i for i, bone in enumerate(schema.bones) if bone.row in names]


def palm(schema: BoneSchema) -> list[int]:
    """The bones that move least against each other: carpals and the fingers' metacarpals, without the thumb's."""
    return [i for i in row(schema, "carpal", "metacarpal") if schema.bones[i].digit != 1]


def middle(centre: Float, bones: list[int]) -> Float | None:
    """The mean (2,) of those ``bones`` whose ``centre`` (C, 2) is known; None when none is."""
    known = centre[bones]
    known = known[np.isfinite(known[:, 0])]
    return np.asarray(known.mean(axis=0)) if len(known) else None


def towards_fingers(centre: Float, schema: BoneSchema) -> Float | None:
    """The way (2,) in px from the middle of the forearm and carpal bones to that of the metacarpals and phalanges.

    ``centre`` (C, 2): x, y of every bone, NaN for an absent one. None when either group is missing.
    """
    finger = [i for i, bone in enumerate(schema.bones) if bone.digit is not None]
    far = middle(centre, finger)
    near = middle(centre, [i for i in range(len(schema)) if i not in finger])
    return None if far is None or near is None else far - near
