"""The finder's planes: hands written and read again, peaks against a slow and obvious search, the network's shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers_finder import as_output
from ossa.hand.phantom.plates import PlateHand
from ossa.hand.phantom.sprites import VIEWS
from ossa.models import finder_maps as maps


def a_hand(rng: np.random.Generator, centre: tuple[float, float]) -> PlateHand:
    angle = rng.uniform(0, 2 * np.pi)
    length = float(rng.uniform(40, 250))
    return PlateHand(
        np.array(centre),
        np.array([np.cos(angle), np.sin(angle)]),
        length,
        rng.uniform(0.05, 0.9, 4) * length,
        bool(rng.uniform() < 0.5),
        VIEWS[int(rng.integers(4))],
        rng.uniform(size=7) < 0.5,
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_a_written_hand_is_read_again(seed: int, negative: bool) -> None:
    rng = np.random.default_rng(seed)
    hand = a_hand(rng, (float(rng.uniform(0, 255)), float(rng.uniform(0, 159))))
    targets, counts = maps.planes_of([hand], negative, (160, 256))
    assert targets.shape == (maps.PLANES, 20, 32)
    assert counts.shape == (20, 32)
    assert counts.max() == 1
    (found,) = maps.peaks(as_output(targets))
    assert found.centre == pytest.approx(hand.centre, abs=1e-3)
    assert found.up == pytest.approx(hand.up, abs=1e-5)
    assert found.length == pytest.approx(hand.length, rel=1e-5)
    assert found.box == pytest.approx(hand.box, rel=1e-4)
    assert (found.thumb_left > 0.5) == hand.thumb_left
    assert (found.negative > 0.5) == negative
    assert maps.VIEWS[int(found.views.argmax())] == hand.view
    assert ((found.parts > 0.5) == hand.parts).all()
    assert maps.presence(as_output(targets)) > 0.99


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_mirrored_planes_are_those_of_the_mirrored_hands(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hands = [a_hand(rng, (float(rng.uniform(0, 255)), float(rng.uniform(0, 159)))) for _ in range(2)]
    turned = [
        replace(
            hand,
            centre=np.array([255 - hand.centre[0], hand.centre[1]]),
            up=hand.up * (-1, 1),
            box=hand.box[[0, 1, 3, 2]],
            thumb_left=not hand.thumb_left,
        )
        for hand in hands
    ]
    planes = maps.planes_of(hands, True, (160, 256))[0]
    expected = maps.planes_of(turned, True, (160, 256))[0]
    assert maps.mirrored(planes) == pytest.approx(expected, abs=1e-5)
    assert (maps.mirrored(maps.mirrored(planes)) == planes).all()


def test_two_hands_keep_their_own_numbers() -> None:
    rng = np.random.default_rng(3)
    hands = [a_hand(rng, (60.0, 100.0)), a_hand(rng, (190.0, 90.0))]
    found = maps.peaks(as_output(maps.planes_of(hands, False, (192, 256))[0]))
    lengths = sorted(f.length for f in found)
    assert lengths == pytest.approx(sorted(h.length for h in hands), rel=1e-5)


def test_an_empty_plate_has_no_peak() -> None:
    targets, counts = maps.planes_of([], False, (256, 256))
    assert counts.sum() == 0
    assert targets[maps.HEAT].max() == 0
    assert maps.peaks(as_output(targets)) == ()
    assert maps.presence(as_output(targets)) < 0.01


def slow_peaks(planes: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Cells (row, column) that are a hand's: as likely as each neighbour, likely enough, far from surer ones."""
    heat = 1 / (1 + np.exp(-planes[maps.HEAT]))
    tops = []
    for i in range(heat.shape[0]):
        for j in range(heat.shape[1]):
            around = heat[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            if heat[i, j] >= maps.LEAST and heat[i, j] == around.max():
                tops.append((i, j))
    kept: list[tuple[int, int]] = []
    places: list[tuple[NDArray[np.float64], float]] = []
    for i, j in sorted(tops, key=lambda cell: -heat[cell]):
        x = (j + planes[1, i, j] + 0.5) * 8 - 0.5
        y = (i + planes[2, i, j] + 0.5) * 8 - 0.5
        length = maps.UNIT * np.exp(planes[3, i, j])
        if all(np.hypot(x - q[0], y - q[1]) >= maps.APART * max(length, other) for q, other in places):
            kept.append((i, j))
            places.append((np.array([x, y]), length))
    return kept


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_peaks_are_those_of_an_obvious_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    planes = rng.normal(0, 1, (maps.PLANES, 9, 12))
    planes[maps.HEAT] *= 2
    planes[maps.LENGTH] = rng.normal(-1, 0.5, (9, 12))
    found = maps.peaks(planes)
    expected = slow_peaks(planes)
    assert len(found) == len(expected)
    for peak, (i, j) in zip(found, expected, strict=True):
        assert peak.sure == pytest.approx(1 / (1 + np.exp(-planes[maps.HEAT, i, j])))
        assert peak.centre == pytest.approx((np.array([j, i]) + planes[maps.OFFSET, i, j] + 0.5) * 8 - 0.5)


def test_the_network_is_small_and_gives_one_number_for_the_picture() -> None:
    torch = pytest.importorskip("torch")
    from ossa.errors import ConfigError
    from ossa.models.finder import FinderNet

    net = FinderNet().eval()
    assert sum(p.numel() for p in net.parameters()) < 650_000
    with torch.no_grad():
        planes = net(torch.zeros(2, 1, 96, 64)).numpy()
    assert planes.shape == (2, maps.PLANES, 12, 8)
    assert np.ptp(planes[0, maps.PRESENT]) == 0
    with pytest.raises(ConfigError, match="multiples of 32"):
        net(torch.zeros(1, 1, 90, 64))
