"""Bones that are told by their row before they are told by their digit.

Of one finger alone a network sees well that this is a middle phalanx, and not whose: each of four names has a quarter
of the probability, and none is above a half. So where the names of a row together say that there is bone, and no name
alone does, the bone is given to the name that has most of it; no two of a row have the same.

Logits flow in, logits flow out. A bone that a name of its own tells stays as it is.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ossa.schema import BoneSchema

Float = NDArray[np.float32]

#: A patch of a row is told where one name has this share of it for itself, where two have the second, or three the
#: third: bones that touch or cover each other.
TOLD, SHARED, PART = 0.85, 0.3, 0.1

#: Patches of less than this share of the row's largest one are left alone.
LEAST = 0.15

#: The logit of what is not bone.
NONE = np.float32(-8.0)


def told_by_rows(logits: Float, schema: BoneSchema) -> Float:
    """``logits`` (C, h, w), those of the schema's digits with every patch of bone under one name."""
    rows: dict[str, list[int]] = {}
    for i, bone in enumerate(schema.bones):
        if bone.digit is not None:
            rows.setdefault(bone.row, []).append(i)
    out = logits.copy()
    for row in rows.values():
        out[row] = _told(logits[row])
    return out


def _told(planes: Float) -> Float:
    """The planes (N, h, w) of one row."""
    import cv2

    chance = 1.0 / (1.0 + np.exp(-np.clip(planes.astype(np.float32), -30, 30)))
    # Any of them: the odds against all, as if they were independent.
    against = np.log1p(-np.minimum(chance, 1 - 1e-7)).sum(axis=0)
    any_of = np.asarray(np.log(-np.expm1(against) + 1e-12) - against, np.float32)
    count, patches = cv2.connectedComponents((any_of > 0).astype(np.uint8), connectivity=8)
    areas = np.bincount(patches.ravel(), minlength=count)[1:]
    if areas.size == 0:
        return planes
    own = planes > 0
    unclear = []
    taken: set[int] = set()
    for patch in range(1, count):
        if areas[patch - 1] < LEAST * areas.max():
            continue
        inside = patches == patch
        shares = np.array([np.count_nonzero(plane & inside) for plane in own]) / areas[patch - 1]
        if shares.max() >= TOLD or (shares >= SHARED).sum() > 1 or (shares >= PART).sum() > 2:
            taken |= set(np.flatnonzero(shares >= PART).tolist())
        else:
            unclear.append(patch)
    if not unclear:
        return planes
    free = [i for i in range(len(planes)) if i not in taken]
    unclear = sorted(unclear, key=lambda patch: -areas[patch - 1])[: len(free)]
    if not unclear:
        return planes
    worth = np.array([[float(chance[i][patches == patch].sum()) for i in free] for patch in unclear])
    ways = itertools.permutations(range(len(free)), len(unclear))
    best = max(ways, key=lambda names: float(worth[range(len(names)), names].sum()))
    out = planes.copy()
    for patch, name in zip(unclear, best, strict=True):
        around = cv2.dilate((patches == patch).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        out[:, around] = np.minimum(out[:, around], NONE)
        out[free[name]][around] = any_of[around]
    return out
