"""Which way round the grey values run: bones bright (as the package wants them) or dark.

Raster files do not say it and DICOM files now and then say it wrongly, so the picture is asked:
three signs, each of which can fail on some pictures, are added, and only a clear sum counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.radiograph import Grey

#: Longest side in px of the reduced picture that is looked at; bones are then 4-12 px wide.
_LOOK = 256

#: The sum of the three signs lies in -3..3. Chosen on 300 synthetic hands, whole, cut to the wrist and
#: cut at random, behind no, dark, bright and turned shutters: no upright one below -.96, 99 % of the
#: whole inverted ones below -1.1. A negative that is missed gets few bones and a note; an upright film
#: that is turned over would be spoilt, so the threshold keeps its distance.
_CLEAR = -1.1


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

    The sum of the tanh of three signs, in units of the picture's SD:
    how much brighter the detailed quarter of the picture is than its flattest 40 % (bones have
    detail, bare film and shutters have none); how much brighter the middle third is than the two
    sides; the skewness of a band pass at bone width (bones are ridges, joints and gaps are fewer).
    """
    grey = _inside_shutter(_reduced(pixels))
    if min(grey.shape) < 32 or float(grey.std()) < 1e-6:
        return 0.0
    return float(
        np.tanh(_detail_is_bright(grey)) + np.tanh(_middle_is_bright(grey)) + np.tanh(_ridges_are_bright(grey))
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
    low, high = np.percentile(small, (1, 99))
    return np.clip(small, np.float32(low), np.float32(high))


def _inside_shutter(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The exposed field, turned upright, when even areas at the corners leave a rectangle; else ``grey``.

    A shutter says nothing about the film: it is black on negatives and positives alike. Bare film
    that is even as well leaves the shape of a hand, which fills its rectangle badly.
    """
    import cv2

    height, width = grey.shape
    spread = 0.03 * float(grey.max() - grey.min())
    mask = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if not mask[corner[1] + 1, corner[0] + 1]:
            cv2.floodFill(grey, mask, corner, 0, spread, spread, flags)
    field = mask[1:-1, 1:-1] == 0
    top, bottom, left, right = (line.mean() > 0.3 for line in (field[0], field[-1], field[:, 0], field[:, -1]))
    if field.mean() < 0.1 or (top and bottom) or (left and right):  # a forearm runs through, or no shutter at all
        return grey
    rows = np.flatnonzero(field.any(axis=1))
    first, last = field[rows].argmax(axis=1), width - 1 - field[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
    centre, (across, down), angle = cv2.minAreaRect(ends.astype(np.float32))
    if angle > 45:
        across, down, angle = down, across, angle - 90
    if np.count_nonzero(field) < 0.85 * (across + 1) * (down + 1):
        return grey
    turn = cv2.getRotationMatrix2D(centre, angle, 1)
    inner = (round(across) - 3, round(down) - 3)  # without the soft edge of the shutter
    if min(inner) < 32:
        return grey
    turn[:, 2] += np.subtract((np.array(inner) - 1) / 2, centre)
    upright = cv2.warpAffine(grey, turn, inner, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(upright, np.float32)


def _detail_is_bright(grey: NDArray[np.float32]) -> float:
    import cv2

    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    detail = cv2.GaussianBlur(slope, (0, 0), 4)[6:-6, 6:-6]
    value = smooth[6:-6, 6:-6]
    flat, busy = np.percentile(detail, (40, 75))
    return float((np.median(value[detail >= busy]) - np.median(value[detail <= flat])) / (value.std() + 1e-6))


def _middle_is_bright(grey: NDArray[np.float32]) -> float:
    width = grey.shape[1]
    sides = 0.5 * (grey[:, : width // 8].mean() + grey[:, -(width // 8) :].mean())
    return float((grey[:, width // 3 : 2 * width // 3].mean() - sides) / (grey.std() + 1e-6))


def _ridges_are_bright(grey: NDArray[np.float32]) -> float:
    import cv2

    band = cv2.GaussianBlur(grey, (0, 0), 4) - cv2.GaussianBlur(grey, (0, 0), 6.4)
    band -= band.mean()
    square = band * band
    return float((square * band).mean() / (square.mean() ** 1.5 + 1e-12))
