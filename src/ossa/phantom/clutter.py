"""What else lies on a film: markers, labels, step wedges, rings, plates, collimator edges, borders.

Frequencies and sizes are schematic and drawn wide. ``share`` (0..1) scales how often something appears, ``mm`` is
the pixel size; attenuation is in units of the logarithm of the beam, grey values run from 0 to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.phantom.placed import PlacedBone, axis_of
from ossa.phantom.projection import F32


def add_objects(mu: F32, mm: float, rng: np.random.Generator, share: float) -> None:
    """Things that attenuate, beside the hand: step wedges and rulers. ``mu`` (H, W) is changed in place."""
    import cv2

    uniform = rng.uniform
    height, width = mu.shape
    if uniform() < 0.22 * share:
        long, short = int(uniform(18, 60) / mm), int(uniform(5, 14) / mm)
        strip = np.linspace(0.0, 1.0, max(long, 2), dtype=np.float32)
        if uniform() < 0.6:
            strip = np.floor(strip * rng.integers(4, 14)) / 10
        wedge = np.repeat(strip[:, None], max(short, 2), 1) * uniform(0.3, 2.0)
        if uniform() < 0.4:
            wedge = wedge[::-1]
        if uniform() < 0.3:
            wedge = wedge.T
        layer = np.zeros_like(mu)
        side = uniform() < 0.5
        x = int(uniform(0.0, 0.12) * width) if side else int(width * uniform(0.82, 0.97))
        y = int(uniform(0.02, 0.9) * height)
        part = wedge[: height - y, : width - x]
        layer[y : y + part.shape[0], x : x + part.shape[1]] = part
        if uniform() < 0.7:
            turn = cv2.getRotationMatrix2D((float(x), float(y)), uniform(-12, 12), 1.0)
            layer[:] = cv2.warpAffine(layer, turn, (width, height))
        mu += layer
    if uniform() < 0.05 * share:
        x = int(uniform(0.02, 0.98) * width)
        step = max(2, int(uniform(1, 5) / mm))
        mu[::step, max(0, x - int(3 / mm)) : x + 1] += uniform(0.3, 1.0)


def add_frame(picture: F32, rng: np.random.Generator, share: float) -> NDArray[np.bool_]:
    """Collimation, cassette edges and film borders, in place; returns where the beam reached, (H, W) bool."""
    import cv2

    uniform = rng.uniform
    height, width = picture.shape
    reached = np.ones((height, width), dtype=bool)
    kind = uniform()
    if kind < 0.40 * share:
        x0, x1 = uniform(0, 0.14) * width, uniform(0.86, 1.0) * width
        y0, y1 = uniform(0, 0.10) * height, uniform(0.90, 1.0) * height
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
        turn = np.deg2rad(uniform(-4, 4) if uniform() < 0.7 else uniform(-12, 12))
        middle = corners.mean(axis=0)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
        corners = (corners - middle) @ matrix.T + middle
        window = np.zeros((height, width), np.float32)
        cv2.fillConvexPoly(window, np.round(corners).astype(np.int32), 1.0)
        reached = window > 0.5
        soft = cv2.GaussianBlur(window, (0, 0), uniform(0.4, 4.0))
        level = float(uniform(0, 1) ** 2)
        keep = uniform(0.0, 0.25) if uniform() < 0.5 else 0.0
        picture *= soft + (1 - soft) * keep
        picture += (1 - soft) * level * (1 - keep)
        if uniform() < 0.5:
            line = np.abs(cv2.GaussianBlur(window, (0, 0), uniform(1, 3)) - 0.5) < uniform(0.1, 0.45)
            picture[line] += uniform(-0.3, 0.6)
        if keep > 0.12 and level < 0.5:
            reached = np.ones_like(reached)
    elif kind < 0.55 * share:
        size = int(uniform(0.005, 0.04) * max(height, width)) + 1
        level = float(uniform(0, 1))
        for edge in np.flatnonzero(rng.uniform(size=4) < 0.5):
            strip = (slice(0, size), slice(height - size, height))[edge] if edge < 2 else slice(None)
            column = slice(None) if edge < 2 else (slice(0, size), slice(width - size, width))[edge - 2]
            picture[strip, column] = level
            reached[strip, column] = False
    return reached


def add_labels(picture: F32, rng: np.random.Generator, share: float) -> None:
    """Side markers, initials, plates with text, dark identification windows; in place."""
    import cv2

    uniform = rng.uniform
    height, width = picture.shape
    for _ in range(int(rng.poisson(1.0 * share))):
        text = "".join(rng.choice(list("LRAPDWXYJKMS0123456789"), int(rng.integers(1, 4))))
        scale = max(height, width) / 384 * uniform(0.3, 1.3)
        stroke = max(1, int(scale * uniform(1.0, 3.2)))
        (w, h), _base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
        pad = int(h * uniform(0.2, 0.8)) + 1
        drawn = np.zeros((h + 2 * pad, w + 2 * pad), np.uint8)
        cv2.putText(drawn, text, (pad, pad + h), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, stroke, cv2.LINE_AA)
        canvas = drawn.astype(np.float32) / 255
        plate = np.ones_like(canvas) if uniform() < 0.4 else np.zeros_like(canvas)
        size = int(np.hypot(*canvas.shape)) + 2
        turn = cv2.getRotationMatrix2D((canvas.shape[1] / 2, canvas.shape[0] / 2), uniform(-35, 35), 1.0)
        turn[:, 2] += (size / 2 - canvas.shape[1] / 2, size / 2 - canvas.shape[0] / 2)
        ink_all, ground_all = cv2.warpAffine(canvas, turn, (size, size)), cv2.warpAffine(plate, turn, (size, size))
        # Labels lie beside the hand: along the sides, more often than not in a corner.
        cx = uniform(0, 0.18) * width if uniform() < 0.5 else uniform(0.82, 1.0) * width
        x, y = int(cx - size / 2), int(uniform(0, 1) * height - size / 2)
        y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + size, height), min(x + size, width)
        if y1 <= y0 or x1 <= x0:
            continue
        box = picture[y0:y1, x0:x1]
        ink, ground = ink_all[y0 - y : y1 - y, x0 - x : x1 - x], ground_all[y0 - y : y1 - y, x0 - x : x1 - x]
        box *= 1 - ground * uniform(0.3, 1.0)
        level = uniform(0.5, 1.0)
        box += ink * (level - box)
    if uniform() < 0.12 * share:
        w, h = int(uniform(0.08, 0.35) * width), int(uniform(0.02, 0.09) * height)
        x, y = (0 if uniform() < 0.5 else width - w), (0 if uniform() < 0.5 else height - h)
        picture[y : y + h, x : x + w] = uniform(0, 0.1) if uniform() < 0.7 else uniform(0.8, 1)


def hardware(bones: list[PlacedBone], shape: tuple[int, int], mm: float, rng: np.random.Generator) -> F32:
    """Metal on or in the hand, in mm of its path (H, W): finger rings, and now and then a plate with screws."""
    import cv2

    out = np.zeros(shape, np.float32)
    uniform = rng.uniform
    by_name = {bone.bone: bone for bone in bones}
    if uniform() < 0.06:
        bone = by_name[str(rng.choice(["finger-6", "finger-10", "finger-14", "finger-18"]))]
        near, direction, length = axis_of(bone)
        centre = near + direction * length * uniform(0.25, 0.7)
        angle = float(np.degrees(np.arctan2(direction[0], -direction[1])))
        axes = (max(1, int(uniform(8, 10.5) / mm)), max(1, int(uniform(0.8, 2.5) / mm)))
        cv2.ellipse(
            out, (round(centre[0]), round(centre[1])), axes, angle, 0, 360, 3.0, max(1, int(uniform(1.2, 4.0) / mm))
        )
    if uniform() < 0.03:
        bone = by_name[str(rng.choice(["Radius", "finger-7", "finger-11", "finger-15", "finger-19", "finger-3"]))]
        near, direction, length = axis_of(bone)
        span = min(length, uniform(25, 55) / mm)
        start = near + direction * (length - span - uniform(2, 8) / mm)
        stop = start + direction * span
        cv2.line(
            out,
            (round(start[0]), round(start[1])),
            (round(stop[0]), round(stop[1])),
            2.0,
            max(1, int(uniform(3, 7) / mm)),
        )
        side = np.array([-direction[1], direction[0]])
        for k in np.linspace(0.1, 0.9, int(rng.integers(3, 7))):
            p = start + direction * span * k
            tip = p + side * uniform(-3, 3) / mm
            cv2.line(out, (round(p[0]), round(p[1])), (round(tip[0]), round(tip[1])), 3.0, max(1, int(2.5 / mm)))
    return out
