"""What happens to a film on its way: thumbnails, photographs of a light box, grids, sharpening, hard compression.

Grey values run from 0 to 1; every function gives a picture of the same shape (H, W). Sizes are schematic.
"""

from __future__ import annotations

import numpy as np

from ossa.phantom.projection import F32


def worn(picture: F32, rng: np.random.Generator) -> F32:
    """The picture after one or two of these ways."""
    ways = [_thumbnail, _photographed, _gridded, _sharpened, _compressed, _equalised]
    for k in rng.choice(len(ways), int(rng.integers(1, 3)), replace=False):
        picture = ways[int(k)](picture, rng)
    return np.clip(picture, 0, 1)


def _thumbnail(picture: F32, rng: np.random.Generator) -> F32:
    """Made small and large again, by pixels or smoothly."""
    import cv2

    height, width = picture.shape
    share = rng.uniform(150, 320) / max(height, width)
    if share >= 0.95:
        return picture
    small = cv2.resize(picture, (max(8, int(width * share)), max(8, int(height * share))), interpolation=cv2.INTER_AREA)
    how = cv2.INTER_NEAREST if rng.uniform() < 0.2 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, (width, height), interpolation=how))


def _photographed(picture: F32, rng: np.random.Generator) -> F32:
    """Uneven light, dark corners, a reflection, a little blur."""
    import cv2

    height, width = picture.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    cx, cy = rng.uniform(-0.6, 0.6, 2)
    light = 1 - rng.uniform(0.05, 0.5) * ((x - cx) ** 2 + (y - cy) ** 2) / 2
    light += rng.normal(0, 0.12) * x + rng.normal(0, 0.12) * y
    out = picture * np.clip(light, 0.2, 1.3)
    if rng.uniform() < 0.4:
        gx, gy = rng.uniform(-0.8, 0.8, 2)
        glow = np.exp(-((x - gx) ** 2 + (y - gy) ** 2) / rng.uniform(0.05, 0.4))
        out = out + rng.uniform(0.05, 0.35) * glow.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1.2)), np.float32)


def _gridded(picture: F32, rng: np.random.Generator) -> F32:
    """The lines of an anti-scatter grid, or the beat of a screen."""
    height, width = picture.shape
    angle, period = rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.03), rng.uniform(2.2, 9.0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = np.sin((x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * np.float32(2 * np.pi / period))
    return np.asarray(picture + rng.uniform(0.01, 0.06) * wave, np.float32)


def _sharpened(picture: F32, rng: np.random.Generator) -> F32:
    """Edges enhanced until they ring."""
    import cv2

    blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1.0, 6.0))
    return np.clip(picture + rng.uniform(0.6, 2.2) * (picture - blurred), 0, 1)


def _compressed(picture: F32, rng: np.random.Generator) -> F32:
    """Stored as a colour JPEG of poor quality, with a slight tint, and read as grey."""
    import cv2

    grey = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    tint = np.array([rng.uniform(0.85, 1.0), rng.uniform(0.9, 1.0), 1.0], np.float32)
    colour = np.clip(grey[..., None] * tint[rng.permutation(3)], 0, 255).astype(np.uint8)
    ok, data = cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 50))])
    read = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if ok else None
    return picture if read is None else np.asarray(read / 255, np.float32)


def _equalised(picture: F32, rng: np.random.Generator) -> F32:
    """Local contrast stretched hard, tile by tile."""
    import cv2

    tiles = int(rng.integers(4, 14))
    engine = cv2.createCLAHE(rng.uniform(3.0, 10.0), (tiles, tiles))
    return np.asarray(engine.apply((np.clip(picture, 0, 1) * 255).astype(np.uint8)) / 255, np.float32)
