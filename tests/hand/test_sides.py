"""Left and right: a phantom agrees with itself and with its side; exchanged bones and wrong markers are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from ossa.hand.geometry import geometry
from ossa.hand.sides import side_notes, side_pairs, votes
from ossa.phantom.scene import PhantomOptions, generate
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

FLAT = PhantomOptions(bent_wrists=0, oblique_views=0, wrist_only=0)


@pytest.mark.parametrize("seed", range(8))
def test_hands_agree_with_their_side_however_they_lie(seed: int) -> None:
    film, truth = generate(seed, 320, replace(FLAT, turned=1.0))
    assert film.side is not None
    assert side_notes(truth, film.side) == ()
    said = votes(geometry(truth))
    assert (said * (1 if film.side == "R" else -1) >= 0).all()
    assert abs(int(said.sum())) >= 5


def test_a_wrong_marker_is_told() -> None:
    film, truth = generate(3, 320, replace(FLAT, turned=0.0))
    other: Literal["L", "R"] = "L" if film.side == "R" else "R"
    (note,) = side_notes(truth, other)
    assert "marked as" in note


def test_exchanged_bones_are_told() -> None:
    film, truth = generate(3, 320, replace(FLAT, turned=0.0))
    regions = dict(truth.regions)
    regions["Radius"], regions["Ulna"] = regions["Ulna"], regions["Radius"]
    (note,) = side_notes(replace(truth, regions=regions), film.side)
    assert note.startswith("Radius and Ulna")


def test_bones_of_one_place_tell_nothing() -> None:
    schema = load_schema("hand29")
    block = np.ones((10, 10), dtype=bool)
    rays = {f"finger-{k}": Region(10, 40, block) for k in (7, 11, 15, 19)}
    found = Segmentation(schema, (100, 100), {**rays, "Radius": Region(70, 40, block), "Ulna": Region(70, 40, block)})
    assert not votes(geometry(found)).any()


@pytest.mark.parametrize("seed", range(6))
def test_bent_hands_and_wrists_alone_are_not_suspected(seed: int) -> None:
    for options in (replace(FLAT, bent_wrists=1.0), replace(FLAT, wrist_only=1.0)):
        film, truth = generate(seed, 320, options)
        assert side_notes(truth, film.side) == ()


def test_two_bones_tell_nothing() -> None:
    schema = load_schema("hand29")
    block = np.ones((10, 10), dtype=bool)
    found = Segmentation(schema, (100, 100), {"Radius": Region(70, 10, block), "finger-10": Region(10, 10, block)})
    assert side_notes(found, "L") == ()


def test_the_pairs_are_those_of_the_schema() -> None:
    assert len(side_pairs(load_schema("hand29"))) == 7
