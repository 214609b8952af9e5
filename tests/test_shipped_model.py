"""The model that is shipped: it is whole, small enough, and finds the bones of the sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ossa.bundle.bundle import Bundle
from ossa.bundle.companions import CONSULTANT, FINDER, REFINER, companion_path
from ossa.inference.engine import OnnxEngine
from ossa.inference.predictor import Predictor
from ossa.labels.competition import read_label
from ossa.radiograph.read import read_radiograph
from ossa.schema import load_schema
from ossa.segmentation.compare import compare
from ossa.segmentation.outlines import segmentation_from_outlines

SAMPLES = Path(__file__).parents[1] / "samples"
SCHEMA = load_schema()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load()


def test_its_card_says_what_it_is(bundle: Bundle) -> None:
    card = bundle.card
    assert card.schema.names == SCHEMA.names
    assert card.licence == "Apache-2.0"
    assert card.training, "how it was trained"
    assert card.figures, "how good it is"


def test_it_is_small_enough(bundle: Bundle) -> None:
    finder = companion_path(bundle, FINDER)
    assert finder is not None
    assert finder.stat().st_size <= 3_000_000
    refiner = companion_path(bundle, REFINER)
    assert refiner is not None
    assert refiner.stat().st_size <= 500_000
    consultant = companion_path(bundle, CONSULTANT)
    assert consultant is not None
    quick = bundle.quick_path
    assert quick is not None
    for path in (quick, consultant):
        assert path.stat().st_size <= 6_000_000
    others = [path for path in bundle.path.iterdir() if path not in (finder, quick, consultant)]
    assert sum(path.stat().st_size for path in others) <= 20_000_000


def test_it_finds_the_bones_of_the_sample(bundle: Bundle) -> None:
    radiograph = read_radiograph(SAMPLES / "hand.png")
    found = Predictor.load().predict(radiograph)
    truth = segmentation_from_outlines(read_label(SAMPLES / "hand.json", SCHEMA), SCHEMA, radiograph.shape)
    assert len(found) >= 26
    # The sample has another anatomy (the built-in one) than the phantoms that the model was trained on.
    assert compare(found, truth).means()["dice"] > 0.8


def test_its_form_of_8_bits_is_that_of_its_weights(bundle: Bundle) -> None:
    """Whoever ships other weights makes it anew: scripts/ship_int8.py."""
    radiograph = read_radiograph(SAMPLES / "hand.png")
    assert bundle.quick_path is not None
    eight = OnnxEngine(bundle.quick_path, "cpu", 1)
    usual = Predictor.load(None, "onnx:cpu", fast=True)
    (member,) = usual.networks.members
    quick = replace(usual, networks=replace(usual.networks, members=(replace(member, engine=eight),)))
    a, b = usual.predict(radiograph), quick.predict(radiograph)
    assert set(a.regions) == set(b.regions)
    assert compare(b, a).means()["dice"] > 0.975
