"""What people put on a film: side markers and plates with text beside the bones, arrows and boxes on it.

Grey values run from 0 to 1; pictures (H, W) are changed in place. Sizes are schematic and drawn wide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.phantom.projection import F32

Mask = NDArray[np.bool_]

#: Tries to find a place for a label where no bone lies beneath.
_TRIES = 8


def add_labels(picture: F32, bone: Mask, rng: np.random.Generator, share: float) -> Mask:
    """Side markers, initials, plates with text, dark identification windows, beside the bones where there is room.

    ``bone`` (H, W): where bones lie. Returns what is covered (H, W): nothing can be seen there.
    """
    uniform = rng.uniform
    height, width = picture.shape
    covered = np.zeros(picture.shape, dtype=bool)
    for _ in range(int(rng.poisson(1.0 * share))):
        ink_all, ground_all = _label(max(height, width), rng)
        size = ink_all.shape[0]
        for _ in range(_TRIES):
            # Labels lie beside the part: along the sides, more often than not in a corner.
            cx = uniform(0, 0.22) * width if uniform() < 0.5 else uniform(0.78, 1.0) * width
            x, y = int(cx - size / 2), int(uniform(0, 1) * height - size / 2)
            y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + size, height), min(x + size, width)
            if y1 <= y0 or x1 <= x0:
                continue
            part = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
            ink, ground = ink_all[part], ground_all[part]
            if not (bone[y0:y1, x0:x1] & ((ink > 0.1) | (ground > 0.1))).any():
                break
        else:
            continue
        box = picture[y0:y1, x0:x1]
        opaque = uniform(0.3, 1.0)
        box *= 1 - ground * opaque
        box += ink * (uniform(0.5, 1.0) - box)
        if opaque > 0.8:
            covered[y0:y1, x0:x1] |= ground > 0.5
    if uniform() < 0.12 * share:
        w, h = int(uniform(0.08, 0.35) * width), int(uniform(0.02, 0.09) * height)
        x, y = (0 if uniform() < 0.5 else width - w), (0 if uniform() < 0.5 else height - h)
        picture[y : y + h, x : x + w] = uniform(0, 0.1) if uniform() < 0.7 else uniform(0.8, 1)
        covered[y : y + h, x : x + w] = True
    return covered


def _label(side: int, rng: np.random.Generator) -> tuple[F32, F32]:
    """Ink and plate (S, S), 0..1, of one turned label for a picture whose longer side is ``side`` px."""
    import cv2

    uniform = rng.uniform
    text = "".join(rng.choice(list("LRAPDWXYJKMS0123456789"), int(rng.integers(1, 4))))
    scale = side / 384 * uniform(0.3, 1.3)
    stroke = max(1, int(scale * uniform(1.0, 3.2)))
    (w, h), _base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    pad = int(h * uniform(0.2, 0.8)) + 1
    drawn = np.zeros((h + 2 * pad, w + 2 * pad), np.uint8)
    cv2.putText(drawn, text, (pad, pad + h), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, stroke, cv2.LINE_AA)
    canvas = drawn.astype(np.float32) / 255
    if uniform() < 0.15:
        canvas = canvas[:, ::-1].copy()  # a marker on a film seen from behind
    plate = np.ones_like(canvas) if uniform() < 0.4 else np.zeros_like(canvas)
    size = int(np.hypot(*canvas.shape)) + 2
    angle = uniform(-35, 35) if uniform() < 0.8 else uniform(-180, 180)
    turn = cv2.getRotationMatrix2D((canvas.shape[1] / 2, canvas.shape[0] / 2), angle, 1.0)
    turn[:, 2] += (size / 2 - canvas.shape[1] / 2, size / 2 - canvas.shape[0] / 2)
    ink, ground = (cv2.warpAffine(layer, turn, (size, size)) for layer in (canvas, plate))
    return np.asarray(ink, np.float32), np.asarray(ground, np.float32)


def add_drawings(picture: F32, rng: np.random.Generator) -> None:
    """Arrows, circles, boxes, lines of text and watermarks, thin enough that the bones beneath can still be told."""
    import cv2

    height, width = picture.shape
    side = max(height, width)
    for _ in range(int(rng.integers(1, 4))):
        layer = np.zeros(picture.shape, np.uint8)
        at = (int(rng.uniform(0.15, 0.85) * width), int(rng.uniform(0.1, 0.9) * height))
        stroke = max(1, round(side * rng.uniform(0.002, 0.009)))
        reach = side * rng.uniform(0.03, 0.12)
        kind = rng.choice(["arrow", "circle", "box", "text"], p=[0.45, 0.2, 0.15, 0.2])
        if kind == "arrow":
            angle = rng.uniform(0, 2 * np.pi)
            tail = (int(at[0] + reach * np.cos(angle)), int(at[1] + reach * np.sin(angle)))
            cv2.arrowedLine(layer, tail, at, 255, stroke, cv2.LINE_AA, tipLength=rng.uniform(0.2, 0.5))
        elif kind == "circle":
            axes = (max(2, int(reach)), max(2, int(reach * rng.uniform(0.6, 1.4))))
            cv2.ellipse(layer, at, axes, rng.uniform(0, 180), 0, 360, 255, stroke, cv2.LINE_AA)
        elif kind == "box":
            far = (int(at[0] + reach), int(at[1] + reach * rng.uniform(0.5, 2)))
            cv2.rectangle(layer, at, far, 255, stroke)
        else:
            text = "".join(rng.choice(list("abcdefghimnoprstuvwy .-ALR0123456789"), int(rng.integers(4, 18))))
            cv2.putText(layer, text, (at[0] // 2, at[1]), cv2.FONT_HERSHEY_SIMPLEX, side / 900, 255, 1, cv2.LINE_AA)
        shade = rng.uniform(0.7, 1.0) if rng.uniform() < 0.7 else rng.uniform(0, 0.4)
        picture += layer / np.float32(255) * rng.uniform(0.5, 1.0) * (shade - picture)
