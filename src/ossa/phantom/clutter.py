"""What else lies on a film: step wedges, rulers, collimator edges, borders.

Frequencies and sizes are schematic and drawn wide. ``share`` (0..1) scales how often something appears, ``mm`` is
the pixel size; attenuation is in units of the logarithm of the beam, grey values run from 0 to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.phantom.drawn import DrawnPart
from ossa.phantom.mesh import F64
from ossa.phantom.projection import F32

Mask = NDArray[np.bool_]


def add_objects(mu: F32, mm: float, rng: np.random.Generator, share: float) -> None:
    """Things that attenuate, beside the part: step wedges and rulers. ``mu`` (H, W) is changed in place."""
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


def add_frame(picture: F32, drawn: DrawnPart, rng: np.random.Generator, share: float, collimated: float) -> Mask:
    """Collimation, cassette edges and film borders, in place; returns where the beam reached, (H, W) bool.

    In a share of ``collimated`` the beam is narrowed to the part; otherwise ``share`` scales how often the picture
    has a frame or a border.
    """
    if rng.uniform() < collimated:
        reached = _narrow(picture, drawn, rng)
        return reached & add_border(picture, rng, 0.15) if rng.uniform() < 0.3 else reached
    kind = rng.uniform()
    if kind < 0.40 * share:
        return _frame(picture, rng)
    return add_border(picture, rng, 0.04) if kind < 0.55 * share else np.ones(picture.shape, dtype=bool)


def _narrow(picture: F32, drawn: DrawnPart, rng: np.random.Generator) -> Mask:
    """The beam narrowed to the part: a rectangle that lies with the part or with the film, or a round field."""
    import cv2

    uniform = rng.uniform
    window = np.zeros(picture.shape, np.float32)
    top, left, bottom, right = drawn.box
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    way = np.array(drawn.towards_tips)
    if uniform() < 0.15:
        centre = middle - way * uniform(0, 0.35) * drawn.length
        cv2.circle(window, _point(centre), max(4, int(uniform(0.45, 0.9) * drawn.length)), 1.0, -1, cv2.LINE_AA)
        return _shade(picture, window, rng)
    # Axes of the rectangle: the part's own or the film's, turned a little.
    turn = np.arctan2(way[0], -way[1]) if uniform() < 0.6 else 0.0
    turn += np.deg2rad(rng.normal(0, 6))
    up, side = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) - middle
    across, along = np.abs(corners @ side).max(), np.abs(corners @ up).max()
    margin = drawn.length * uniform(-0.06, 0.35, 4)
    # Towards the root the field ends anywhere.
    margin[1] = drawn.length * uniform(-0.05, 1.3)
    ends = (along + margin[0], -along - margin[1])
    sides = (across + margin[2], -across - margin[3])
    order = ((0, 0), (0, 1), (1, 1), (1, 0))
    shape = [middle + up * ends[e] + side * sides[s] for e, s in order]
    cv2.fillConvexPoly(window, np.round(np.clip(shape, -20000, 20000)).astype(np.int32), 1.0, cv2.LINE_AA)
    return _shade(picture, window, rng)


def _frame(picture: F32, rng: np.random.Generator) -> Mask:
    """A frame near the picture's borders, a little turned."""
    import cv2

    uniform = rng.uniform
    height, width = picture.shape
    x0, x1 = uniform(0, 0.14) * width, uniform(0.86, 1.0) * width
    y0, y1 = uniform(0, 0.10) * height, uniform(0.90, 1.0) * height
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    turn = np.deg2rad(uniform(-4, 4) if uniform() < 0.7 else uniform(-12, 12))
    middle = corners.mean(axis=0)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    corners = (corners - middle) @ matrix.T + middle
    window = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(window, np.round(corners).astype(np.int32), 1.0)
    return _shade(picture, window, rng)


def _shade(picture: F32, window: F32, rng: np.random.Generator) -> Mask:
    """Take the beam away outside of ``window`` (H, W; 0..1), in place; returns where bones can be told.

    The edge is sharp or soft, at times bright; beyond it lies black, grey or white, or a faint rest of the picture.
    """
    import cv2

    uniform = rng.uniform
    reached = window > 0.5
    soft = cv2.GaussianBlur(window, (0, 0), uniform(0.4, 4.0) if uniform() < 0.7 else uniform(4.0, 12.0))
    level = float(uniform(0, 1) ** 2)
    keep = uniform(0.0, 0.25) if uniform() < 0.5 else 0.0
    picture *= soft + (1 - soft) * keep
    picture += (1 - soft) * level * (1 - keep)
    if uniform() < 0.5:
        line = np.abs(cv2.GaussianBlur(window, (0, 0), uniform(1, 3)) - 0.5) < uniform(0.1, 0.45)
        picture[line] += uniform(-0.3, 0.6)
    return np.ones_like(reached) if keep > 0.12 and level < 0.5 else reached


def add_border(picture: F32, rng: np.random.Generator, most: float) -> Mask:
    """Even strips along some of the edges, up to a share of ``most`` of the longer side; returns what is left."""
    height, width = picture.shape
    reached = np.ones((height, width), dtype=bool)
    level = float(rng.uniform(0, 1)) if rng.uniform() < 0.5 else float(rng.choice((0.0, 1.0)))
    same = rng.uniform(0.005, most)
    for edge in np.flatnonzero(rng.uniform(size=4) < 0.5):
        size = int((same if rng.uniform() < 0.5 else rng.uniform(0.005, most)) * max(height, width)) + 1
        strip = (slice(0, size), slice(height - size, height))[edge] if edge < 2 else slice(None)
        column = slice(None) if edge < 2 else (slice(0, size), slice(width - size, width))[edge - 2]
        picture[strip, column] = level
        reached[strip, column] = False
    return reached


def _point(at: F64) -> tuple[int, int]:
    return int(np.clip(round(float(at[0])), -30000, 30000)), int(np.clip(round(float(at[1])), -30000, 30000))
