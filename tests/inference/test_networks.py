"""One picture's trip: how often the networks run, that it is prepared once, and that each bone is tidied once."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import ossa.inference.networks as networks_module
from helpers_dataset import SCHEMA, schematic_hand
from helpers_judge import a_judge
from ossa.bundle.bundle import Bundle
from ossa.bundle.card import Closer
from ossa.inference.engine import Engine
from ossa.inference.networks import Networks
from ossa.inference.predictor import Predictor
from ossa.inference.views import FLIPPED, View
from ossa.radiograph.prepare import Preparation, prepare
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.segmentation import Segmentation

CARPALS = SCHEMA.in_row("carpal")
SIDE = 128


class Upright:
    """Knows a hand that lies as it was shown at the beginning, and counts how often it is asked.

    It finds every bone of the truth, sure of each, when the picture's brighter half is its lower one.
    """

    description = "made"

    def __init__(self, truth: np.ndarray, stride: int) -> None:
        half = truth[:, ::stride, ::stride]
        self.truth = half | half[:, :, ::-1]  # so that a mirrored look says the same
        self.stride = stride
        self.runs: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.runs.append(batch.shape)
        shape = (batch.shape[2] // self.stride, batch.shape[3] // self.stride)
        out = np.full((1, len(self.truth), *shape), -8.0, np.float32)
        half = batch.shape[2] // 2
        if batch[0, 0, half:].mean() > batch[0, 0, :half].mean():
            rows, columns = (min(a, b) for a, b in zip(shape, self.truth.shape[1:], strict=True))
            out[0, :, :rows, :columns][self.truth[:, :rows, :columns]] = 8.0
        return out


class Counting:
    """A clean-up that changes nothing and counts the bones it is given."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()

    def __call__(self, segmentation: Segmentation) -> Segmentation:
        self.seen.update(id(region) for _, region in segmentation)
        return segmentation

    def to_json(self) -> dict[str, object]:
        return {}


@pytest.fixture
def picture() -> np.ndarray:
    """Dark above, bright below; the hand itself does not matter."""
    return np.vstack([np.full((SIDE // 2, SIDE), 20), np.full((SIDE // 2, SIDE), 200)]).astype(np.uint8)


@pytest.fixture
def predictor(bundle: Bundle) -> Predictor:
    """A full predictor: mirrored look, closer look, clean-up, judge."""
    from ossa.segmentation.outlines import segmentation_from_outlines

    truth = segmentation_from_outlines(schematic_hand(SIDE, seed=1), SCHEMA, (SIDE, SIDE))
    loaded = Predictor.load(bundle.path)
    member = loaded.networks.members[0]
    engine = Upright(truth.planes(), bundle.card.stride)
    members = (replace(member, engine=engine, preparation=Preparation(SIDE)),)
    return replace(
        loaded,
        networks=replace(loaded.networks, members=members),
        closer=(Closer(CARPALS, size=256),),
        tidy=(Counting(),),
        judge=a_judge(0.0),
    )


def runs(predictor: Predictor) -> int:
    engine = predictor.networks.members[0].engine
    assert isinstance(engine, Upright)
    return len(engine.runs)


def big(pixels: np.ndarray) -> Radiograph:
    """Four times as large, so that there is something to look at more closely."""
    return Radiograph(np.ascontiguousarray(np.kron(pixels, np.ones((4, 4), np.uint8))))


def test_an_upright_film_costs_five_runs(predictor: Predictor, picture: np.ndarray) -> None:
    """Two views, two of the closer look, one for the judge."""
    predictor.predict(big(picture))
    assert runs(predictor) == 5


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_film_costs_nine_runs(predictor: Predictor, picture: np.ndarray, turns: int) -> None:
    """Two views as it lies, three other quarters, one more view of the right one, two closer, one for the judge."""
    found = predictor.predict(big(np.rot90(picture, turns)))
    assert set(CARPALS) <= set(found.regions)
    assert runs(predictor) == 9


def test_nothing_is_asked_twice_when_no_turn_is_surer(predictor: Predictor) -> None:
    look = predictor.networks.look(predictor.networks.prepare(Radiograph(np.zeros((SIDE, SIDE), np.uint8))))
    assert look.angle == 0.0
    assert runs(predictor) == 5


@pytest.mark.parametrize("turns", [0, 2])
def test_a_picture_is_prepared_once_and_each_bone_tidied_once(
    predictor: Predictor, picture: np.ndarray, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, int]] = []

    def counted(radiograph: Radiograph, preparation: Preparation) -> object:
        shapes.append(radiograph.shape)
        return prepare(radiograph, preparation)

    monkeypatch.setattr(networks_module, "prepare", counted)
    film = big(np.rot90(picture, turns))
    predictor.predict(film)
    assert shapes.count(film.shape) == 1
    assert len(shapes) == 2, "and the wrist that is cut out of it"
    (counting,) = predictor.tidy
    assert isinstance(counting, Counting)
    assert set(counting.seen.values()) == {1}


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_look_says_how_the_hand_lay(predictor: Predictor, picture: np.ndarray, turns: int) -> None:
    """The logits lie as the picture does, whatever the turn."""
    networks = predictor.networks
    film = Radiograph(np.ascontiguousarray(np.rot90(picture, turns)))
    look = networks.look(networks.prepare(film))
    # np.rot90 turns against the clock; the view that turns it back has the opposite sense of inference.views.
    assert look.angle == {0: 0.0, 1: 90.0, 2: 180.0, 3: -90.0}[turns]
    upright = networks.look(networks.prepare(Radiograph(picture)))
    expected = np.rot90(upright.logits, turns, axes=(1, 2)) > 0
    both = np.count_nonzero(expected & (look.logits > 0))
    assert 2 * both / (np.count_nonzero(expected) + np.count_nonzero(look.logits > 0)) > 0.9


@pytest.mark.parametrize("looks", [(View(),), (View(weight=3.0), View(mirrored=True)), (View(scale=0.9),)])
def test_what_is_remembered_is_what_the_network_says(bundle: Bundle, looks: tuple[View, ...]) -> None:
    """A turned picture's mean is that of asking for every view anew."""
    networks = Networks.load(bundle.path, views=looks)
    film = Radiograph(np.random.default_rng(3).integers(0, 255, (90, 70)).astype(np.uint8))
    prepared = networks.prepare(film)
    look = networks.look(prepared)
    anew = networks.look_through(prepared, looks, look.angle)
    np.testing.assert_array_equal(look.logits, anew.logits)


class Meeting:
    """Asks ``engine`` when as many ask as are expected, and fails when they do not come."""

    description = "made"

    def __init__(self, engine: Engine, together: int) -> None:
        self._engine, self._all_here = engine, threading.Barrier(together)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self._all_here.wait(30)
        return self._engine(batch)


def test_looks_are_taken_side_by_side(predictor: Predictor, picture: np.ndarray) -> None:
    """Both views of the first look at once; then both closer looks, the views of each one after the other."""
    member = predictor.networks.members[0]
    meeting = replace(member, engine=Meeting(member.engine, 2))
    in_turn = replace(
        predictor,
        networks=replace(predictor.networks, lanes=1),
        closer=(Closer(CARPALS, size=256), Closer(SCHEMA.in_row("forearm"), size=256)),
        tidy=(),
        judge=None,
    )
    side_by_side = replace(in_turn, networks=replace(in_turn.networks, members=(meeting,), lanes=2))
    expected, found = in_turn.predict(big(picture)), side_by_side.predict(big(picture))
    assert runs(predictor) == 12
    assert found.regions.keys() == expected.regions.keys()
    assert np.array_equal(found.planes(), expected.planes())


@pytest.mark.parametrize("looks", [FLIPPED, (View(), View(scale=0.9), View(mirrored=True, angle=5.0))])
def test_lanes_change_nothing(bundle: Bundle, second_bundle: Bundle, looks: tuple[View, ...]) -> None:
    """To the last bit: what the looks say is added up in the order of the views, whichever is done first."""
    networks = Networks.load([bundle.path, second_bundle.path], views=looks)
    assert networks.lanes == 2
    film = Radiograph(np.random.default_rng(4).integers(0, 255, (150, 110)).astype(np.uint8))
    prepared = networks.prepare(film)
    in_turn = replace(networks, lanes=1).look(prepared)
    for _ in range(5):
        assert networks.look(prepared).logits.tobytes() == in_turn.logits.tobytes()


def test_one_thread_asks_for_one_look_at_a_time(bundle: Bundle) -> None:
    assert Networks.load(bundle.path, threads=1).lanes == 1
    assert Networks.load(bundle.path, "torch:cpu", threads=4).lanes == 1
