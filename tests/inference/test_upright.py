"""Films on their side are turned, upright ones are asked once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ossa.bundle.bundle import Bundle
from ossa.inference.predictor import Predictor
from ossa.inference.upright import quarter_turn, sureness, turned
from ossa.inference.views import View, look, views
from ossa.radiograph.radiograph import Radiograph


class TopIsBright:
    """A network that knows a picture only with its bright side up: then it calls what is bright bone."""

    description = "made"

    def __init__(self, bones: int, stride: int) -> None:
        self.bones, self.stride, self.calls = bones, stride, 0

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.calls += 1
        plane = batch[:, :1, :: self.stride, :: self.stride]
        rows = plane.shape[2]
        # A blurred sample: the quarter at the top against the quarter at the bottom.
        upright = plane[:, :, : rows // 4].mean() - plane[:, :, -rows // 4 :].mean() > 0.5
        logits = np.where(plane > 0.5, 8.0, -8.0) if upright else np.full_like(plane, -8.0)
        return np.repeat(logits, self.bones, axis=1).astype(np.float32)


@pytest.fixture
def predictor(bundle: Bundle) -> Predictor:
    loaded = Predictor.load(bundle.path, fast=True)
    member = loaded.networks.members[0]
    engine = TopIsBright(len(loaded.schema), bundle.card.stride)
    return replace(loaded, networks=replace(loaded.networks, members=(replace(member, engine=engine),)))


def calls(predictor: Predictor) -> int:
    engine = predictor.networks.members[0].engine
    assert isinstance(engine, TopIsBright)
    return engine.calls


def film(turns: int) -> Radiograph:
    pixels = np.full((160, 160), 20, np.uint8)
    pixels[:50] = 220
    return Radiograph(np.ascontiguousarray(np.rot90(pixels, turns)))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_however_a_film_lies_its_bones_are_found_where_they_are(predictor: Predictor, turns: int) -> None:
    found = predictor.predict(film(turns))
    bright = film(turns).pixels > 100
    assert len(found) == len(predictor.schema)
    for _, region in found:
        plane = region.plane(found.shape)
        assert (plane & bright).sum() / (plane | bright).sum() > 0.9


def test_an_upright_film_is_asked_once(predictor: Predictor) -> None:
    predictor.predict(film(0))
    assert calls(predictor) == 1


def test_it_can_be_left_out(predictor: Predictor) -> None:
    assert len(replace(predictor, networks=replace(predictor.networks, upright=False)).predict(film(2))) == 0


def test_without_a_surer_turn_the_picture_stays_as_it_lies() -> None:
    assert quarter_turn(lambda view: np.full((3, 4, 4), 3 + 0.1 * view.angle / 180, np.float32))[0] == 0.0


@pytest.mark.parametrize("angle", [90.0, -90.0, 180.0])
def test_the_surest_turn_wins(angle: float) -> None:
    chosen, seen = quarter_turn(lambda view: np.full((3, 4, 4), 6.0 if view.angle == angle else -3.0, np.float32))
    assert chosen == angle
    assert (seen == 6.0).all()


def test_sureness_is_the_dice_that_probabilities_expect() -> None:
    logits = np.full((3, 3, 3), -50.0, np.float32)
    logits[0, 1, 2] = 50  # sure of one pixel: 1
    logits[1, 0, 0], logits[1, 0, 1] = np.log(3), np.log(1 / 3)  # 3/4 and 1/4: 2 * .75 / (1 + 1)
    assert sureness(logits) == pytest.approx((1 + 0.75 + 0) / 3, abs=1e-6)


@pytest.mark.parametrize("angle", [90.0, 180.0, -90.0])
def test_a_turned_view_is_the_view_of_a_turned_picture(angle: float) -> None:
    picture = np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)
    upright = look(picture, View(angle=angle), 32)
    for plain, view in zip(views(True), turned(views(True), angle), strict=True):
        np.testing.assert_allclose(look(picture, view, 32), look(upright, plain, 32), atol=1e-4)
