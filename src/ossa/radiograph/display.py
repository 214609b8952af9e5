"""Radiographs for the eye, and pictures as the bytes of a PNG or JPEG file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import OutputError

Picture = NDArray[np.uint8]


def for_the_eye(grey: NDArray[Any]) -> Picture:
    """(H, W) grey values as uint8, their .5 to 99.5 percentiles spread over 0..255, since many films are dark.

    Where nearly all of a picture has one value its least and its largest are taken instead.
    """
    values = np.asarray(grey)
    low, high = np.percentile(values[::4, ::4], (0.5, 99.5))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    out: Picture = np.clip(scaled, 0, 255).astype(np.uint8)
    return out


def png(picture: NDArray[Any]) -> bytes:
    """(H, W) grey or (H, W, 3) RGB, uint8 or uint16, as a PNG file.

    OpenCV's own level of compression: half the time of any level that is asked for, and a third larger.
    """
    return _encoded(".png", picture, [])


def jpeg(picture: Picture, quality: int = 85) -> bytes:
    """(H, W) grey or (H, W, 3) RGB uint8 as a JPEG file; ``quality`` 1 to 100."""
    import cv2

    return _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encoded(kind: str, picture: NDArray[Any], options: list[int]) -> bytes:
    import cv2

    stored = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., ::-1])  # OpenCV thinks in BGR
    try:
        done, data = cv2.imencode(kind, stored, options)
    except cv2.error:
        done, data = False, np.zeros(0, np.uint8)
    if not done:
        raise OutputError("a picture could not be encoded", found=f"{picture.shape} {picture.dtype}", expected=kind)
    return bytes(data.tobytes())
