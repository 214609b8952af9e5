"""The finder in a bundle, and every hand of a film by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers_finder import as_mirrored, as_output
from helpers_models import MakeBundle
from ossa.bundle.bundle import CARD, Bundle
from ossa.bundle.companions import FINDER, add_companion, companion_path
from ossa.errors import BundleError
from ossa.hand.phantom.plates import PlateHand
from ossa.inference.cutout import ALONG
from ossa.inference.engine import Engine, OnnxEngine
from ossa.inference.finder import GRID, Finder, Found, FoundHand
from ossa.inference.hands import (
    ASIDE,
    CERTAIN,
    ENOUGH,
    LATERAL,
    NOT_TOLD,
    UNSEEN,
    Glance,
    evidence_asked,
    looked_at,
)
from ossa.inference.judge import NO_HAND
from ossa.inference.predictor import Predictor
from ossa.models import finder_maps as maps
from ossa.radiograph.prepare import prepare
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.safety import sha256, write_json
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Segmentation

SCHEMA = load_schema("hand29")


@dataclass(frozen=True)
class Told:
    """An engine that finds what it was told, in px of the grid: at each call the next of ``hands``, then none.

    Asked of a picture together with the same one mirrored, it knows no side.
    """

    hands: list[PlateHand]

    description = "told"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        seen = [self.hands.pop(0)] if self.hands else []
        targets, _ = maps.planes_of(seen, False, (batch.shape[2], batch.shape[3]))
        output = as_output(targets)
        return output[None] if len(batch) == 1 else as_mirrored(output)


def drawn(x: float, y: float, length: float, angle: float = 0.0) -> PlateHand:
    up = np.array([np.sin(np.radians(angle)), -np.cos(np.radians(angle))])
    box = np.array([0.5, 0.4, 0.25, 0.25]) * length
    return PlateHand(np.array([x, y]), up, length, box, True, "frontal", np.ones(7, bool))


def found_hand(x: float, y: float, length: float, **changes: object) -> FoundHand:
    made = FoundHand(
        0.9, np.array([x, y]), np.array([0.0, -1.0]), length, np.array([0.5, 0.4, 0.25, 0.25]) * length, "R", "frontal",
        frozenset(maps.PARTS) - {"forearm"}, False,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def at_once(bones: Segmentation) -> Glance:
    """A look that finds no more than it found at first."""
    return Glance(bones, lambda: bones)


def all_bright(radiograph: Radiograph, asked: float) -> Glance:
    """Whatever is bright, as three bones."""
    bits = np.where(radiograph.pixels > 50, np.uint32(7), np.uint32(0))
    return at_once(Segmentation.from_bits(bits, SCHEMA))


def never(*_: object) -> Segmentation:
    raise AssertionError("nothing is to be looked for here")


@pytest.fixture(scope="module")
def with_finder(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Bundle:
    import torch

    from ossa.models.finder import FinderNet

    made = make_bundle(tmp_path_factory.mktemp("models") / "found")
    torch.manual_seed(0)
    return add_companion(made, FINDER, FinderNet())


def test_a_finder_travels_in_its_bundle(with_finder: Bundle) -> None:
    import torch

    from ossa.models.finder import FinderNet

    again = Bundle.load(with_finder.path)
    path = companion_path(again, FINDER)
    assert path is not None
    assert path.stat().st_size < 3_000_000
    finder = Finder.load(again)
    assert finder is not None
    torch.manual_seed(0)
    net = FinderNet().eval()
    picture = np.random.default_rng(0).normal(size=(2, 1, 192, 128)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(picture)).numpy()
    assert finder.engine(picture) == pytest.approx(expected, abs=1e-3)
    assert Predictor.load(again.path).finder is not None
    assert Predictor.load(again.path).predict(Radiograph(np.zeros((90, 80), np.uint8))).shape == (90, 80)


def test_a_bundle_without_a_finder_is_asked_as_ever(bundle: Bundle) -> None:
    predictor = Predictor.load(bundle.path)
    assert companion_path(bundle, FINDER) is None
    assert predictor.finder is None
    radiograph = Radiograph(np.random.default_rng(0).integers(0, 255, (150, 110), np.uint8))
    (hand,) = predictor.predict_hands(radiograph)
    assert hand.where is None
    assert (hand.segmentation.planes() == predictor.predict(radiograph).planes()).all()


def test_a_damaged_finder_is_told(with_finder: Bundle, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(with_finder.path, folder)
    data = bytearray((folder / FINDER).read_bytes())
    data[len(data) // 2] ^= 255
    (folder / FINDER).write_bytes(bytes(data))
    with pytest.raises(BundleError, match="not the one that the card describes"):
        Bundle.load(folder)
    (folder / FINDER).write_bytes(b"nothing of the kind")
    card = replace(with_finder.card, files={**with_finder.card.files, FINDER: sha256(folder / FINDER)})
    write_json(folder / CARD, card.to_json())
    with pytest.raises(BundleError, match=FINDER):
        Predictor.load(folder)
    (folder / FINDER).unlink()
    with pytest.raises(BundleError, match="missing"):
        Predictor.load(folder)


def test_another_network_in_the_finders_place_is_told(bundle: Bundle) -> None:
    finder = Finder(OnnxEngine(bundle.onnx_path))
    with pytest.raises(BundleError, match="the finder's output"):
        finder.find(Radiograph(np.zeros((100, 100), np.uint8)))


@pytest.mark.parametrize("tall", [1.0, 1.5])
def test_what_the_finder_says_is_in_px_of_the_film(tall: float) -> None:
    film = Radiograph(np.zeros((round(600 / tall), 300), np.uint8), None if tall == 1 else Spacing(tall, 1.0, "test"))
    placement = prepare(film, GRID)[1]
    x, y = placement.to_grid(np.array([200.0, 250.0]))
    first = drawn(x, y, 60, angle=30)
    found = Finder(Told([first])).find(film)
    (hand,) = found.hands
    assert found.present > 0.9
    assert hand.centre == pytest.approx([200.0, (250.5 * tall) - 0.5], abs=0.5)
    assert hand.length == pytest.approx(60 / placement.scale_x, rel=1e-3)
    assert hand.angle == pytest.approx(30, abs=0.1)
    assert (hand.side, hand.view) == ("R", "frontal")
    assert hand.parts == frozenset(maps.PARTS)


@pytest.mark.parametrize("tall", [1.0, 1.5])
def test_a_hand_is_measured_again_upright_and_at_one_scale(tall: float) -> None:
    film = Radiograph(np.zeros((round(600 / tall), 300), np.uint8), None if tall == 1 else Spacing(tall, 1.0, "test"))
    x, y = prepare(film, GRID)[1].to_grid(np.array([200.0, 250.0]))
    side = GRID.size
    # Seen upright, 110 px long, it is a tenth of that nearer to the fingers, 20 % longer, and 10 degrees on.
    again = drawn((side - 1) / 2, (side - 1) / 2 - 11, 132, angle=10)
    (rough,) = Finder(Told([drawn(x, y, 60, angle=30)])).find(film).hands
    (hand,) = Finder(Told([drawn(x, y, 60, angle=30), again])).find(film).hands
    assert hand.angle == pytest.approx(40, abs=0.1)
    assert hand.length == pytest.approx(1.2 * rough.length, rel=0.01)
    assert hand.centre == pytest.approx(rough.centre + 0.1 * rough.length * rough.up, abs=1.5)
    # Something far from it is another one.
    away = drawn(10, 10, 110, angle=10)
    (same,) = Finder(Told([drawn(x, y, 60, angle=30), away])).find(film).hands
    assert same.angle == pytest.approx(30, abs=0.1)


@dataclass(frozen=True)
class Looking(Told):
    """An engine that is told what the first look finds, and looks again with the shipped finder."""

    again: Engine

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return super().__call__(batch) if len(batch) == 1 else self.again(batch)


@pytest.fixture(scope="module")
def shipped() -> Engine:
    finder = Finder.load(Bundle.load())
    assert finder is not None
    return finder.engine


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_a_hand_of_a_mirrored_film_is_measured_mirrored(shipped: Engine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plate = rng.integers(20, 60, (384, 384)).astype(np.uint8)
    angle = float(rng.uniform(-180, 180))
    x, y = rng.uniform(70, 120, 2).tolist()
    there = drawn(x, y, 70, angle)  # on a grid half as fine as the film
    palm = 2 * there.centre + 0.5 - 30 * there.up
    for k, reach in enumerate((70, 100, 110, 100, 80)):
        way = np.radians(angle + (k - 2) * 15)
        tip = palm + reach * np.array([np.sin(way), -np.cos(way)])
        start, end = ((round(x), round(y)) for x, y in (palm, tip))
        cv2.line(plate, start, end, int(rng.integers(150, 250)), 14, cv2.LINE_AA)
    plate = cv2.GaussianBlur(plate, (0, 0), 2).astype(np.uint8)
    turned = replace(
        there, centre=np.array([191 - there.centre[0], there.centre[1]]), up=there.up * (-1, 1), thumb_left=False
    )
    (hand,) = Finder(Looking([there], shipped)).find(Radiograph(plate)).hands
    (other,) = Finder(Looking([turned], shipped)).find(Radiograph(np.ascontiguousarray(plate[:, ::-1]))).hands
    assert other.sure == pytest.approx(hand.sure, abs=0.02)
    assert other.up == pytest.approx(hand.up * (-1, 1), abs=0.02)
    assert other.centre == pytest.approx([383 - hand.centre[0], hand.centre[1]], abs=1.0)
    assert other.length == pytest.approx(hand.length, rel=0.02)
    assert other.box == pytest.approx(hand.box[[0, 1, 3, 2]], abs=0.02 * hand.length)
    assert other.parts == hand.parts
    assert other.view == hand.view


def test_what_a_network_leans_to_one_side_by_cancels() -> None:
    """A network that sees every hand turned by 5 degrees to the right, in the mirrored picture too."""
    film = Radiograph(np.zeros((600, 600), np.uint8))

    class Leaning(Told):
        def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            out = super().__call__(batch)
            c, s = np.cos(np.radians(5)), np.sin(np.radians(5))
            turn = np.array([[c, -s], [s, c]], np.float32)
            out[:, maps.UP] = np.einsum("ij,njhw->nihw", turn, out[:, maps.UP])
            return out

    middle = (GRID.size - 1) / 2
    # Seen at the first look 5 degrees too far right; again, as it lies then.
    (hand,) = Finder(Leaning([drawn(96, 96, 100, 20), drawn(middle, middle, 110, -5)])).find(film).hands
    assert hand.angle == pytest.approx(20, abs=0.01)


def test_a_part_of_a_hand_is_measured_as_large_as_a_whole_one() -> None:
    film = Radiograph(np.zeros((600, 300), np.uint8))
    x, y = prepare(film, GRID)[1].to_grid(np.array([150.0, 300.0]))
    finger = replace(drawn(x, y, 60), box=np.array([0.2, 0.2, 0.05, 0.05]) * 60)
    (rough,) = Finder(Told([finger])).find(film).hands
    middle = (GRID.size - 1) / 2
    # 60 grid px long, of which 24 px are in view: these are made 110 / 1.15 px, so that the whole would have 239.
    (hand,) = Finder(Told([finger, drawn(middle, middle, 1.1 * 110 / (1.15 * 0.4))])).find(film).hands
    assert hand.length == pytest.approx(1.1 * rough.length, rel=0.01)
    assert hand.centre == pytest.approx(rough.centre, abs=1.5)


def test_a_hand_without_an_extent_is_still_measured() -> None:
    film = Radiograph(np.zeros((600, 300), np.uint8))
    x, y = prepare(film, GRID)[1].to_grid(np.array([150.0, 300.0]))
    (hand,) = Finder(Told([replace(drawn(x, y, 60), box=np.zeros(4))])).find(film).hands
    assert hand.centre == pytest.approx([150.0, 300.0], abs=1.5)


def test_two_peaks_that_are_measured_to_be_one_hand_are_one() -> None:
    film = Radiograph(np.zeros((192, 192), np.uint8))

    class Twice:
        description = "two peaks on the whole film, one hand between them on either cut-out"
        calls = 0

        def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            self.calls += 1
            if self.calls == 1:
                planes = [Told([drawn(x, 96, 100, angle=0)])(batch) for x in (80.0, 112.0)]
                return np.where(planes[0][:, :1] > planes[1][:, :1], planes[0], planes[1])
            towards = 16 * 1.1 if self.calls == 2 else -16 * 1.1
            return Told([drawn(95.5 + towards, 95.5, 110, angle=0)])(batch)

    engine = Twice()
    (hand,) = Finder(engine).find(film).hands
    assert engine.calls == 3
    assert hand.centre[0] == pytest.approx(96, abs=1.5)


def test_two_hands_are_looked_at_one_by_one_and_laid_back() -> None:
    pixels = np.zeros((400, 700), np.uint8)
    cv2.rectangle(pixels, (150, 140), (210, 230), 200, -1)
    cv2.rectangle(pixels, (470, 160), (520, 240), 200, -1)
    film = Radiograph(pixels)
    hands = (found_hand(495, 200, 200, side="L"), found_hand(180, 190, 200))
    out = looked_at(film, Found(hands, 1.0), all_bright, never)
    assert [hand.side for hand in out] == ["R", "L"]
    for hand, (left, right) in zip(out, ((150, 210), (470, 520)), strict=True):
        region = next(iter(hand.segmentation))[1]
        assert (region.left, region.right) == (left, right + 1)
        assert "2 hands found" in hand.segmentation.notes[0]
        assert hand.segmentation.shape == film.shape


def test_a_forearm_that_the_cutout_ends_is_looked_at_again() -> None:
    pixels = np.zeros((900, 500), np.uint8)
    cv2.rectangle(pixels, (225, 60), (275, 899), 200, -1)
    film = Radiograph(pixels)
    hand = found_hand(250, 170, 200, parts=frozenset(maps.PARTS))
    radius = SCHEMA.index("Radius")
    asked = []

    def look(radiograph: Radiograph, asked: float) -> Glance:
        bits = np.where(radiograph.pixels > 100, np.uint32(1 | 1 << radius), np.uint32(0))
        return at_once(Segmentation.from_bits(bits, SCHEMA))

    def look_at_forearm(radiograph: Radiograph) -> Segmentation:
        asked.append(radiograph.shape)
        return look(radiograph, 1.0).finished()

    (found,) = looked_at(film, Found((hand,), 1.0), look, look_at_forearm)
    arm, finger = found.segmentation.regions["Radius"], found.segmentation.regions[SCHEMA.names[0]]
    assert len(asked) == 1
    # To a whole hand's length below the wrist, which lies .4 lengths below the middle.
    assert (arm.top, arm.bottom) == pytest.approx((170 + 80 - 70, 170 + 80 + 200), abs=2)
    assert finger.bottom == pytest.approx(170 + 80 + 200 * ALONG, abs=2)
    # Not where the film ends there anyway.
    looked_at(Radiograph(pixels[:280]), Found((hand,), 1.0), look, never)


def test_a_cutout_that_ends_a_finger_is_made_wider_before_it_is_looked_at_closely() -> None:
    pixels = np.zeros((900, 600), np.uint8)
    cv2.rectangle(pixels, (290, 310), (310, 560), 200, -1)  # a finger 30 px longer than the finder took it for
    film = Radiograph(pixels)
    hand = found_hand(300, 450, 200)
    seen: list[tuple[int, int]] = []
    finished: list[tuple[int, int]] = []

    def look(radiograph: Radiograph, asked: float) -> Glance:
        seen.append(radiograph.shape)
        bones = all_bright(radiograph, asked).bones

        def rest() -> Segmentation:
            finished.append(radiograph.shape)
            return bones

        return Glance(bones, rest)

    (found,) = looked_at(film, Found((hand,), 1.0), look, never)
    region = found.segmentation.regions[SCHEMA.names[0]]
    assert (region.top, region.left, region.right) == (310, 290, 311)
    assert len(seen) == 2
    assert finished == seen[1:]
    assert seen[1][0] > seen[0][0]
    # Neither a whole finger, nor one that the film itself ends, is a reason to look again.
    for there in (np.where(np.arange(900)[:, None] < 345, 0, pixels), pixels[334:]):
        seen.clear()
        place = found_hand(300, 450 if len(there) == 900 else 116, 200)
        looked_at(Radiograph(np.ascontiguousarray(there, np.uint8)), Found((place,), 1.0), look, never)
        assert len(seen) == 1


def test_views_and_little_hands_are_told() -> None:
    film = Radiograph(np.zeros((400, 300), np.uint8))
    (hand,) = looked_at(film, Found((found_hand(150, 200, 300, view="lateral"),), 1.0), all_bright, never)
    assert hand.segmentation.notes[0] == LATERAL
    assert "less than three bones" in hand.segmentation.notes[1]


def refuses(radiograph: Radiograph, asked: float) -> Glance:
    return at_once(Segmentation(SCHEMA, radiograph.shape, {}, {}, (NO_HAND,)))


def test_what_is_refused_is_told_as_far_as_it_is_seen() -> None:
    film = Radiograph(np.full((400, 300), 200, np.uint8))
    for found, note in ((Found((), 0.1), NO_HAND), (Found((found_hand(150, 200, 380),), 0.9), NOT_TOLD)):
        (hand,) = looked_at(film, found, refuses, never)
        assert len(hand.segmentation) == 0
        assert hand.segmentation.notes == (note,)
        assert hand.side in (None, "R")


def test_of_a_whole_hand_more_is_asked_than_of_a_wrist() -> None:
    film = Radiograph(np.full((400, 300), 200, np.uint8))
    told = []

    def look(radiograph: Radiograph, asked: float) -> Glance:
        told.append(asked)
        return refuses(radiograph, asked)

    unsure = {"sure": CERTAIN[0]}
    for parts in ((), ("carpus", "forearm"), maps.PARTS):
        looked_at(film, Found((found_hand(150, 200, 380, parts=frozenset(parts), **unsure),), 1.0), look, never)
    assert told == [1.0, 1.0, pytest.approx(0.8 * 29 / 15)]
    looked_at(film, Found((), 0.4), look, never)
    assert told[3] == UNSEEN > 1


def test_the_more_certain_the_finder_is_the_less_is_asked() -> None:
    finger, whole = frozenset({"index"}), frozenset(maps.PARTS)
    sure = {"sure": CERTAIN[1]}
    for bones, place in (
        (4, found_hand(0, 0, 100, parts=finger, **sure)),
        (3, found_hand(0, 0, 100, parts=frozenset(), **sure)),
        (29, found_hand(0, 0, 100, parts=whole, **sure)),
    ):
        assert evidence_asked(place, 1.0) == pytest.approx(ENOUGH * 0.8 * bones / 15)
        asked = [evidence_asked(place, present) for present in np.linspace(0, 1, 21)]
        assert asked == sorted(asked, reverse=True)
        assert asked[0] == max(1.0, 0.8 * bones / 15)
    assert evidence_asked(found_hand(0, 0, 100, parts=whole, view="lateral", **sure), 1.0) == ASIDE


def test_a_second_hand_that_is_none_is_dropped() -> None:
    pixels = np.zeros((400, 700), np.uint8)
    cv2.rectangle(pixels, (150, 140), (210, 230), 200, -1)

    def look(radiograph: Radiograph, asked: float) -> Glance:
        return all_bright(radiograph, asked) if radiograph.pixels.max() > 100 else refuses(radiograph, asked)

    hands = (found_hand(495, 200, 200), found_hand(180, 190, 200))
    (hand,) = looked_at(Radiograph(pixels), Found(hands, 1.0), look, never)
    assert len(hand.segmentation) == 3
    assert hand.where is hands[1]
    assert not any("hands found" in note for note in hand.segmentation.notes)


def test_where_the_finder_sees_none_the_whole_film_is_looked_at() -> None:
    film = Radiograph(np.full((400, 300), 200, np.uint8))
    seen = []

    def look(radiograph: Radiograph, asked: float) -> Glance:
        seen.append(radiograph)
        return all_bright(radiograph, asked)

    looked_at(film, Found((), 0.7), look, never)
    looked_at(film, Found((found_hand(150, 200, 380, sure=0.4),), 0.7), look, never)
    assert seen == [film, film]
    # A doubtful one beside a sure one is left out.
    hands = (found_hand(150, 200, 200), found_hand(250, 100, 100, sure=0.4))
    assert len(looked_at(film, Found(hands, 1.0), all_bright, never)) == 1
