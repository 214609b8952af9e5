"""Bones told by their rows first: one finger alone gets one name per bone, a clear hand stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from ossa.inference.by_rows import told_by_rows
from ossa.schema import load_schema

SCHEMA = load_schema("hand29")
MIDDLE = [i for i, bone in enumerate(SCHEMA.bones) if bone.row == "middle"]
ROOTS = [i for i, bone in enumerate(SCHEMA.bones) if bone.row == "metacarpal"]
SHAPE = (40, 48)


def logit(chance: float) -> float:
    return float(np.log(chance / (1 - chance)))


def nothing() -> np.ndarray:
    return np.full((len(SCHEMA), *SHAPE), -7.0, np.float32)


def box(top: int, bottom: int, left: int, right: int) -> tuple[slice, slice]:
    return slice(top, bottom), slice(left, right)


def test_a_bone_whose_name_nobody_knows_gets_the_likeliest() -> None:
    logits, finger = nothing(), box(8, 20, 10, 16)
    for i, chance in zip(MIDDLE, (0.2, 0.3, 0.4, 0.1), strict=True):
        logits[i][finger] = logit(chance)
    told = told_by_rows(logits, SCHEMA)
    found = told > 0
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [MIDDLE[2]]
    assert found[MIDDLE[2]][finger].all()
    assert found.sum() == 12 * 6
    # Its probability is that of any of them.
    assert told[MIDDLE[2]][10, 12] == pytest.approx(logit(1 - 0.8 * 0.7 * 0.6 * 0.9), abs=1e-3)
    assert (logits > 0).sum() == 0, "what was given stays"


def test_no_two_bones_of_a_row_get_the_same_name() -> None:
    logits = nothing()
    for where in (box(8, 20, 4, 10), box(8, 20, 24, 30)):
        for i, chance in zip(MIDDLE, (0.1, 0.45, 0.3, 0.1), strict=True):
            logits[i][where] = logit(chance)
    logits[MIDDLE[1]][box(8, 20, 4, 10)] = logit(0.48)
    found = told_by_rows(logits, SCHEMA) > 0
    assert found[MIDDLE[1]][10, 6]
    assert found[MIDDLE[2]][10, 26]
    assert found.sum() == 2 * 12 * 6


def test_a_bone_that_falls_to_two_names_becomes_one() -> None:
    logits = nothing()
    logits[MIDDLE[0]][box(8, 20, 10, 16)] = 3.0
    logits[MIDDLE[3]][box(17, 20, 10, 16)] = 2.0
    logits[MIDDLE[0]][box(17, 20, 10, 16)] = -3.0
    found = told_by_rows(logits, SCHEMA) > 0
    assert found[MIDDLE[0]].sum() == 12 * 6
    assert not found[MIDDLE[3]].any()


@pytest.mark.parametrize("seed", range(5))
def test_what_a_name_of_its_own_tells_stays_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = nothing() + rng.normal(0, 0.3, (len(SCHEMA), *SHAPE)).astype(np.float32)
    for k, row in enumerate((MIDDLE, ROOTS)):
        for place, i in enumerate(row):
            logits[i][box(2 + 18 * k, 16 + 18 * k, 2 + 9 * place, 9 + 9 * place)] = rng.uniform(2, 6)
    assert (told_by_rows(logits, SCHEMA) == logits).all()


def test_bones_that_touch_or_cover_each_other_stay_apart() -> None:
    logits = nothing()
    for place, i in enumerate(ROOTS):
        logits[i][box(5, 30, 2 + 7 * place, 10 + 7 * place)] = 4.0
    assert (told_by_rows(logits, SCHEMA) == logits).all()


def test_other_bones_have_no_row() -> None:
    logits = nothing()
    for i, bone in enumerate(SCHEMA.bones):
        if bone.digit is None:
            logits[i][box(5, 12, 5, 12)] = logit(0.3)
    assert (told_by_rows(logits, SCHEMA) == logits).all()
    assert (told_by_rows(nothing(), SCHEMA) == nothing()).all()
