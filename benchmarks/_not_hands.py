"""Pictures that are not hands, drawn: feet, chests, knees, blank films, noise, documents, textures of photographs.

They imitate how such radiographs look (bright bone rims, soft tissue, film grain), not their anatomy in detail. The
files that pydicom ships for its tests add a few real medical pictures where they can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def _film(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    return np.full((height, width), rng.uniform(5, 30), np.float32)


def _finish(rng: np.random.Generator, plane: NDArray[np.float32]) -> Picture:
    plane = cv2.GaussianBlur(plane, (0, 0), rng.uniform(0.6, 1.5)) + rng.normal(0, rng.uniform(1, 6), plane.shape)
    curve = rng.uniform(0.7, 1.3)
    return (np.clip(plane / 255, 0, 1) ** curve * 255).astype(np.uint8)


def _bone(plane: NDArray[np.float32], outline: NDArray[np.float64], value: float, rim: float) -> None:
    """A filled outline with a brighter border, as cortex looks."""
    mask = np.zeros(plane.shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    plane += value * mask
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=max(1, round(plane.shape[0] / 250)))
    plane += rim * (mask - inner)


def _bar(x: float, y: float, half: float, length: float, angle: float, flare: float = 0.35) -> NDArray[np.float64]:
    """A long bone centred at (x, y), wider at its ends; ``angle`` from up, radians."""
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    along = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** 0.5 * length / 2
    across = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** 0.6 * half * (1 - flare + flare * (2 * along / length) ** 2)
    s, c = np.sin(angle), np.cos(angle)
    return np.stack([x + across * c + along * s, y + across * s - along * c], axis=1)


def foot(rng: np.random.Generator) -> Picture:
    """A foot from above: five parallel metatarsals, short toes, a tarsus, the heel's shadow."""
    height, width = 900, int(rng.uniform(420, 560))
    plane = _film(rng, height, width)
    side = rng.choice([-1, 1])
    soft = np.zeros((height, width), np.uint8)
    bones = []
    for k in range(5):
        x = width / 2 + side * (k - 2) * width * 0.115
        base, tip = height * 0.62 - abs(k - 1.5) * 12, height * (0.36 + 0.022 * k)
        lean = side * (k - 2) * 0.05 + rng.normal(0, 0.02)
        bones.append((_bar(x, (base + tip) / 2, 19 if k == 0 else 12, base - tip, lean), 70))
        y = tip - 8
        for length, half in ((70, 15), (45, 15)) if k == 0 else ((52, 9), (16, 8), (14, 7)):
            bones.append((_bar(x - side * 2, y - length / 2, half, length, lean + rng.normal(0, 0.05)), 55))
            y -= length + 6
        cv2.line(soft, (int(x), int(base)), (int(x), int(y)), 1, 70 if k == 0 else 52)
    for x, y, a, b in (
        (-60, 0.66, 30, 26),
        (-10, 0.66, 26, 28),
        (45, 0.67, 38, 30),
        (0, 0.72, 70, 30),
        (5, 0.85, 62, 110),
    ):
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        bones.append((np.stack([width / 2 + side * x + a * np.cos(t), height * y + b * np.sin(t)], 1), 60))
    cv2.ellipse(soft, (width // 2, int(height * 0.78)), (int(width * 0.3), int(height * 0.22)), 0, 0, 360, 1, -1)
    plane += 60 * cv2.GaussianBlur(soft.astype(np.float32), (0, 0), 12)
    for outline, value in bones:
        _bone(plane, outline, value, 35)
    picture = _finish(rng, plane)
    return picture[::-1].copy() if rng.random() < 0.3 else picture


def chest(rng: np.random.Generator) -> Picture:
    """Ribs, spine, heart and the diaphragm around dark lungs."""
    size = 800
    plane = _film(rng, size, size) + 120
    for side in (-1, 1):
        cv2.ellipse(plane, (size // 2 + side * 170, 370), (135, 270), side * 6, 0, 360, 45.0, -1)
    plane = cv2.GaussianBlur(plane, (0, 0), 10)
    plane[:, size // 2 - 45 : size // 2 + 45] += 60
    heart = np.zeros_like(plane)
    cv2.ellipse(heart, (size // 2 + 55, 480), (120, 130), 20, 0, 360, 70.0, -1)
    plane += cv2.GaussianBlur(heart, (0, 0), 8)
    for k in range(9):
        for side in (-1, 1):
            rib = np.zeros_like(plane)
            start, stop = (200, 340) if side < 0 else (200 + 0, 340)
            centre = (size // 2, 80 + k * 62)
            cv2.ellipse(
                rib, centre, (300, 140), side * 12, start - 20 * (side > 0), stop, 35.0, int(rng.uniform(11, 17))
            )
            plane += cv2.GaussianBlur(rib, (0, 0), 2) * 0.7
    for y in range(40, size, 52):
        cv2.rectangle(plane, (size // 2 - 38, y), (size // 2 + 38, y + 38), 215.0, 2)
    return _finish(rng, plane)


def knee(rng: np.random.Generator) -> Picture:
    """Two wide long bones that meet, a thin one beside."""
    height, width = 800, 600
    plane = _film(rng, height, width)
    cv2.rectangle(plane, (110, 0), (490, height), 70.0, -1)
    plane = cv2.GaussianBlur(plane, (0, 0), 25)
    _bone(plane, _bar(300, 170, 105, 440, rng.normal(0, 0.03), 0.5), 75, 45)
    _bone(plane, _bar(300, 640, 100, 470, rng.normal(0, 0.03), 0.5), 75, 45)
    _bone(plane, _bar(425, 690, 30, 420, 0.02, 0.3), 55, 40)
    return _finish(rng, plane)


def blank(rng: np.random.Generator) -> Picture:
    """An even film, perhaps with a gradient and a collimated border."""
    height, width = int(rng.uniform(300, 900)), int(rng.uniform(300, 900))
    plane = np.full((height, width), rng.uniform(0, 220), np.float32)
    plane += np.linspace(0, rng.uniform(0, 40), width, dtype=np.float32)[None]
    if rng.random() < 0.5:
        plane[: height // 8] = plane[-height // 8 :] = 0
    return _finish(rng, plane) if rng.random() < 0.8 else np.clip(plane, 0, 255).astype(np.uint8)


def noise(rng: np.random.Generator) -> Picture:
    """White or coloured noise."""
    size = int(rng.uniform(200, 900))
    plane = rng.normal(0, 1, (size, size)).astype(np.float32)
    blur = rng.choice([0, 2, 8, 25])
    if blur:
        plane = cv2.GaussianBlur(plane, (0, 0), float(blur))
    low, high = plane.min(), plane.max()
    return ((plane - low) / (high - low) * 255).astype(np.uint8)


def document(rng: np.random.Generator) -> Picture:
    """A page of text with a picture frame and lines."""
    plane = np.full((900, 650), 245, np.uint8)
    for k in range(26):
        text = "".join(rng.choice(list("abcdefghij klmnop rstu vwxyz"), 40))
        cv2.putText(plane, text, (40, 60 + k * 32), cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.5, 0.8), 20, 1)
    return 255 - plane if rng.random() < 0.5 else plane


def bars(rng: np.random.Generator) -> Picture:
    """Bright bars and discs at random: bone-like shapes without a hand."""
    size = 700
    plane = _film(rng, size, size)
    for _ in range(int(rng.uniform(4, 25))):
        x, y = rng.uniform(50, 650, 2)
        _bone(plane, _bar(x, y, rng.uniform(8, 30), rng.uniform(40, 260), rng.uniform(0, 3.1)), rng.uniform(40, 90), 35)
    return _finish(rng, plane)


def texture(rng: np.random.Generator) -> Picture:
    """Shapes at every scale, as in a photograph."""
    size = 640
    plane = np.zeros((size, size), np.float32)
    for scale in (4, 16, 48, 120):
        plane += cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), scale) * scale
    for _ in range(12):
        points = rng.uniform(0, size, (5, 2)).astype(np.int32)
        cv2.fillConvexPoly(plane, cv2.convexHull(points), float(rng.uniform(plane.min(), plane.max())))
    low, high = plane.min(), plane.max()
    return ((plane - low) / (high - low) * 255).astype(np.uint8)


KINDS: dict[str, Callable[[np.random.Generator], Picture]] = {
    "foot": foot,
    "chest": chest,
    "knee": knee,
    "blank": blank,
    "noise": noise,
    "document": document,
    "bars": bars,
    "texture": texture,
}


def not_hands(count: int, seed: int) -> Iterator[tuple[str, Picture]]:
    """``count`` pictures of every kind."""
    for k in range(count):
        for i, (kind, draw) in enumerate(KINDS.items()):
            yield kind, draw(np.random.default_rng([seed, i, k]))


def shipped_medical() -> Iterator[tuple[str, Picture]]:
    """The pictures in pydicom's test files that its own package holds and that can be decoded here."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_files

    for name in ("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "examples_palette.dcm", "rtdose_1frame.dcm"):
        found = [path for path in get_testdata_files(name) if path.endswith(name)]
        if found:
            try:
                pixels = np.squeeze(dcmread(found[0]).pixel_array).astype(np.float64)
            except Exception:
                continue
            if pixels.ndim == 2:
                low, high = pixels.min(), pixels.max()
                grey = ((pixels - low) / max(high - low, 1) * 255).astype(np.uint8)
                yield f"pydicom {name}", cv2.resize(grey, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
