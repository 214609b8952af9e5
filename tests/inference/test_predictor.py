"""The predictor: one model, several, any picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_models import MakeBundle
from ossa.bundle.bundle import Bundle
from ossa.bundle.card import Closer
from ossa.errors import BundleError, ConfigError
from ossa.inference.networks import Look, Networks, member_weights
from ossa.inference.predictor import Predictor
from ossa.inference.tiles import Tiles
from ossa.inference.views import FLIPPED, PLAIN, View, views
from ossa.radiograph.prepare import Preparation, prepare
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.schema import BoneSchema
from ossa.segmentation.decode import decode, resample_logits


def picture(height: int, width: int, seed: int = 0, spacing: Spacing | None = None) -> Radiograph:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 8 + 2, width // 8 + 2)).astype(np.uint8)
    return Radiograph(np.kron(coarse, np.ones((8, 8), np.uint8))[:height, :width].copy(), spacing)


def seen(networks: Networks, radiograph: Radiograph) -> Look:
    return networks.look(networks.prepare(radiograph))


def test_one_model_is_the_network_and_nothing_else(bundle: Bundle) -> None:
    import torch

    radiograph = picture(150, 110)
    predictor = Predictor.load(bundle.path, fast=True)
    look = seen(predictor.networks, radiograph)
    grid, expected_placement = prepare(radiograph, Preparation(64))
    assert look.placement == expected_placement
    with torch.inference_mode():
        expected = bundle.torch_module()(torch.from_numpy(grid[None]))[0].numpy()
    np.testing.assert_allclose(look.logits, expected, atol=1e-4)
    found = predictor.predict(radiograph)
    assert found.shape == (150, 110)
    assert np.array_equal(found.planes(), decode(look.logits, look.placement, predictor.schema).planes())


@pytest.mark.parametrize("shape", [(200, 300), (1, 1), (700, 20), (6000, 8000)])
def test_any_size(tmp_path: Path, make_bundle: MakeBundle, few: BoneSchema, shape: tuple[int, int]) -> None:
    found = Predictor.load(make_bundle(tmp_path / "m", schema=few).path, fast=True).predict(picture(*shape))
    assert found.shape == shape


def test_pixels_that_are_not_square(bundle: Bundle) -> None:
    """Twice as tall pixels: the grid is the one of the square picture, the result has the file's own shape."""
    square = picture(160, 80)
    tall = Radiograph(square.pixels[::2].copy(), Spacing(0.2, 0.1, "user"))
    predictor = Predictor.load(bundle.path, fast=True)
    assert seen(predictor.networks, tall).logits.shape == seen(predictor.networks, square).logits.shape
    assert predictor.predict(tall).shape == (80, 80)


def test_an_ensemble_is_the_weighted_mean_on_the_finest_grid(bundle: Bundle, second_bundle: Bundle) -> None:
    radiograph = picture(150, 110)
    weights = np.random.default_rng(0).uniform(0.1, 1, (2, 29))
    both = Predictor.load([bundle.path, second_bundle.path], weights=weights, fast=True)
    look = seen(both.networks, radiograph)
    one, two = (seen(Networks.load(b.path), radiograph) for b in (bundle, second_bundle))
    assert look.placement == two.placement
    share = (weights / weights.sum(axis=0))[:, :, None, None]
    brought = resample_logits(one.logits, one.placement, two.placement, two.logits.shape[1:])
    np.testing.assert_allclose(look.logits, brought * share[0] + two.logits * share[1], atol=1e-3)
    # thresholds: the mean as logits, only where a member has one
    assert set(both.thresholds) == {"Radius"}
    share_radius = float(share[1, both.schema.index("Radius"), 0, 0])
    mean = share_radius * np.log(0.3 / 0.7)
    assert both.thresholds["Radius"] == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-6)


def test_the_same_model_twice_is_the_model(bundle: Bundle) -> None:
    radiograph = picture(90, 120)
    one = seen(Networks.load(bundle.path), radiograph).logits
    two = seen(Networks.load([bundle.path, bundle.path], weights=[3, 1]), radiograph).logits
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_thresholds_of_the_bundle_are_used(second_bundle: Bundle) -> None:
    radiograph = picture(150, 110)
    predictor = Predictor.load(second_bundle.path, fast=True)
    assert predictor.thresholds == {"Radius": 0.3}
    halves = replace(predictor, thresholds={})
    look = seen(predictor.networks, radiograph)
    look.logits[:] -= np.quantile(look.logits, 0.6, axis=(1, 2), keepdims=True)  # every bone is there
    found, with_half = predictor.decode(look), halves.decode(look)
    assert found.regions["Radius"].area > with_half.regions["Radius"].area
    assert found.regions["Ulna"].area == with_half.regions["Ulna"].area


def test_views_of_a_symmetric_network(bundle: Bundle) -> None:
    """A mirrored view of a mirrored picture is the picture: the mean over both is the same, mirrored."""
    radiograph = picture(128, 128)
    mirrored = Radiograph(radiograph.pixels[:, ::-1].copy())
    networks = Networks.load(bundle.path, views=views(True))
    a, b = seen(networks, radiograph).logits, seen(networks, mirrored).logits
    np.testing.assert_allclose(a, b[:, :, ::-1], atol=1e-3)


def test_a_mirrored_look_stands_where_outlines_are_taken(
    bundle: Bundle, tmp_path: Path, make_bundle: MakeBundle
) -> None:
    closer = make_bundle(tmp_path / "closer", closer=(Closer(bundle.card.schema.names[:3], size=64),))
    assert [Predictor.load(b.path).networks.views for b in (bundle, closer)] == [FLIPPED, PLAIN]
    assert Predictor.load(closer.path).closer_views == FLIPPED
    asked = Predictor.load(closer.path, views=views(True, (0.9, 1.0)))
    assert asked.networks.views == asked.closer_views == views(True, (0.9, 1.0))
    fast = Predictor.load(closer.path, fast=True)
    assert (fast.networks.views, fast.closer) == (PLAIN, ())


def test_view_weights(bundle: Bundle) -> None:
    radiograph = picture(128, 96)
    networks = Networks.load(bundle.path)

    def logits(*given: View) -> np.ndarray:
        return seen(replace(networks, views=given), radiograph).logits

    plain, flipped = logits(View()), logits(View(mirrored=True))
    mean = logits(View(weight=3), View(mirrored=True))
    np.testing.assert_allclose(mean, 0.75 * plain + 0.25 * flipped, atol=1e-4)


def test_windows_agree_with_the_whole_inside(tmp_path: Path, make_bundle: MakeBundle) -> None:
    made = make_bundle(tmp_path / "m", preparation=Preparation(256))
    radiograph = picture(256, 192)
    networks = Networks.load(made.path)
    whole = seen(networks, radiograph).logits
    tiled = seen(replace(networks, tiles=Tiles(96, 0.5)), radiograph).logits
    # the network sees 4 px to each side; only window borders, which weigh next to nothing, may differ
    assert np.abs(whole - tiled).mean() < 0.05
    assert np.corrcoef(whole.ravel(), tiled.ravel())[0, 1] > 0.999


def test_a_network_with_context(tmp_path: Path, make_bundle: MakeBundle) -> None:
    preparation = Preparation(128)
    made = make_bundle(tmp_path / "m", channels=2, preparation=preparation)
    predictor = Predictor.load(made.path, tiles=Tiles(64), fast=True)
    assert seen(predictor.networks, picture(128, 128)).logits.shape == (29, 64, 64)
    whole = replace(predictor, networks=replace(predictor.networks, tiles=None))
    assert whole.predict(picture(128, 100)).shape == (128, 100)


def test_bundles_of_different_schemas(bundle: Bundle, tmp_path: Path, make_bundle: MakeBundle, few: BoneSchema) -> None:
    other = make_bundle(tmp_path / "m", schema=few)
    with pytest.raises(
        BundleError, match=r"different bones: 'hand29' \(29\) and 'few' \(3\).*only here: \['a', 'b', 'c'\]"
    ):
        Predictor.load([bundle.path, other.path], fast=True)
    assert Predictor.load(other.path, fast=True).predict(picture(64, 64)).schema == few


def test_a_card_with_the_wrong_stride(tmp_path: Path, make_bundle: MakeBundle) -> None:
    made = make_bundle(tmp_path / "m", stride=4)
    with pytest.raises(BundleError, match="not what its card says"):
        Predictor.load(made.path, fast=True).predict(picture(64, 64))


def test_weights() -> None:
    np.testing.assert_allclose(member_weights([1, 3], 2, 3), [[0.25] * 3, [0.75] * 3])
    np.testing.assert_allclose(member_weights(None, 4, 2), np.full((4, 2), 0.25))
    for bad in ([1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0], np.ones((2, 4))):
        with pytest.raises(ConfigError):
            member_weights(bad, 2, 3)
    with pytest.raises(ConfigError, match="no model"):
        Predictor.load([])
