"""Which way round the grey values run: bones bright (as the package wants them) or dark.

Raster files do not say it, so the picture is asked (a DICOM header that says it is believed): three signs, each of
which can fail on some pictures, are taken from the exposed field alone and added, and only a clear sum counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.percentiles import percentiles
from ossa.radiograph.radiograph import Grey

#: Longest side in px of the reduced picture that is looked at; bones are then 4-12 px wide.
_LOOK = 256

#: The sum of the three signs lies in -3..3. 70 phantoms, whole, cut to their centre and cut to a quarter, beside
#: bars, in frames and in discs: no upright one below -1.06; 125 real upright films: none below -.5, and 92 % of their
#: negatives below -1.1. A negative that is missed gets few bones and a note; an upright film that is turned over would
#: be spoilt, so the threshold keeps its distance.
_CLEAR = -1.1

#: A shutter is even within this share of the picture's range of grey.
_EVEN = 0.03

#: Even areas of less than this share of the picture are not looked into.
_LEAST_SHUTTER = 0.01

#: A field beside a shutter fills this share of its convex hull, and at least this share of the picture.
_CONVEX = 0.98
_LEAST_FIELD = 0.1

#: Parts of less than this share of what a shutter leaves are specks.
_SPECK = 0.05


def invert(pixels: Grey) -> Grey:
    """Grey values mirrored: 8 bits at 255, 16 bits at the picture's maximum (12-bit data stay 12-bit)."""
    top = np.uint8(255) if pixels.dtype == np.uint8 else pixels.max(initial=0)
    out: Grey = np.subtract(top, pixels, dtype=pixels.dtype)
    return out


def looks_inverted(pixels: NDArray[Any]) -> bool:
    """Whether bones are dark on a bright film. In doubt (and below 32 px a side) False."""
    return upright_sign(pixels) < _CLEAR


def upright_sign(pixels: NDArray[Any]) -> float:
    """From -3 (dark bones on a bright film) to 3 (bright bones on a dark film); 0 says nothing.

    The sum of the tanh of three signs, in units of the SD of the exposed field:
    how much brighter the detailed quarter of the field is than its flattest 40 % (bones have
    detail, bare film has none); how much brighter the middle third is than the two
    sides; the skewness of a band pass at bone width (bones are ridges, joints and gaps are fewer).
    """
    grey = _reduced(pixels)
    field = _exposed(grey)
    if min(grey.shape) < 32 or float(grey[field].std()) < 1e-6:
        return 0.0
    seen = _Seen(grey, field)
    return float(
        np.tanh(_detail_is_bright(seen)) + np.tanh(_middle_is_bright(seen)) + np.tanh(_ridges_are_bright(seen))
    )


def _reduced(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """(h, w) float32 with the longest side about 256 px or less, clipped to its 1st and 99th percentile."""
    import cv2

    longest = max(pixels.shape)
    if longest >= 4 * _LOOK:  # whole steps (at most an eighth off the mark) are averaged four times as fast
        step = round(longest / _LOOK)
        size = (max(1, pixels.shape[1] // step), max(1, pixels.shape[0] // step))
        pixels = pixels[: size[1] * step, : size[0] * step]
    else:
        scale = min(1.0, _LOOK / longest)
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    low, high = percentiles(small, 1, 99)
    return np.clip(small, np.float32(low), np.float32(high))


def _exposed(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the beam reached the film: all but the even areas at the corners that a shutter, a frame or a bar leaves.

    Such an area says nothing about the film: it is black or white on negatives and positives alike. What is left
    beside a shutter is convex, be it a rectangle, upright or turned, or the disc of an image intensifier. Bare film
    that is even as well leaves the shape of what was filmed, which is not.
    """
    import cv2

    height, width = grey.shape
    field = np.ones(grey.shape, bool)
    spread = _EVEN * float(grey.max() - grey.min())
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if not field[corner[1], corner[0]]:
            continue
        mask = np.zeros((height + 2, width + 2), np.uint8)
        cv2.floodFill(grey, mask, corner, 0, spread, spread, flags)
        even = mask[1:-1, 1:-1]
        if np.count_nonzero(even) < _LEAST_SHUTTER * even.size:
            continue
        parts = _parts(field & (even == 0))
        if parts and all(map(_is_convex, parts)):
            field = np.logical_or.reduce(parts)
    return field if field.mean() >= _LEAST_FIELD else np.ones(grey.shape, bool)


def _parts(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The connected parts of a mask, without specks such as a text in the shutter."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    least = _SPECK * np.count_nonzero(mask)
    return [labels == part for part in range(1, count) if stats[part, cv2.CC_STAT_AREA] >= least]


def _is_convex(mask: NDArray[np.bool_]) -> bool:
    import cv2

    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), cv2.convexHull(contours[0]), 1)
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, 0, 1, cv2.FILLED)
    return bool(np.count_nonzero(filled) >= _CONVEX * np.count_nonzero(hull))


class _Seen:
    """The exposed field of a reduced picture; ``core`` keeps away from its soft edge."""

    def __init__(self, grey: NDArray[np.float32], field: NDArray[np.bool_]) -> None:
        import cv2

        self.grey, self.field = grey, field
        framed = np.pad(field.view(np.uint8), 1) if not field.all() else np.ones(np.add(field.shape, 2), np.uint8)
        edge = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=3, borderType=cv2.BORDER_REPLICATE)
        self.core = edge[1:-1, 1:-1] > 0
        self.core[:6] = self.core[-6:] = self.core[:, :6] = self.core[:, -6:] = False
        self.weight = field.astype(np.float32)
        self.spread = float(grey[field].std()) + 1e-6

    def blur(self, values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
        """A Gaussian mean over the field alone: what lies outside does not leak in."""
        import cv2

        if self.field.all():
            return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)
        total = cv2.GaussianBlur(values * self.weight, (0, 0), sigma)
        share = cv2.GaussianBlur(self.weight, (0, 0), sigma)
        return np.asarray(total / np.maximum(share, 1e-3), np.float32)


def _detail_is_bright(seen: _Seen) -> float:
    import cv2

    smooth = seen.blur(seen.grey, 1.5)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) * seen.core
    detail, value = seen.blur(slope, 4)[seen.core], smooth[seen.core]
    if not detail.size:
        return 0.0
    flat, busy = map(np.float64, percentiles(detail, 40, 75))  # compared in 64 bit
    return float((np.median(value[detail >= busy]) - np.median(value[detail <= flat])) / seen.spread)


def _middle_is_bright(seen: _Seen) -> float:
    columns = np.flatnonzero(seen.field.any(axis=0))
    left, width = int(columns[0]), int(columns[-1] - columns[0]) + 1

    def mean(first: int, last: int) -> float:
        inside = seen.field[:, left + first : left + last]
        return float(seen.grey[:, left + first : left + last][inside].mean()) if inside.any() else 0.0

    sides = 0.5 * (mean(0, max(1, width // 8)) + mean(width - max(1, width // 8), width))
    return (mean(width // 3, max(width // 3 + 1, 2 * width // 3)) - sides) / seen.spread


def _ridges_are_bright(seen: _Seen) -> float:
    band = (seen.blur(seen.grey, 4) - seen.blur(seen.grey, 6.4))[seen.core if not seen.field.all() else seen.field]
    if not band.size:
        return 0.0
    band = band - band.mean()
    square = band * band
    return float((square * band).mean() / (square.mean() ** 1.5 + 1e-12))
