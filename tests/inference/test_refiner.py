"""Outlines that a refiner moves: in a bundle, in a prediction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers_models import MakeBundle
from ossa.bundle.bundle import Bundle
from ossa.bundle.companions import FINDER, REFINER, add_companion, companion_path, companions, put_companion
from ossa.errors import BundleError
from ossa.inference.predictor import Predictor
from ossa.inference.refiner import Refiner
from ossa.inference.tiles import Tiles
from ossa.models.refiner_shape import ACROSS, AROUND, LAYERS
from ossa.radiograph.prepare import Preparation, place
from ossa.radiograph.radiograph import Radiograph
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation
from ossa.segmentation.strips import APART, Seen

SCHEMA = load_schema()
SHAPE = (1024, 768)


class Steady:
    """Says of every edge the same: so many samples outwards, so uncertain."""

    description = "steady"

    def __init__(self, outwards: float, spread: float = 0.5) -> None:
        self.outwards, self.spread = outwards, spread
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.asked.append(batch.shape)
        answer = np.empty((1, 2, 1, batch.shape[3] - 2 * AROUND), np.float32)
        answer[:, 0], answer[:, 1] = self.outwards, self.spread
        return answer


class Measuring:
    """Says where along each column the grey value falls below that of the strip's middle."""

    description = "measuring"

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        grey = batch[0, 0, :, AROUND:-AROUND]
        dark = grey < (grey.max() + grey.min()) / 2
        first = np.where(dark.any(axis=0), dark.argmax(axis=0), ACROSS // 2) - 0.5 - ACROSS // 2
        return np.stack([first, np.full_like(first, 0.1)])[None, :, None].astype(np.float32)


def box(top: int, left: int, bottom: int, right: int) -> Region:
    return Region(top, left, np.ones((bottom - top, right - left), bool))


def two_bones() -> tuple[Segmentation, dict[str, Seen]]:
    names = SCHEMA.names[:2]
    found = Segmentation(
        SCHEMA, SHAPE, {names[0]: box(200, 200, 400, 330), names[1]: box(600, 100, 900, 220)},
        confidence={names[0]: 0.7}, notes=("a note",), probability={names[1]: 0.9},
    )  # fmt: skip
    logits = np.zeros((len(SCHEMA), 128, 96), np.float32)
    return found, dict.fromkeys(names, Seen(logits, place(SHAPE, Preparation(256, 32))))


def test_each_outline_goes_as_far_as_it_is_told() -> None:
    found, seen = two_bones()
    unit = max(SHAPE) / 2048
    for samples in (-4.0, 4.0):
        engine = Steady(samples)
        refined = Refiner(engine).refine(found, seen, np.zeros(SHAPE, np.uint8))
        assert len(engine.asked) == 1  # all bones in one run
        assert engine.asked[0][1:3] == (LAYERS, ACROSS)
        for name, region in found:
            by = samples * APART * unit
            height, width = region.mask.shape
            new = refined[name]
            middle = new.mask.shape[0] // 2, new.mask.shape[1] // 2  # away from the corners
            assert np.count_nonzero(new.mask[:, middle[1]]) == pytest.approx(height + 2 * by, abs=1.5)
            assert np.count_nonzero(new.mask[middle[0]]) == pytest.approx(width + 2 * by, abs=1.5)
        assert refined.confidence == found.confidence
        assert refined.probability == found.probability
        assert refined.notes == found.notes


def test_an_edge_that_the_picture_shows_is_found() -> None:
    found, seen = two_bones()
    name = next(iter(found.regions))
    picture = np.full(SHAPE, 40, np.uint8)
    picture[194:404, 203:335] = 200  # some pixels off, on each side otherwise
    refined = Refiner(Measuring()).refine(found, {name: seen[name]}, picture)[name]
    for side, true in (("top", 194), ("bottom", 404), ("left", 203), ("right", 335)):
        assert getattr(refined, side) == pytest.approx(true, abs=1)


def test_what_no_look_tells_of_stays() -> None:
    found, seen = two_bones()
    first, second = found.regions
    refined = Refiner(Steady(5.0)).refine(found, {first: seen[first]}, np.zeros(SHAPE, np.uint8))
    assert refined.regions[second] is found.regions[second]
    nothing = replace(found, regions={})
    assert Refiner(Steady(5.0)).refine(nothing, seen, np.zeros(SHAPE, np.uint8)) is nothing
    speck = replace(found, regions={first: box(10, 10, 12, 12)})
    assert Refiner(Steady(5.0)).refine(speck, seen, np.zeros(SHAPE, np.uint8)) is speck


def test_a_bone_that_would_vanish_stays() -> None:
    found, seen = two_bones()
    first = next(iter(found.regions))
    thin = replace(found, regions={first: box(100, 100, 104, 180)})
    refined = Refiner(Steady(-2.0)).refine(thin, seen, np.zeros(SHAPE, np.uint8))
    assert refined.regions[first].area > 0


def test_plausible_edges_are_a_deviation_apart() -> None:
    found, seen = two_bones()
    refined = Refiner(Steady(1.0, spread=2.0)).refine(found, seen, np.zeros(SHAPE, np.uint8), edges=True)
    for name, region in refined:
        wider, narrower = refined.plausible[name]
        assert narrower.area < region.area < wider.area
        assert wider.right - region.right == pytest.approx(2.0 * APART * max(SHAPE) / 2048, abs=1)


@pytest.mark.parametrize("wrong", [np.zeros((1, 2, 1, 3), np.float32), np.full((1, 2, 1, 1), np.nan, np.float32)])
def test_an_answer_of_another_kind_is_told(wrong: np.ndarray) -> None:
    found, seen = two_bones()

    class Wrong(Steady):
        def __call__(self, batch: np.ndarray) -> np.ndarray:
            return np.full_like(super().__call__(batch), np.nan) if np.isnan(wrong).any() else wrong

    with pytest.raises(BundleError, match="refiner's output"):
        Refiner(Wrong(0.0)).refine(found, seen, np.zeros(SHAPE, np.uint8))


@pytest.fixture(scope="module")
def with_refiner(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Bundle:
    import torch

    from ossa.models.refiner import RefinerNet

    made = make_bundle(tmp_path_factory.mktemp("models") / "refined")
    torch.manual_seed(0)
    return add_companion(made, REFINER, RefinerNet())


def finding(bundle: Bundle, fast: bool = False, **changes: Any) -> Predictor:
    """A predictor that finds something on any picture, although its network was never trained."""
    loaded = Predictor.load(bundle.path, fast=fast)
    return replace(loaded, judge=None, thresholds=dict.fromkeys(SCHEMA.names, 0.2), **changes)


def test_a_refiner_travels_in_its_bundle(with_refiner: Bundle) -> None:
    import torch

    from ossa.models.refiner import RefinerNet

    again = Bundle.load(with_refiner.path)
    assert companion_path(again, FINDER) is None
    assert list(companions(again)) == [REFINER]
    refiner = Refiner.load(again)
    assert refiner is not None
    torch.manual_seed(0)
    strips = np.random.default_rng(0).normal(size=(1, LAYERS, ACROSS, 70)).astype(np.float32)
    with torch.no_grad():
        expected = RefinerNet().eval()(torch.from_numpy(strips)).numpy()
    assert refiner.engine(strips) == pytest.approx(expected, abs=1e-2)  # 16-bit weights
    moved_on = put_companion(again, REFINER, companions(again)[REFINER])
    assert moved_on.card.files == again.card.files


def test_a_prediction_is_refined_after_all_else(with_refiner: Bundle) -> None:
    picture = np.kron(np.random.default_rng(0).integers(0, 255, (30, 22)), np.ones((8, 8))).astype(np.uint8)
    radiograph = Radiograph(picture)
    for fast in (False, True):
        predictor = finding(with_refiner, fast)
        assert predictor.refiner is not None
        plain = replace(predictor, refiner=None).predict(radiograph)
        assert plain.regions, "the network of this test finds something"
        same = replace(predictor, refiner=Refiner(Steady(0.0))).predict(radiograph)
        wider = replace(predictor, refiner=Refiner(Steady(3.0))).predict(radiograph)
        assert same.regions.keys() == plain.regions.keys() == wider.regions.keys()
        assert same.confidence == plain.confidence == wider.confidence
        areas = [sum(region.area for _, region in found) for found in (same, wider)]
        assert areas[0] < areas[1]
        assert wider.origin is not None
        assert wider.origin.settings["refiner"] is True
        assert predictor.settings() != replace(predictor, refiner=None).settings()


def test_measuring_takes_its_doubt_from_the_refiner(with_refiner: Bundle) -> None:
    picture = np.kron(np.random.default_rng(0).integers(0, 255, (30, 22)), np.ones((8, 8))).astype(np.uint8)
    predictor = finding(with_refiner, edges=True, refiner=Refiner(Steady(0.0, 1.0)))
    found = predictor.predict(Radiograph(picture))
    assert any(len(several) == 2 for several in found.plausible.values())


def test_windows_are_not_refined(with_refiner: Bundle) -> None:
    assert Predictor.load(with_refiner.path, tiles=Tiles(64)).refiner is None


def test_a_damaged_refiner_is_told(with_refiner: Bundle, tmp_path: Path) -> None:
    import shutil

    from ossa.bundle.bundle import CARD
    from ossa.safety import sha256, write_json

    folder = tmp_path / "damaged"
    shutil.copytree(with_refiner.path, folder)
    (folder / REFINER).write_bytes(b"nothing of the kind")
    with pytest.raises(BundleError, match="not the one that the card describes"):
        Predictor.load(folder)
    card = replace(with_refiner.card, files={**with_refiner.card.files, REFINER: sha256(folder / REFINER)})
    write_json(folder / CARD, card.to_json())
    with pytest.raises(BundleError, match=REFINER):
        Predictor.load(folder)
