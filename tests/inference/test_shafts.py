"""Which bones are followed, and which way they lead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ossa.inference.predictor import Predictor
from ossa.inference.shafts import with_shafts
from ossa.phantom.options import PhantomOptions
from ossa.phantom.scene import generate
from ossa.radiograph.radiograph import Radiograph
from ossa.schema import load_schema
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Region, Segmentation

#: A hand with a long forearm.
LONG = PhantomOptions(
    fill=(0.42, 0.42), aspect=(0.5, 0.5), tilt=3.0, turned=0.0, wrist_only=0.0, clutter=0.0, young=0.0
)


@pytest.fixture(scope="module")
def hand() -> tuple[Radiograph, Segmentation]:
    return generate(31, 900, LONG)


def shortened(truth: Segmentation, row: int) -> Segmentation:
    """The truth without what lies below ``row`` of the forearm."""
    regions = dict(truth.regions)
    for name in truth.schema.in_row("forearm"):
        plane = regions[name].plane(truth.shape)
        plane[row:] = False
        short = Region.tight(plane)
        assert short is not None
        regions[name] = short
    return replace(truth, regions=regions)


def test_both_bones_of_the_forearm_go_on_to_the_films_end(hand: tuple[Radiograph, Segmentation]) -> None:
    radiograph, truth = hand
    assert truth["Radius"].bottom == truth["Ulna"].bottom == radiograph.shape[0]
    short = shortened(truth, truth["Radius"].top + 170)
    assert dice(short["Radius"], truth["Radius"]) < 0.75
    found = with_shafts(short, radiograph.pixels)
    for name in ("Radius", "Ulna"):
        assert dice(found[name], truth[name]) > 0.94, name
    same = set(truth.regions) - {"Radius", "Ulna"}
    assert all(found[name] is truth[name] for name in same)


def test_alone_nobody_knows_where_they_lead(hand: tuple[Radiograph, Segmentation]) -> None:
    radiograph, truth = hand
    alone = replace(truth, regions={"Radius": truth["Radius"]})
    assert with_shafts(alone, radiograph.pixels) is alone
    nothing = Segmentation(load_schema(), radiograph.shape, {})
    assert with_shafts(nothing, radiograph.pixels) is nothing


def test_a_model_whose_card_says_so_follows_them(hand: tuple[Radiograph, Segmentation]) -> None:
    radiograph, truth = hand
    predictor = Predictor.load(fast=True)
    assert predictor.settings()["shafts"] is True
    (found,) = predictor.predict_hands(radiograph)
    (without,) = replace(predictor, shafts=False).predict_hands(radiograph)
    for name in ("Radius", "Ulna"):
        after, before = (dice(one.segmentation.get(name), truth[name]) for one in (found, without))
        assert after > max(0.9, before - 0.005), (name, before, after)


def test_on_a_negative_that_the_finder_saw_through(hand: tuple[Radiograph, Segmentation]) -> None:
    """The reader turns most negatives; what it leaves is turned in the cut-out, and here too."""
    radiograph, _ = hand
    predictor = Predictor.load(fast=True)
    dark = replace(radiograph, pixels=255 - radiograph.pixels)
    (usual,) = predictor.predict_hands(radiograph)
    (found,) = predictor.predict_hands(dark)
    assert found.where is not None
    assert found.where.negative
    for name in ("Radius", "Ulna"):
        assert np.isclose(found.segmentation[name].bottom, usual.segmentation[name].bottom, atol=6)
