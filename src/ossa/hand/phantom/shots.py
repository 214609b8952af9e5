"""Exposures before they lie on a plate: which sprites one shows, how they lie, and the field that is collimated to.

Points are (x, y) in px, pixel centres whole numbers; ``Affine`` (2, 3) maps one frame to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ossa.hand.bones import CARPALS
from ossa.hand.phantom.pose import DIGITS
from ossa.hand.phantom.sprites import SIDE, Sprite
from ossa.phantom.mesh import F64
from ossa.schema import load_schema

Generator = np.random.Generator
Affine = F64

_NAMES = load_schema("hand29").names

#: Indices of the bones of each ray from the thumb on, of the carpus, of the forearm, and of all but the forearm.
RAYS = [[_NAMES.index(name) for name in DIGITS[digit]] for digit in range(1, 6)]
CARPUS = [_NAMES.index(name) for name in CARPALS]
FOREARM = [_NAMES.index(name) for name in ("Radius", "Ulna")]
OF_HAND = [i for i in range(len(_NAMES)) if i not in FOREARM]


@dataclass(frozen=True, eq=False)
class Shot:
    """One exposure: sprites with their maps to the shot's frame, and the field's rectangle there.

    ``middle`` (2,), ``half`` (2,) sides and ``angle`` (radians) of the field.
    """

    sprites: tuple[tuple[Sprite, Affine], ...]
    middle: F64
    half: F64
    angle: float


Draw = Callable[[tuple[str, ...]], Sprite]


# Frames -------------------------------------------------------------------------------------------


def joined(second: Affine, first: Affine) -> Affine:
    """The map that does ``first`` and then ``second``."""
    return np.hstack([second[:, :2] @ first[:, :2], (second[:, :2] @ first[:, 2] + second[:, 2])[:, None]])


def moved(affine: Affine, points: F64) -> F64:
    """Points (..., 2) through a map."""
    return np.asarray(points @ affine[:, :2].T + affine[:, 2])


def similarity(scale: float, angle: float, mirrored: bool, source: F64, target: F64) -> Affine:
    """Scaled and turned (radians, from x to y), mirrored first if asked; ``source`` goes to ``target``."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    return np.hstack([matrix, (target - matrix @ source)[:, None]])


# Shots --------------------------------------------------------------------------------------------


def shot(rng: Generator, draw: Draw) -> Shot:
    """One exposure: a hand, a part of one, two hands, or none."""
    kind = rng.uniform()
    if kind < 0.30:
        return whole_shot(rng, [draw(("whole",))])
    if kind < 0.38:
        return whole_shot(rng, _pair(rng, draw))
    if kind < 0.48:
        return wrist_shot(rng, draw(("whole",)))
    if kind < 0.59:
        return close_shot(rng, draw(("close",)))
    if kind < 0.68:
        return digit_shot(rng, draw(("close", "close", "whole")))
    if kind < 0.70:
        return forearm_shot(rng, draw(("whole",)))
    return close_shot(rng, draw(("foot", "foot", "foot", "other", "drawing")))


def like(rng: Generator, first: Shot, draw: Draw) -> Shot:
    """A neighbour for ``first`` on the same plate: the other hand, or another view of something alike."""
    sprite = first.sprites[0][0]
    if not sprite.is_hand:
        return close_shot(rng, sprite if rng.uniform() < 0.5 else draw(("foot",)))
    other = sprite if rng.uniform() < 0.4 else draw(("whole",) if sprite.open_ended else ("close",))
    return whole_shot(rng, [other]) if other.open_ended else close_shot(rng, other)


def _pair(rng: Generator, draw: Draw) -> list[Sprite]:
    first = draw(("whole",))
    return [first, first if rng.uniform() < 0.6 else draw(("whole",))]


def whole_shot(rng: Generator, sprites: list[Sprite]) -> Shot:
    """Whole hands, one or two side by side, in a field around them or far around them, sometimes cutting them."""
    u = rng.uniform
    placed: list[tuple[Sprite, Affine]] = []
    tilt, edge = rng.normal(0, 0.12), 0.0
    opposite = u() < 0.75
    for k, sprite in enumerate(sprites):
        ends = _hand_points(sprite)
        mirrored = bool(u() < 0.5) if k == 0 else (sprites[0] is sprite and opposite) or bool(u() < 0.3)
        scale = sprites[0].length / sprite.length * u(0.95, 1.05)
        here = similarity(scale, (tilt if k == 0 else -tilt) + rng.normal(0, 0.05), mirrored, ends.mean(axis=0),
                          np.zeros(2))  # fmt: skip
        points = moved(here, ends)
        low, high = points.min(axis=0), points.max(axis=0)
        gap = (high[0] - low[0]) * u(0.08, 0.5)
        here[0, 2] += edge - float(low[0])
        here[1, 2] += rng.normal(0, 0.03) * sprite.length * (k > 0)
        edge += float(high[0] - low[0] + gap)
        placed.append((sprite, here))
    angle = float(_turn(rng))
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[c, s], [-s, c]])  # rows: the field's own x and y
    points = np.concatenate([moved(m, _hand_points(sprite)) for sprite, m in placed])
    length = sprites[0].length
    down = np.array([0.0, 1.0]) * length * (u(0.03, 0.5) if u() < 0.75 else u(0.5, 1.5))
    reach = np.concatenate([points, points.mean(axis=0)[None] + down + [[-0.15 * length, 0], [0.15 * length, 0]]])
    own = reach @ axes.T
    low, high = own.min(axis=0), own.max(axis=0)
    extent = high - low
    far = u() < 0.22
    least, most = (0.2, 1.6) if far else (0.02, 0.25)
    low = low - extent * u(least, most, 2)
    high = high + extent * u(least, most, 2)
    if not far and u() < 0.25:  # a part is cut off
        side, share = int(rng.integers(4)), u(0.25, 0.65)
        if side < 2:
            low[side] += (high[side] - low[side]) * share
        else:
            high[side - 2] -= (high[side - 2] - low[side - 2]) * share
    half = (high - low) / 2
    return Shot(tuple(placed), axes.T @ ((low + high) / 2), np.maximum(half, half.max() * 0.35), angle)


def close_shot(rng: Generator, sprite: Sprite) -> Shot:
    """A field inside the sprite, of which nothing more is known."""
    u = rng.uniform
    half = np.array([u(0.5, 0.98), u(0.5, 0.98)]) * SIDE / 2
    if u() < 0.4:
        half[:] = half.max()
    angle = rng.normal(0, 0.06) if u() < 0.5 else 0.0
    need = half @ np.abs([[np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = half * min(1.0, (SIDE / 2 - 1) / float(need.max()))
    room = np.maximum(SIDE / 2 - 1 - np.minimum(need, SIDE / 2 - 1), 0)
    middle = np.full(2, SIDE / 2) + u(-1, 1, 2) * room
    mirror = similarity(1.0, 0.0, bool(u() < 0.5), np.full(2, (SIDE - 1) / 2), np.full(2, (SIDE - 1) / 2))
    return Shot(((sprite, mirror),), middle, half, angle)


def digit_shot(rng: Generator, sprite: Sprite) -> Shot:
    """A finger or the thumb as it is taken: a narrow field along it, perhaps with those beside it.

    What happens to be in the field of the rest of the hand is there too. A close shot where no digit is in the sprite.
    """
    u = rng.uniform
    inside = np.asarray(((sprite.ends > 0) & (sprite.ends < SIDE - 1)).all(axis=(1, 2)))
    rays = [ray for ray in RAYS if inside[ray].sum() >= 2]
    if not rays:
        return close_shot(rng, sprite)
    ray = rays[int(rng.integers(len(rays)))]
    ends = sprite.ends[[i for i in ray if inside[i]]]
    base, tip = ends[0, 0], ends[-1, 1]
    along = (tip - base) / max(float(np.linalg.norm(tip - base)), 1e-6)
    angle = float(np.arctan2(along[0], -along[1]) + rng.normal(0, 0.08)) if u() < 0.8 else 0.0
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    own = ends.reshape(-1, 2) @ axes.T
    low, high = own.min(axis=0), own.max(axis=0)
    length = sprite.length
    wide = u(0.05, 0.13) if u() < 0.7 else u(0.13, 0.35)
    low -= length * np.array([wide, u(0.03, 0.2)])
    high += length * np.array([wide * u(0.7, 1.4), u(0.0, 0.3)])
    if u() < 0.2:  # its base is cut off
        high[1] -= (high[1] - low[1]) * u(0.1, 0.4)
    half = (high - low) / 2
    middle = axes.T @ ((low + high) / 2)
    if not sprite.open_ended:  # nothing is known beyond the sprite
        reach = np.abs(axes.T) @ half
        half = half * min(1.0, (SIDE / 2 - 1) / float(reach.max()))
        reach = np.abs(axes.T) @ half
        middle = np.clip(middle, reach, SIDE - 1 - reach)
    return Shot(((sprite, np.eye(2, 3)),), middle, half, angle)


def wrist_shot(rng: Generator, sprite: Sprite) -> Shot:
    """A wrist as it is taken: from somewhere in the metacarpals down the forearm."""
    u = rng.uniform
    ends = _hand_points(sprite)
    low, high = ends.min(axis=0), ends.max(axis=0)
    length = sprite.length
    top = high[1] - length * u(0.3, 0.62)
    bottom = high[1] + length * (u(0.2, 0.7) if u() < 0.7 else u(0.7, 1.4))
    wide = max(float(high[0] - low[0]) * u(0.7, 1.3), (bottom - top) * u(0.4, 0.8))
    carpus = np.nanmean(sprite.ends[CARPUS].reshape(-1, 2), axis=0)
    middle = np.array([carpus[0] + rng.normal(0, 0.06) * length, (top + bottom) / 2])
    angle = rng.normal(0, 0.1) if u() < 0.7 else _turn(rng)
    return Shot(((sprite, np.eye(2, 3)),), middle, np.array([wide, bottom - top]) / 2, float(angle))


def forearm_shot(rng: Generator, sprite: Sprite) -> Shot:
    """The shafts of a forearm without its hand."""
    u = rng.uniform
    ends = _hand_points(sprite)
    wrist = float(ends[:, 1].max())
    top = min(wrist + 0.08 * sprite.length, SIDE * 0.85)
    tall = (SIDE - top) * u(0.8, 3.0)
    wide = tall * u(0.35, 1.2)
    x = float(np.nanmean(sprite.ends[FOREARM][..., 0]))
    return Shot(((sprite, np.eye(2, 3)),), np.array([x, top + tall / 2]), np.array([wide, tall]) / 2, 0.0)


def _hand_points(sprite: Sprite) -> F64:
    """Ends (K, 2) of the bones of the hand without the forearm."""
    points = sprite.ends[OF_HAND].reshape(-1, 2)
    return points[np.isfinite(points[:, 0])]


def _turn(rng: Generator) -> float:
    """How a hand lies on its film, radians: mostly upright, often on its side, at times anyhow."""
    kind = rng.uniform()
    if kind < 0.55:
        return float(rng.normal(0, 0.12))
    if kind < 0.75:
        return float(rng.choice([np.pi / 2, -np.pi / 2, np.pi]) + rng.normal(0, 0.12))
    return float(rng.uniform(-np.pi, np.pi))
