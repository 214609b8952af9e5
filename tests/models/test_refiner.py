"""The network that refines outlines."""

from __future__ import annotations

import pytest
import torch

from ossa.errors import ConfigError
from ossa.models.refiner import RefinerNet
from ossa.models.refiner_shape import ACROSS, AROUND, LAYERS


def test_it_answers_for_every_column_but_those_around() -> None:
    net = RefinerNet().eval()
    for length in (1, 30):
        with torch.no_grad():
            answer = net(torch.randn(2, LAYERS, ACROSS, length + 2 * AROUND))
        assert answer.shape == (2, 2, 1, length)
        assert answer[:, 0].abs().max() <= ACROSS // 2
        assert (answer[:, 1] > 0).all()


def test_a_column_is_answered_for_by_what_lies_within_reach() -> None:
    net = RefinerNet().eval()
    strip = torch.randn(1, LAYERS, ACROSS, 60)
    other = strip.clone()
    other[..., 40:] += 1
    with torch.no_grad():
        one, two = net(strip), net(other)
    assert torch.equal(one[..., : 40 - 2 * AROUND], two[..., : 40 - 2 * AROUND])
    assert not torch.equal(one, two)


def test_strips_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="strips do not fit"):
        RefinerNet()(torch.zeros(1, LAYERS, ACROSS + 2, 40))
