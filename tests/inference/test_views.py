"""Views: what is looked at in several ways and brought back is the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.errors import ConfigError
from ossa.inference.views import PLAIN, View, look, look_back, parse_views, views


def blob(height: int, width: int) -> np.ndarray:
    ys, xs = np.mgrid[:height, :width]
    value = np.exp(-(((ys - 0.4 * height) / (0.2 * height)) ** 2) - ((xs - 0.6 * width) / (0.15 * width)) ** 2)
    return value[None].astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    mirrored=st.booleans(),
    scale=st.sampled_from([0.8, 0.9, 1.0, 1.15]),
    angle=st.sampled_from([-12.0, -5.0, 0.0, 3.0, 10.0]),
    stride=st.sampled_from([1, 2, 4]),
    height=st.sampled_from([192, 256]),
    width=st.sampled_from([160, 256]),
)
def test_there_and_back(mirrored: bool, scale: float, angle: float, stride: int, height: int, width: int) -> None:
    """The "network" averages stride x stride pixels: logits of a view, brought back, are those of the picture."""

    def network(picture: np.ndarray) -> np.ndarray:
        c, h, w = picture.shape
        return picture.reshape(c, h // stride, stride, w // stride, stride).mean((2, 4))

    picture = blob(height, width)
    view = View(mirrored, scale, angle)
    seen = look(picture, view, 32)
    assert seen.shape[1] % 32 == seen.shape[2] % 32 == 0
    back = look_back(network(seen), view, (height, width), 32, (0,))
    assert back.shape == (1, height // stride, width // stride)
    assert back.dtype == np.float32
    if view.scale == 1 and view.angle == 0:
        np.testing.assert_allclose(back, network(picture), atol=1e-6)
    else:
        np.testing.assert_allclose(back, network(picture), atol=0.04)


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("axis", [1, 2])
def test_pixel_centres_of_a_coarse_grid(stride: int, axis: int) -> None:
    """A ramp comes back as itself to a fiftieth of a logit pixel: centres half a pixel off would show."""
    picture = np.broadcast_to(np.arange(256.0, dtype=np.float32) / np.float32(stride), (1, 256, 256))
    picture = np.ascontiguousarray(picture if axis == 2 else picture.transpose(0, 2, 1))

    def network(seen: np.ndarray) -> np.ndarray:
        c, h, w = seen.shape
        return seen.reshape(c, h // stride, stride, w // stride, stride).mean((2, 4))

    for scale in (0.8, 1.15):
        view = View(scale=scale)
        back = look_back(network(look(picture, view, 32)), view, (256, 256), 32, (0,))
        inner = slice(256 // stride // 4, 3 * 256 // stride // 4)
        np.testing.assert_allclose(back[0, inner, inner], network(picture)[0, inner, inner], atol=0.02)


def test_a_turned_picture_keeps_its_corners() -> None:
    picture = np.ones((1, 64, 64), np.float32)
    seen = look(picture, View(angle=10), 32)
    assert seen.sum() == pytest.approx(64 * 64, rel=0.01)


def test_mirror_partners_exchange_channels() -> None:
    logits = np.arange(3 * 2 * 4, dtype=np.float32).reshape(3, 2, 4)
    back = look_back(logits, View(mirrored=True), (4, 8), 4, (1, 0, 2))
    np.testing.assert_array_equal(back[0], logits[1, :, ::-1])
    np.testing.assert_array_equal(back[1], logits[0, :, ::-1])
    np.testing.assert_array_equal(back[2], logits[2, :, ::-1])


def test_views_from_text() -> None:
    assert parse_views("none") == PLAIN
    assert parse_views("flip") == (View(), View(mirrored=True))
    assert len(parse_views("flip,scale:0.9:1:1.1,rotate:-5:0:5")) == 18
    assert views(False, (1.0, 0.9)) == (View(), View(scale=0.9))


@pytest.mark.parametrize("text", ["flop", "scale", "scale:x", "rotate:1000", "scale:0", "flip:2"])
def test_views_not_understood(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_views(text)
