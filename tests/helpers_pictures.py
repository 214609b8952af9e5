"""Pictures on which the answer of the ``bright_model`` fixture is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

#: The first three bones are "found" where the normalised picture is above LOW, the other 26 above HIGH.
LOW, HIGH = 0.5, 2.0


def hand_picture(height: int = 240, width: int = 200) -> NDArray[np.uint8]:
    """A tenth of the picture is bright: normalised to 3, above HIGH."""
    pixels = np.full((height, width), 20, np.uint8)
    pixels[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 5] = 220
    return pixels


def other_picture(height: int = 240, width: int = 200) -> NDArray[np.uint8]:
    """Half of the picture is bright: normalised to 1, between LOW and HIGH."""
    pixels = np.full((height, width), 20, np.uint8)
    pixels[: height // 2] = 220
    return pixels


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write a picture with OpenCV; the ending says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path
