"""Grad-CAM against a hand-worked formula, the choice of a layer, and layers that cannot be asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers_dataset import draw, schematic_hand
from helpers_known import known
from ossa.bundle.bundle import Bundle
from ossa.errors import ConfigError, SchemaError
from ossa.export.heat import heat_panel, maximum, side_by_side
from ossa.inference.explain import default_layer, explain, grad_cam, layers
from ossa.inference.predictor import Predictor
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.read import read_radiograph
from ossa.segmentation.segmentation import Region

pytest.importorskip("torch")

import torch

nn = torch.nn


class Net(nn.Module):
    """conv -> in-place ReLU -> pool -> conv -> upsample -> 1x1 head, and a layer that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.deep = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.head = nn.Conv2d(5, 2, 1)
        self.aside = nn.Conv2d(4, 1, 1)
        self.unused = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        a = self.relu(self.first(x))
        self.aside(a.detach())
        return nn.functional.interpolate(self.head(self.deep(a)), scale_factor=2)


def picture() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 12, 16)).astype(np.float32))


def test_the_map_is_the_formula() -> None:
    """At the deep layer the logit is linear in the maps, so weights are known: head weight x pixels of M per cell."""
    net, x = Net(), picture()
    with torch.no_grad():
        maps = net.deep(net.relu(net.first(x)))
        known(net.head.bias)[1] -= net.head(maps)[0, 1].median()
        logits = nn.functional.interpolate(net.head(maps), scale_factor=2)[0, 1]
        inside = (logits > 0).float().view(6, 2, 8, 2).sum((1, 3))  # pixels of M over each deep cell
        assert inside.sum() > 0
        weights = net.head.weight[1, :, 0, 0] * inside.mean()
        expected = torch.relu((weights[:, None, None] * maps[0]).sum(0)).numpy()
    heat, found = grad_cam(net, x, 1, "deep")
    assert found
    assert heat == pytest.approx(expected, abs=1e-4)


def test_an_in_place_layer_behind_does_not_change_the_maps() -> None:
    net, x = Net(), picture()
    maps = net.first(x).detach().requires_grad_(True)
    logits = nn.functional.interpolate(net.head(net.deep(torch.relu(maps))), scale_factor=2)[0, 0]
    logits[logits > 0].sum().backward()
    expected = torch.relu((maps.grad.mean((2, 3), keepdim=True) * maps).sum(1))[0].detach().numpy()
    heat, _ = grad_cam(net, x, 0, "first")
    assert heat == pytest.approx(expected, abs=1e-4)


def test_layers_and_the_one_that_is_asked() -> None:
    shapes = layers(Net(), picture())
    assert list(shapes) == ["first", "relu", "aside", "deep", "head"]
    assert shapes["deep"] == (5, 6, 8)
    assert default_layer(shapes) == "deep", "not the head, which is the answer itself"
    with pytest.raises(ConfigError, match="no layer"):
        default_layer({})


def test_the_layer_asked_lies_on_the_way_back_up() -> None:
    grids = {
        "down2": 64,
        "down4": 32,
        "down8": 16,
        "down16": 8,
        "bottom": 8,
        "up8": 16,
        "up4": 32,
        "up2": 64,
        "out": 64,
    }
    assert default_layer({name: (3, side, side) for name, side in grids.items()}) == "up8"
    coarse = {"stem": 32, "a": 8, "b": 8, "out": 8}
    assert default_layer({name: (3, side, side) for name, side in coarse.items()}) == "b"


@pytest.mark.parametrize("bone", ["Scaphoid", "finger-10", "Radius"])
def test_the_heat_lies_at_the_bone(bone: str) -> None:
    """Of the shipped model, most of the heat lies within the bone's own size around it, and its peak does."""
    import cv2

    film = read_radiograph(Path(__file__).parents[2] / "samples" / "hand.png")
    region = Predictor.load(fast=True).predict(film)[bone]
    heat = explain(Bundle.load(), film, bone).values
    mask = region.plane(film.shape)
    away = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5)
    assert heat[away <= np.sqrt(region.area)].sum() / heat.sum() > 0.5
    assert away.flat[heat.argmax()] <= np.sqrt(region.area) / 2


@pytest.mark.parametrize(("layer", "message"), [("dep", "deep"), ("unused", "not used"), ("aside", "do not depend")])
def test_layers_that_cannot_be_asked(layer: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        grad_cam(Net(), picture(), 0, layer)


def test_a_bone_that_is_not_found_is_said_to_be_so() -> None:
    net = Net()
    with torch.no_grad():
        known(net.head.bias)[0] = -100
    heat, found = grad_cam(net, picture(), 0, "deep")
    assert not found
    assert np.isfinite(heat).all()


def test_a_bundle_is_explained_at_the_size_of_the_picture(bundle: Bundle) -> None:
    grey = draw(schematic_hand(90, seed=1), 90)[:, :70]
    heat = explain(bundle, Radiograph(grey), "Scaphoid", "second")
    assert heat.values.shape == grey.shape
    assert 0 <= heat.values.min() <= heat.values.max() <= 1.0001
    with pytest.raises(SchemaError, match="Scaphoid"):
        explain(bundle, Radiograph(grey), "Scaphoyd")


def test_panels_show_heat_and_outline_side_by_side() -> None:
    grey = np.full((60, 40), 100, np.uint8)
    grey[::2] = 140
    heat = np.zeros((60, 40), np.float32)
    heat[10:20, 10:20] = 1
    region = Region(30, 10, np.ones((12, 12), bool))
    panel = heat_panel(grey, heat, [region], "Scaphoid: a\u00e9.png", height=120)
    assert panel.shape == (148, 80, 3)
    assert np.ptp(panel[28 + 30, 30].astype(int)) > 40  # coloured where it is hot
    assert np.ptp(panel[140, 5].astype(int)) == 0  # grey where it is not
    assert (panel[28 + 56 : 28 + 64, 26:38] > 150).any()  # the outline's upper edge
    assert maximum([heat, 0.5 - 0 * heat])[0, 0] == 0.5
    both = side_by_side([[panel, panel[:, :50]], [panel]])
    assert both.shape == (296, 130, 3)
