"""Strips along the outlines of bones: what the picture and the logits say across each outline, laid straight.

Outlines (segmentation.rings), a picture and logits flow in; arrays for models.refiner flow out. Training and prediction
build them here, in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.decode import GridPlacement, Logits, scales
from ossa.segmentation.rings import Points, Ring, ring
from ossa.segmentation.segmentation import Region

Float = NDArray[np.float32]

#: A unit is this share of the picture's longer side, so that a part has about as many of them on every film.
UNIT = 1 / 2048

#: Units between two points of an outline, and between two samples across it.
ALONG, APART = 3.0, 1.5

#: A picture is made smaller before it is sampled at steps larger than this in px.
COARSE = 1.5

#: Logits count up to this; a layer of them is divided by ``SCALE``.
MOST, SCALE = 12.0, 4.0

#: Share of the spread of all strips that a bone without contrast is taken to have.
FAINT = 0.03


@dataclass(frozen=True, eq=False)
class Seen:
    """What a look says: ``logits`` (C, h, w) over the grid of ``placement``, of a picture whose first pixel lies at
    (``top``, ``left``) in the whole one."""

    logits: Logits
    placement: GridPlacement
    top: int = 0
    left: int = 0

    @cached_property
    def rivals(self) -> tuple[Float, Float]:
        """The highest and the second highest logit of each pixel, (h, w) each."""
        first = np.full(self.logits.shape[1:], -np.inf, np.float32)
        second = first.copy()
        for plane in self.logits:
            np.maximum(second, np.minimum(first, plane), out=second)
            np.maximum(first, plane, out=first)
        return first, second


def unit_of(shape: tuple[int, int]) -> float:
    """A unit in px of a picture of ``shape`` (H, W)."""
    return max(shape) * UNIT


def sampled(picture: NDArray[Any], points: NDArray[np.floating]) -> Float:
    """``picture`` (H, W) at ``points`` (..., 2) (x, y), between pixels linearly, beyond the border as at the border."""
    import cv2

    flat = np.asarray(points, np.float32)
    out = cv2.remap(picture, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.float32)


class Greys:
    """Grey values of a ``picture`` (H, W) of any kind at points that lie ``step`` px apart, between its pixels: where
    steps are coarse it is made smaller first.
    """

    def __init__(self, picture: NDArray[Any], step: float) -> None:
        import cv2

        small = picture
        if step > COARSE:
            size = (max(1, round(picture.shape[1] / step)), max(1, round(picture.shape[0] / step)))
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        self._small = small if small.dtype in (np.uint8, np.uint16, np.float32) else small.astype(np.float32)
        self._shrunk = np.array([small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]])

    def at(self, points: Points) -> Float:
        """The greys at ``points`` (..., 2) (x, y) in px of the picture."""
        return sampled(self._small, (points + 0.5) * self._shrunk - 0.5)


class Sampler:
    """Samples strips of one ``picture`` (H, W) of any grey values, of which bones are bright."""

    def __init__(self, picture: NDArray[Any], across: int) -> None:
        self.shape: tuple[int, int] = picture.shape[:2]
        self.unit = unit_of(self.shape)
        self.reach: Points = np.asarray((np.arange(across) - across // 2) * (APART * self.unit), np.float64)
        self._greys = Greys(picture, self.unit)

    def ring(self, region: Region) -> Ring | None:
        """The outline of a region at the steps that strips have along it; None for a region too small for one."""
        return ring(region, ALONG * self.unit, max(1.0, self.unit))

    def points(self, one: Ring) -> Points:
        """Where a ring's strip is sampled, (across, N, 2): from the inside to the outside."""
        return one.points[None] + self.reach[:, None, None] * one.outwards[None]

    def strip(self, one: Ring, seen: Seen, channel: int) -> Float:
        """(3, across, N): grey values as they are, and the logits of the bone and of the highest other one."""
        points = self.points(one)
        ends = points[[0, -1]]  # what lies between them lies in their box
        grey = self._greys.at(points)
        height, width = seen.logits.shape[1:]
        scale_y, scale_x = scales((height, width), seen.placement)

        def on_grid(points: Points) -> Points:
            return (points - (seen.left - 0.5, seen.top - 0.5)) * (scale_x, scale_y) - 0.5

        box_of = on_grid(ends.reshape(-1, 2))
        low = np.clip(np.floor(box_of.min(axis=0)).astype(int) - 1, 0, (width - 1, height - 1))
        high = np.clip(np.ceil(box_of.max(axis=0)).astype(int) + 2, low + 1, (width, height))
        box = (slice(low[1], high[1]), slice(low[0], high[0]))
        first, second = (plane[box] for plane in seen.rivals)
        own = np.ascontiguousarray(seen.logits[channel][box], np.float32)
        other = np.where(own >= first, second, first)
        here = on_grid(points) - low
        return np.stack([grey, sampled(own, here), sampled(other, here)])


def normalised(strips: Sequence[Float]) -> list[Float]:
    """Strips (3, across, N) of one picture as the refiner takes them: grey values of each around its median in its
    own spread, logits cut off and scaled."""
    spread = [float(np.std(one[0])) for one in strips]
    floor = FAINT * float(np.mean(spread)) + 1e-6 if spread else 1.0
    out = []
    for one, own in zip(strips, spread, strict=True):
        new = np.clip(one, -MOST, MOST) / np.float32(SCALE)
        new[0] = (one[0] - np.median(one[0])) / np.float32(own + floor)
        out.append(new.astype(np.float32))
    return out


def closed(strip: Float, around: int) -> Float:
    """A strip (3, across, N) with ``around`` columns more at each end, as the outline goes round."""
    count = strip.shape[2]
    return strip[..., np.arange(-around, count + around) % count]
