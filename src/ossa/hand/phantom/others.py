"""Things on films that are no hands, drawn schematically as attenuation: joints of long bones, chests, spines, jaws,
breasts, heads, pages, photographs, drawings of hands. All (S, S) float32 with S = sprites.SIDE.

They need not look right to an anatomist: a network that finds hands must learn that bright rims, tubes in a row and
blobs alone make no hand.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ossa.hand.phantom.feet import flesh
from ossa.hand.phantom.sprites import SIDE, Sprite, bare_sprite
from ossa.phantom.mesh import F64
from ossa.phantom.projection import F32

Generator = np.random.Generator


def other_sprite(rng: Generator) -> Sprite:
    """One of ``KINDS`` by chance."""
    draw = list(KINDS.values())[int(rng.integers(len(KINDS)))]
    return bare_sprite(draw(rng))


def drawing_of(sprite: Sprite, rng: Generator) -> Sprite:
    """A hand's bones as a drawing: flat areas or mere outlines, without flesh. No hand on a film looks like it."""
    mu = sprite.mu.astype(np.float32)
    smooth = cv2.GaussianBlur(mu, (0, 0), rng.uniform(0.8, 2.0))
    bones = smooth - cv2.GaussianBlur(mu, (0, 0), 18)
    solid = (bones > np.quantile(bones, rng.uniform(0.88, 0.94))).astype(np.uint8)
    if rng.uniform() < 0.5:
        line = np.zeros_like(solid)
        contours, _ = cv2.findContours(solid, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(line, contours, -1, 1, int(rng.integers(1, 4)))
        plane = line.astype(np.float32)
        if rng.uniform() < 0.4:
            plane += 0.4 * solid
    else:
        plane = solid * np.float32(rng.uniform(0.6, 1.0))
    if rng.uniform() < 0.5:
        plane = 1.2 - plane
    return bare_sprite(cv2.GaussianBlur(plane, (0, 0), rng.uniform(0.4, 1.0)), sprite.mm)


def _canvas() -> F32:
    return np.zeros((SIDE, SIDE), np.float32)


def _rim(plane: F32, polygon: F64, value: float, rim: float, width: float) -> None:
    """Add a bone: a filled outline with a denser border, fading inwards over ``width`` px."""
    mask = np.zeros(plane.shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], 1)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    plane += mask * (value + rim * np.exp(-depth / max(width, 0.5)))


def _tube(rng: Generator, a: F64, b: F64, waist: float, ends: tuple[float, float]) -> F64:
    """The outline (K, 2) of a long bone from ``a`` to ``b``; half widths ``waist`` (middle) and ``ends``."""
    t = np.linspace(0, 1, 40)
    along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
    across = np.array([-along[1], along[0]])
    half = waist + (ends[0] - waist) * np.exp(-t / 0.09) + (ends[1] - waist) * np.exp(-(1 - t) / 0.09)
    bow = rng.normal(0, 0.02) * np.linalg.norm(b - a) * np.sin(np.pi * t)
    middle = a + t[:, None] * (b - a) + bow[:, None] * across
    left, right = middle + half[:, None] * across, middle - half[:, None] * across
    return np.concatenate([left, right[::-1]])


def long_bones(rng: Generator) -> F32:
    """Two segments of a limb that meet in a joint (knee, elbow, shoulder), one bone or two bones each."""
    u = rng.uniform
    plane = _canvas()
    joint = np.array([SIDE * u(0.35, 0.65), SIDE * u(0.3, 0.7)])
    first = u(0, 2 * np.pi)
    size = u(14, 46)
    for k in range(2):
        angle = first + (np.pi + rng.normal(0, 0.25) if u() < 0.7 else u(1, 2.2)) * k
        way = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-way[1], way[0]])
        count = int(rng.choice([1, 2], p=(0.5, 0.5)))
        for j in range(count):
            thin = size * (1 if j == 0 else u(0.35, 0.9)) * u(0.4, 0.7)
            off = across * size * (j * u(0.8, 1.3))
            start = joint + way * size * u(0.1, 0.25) + off
            tube = _tube(rng, start, start + way * SIDE, thin, (thin * u(1.4, 2.3), thin))
            _rim(plane, tube, u(0.1, 0.3), u(0.2, 0.6), thin * u(0.15, 0.4))
    if u() < 0.5:
        knob = joint + rng.normal(0, size * 0.5, 2)
        _ellipse(plane, rng, knob, size * u(0.4, 0.8), u(0.15, 0.4))
    bones = plane > 0.02
    return np.asarray(
        cv2.GaussianBlur(plane, (0, 0), u(0.8, 2)) + u(0.006, 0.02) * flesh(bones, size * u(0.6, 1.8), 0.6)
    )


def _ellipse(plane: F32, rng: Generator, centre: F64, size: float, value: float) -> None:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    wave = 1 + sum(rng.normal(0, 0.06) * np.cos(k * t + rng.uniform(0, 6)) for k in (2, 3, 4))
    turn = rng.uniform(0, np.pi)
    x, y = size * wave * np.cos(t), size * rng.uniform(0.6, 1) * wave * np.sin(t)
    points = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1) + centre
    _rim(plane, points, value * 0.5, value, size * rng.uniform(0.05, 0.2))


def chest(rng: Generator) -> F32:
    """Ribs on both sides of a spine, lungs, a heart, perhaps collar bones and arms."""
    u = rng.uniform
    plane = np.full((SIDE, SIDE), 1.0, np.float32)
    middle = SIDE / 2 + rng.normal(0, 12)
    lungs = _canvas()
    for s in (-1, 1):
        centre = (round(middle + s * u(75, 100)), round(SIDE * u(0.4, 0.55)))
        cv2.ellipse(lungs, centre, (round(u(50, 75)), round(u(110, 160))), s * u(0, 12), 0, 360, 1.0, -1)
    plane -= u(0.4, 0.8) * cv2.GaussianBlur(lungs, (0, 0), 9)
    for k in range(int(u(7, 12))):
        for s in (-1, 1):
            rib = _canvas()
            y = SIDE * 0.08 + k * u(26, 32)
            axes = (round(u(110, 150)), round(u(40, 80)))
            start, stop = (100, 265) if s < 0 else (-85, 80)
            cv2.ellipse(rib, (round(middle), round(y + 40)), axes, s * u(4, 18), start, stop, 1.0, int(u(5, 11)))
            plane += u(0.08, 0.25) * cv2.GaussianBlur(rib, (0, 0), u(1, 2.5))
    plane += _column(rng, middle, 0.12) * u(0.4, 0.9)
    heart = _canvas()
    cv2.ellipse(heart, (round(middle + 25), round(SIDE * 0.6)), (70, 60), 20, 0, 360, 1.0, -1)
    return np.asarray(plane + u(0.2, 0.5) * cv2.GaussianBlur(heart, (0, 0), 8))


def _column(rng: Generator, middle: float, wide: float) -> F32:
    """Vertebrae one above the other; ``wide``: their width as a share of the picture."""
    u = rng.uniform
    plane = _canvas()
    bend = u(-60, 60)
    phase = u(0, 3)
    step = u(22, 46)
    y = -step
    half = SIDE * wide / 2
    while y < SIDE + step:
        x = middle + bend * np.sin(y / SIDE * np.pi + phase)
        h = step * u(0.32, 0.42)
        right = np.array([[0, -h * 0.8], [half, -h], [half * 0.85, 0], [half, h]])
        corner = np.concatenate([right, -right])
        _rim(plane, corner + np.array([x, y]), 0.3, 0.5, 4)
        if u() < 0.6:
            _ellipse(plane, rng, np.array([x + half * u(1.1, 1.9), y]), h * u(0.4, 0.9), 0.3)
        y += step * u(0.95, 1.05)
    return plane


def spine(rng: Generator) -> F32:
    """A spine from the side or from the front in thick flesh."""
    u = rng.uniform
    plane = _column(rng, SIDE * u(0.35, 0.65), u(0.12, 0.3))
    cloud = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), 50)
    return np.asarray(u(0.3, 0.9) * plane + u(0.5, 1.5) + 20 * u(0, 1) * cloud, np.float32)


def teeth(rng: Generator) -> F32:
    """Two rows of teeth with roots in a jaw."""
    u = rng.uniform
    plane = np.full((SIDE, SIDE), u(0.1, 0.6), np.float32)
    count = int(u(3, 16))
    arch = u(-0.002, 0.002)
    for row in (-1, 1):
        for k in range(count):
            half = SIDE / count * u(0.35, 0.48)
            x = (k + 0.5) * SIDE / count
            y = SIDE / 2 + arch * (x - SIDE / 2) ** 2
            length = half * u(3.0, 5.5)
            a, b = np.array([x, y + row * 3]), np.array([x + rng.normal(0, half * 0.4), y + row * length])
            _rim(plane, _tube(rng, a, b, half * 0.8, (half, half * 0.25)), 0.4, u(0, 0.4), half * 0.3)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), u(0.7, 2)))


def blobs(rng: Generator) -> F32:
    """Soft clouds and shapes at every scale: breasts, bellies, photographs, textures."""
    u = rng.uniform
    plane = _canvas()
    for sigma in (3, 10, 30, 80):
        coarse = cv2.GaussianBlur(rng.standard_normal((SIDE // 2, SIDE // 2)).astype(np.float32), (0, 0), sigma / 2)
        noise: F32 = np.asarray(cv2.resize(coarse, (SIDE, SIDE)), np.float32)
        plane += noise * np.float32(u(0, 0.25) * sigma**0.3 / (float(noise.std()) + 1e-6))
    for _ in range(int(u(0, 9))):
        _ellipse(plane, rng, u(0, SIDE, 2), u(10, 160), u(-0.6, 0.8))
    if u() < 0.5:
        side = _canvas()
        cv2.ellipse(side, (0, SIDE // 2), (round(u(150, 350)), round(u(120, 220))), u(-20, 20), 0, 360, 1.0, -1)
        plane = cv2.GaussianBlur(side, (0, 0), u(1, 20)) * (0.6 + plane)
    return np.asarray(plane - plane.min())


def sticks(rng: Generator) -> F32:
    """Tubes and discs thrown together: every piece of a hand, never in its order."""
    u = rng.uniform
    plane = _canvas()
    for _ in range(int(u(3, 26))):
        a = u(0, SIDE, 2)
        angle, length = u(0, 6.3), u(20, 200)
        half = u(3, 20)
        b = a + length * np.array([np.cos(angle), np.sin(angle)])
        _rim(plane, _tube(rng, a, b, half * u(0.4, 0.9), (half, half)), u(0.1, 0.3), u(0.1, 0.5), half * 0.3)
    for _ in range(int(u(0, 10))):
        _ellipse(plane, rng, u(0, SIDE, 2), u(6, 30), u(0.2, 0.6))
    if u() < 0.6:
        plane += u(0.006, 0.02) * flesh(plane > 0.05, u(5, 30), 0.5)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), u(0.7, 2)))


def page(rng: Generator) -> F32:
    """Lines of text, tables, curves."""
    u = rng.uniform
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    y, step = u(10, 40), u(12, 40)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ 0123456789 "))
    while y < SIDE:
        text = "".join(rng.choice(letters, int(u(5, 60))))
        cv2.putText(drawn, text, (round(u(5, 60)), round(y)), int(rng.integers(0, 4)), step / 30, 255, 1, cv2.LINE_AA)
        y += step
    plane = drawn.astype(np.float32) / 255
    if u() < 0.4:
        for _ in range(int(u(2, 9))):
            x, width = u(0, SIDE), u(10, 60)
            cv2.rectangle(plane, (round(x), round(SIDE * u(0.2, 0.9))), (round(x + width), SIDE), u(0.2, 1), -1)
    return np.asarray(1.0 - plane if u() < 0.5 else plane, np.float32)


def empty(rng: Generator) -> F32:
    """Nothing, or a slow change over the field."""
    return np.asarray(cv2.resize(rng.uniform(0, 1, (3, 3)).astype(np.float32), (SIDE, SIDE)) * rng.uniform(0, 1))


KINDS: dict[str, Callable[[Generator], F32]] = {
    "long_bones": long_bones,
    "more_long_bones": long_bones,
    "chest": chest,
    "spine": spine,
    "teeth": teeth,
    "blobs": blobs,
    "sticks": sticks,
    "page": page,
    "empty": empty,
}
