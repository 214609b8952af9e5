"""The closer look: where it looks, that what it finds lands where it is in the picture, and when it is left out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ossa.bundle.bundle import Bundle
from ossa.bundle.card import Closer
from ossa.errors import BundleError, ConfigError
from ossa.inference.closer import look_closer, upright_angle, window_of
from ossa.inference.predictor import Predictor
from ossa.inference.views import View, look
from ossa.radiograph.prepare import Preparation
from ossa.radiograph.radiograph import Radiograph
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.cleanup import Cleanup, Rule
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema("hand29")
CARPALS = tuple(bone.name for bone in SCHEMA.bones if bone.row == "carpal")


class BrightIsBone:
    """A network for which every bright pixel belongs to every bone."""

    description = "made"

    def __init__(self, bones: int, stride: int) -> None:
        self.bones, self.stride = bones, stride
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape[2:])
        n, _, h, w = batch.shape
        k = self.stride
        cells = batch[:, :1].reshape(n, 1, h // k, k, w // k, k).mean(axis=(3, 5))
        return np.repeat((cells - 1.0) * 8, self.bones, axis=1).astype(np.float32)


@pytest.fixture
def predictor(bundle: Bundle) -> Predictor:
    loaded = Predictor.load(bundle.path, fast=True)
    member = loaded.networks.members[0]
    engine = BrightIsBone(len(loaded.schema), bundle.card.stride)
    members = (replace(member, engine=engine, preparation=Preparation(128)),)
    return replace(loaded, networks=replace(loaded.networks, members=members, upright=False), tidy=())


def disc(shape: tuple[int, int], y: int, x: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def overlap(found: Segmentation, name: str, truth: np.ndarray) -> float:
    plane = found.plane(name)
    return float((plane & truth).sum() / (plane | truth).sum())


def test_what_is_seen_more_closely_is_sharper_and_lies_where_it_is(predictor: Predictor) -> None:
    truth = disc((900, 700), 611, 233, 41)
    film = Radiograph(np.where(truth, 220, 20).astype(np.uint8))
    names = predictor.schema.names
    once = predictor.predict(film)
    closer = replace(predictor, closer=(Closer(names[:1], size=256, least=1),)).predict(film)
    assert overlap(closer, names[0], truth) > max(0.97, overlap(once, names[0], truth))
    assert np.array_equal(once.plane(names[1]), closer.plane(names[1]))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_films_and_more_bits_are_seen_as_well(predictor: Predictor, turns: int) -> None:
    """Fingers above, one carpal below: the film is turned, given as 16 bits, and two networks look."""
    names = load_schema("hand29").names
    found = hand(SCHEMA, turns)
    truth = np.rot90(disc((300, 300), 183, 170, 13), turns)
    film = Radiograph(np.where(truth, 40000, 500).astype(np.uint16))
    member = predictor.networks.members[0]
    engine = BrightIsBone(len(names), member.bundle.card.stride)
    two = (replace(member, engine=engine), replace(member, engine=engine, preparation=Preparation(96)))
    halves = tuple(replace(m, weight=np.full(len(names), 0.5, np.float32)) for m in two)
    closer = Closer(("Lunate",), size=128, margin=3.0, least=1)
    networks = replace(predictor.networks, members=halves, upright=True, schema=SCHEMA)
    seen = look_closer(networks, film, found, closer, {})
    assert seen is not None
    assert overlap(seen.bones, "Lunate", truth) > 0.9
    assert list(seen.bones.regions) == list(seen.certainty) == ["Lunate"]
    assert 0 <= seen.certainty["Lunate"].doubt < 0.2


def test_high_pixels_give_a_window_of_the_same_millimetres() -> None:
    block = Region(100, 100, np.ones((20, 40), dtype=bool))
    found = Segmentation(SCHEMA, (400, 400), {CARPALS[0]: block})
    top, bottom, left, right = window_of(found, Closer(CARPALS[:1], margin=0.5), tall=2.0) or (0, 0, 0, 0)
    assert (bottom - top, right - left) == (40, 80)


def test_clean_up_counts_shares_of_the_whole_picture(predictor: Predictor) -> None:
    truth = disc((900, 700), 611, 233, 41)
    film = Radiograph(np.where(truth, 220, 20).astype(np.uint8))
    closer = Closer(predictor.schema.names[:1], size=256, least=1)
    share = truth.sum() / truth.size
    kept = replace(predictor, closer=(closer,), tidy=(Cleanup(Rule(bone=0.5 * share)),)).predict(film)
    dropped = replace(predictor, closer=(closer,), tidy=(Cleanup(Rule(bone=2 * share)),)).predict(film)
    assert predictor.schema.names[0] in kept.regions
    assert not dropped.regions


@pytest.mark.parametrize("wrong", [{"bones": "Lunate"}, {"bones": ["Lunat"]}, {"bones": ["Lunate"], "size": 384.5}])
def test_a_card_with_a_wrong_closer_look_is_named(bundle: Bundle, tmp_path: Path, wrong: dict[str, Any]) -> None:
    copy = shutil.copytree(bundle.path, tmp_path / "bundle")
    card = json.loads((copy / "card.json").read_text())
    card["closer"] = wrong
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="closer") as caught:
        Predictor.load(copy)
    assert "card.json" in str(caught.value)


def test_a_picture_that_is_not_enlarged_is_not_looked_at_again(predictor: Predictor) -> None:
    film = Radiograph(np.where(disc((120, 120), 60, 60, 50), 220, 20).astype(np.uint8))
    found = predictor.predict(film)
    closer = Closer(predictor.schema.names[:1], size=128, least=1)
    assert look_closer(predictor.networks, film, found, closer, {}) is None
    again = replace(predictor, closer=(closer,)).predict(film)
    assert np.array_equal(again.planes(), found.planes())


def test_too_few_bones_leave_the_place_unknown() -> None:
    found = hand(SCHEMA, 0)
    assert window_of(found, Closer(CARPALS, least=4)) is not None
    few = replace(found, regions={n: r for n, r in found if n not in CARPALS[3:]})
    assert window_of(few, Closer(CARPALS, least=4)) is None


def test_the_window_is_the_bones_and_their_margin_inside_the_picture() -> None:
    block = Region(100, 200, np.ones((40, 20), dtype=bool))
    found = Segmentation(SCHEMA, (400, 230), {CARPALS[0]: block})
    assert window_of(found, Closer(CARPALS[:1], margin=0.5)) == (80, 160, 170, 230)


def hand(schema: BoneSchema, turns: int) -> Segmentation:
    """Fingers above carpals above the forearm, turned by ``turns`` quarters against the clock."""
    planes = {}
    for k, bone in enumerate(schema.bones):
        plane = np.zeros((300, 300), dtype=bool)
        row = 40 if bone.digit is not None else 240 if bone.row == "forearm" else 180
        plane[row : row + 10, 100 + 3 * k : 110 + 3 * k] = True
        planes[bone.name] = np.rot90(plane, turns)
    stack = np.stack([planes[name] for name in schema.names])
    return Segmentation.from_planes(stack, schema)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_view_has_the_fingers_at_the_top(turns: int) -> None:
    found = hand(SCHEMA, turns)
    fingers = np.zeros((1, 300, 300), np.float32)
    fingers[0][found.plane("finger-10")] = 1.0
    seen = look(fingers, View(angle=upright_angle(found)), 1)[0]
    rows = np.flatnonzero(seen.max(axis=1) > 0.5)
    assert rows.max() < seen.shape[0] / 3


def test_without_fingers_nothing_is_turned() -> None:
    found = hand(SCHEMA, 1)
    wrist = replace(found, regions={n: r for n, r in found if n in CARPALS})
    assert upright_angle(wrist) == 0.0


def test_settings_come_back_and_wrong_ones_are_refused() -> None:
    closer = Closer(CARPALS, size=320, margin=0.5)
    assert Closer.from_json(closer.to_json()) == closer
    one = {"bones": ["Lunate"]}
    broken: tuple[dict[str, Any], ...] = (
        {},
        {**one, "least": True},
        {**one, "zoom": 2},
        {"bones": []},
        {**one, "size": 1},
    )
    for wrong in broken:
        with pytest.raises(ConfigError, match="closer look"):
            Closer.from_json(wrong)
