"""Run lengths that count from 0 or go down the columns are told apart from bad predictions."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from ossa.labels.meant import by_columns, look, suspicion
from ossa.segmentation import rle
from ossa.segmentation.segmentation import Region, Segmentation

SHAPE = (160, 160)


def truths(count: int = 3) -> list[Segmentation]:
    return [segmentation(schematic_hand(160, seed=k), 160) for k in range(count)]


def predicted(truth: Segmentation, seed: int) -> Segmentation:
    """Bones whose borders are off by a pixel here and there."""
    rng = np.random.default_rng(seed)
    planes = np.stack([np.roll(plane, rng.integers(-1, 2, 2), (0, 1)) for plane in truth.planes()])
    return Segmentation.from_planes(planes, SCHEMA)


def rewritten(found: Segmentation, first: int, order: str) -> Segmentation:
    """As read from a file that counts from ``first`` in ``order`` "C" or "F"."""
    planes = []
    for name in SCHEMA.names:
        flat = found.plane(name).ravel(order="C" if order == "C" else "F")
        text = rle.text_from_region(Region.tight(flat[None]), flat.size)
        numbers = [int(n) for n in text.split()]
        numbers[0::2] = [n - 1 + first for n in numbers[0::2]]
        region = rle.region_from_text(" ".join(map(str, numbers)), found.shape)
        planes.append(np.zeros(found.shape, bool) if region is None else region.plane(found.shape))
    return Segmentation.from_planes(np.stack(planes), SCHEMA)


@pytest.mark.parametrize(
    ("first", "order", "words"),
    [
        (1, "C", None),
        (0, "C", "counted from 0"),
        (1, "F", "column by column"),
        (0, "F", "column by column, and to count from 0"),
    ],
)
@pytest.mark.parametrize("perfect", [True, False])
def test_ways_of_writing(first: int, order: str, words: str | None, perfect: bool) -> None:
    pairs = [(t if perfect else predicted(t, k), t) for k, t in enumerate(truths())]
    said = suspicion([look(rewritten(found, first, order), truth) for found, truth in pairs])
    assert said is None if words is None else said is not None and words in said


def test_a_bad_prediction_is_only_bad() -> None:
    looks = []
    for k, truth in enumerate(truths()):
        rng = np.random.default_rng(k)
        planes = np.stack([np.roll(plane, rng.integers(-30, 30, 2), (0, 1)) for plane in truth.planes()])
        looks.append(look(Segmentation.from_planes(planes, SCHEMA), truth))
    assert suspicion(looks) is None
    assert suspicion([]) is None
    nothing = Segmentation(SCHEMA, SHAPE, {})
    assert suspicion([look(nothing, truths(1)[0]), look(nothing, nothing)]) is None


def test_reading_by_columns_is_its_own_inverse() -> None:
    truth = truths(1)[0]
    assert (by_columns(rewritten(truth, 1, "F")).planes() == truth.planes()).all()
