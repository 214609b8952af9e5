"""The grey values of a plate: how attenuation is shown, what is written on it, and how it was digitised. All 0..1."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ossa.phantom.projection import F32

Generator = np.random.Generator


def surround(rng: Generator) -> float:
    """The grey of a plate outside of its fields: black, dark or anything."""
    kind = rng.uniform()
    return 0.0 if kind < 0.45 else (rng.uniform(0, 0.3) if kind < 0.75 else rng.uniform(0.3, 1.0))


def displayed(rng: Generator, mu: F32, inside: NDArray[np.bool_]) -> F32:
    """Attenuation as a film or a screen shows it, 0..1: scatter, grain, window, curve, local contrast."""
    u = rng.uniform
    height, width = mu.shape
    mu = mu + cv2.resize(rng.standard_normal((3, 3)).astype(np.float32), (width, height)) * u(0, 0.08)
    if u() < 0.4:
        scatter = u(0.05, 0.4)
        mu = mu * (1 - scatter) + scatter * cv2.GaussianBlur(mu, (0, 0), 0.06 * max(height, width))
    grain = rng.standard_normal(mu.shape, dtype=np.float32) * (10 ** u(-2.7, -1.3))
    mu = mu + (cv2.GaussianBlur(grain, (0, 0), u(0.4, 1.0)) if u() < 0.6 else grain) * np.exp(0.4 * np.minimum(mu, 3))
    values = mu[inside]
    if values.size < 16:
        return np.zeros_like(mu)
    low, high = np.percentile(values, (u(0, 3), u(99.0, 100.0) if u() < 0.75 else u(92.0, 99.0)))
    out = np.clip((mu - low) / max(float(high - low), 1e-3), 0, 1)
    if u() < 0.3:
        out = np.clip(out + u(0.2, 1.5) * (out - cv2.GaussianBlur(out, (0, 0), u(0.8, 6.0))), 0, 1)
    out = out ** u(0.4, 1.8)
    if u() < 0.2:
        tiles = int(rng.integers(2, 9))
        grey = (out * 255).astype(np.uint8)
        out = cv2.createCLAHE(u(1.0, 4.0), (tiles, tiles)).apply(grey).astype(np.float32) / 255
    base = u(0, 0.45) if u() < 0.3 else u(0, 0.05)
    return np.asarray(base + (u(max(base + 0.25, 0.5), 1.0) - base) * out, np.float32)


def marks(rng: Generator, picture: F32) -> None:
    """Side letters, plates, text, arrows, drawn boxes, in place."""
    u = rng.uniform
    height, width = picture.shape
    for _ in range(int(rng.poisson(1.1))):
        text = "".join(rng.choice(list("LRAPDWXYJKMS0123456789"), int(rng.choice([1, 1, 2, 3, 8]))))
        scale = max(height, width) / 256 * u(0.2, 0.7)
        stroke = max(1, round(scale * u(1.0, 2.5)))
        (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
        tile = np.zeros((h + 6, w + 6), np.uint8)
        cv2.putText(tile, text, (3, 3 + h), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, stroke, cv2.LINE_AA)
        side = int(np.hypot(*tile.shape)) + 2
        if side >= min(height, width):
            continue
        angle = u(-40, 40) if u() < 0.6 else 0.0
        turn = np.asarray(cv2.getRotationMatrix2D((tile.shape[1] / 2, tile.shape[0] / 2), angle, 1.0), np.float64)
        turn[:, 2] += np.array([side - tile.shape[1], side - tile.shape[0]]) / 2
        ink = cv2.warpAffine(tile, turn, (side, side)).astype(np.float32) / 255
        ground = cv2.warpAffine(np.ones(tile.shape, np.float32), turn, (side, side)) * (u() < 0.3)
        x, y = int(u(0, width - side)), int(u(0, height - side))
        if u() < 0.6:  # more often near a border
            x = int(u(0, 0.15) * (width - side)) if u() < 0.5 else int(u(0.85, 1) * (width - side))
        box = picture[y : y + side, x : x + side]
        box += ground * (u(0, 1) - box)
        box += ink * (u(0.5, 1) - box)
    if u() < 0.06:
        a, b = (tuple(int(v) for v in u(0, 1, 2) * (width, height)) for _ in range(2))
        cv2.arrowedLine(picture, a, b, u(0.5, 1), 1 + int(u() < 0.3), cv2.LINE_AA, tipLength=0.25)
    if u() < 0.05:
        a, b = (tuple(int(v) for v in u(0, 1, 2) * (width, height)) for _ in range(2))
        cv2.rectangle(picture, a, b, u(0, 1), 1)


def border(rng: Generator, picture: F32) -> None:
    """A border of film or screen around everything, in place; what was there stays where it was."""
    u = rng.uniform
    height, width = picture.shape
    level = 0.0 if u() < 0.4 else u(0, 1)
    for side in np.flatnonzero(u(size=4) < 0.6):
        wide = int(u(0.01, 0.05) * max(height, width)) + 1
        where = (slice(0, wide), slice(height - wide, height), slice(0, wide), slice(width - wide, width))[side]
        picture[(where, slice(None)) if side < 2 else (slice(None), where)] = level


def digitised(rng: Generator, picture: F32) -> NDArray[np.uint8]:
    """8 bits, at times coarse, blurred or through JPEG."""
    u = rng.uniform
    height, width = picture.shape
    noisy = picture
    if u() < 0.12:
        share = u(0.35, 0.8)
        small = cv2.resize(noisy, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
        noisy = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    if u() < 0.3:
        noisy = np.asarray(cv2.GaussianBlur(noisy, (0, 0), u(0.3, 1.0)), np.float32)
    noisy = noisy + rng.standard_normal(picture.shape, dtype=np.float32) * u(0, 0.02)
    grey = (np.clip(noisy, 0, 1) * 255 + 0.5).astype(np.uint8)
    if u() < 0.2:
        data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))])[1]
        grey = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return grey
