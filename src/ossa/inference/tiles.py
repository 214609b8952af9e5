"""Sliding windows: a picture too large for the network at once, run window by window and blended.

Windows overlap and are blended with a Gaussian weight, so that a window's centre, which sees the
most around it, counts the most. A network with two input channels also gets the whole hand,
shrunk to the window's size, as context.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError

Float = NDArray[np.float32]

#: The weight's standard deviation over the window's side, as nnU-Net and MONAI take it
#: (monai.inferers.SlidingWindowInferer, sigma_scale=0.125).
SIGMA = 0.125


@dataclass(frozen=True, slots=True)
class Tiles:
    """Windows of ``size`` grid pixels that overlap their neighbours by the fraction ``overlap``."""

    size: int = 512
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.size < 32 or self.size % 32:
            raise ConfigError(
                "the window's size is out of range", found=self.size, expected="a multiple of 32, at least 32"
            )
        if not 0.0 <= self.overlap <= 0.9:
            raise ConfigError("the windows' overlap is out of range", found=self.overlap, expected="0 to .9")


def starts(length: int, size: int, overlap: float, multiple: int) -> tuple[int, ...]:
    """Where windows start along an axis of ``length`` px: evenly spread, the last ends at the end.

    Starts are multiples of ``multiple`` (the network's stride); ``length`` and ``size`` must be, too.
    """
    if length <= size:
        return (0,)
    step = max(multiple, int(size * (1.0 - overlap)))
    count = -(-(length - size) // step) + 1
    places = np.linspace(0, length - size, count)
    return tuple(sorted({round(float(p) / multiple) * multiple for p in places}))


def gaussian(height: int, width: int) -> Float:
    """The blending weight (height, width) of a window, 1 at its centre, never 0."""
    rows = np.exp(-0.5 * (((np.arange(height) + 0.5) / height - 0.5) / SIGMA) ** 2)
    columns = np.exp(-0.5 * (((np.arange(width) + 0.5) / width - 0.5) / SIGMA) ** 2)
    return np.asarray(np.maximum(np.outer(rows, columns), 1e-4), np.float32)


def with_context(window: Float, picture: Float) -> Float:
    """A window (1, h, w) and below it the whole ``picture`` (1, H, W) shrunk to the same size: (2, h, w)."""
    import cv2

    height, width = window.shape[1:]
    whole = picture[0]
    if whole.shape != (height, width):
        whole = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return np.stack([window[0], whole])


def run_whole(network: Callable[[Float], Float], picture: Float, channels: int) -> Float:
    """Logits (bones, h, w) of a picture (1, H, W) in one go."""
    given = with_context(picture, picture) if channels == 2 else picture
    logits: Float = network(given[None])[0]
    return logits


def run_tiled(network: Callable[[Float], Float], picture: Float, channels: int, stride: int, tiles: Tiles) -> Float:
    """Logits (bones, h, w) of a picture (1, H, W), H and W multiples of 32, window by window.

    Memory: two full logit arrays at most, whatever the number of windows.
    """
    height, width = picture.shape[1:]
    tall, wide = min(tiles.size, height), min(tiles.size, width)
    tops = starts(height, tall, tiles.overlap, stride)
    lefts = starts(width, wide, tiles.overlap, stride)
    if len(tops) == len(lefts) == 1:
        return run_whole(network, picture, channels)
    weight = gaussian(tall // stride, wide // stride)
    total = np.zeros((height // stride, width // stride), np.float32)
    out = np.zeros((0, *total.shape), np.float32)
    for top in tops:
        for left in lefts:
            window = picture[:, top : top + tall, left : left + wide]
            logits = network((with_context(window, picture) if channels == 2 else np.ascontiguousarray(window))[None])[
                0
            ]
            if out.shape[0] == 0:
                out = np.zeros((logits.shape[0], *total.shape), np.float32)
            rows = slice(top // stride, top // stride + weight.shape[0])
            columns = slice(left // stride, left // stride + weight.shape[1])
            out[:, rows, columns] += logits * weight
            total[rows, columns] += weight
    out /= total
    return out
