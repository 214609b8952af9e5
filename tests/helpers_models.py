"""A small network saved as a bundle, and fixtures for everything that needs one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from helpers_known import known
from ossa.bundle.bundle import Bundle, save_bundle
from ossa.bundle.card import Architecture, Card
from ossa.models.architectures import architecture
from ossa.radiograph.prepare import Preparation
from ossa.schema import Bone, BoneSchema, load_schema

pytest.importorskip("torch")

import torch


class SmallNet(torch.nn.Module):
    """Three convolutions, stride 2, enough channels that the weights are stored in 16 bits."""

    stride = 2

    def __init__(self, classes: int = 29, channels: int = 1) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(channels, 24, 5, stride=2, padding=2)
        self.norm = torch.nn.BatchNorm2d(24)
        self.second = torch.nn.Conv2d(24, 24, 3, padding=1)
        self.last = torch.nn.Conv2d(24, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x)))
        return self.last(torch.relu(self.second(x)) + x)


def small_net(classes: int = 29, channels: int = 1, seed: int = 0) -> SmallNet:
    torch.manual_seed(seed)
    net = SmallNet(classes, channels)
    with torch.no_grad():
        known(net.norm.running_mean).normal_()
        known(net.norm.running_var).uniform_(0.5, 2)
        net.last.weight.mul_(6)
        known(net.last.bias).sub_(2)
    return net.eval()


def card(**changes: object) -> Card:
    base = Card(
        name="small",
        schema=load_schema(),
        architecture=Architecture("small_test"),
        stride=2,
        preparation=Preparation(64),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


class MakeBundle(Protocol):
    def __call__(self, folder: Path, *, seed: int = 0, **changes: Any) -> Bundle: ...


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """make_bundle(folder, seed=0, **changes of the card): a small network as a bundle in ``folder``."""

    def make(folder: Path, *, seed: int = 0, **changes: Any) -> Bundle:
        made = card(**changes)
        return save_bundle(folder, small_net(len(made.schema), made.channels, seed), made)

    return make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def second_bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Bundle:
    """Other weights, a finer grid, a threshold."""
    folder = tmp_path_factory.mktemp("models") / "second"
    return make_bundle(folder, seed=1, name="second", preparation=Preparation(96), thresholds={"Radius": 0.3})


@pytest.fixture(scope="session")
def few() -> BoneSchema:
    """Three bones of no shipped schema; a and b are mirror partners."""
    partners = {"a": "b", "b": "a"}
    bones = tuple(Bone(n, n.upper(), "carpal", None, (9, 9, 9), None, partners.get(n, n)) for n in ("a", "b", "c"))
    return BoneSchema("few", "A few bones", bones)


@architecture("small_test")
def _small_test(classes: int, channels: int, imagenet: bool) -> SmallNet:
    return small_net(classes, channels)
