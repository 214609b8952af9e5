"""The traced real hands through outlines, run lengths and measures; skipped where they are absent."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from helpers_known import known
from ossa.measurement.measure import measure_hand
from ossa.schema import load_schema
from ossa.segmentation import rle
from ossa.segmentation.compare import compare
from ossa.segmentation.outlines import (
    Outline,
    bits_from_outlines,
    map_outlines,
    outlines_from_segmentation,
    segmentation_from_outlines,
    unite,
)
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
HANDS = Path(os.environ.get("OSSA_REAL", Path(__file__).parents[3] / "shared" / "real")) / "hands"
SHAPES = {"dha_3229": (2200, 1200), "dha_7232": (2190, 1376)}

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not (HANDS / "dha_3229.json").is_file(), reason="the real hands are not on this machine"),
]


def outlines(name: str) -> dict[str, tuple[Outline, ...]]:
    label = json.loads((HANDS / f"{name}.json").read_text())
    return unite((entry["label"], Outline(entry["points"])) for entry in label["annotations"])


@pytest.fixture(params=sorted(SHAPES))
def hand(request: pytest.FixtureRequest) -> tuple[str, Segmentation]:
    return request.param, segmentation_from_outlines(outlines(request.param), SCHEMA, SHAPES[request.param])


def test_all_bones_come_back_from_outlines_and_run_lengths(hand: tuple[str, Segmentation]) -> None:
    _, truth = hand
    assert len(truth) == 29
    again = segmentation_from_outlines(outlines_from_segmentation(truth), SCHEMA, truth.shape)
    for name, region in truth:
        back = rle.region_from_text(rle.text_from_region(region, truth.shape[1]), truth.shape)
        for other in (known(again.get(name)), known(back)):
            assert (other.top, other.left) == (region.top, region.left)
            np.testing.assert_array_equal(other.mask, region.mask)


def test_the_training_grid_keeps_the_bones(hand: tuple[str, Segmentation]) -> None:
    name, truth = hand
    scale = 512 / max(truth.shape)
    shape = (512, round(truth.shape[1] * scale))
    grid = map_outlines(outlines(name), lambda points: (points + 0.5) * scale - 0.5)
    small = Segmentation.from_bits(bits_from_outlines(grid, SCHEMA, shape), SCHEMA)
    rows = np.minimum(((np.arange(truth.shape[0]) + 0.5) * scale).astype(int), shape[0] - 1)
    columns = np.minimum(((np.arange(truth.shape[1]) + 0.5) * scale).astype(int), shape[1] - 1)
    grown = {name: known(Region.tight(small.plane(name)[np.ix_(rows, columns)])) for name, _ in truth}
    table = compare(Segmentation(SCHEMA, truth.shape, grown), truth)
    assert table.dice.mean() >= 0.98  # 2,200 px on 512: coarser than the competition's 2,048
    assert np.abs(table.predicted_area / table.annotated_area - 1).max() < 0.02


def test_proportions_are_those_of_a_hand(hand: tuple[str, Segmentation]) -> None:
    """Loose bounds around the ratios of bone lengths within one hand, which need no pixel spacing."""
    _, truth = hand
    hand_measured = measure_hand(truth)

    def number(name: str, bone: str) -> float:
        found = hand_measured.get(name, bone)
        assert found is not None
        assert found.value is not None, found.reason
        return found.value

    third = number("length", "finger-11")
    for bone, low, high in (
        ("finger-7", 0.97, 1.13),
        ("finger-10", 0.6, 0.8),
        ("finger-9", 0.38, 0.55),
        ("finger-8", 0.22, 0.36),
        ("finger-3", 0.6, 0.82),
    ):
        assert low < number("length", bone) / third < high, bone
        assert number("length", bone) > 1.5 * number("width_middle", bone)
    assert hand_measured.cut == {"Radius", "Ulna"}
    ratio = known(hand_measured.get("carpal_height_ratio")).value
    assert ratio is not None
    assert 0.4 < ratio < 0.65
