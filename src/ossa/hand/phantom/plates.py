"""Sprites laid onto film plates: one hand, two, three, parts of hands, anywhere, any way up, or no hand at all.

A plate has one exposure or several beside each other. An exposure has a field (the collimated rectangle, or a round
one), one or more sprites whose attenuations add up, and a display curve of its own; around the fields the plate is
black, grey or white. The truth says for every hand what of it is in a field, see ``PlateHand``.

Points are (x, y) in px, pixel centres whole numbers; ``Affine`` (2, 3) maps one frame to another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ossa.hand.bones import CARPALS
from ossa.hand.phantom.pose import DIGITS
from ossa.hand.phantom.sprites import SIDE, Sprite, View
from ossa.phantom import film
from ossa.phantom.mesh import F64
from ossa.phantom.projection import F32
from ossa.schema import load_schema

Generator = np.random.Generator
Affine = F64

#: What of a hand can be in the picture: its five rays, the carpus, the forearm's end.
PARTS = ("thumb", "index", "middle", "ring", "little", "carpus", "forearm")

#: A hand of which fewer bones are in the picture is not told to be one.
FEWEST_BONES = 2

_NAMES = load_schema("hand29").names
_RAYS = [[_NAMES.index(name) for name in DIGITS[digit]] for digit in range(1, 6)]
_CARPUS = [_NAMES.index(name) for name in CARPALS]
_FOREARM = [_NAMES.index(name) for name in ("Radius", "Ulna")]
_OF_HAND = [i for i in range(len(_NAMES)) if i not in _FOREARM]


@dataclass(frozen=True, eq=False)
class PlateHand:
    """A hand as it lies in a plate's picture.

    ``centre`` (2,): the middle of the skeleton in view, each bone by its length, the forearm left out; ``up`` (2,)
    unit vector to the fingers; ``length`` of the whole hand as if it lay flat and in view, px; ``box`` (4,): how far
    the bones in view (without the forearm) reach from the centre to the fingers, to the elbow, to the left and to the
    right when the fingers are up, px; ``thumb_left`` then; ``parts`` (7,) bool: which PARTS are in view.
    """

    centre: F64
    up: F64
    length: float
    box: F64
    thumb_left: bool
    view: View
    parts: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Plate:
    """``grey`` (H, W) uint8 with its ``hands``; ``negative``: bones are dark."""

    grey: NDArray[np.uint8]
    hands: tuple[PlateHand, ...]
    negative: bool


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


def compose(rng: Generator, draw: Draw, size: int) -> Plate:
    """A plate whose longer side has ``size`` px; ``draw(kinds)`` gives a sprite of one of some kinds:
    "whole" and "close" hands, "foot", "other", "drawing".
    """
    u = rng.uniform
    count = int(rng.choice([1, 2, 3], p=(0.8, 0.17, 0.03)))
    shots = [shot(rng, draw) for _ in range(count)]
    if count > 1 and u() < 0.6:  # views of one hand, or both hands of one person: exposures alike
        shots = [shots[0], *(like(rng, shots[0], draw) for _ in range(count - 1))]
    filled = count == 1 and u() < 0.5
    if filled:
        wide, tall = shots[0].half / shots[0].half.max()
        wide, tall = max(wide, 0.3), max(tall, 0.3)
    elif count == 1:
        wide, tall = _aspect(u(0.55, 1.8))
    else:
        wide, tall = _aspect(u(0.8, 1.15) * (count if u() < 0.75 else 1 / count) * u(0.6, 1.0))
    shape = (max(48, round(size * tall)), max(48, round(size * wide)))
    picture = np.full(shape, film.surround(rng), np.float32)
    negative = bool(u() < 0.13)
    hands = []
    for one, cell in zip(shots, _cells(rng, shape, count), strict=True):
        to_plate, field = _lay(rng, one, cell, filled)
        _expose(rng, picture, one, to_plate, field)
        for sprite, to_shot in one.sprites:
            hand = seen_of(sprite, joined(to_plate, to_shot), field)
            if hand is not None:
                hands.append(hand)
    film.marks(rng, picture)
    if negative:
        picture = 1 - picture
    if u() < 0.1:
        film.border(rng, picture)
    return Plate(film.digitised(rng, picture), tuple(hands), negative)


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
    inside = ((sprite.ends > 0) & (sprite.ends < SIDE - 1)).all(axis=(1, 2))
    rays = [ray for ray in _RAYS if inside[ray].sum() >= 2]
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
    carpus = np.nanmean(sprite.ends[_CARPUS].reshape(-1, 2), axis=0)
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
    x = float(np.nanmean(sprite.ends[_FOREARM][..., 0]))
    return Shot(((sprite, np.eye(2, 3)),), np.array([x, top + tall / 2]), np.array([wide, tall]) / 2, 0.0)


def _hand_points(sprite: Sprite) -> F64:
    """Ends (K, 2) of the bones of the hand without the forearm."""
    points = sprite.ends[_OF_HAND].reshape(-1, 2)
    return points[np.isfinite(points[:, 0])]


def _turn(rng: Generator) -> float:
    """How a hand lies on its film, radians: mostly upright, often on its side, at times anyhow."""
    kind = rng.uniform()
    if kind < 0.55:
        return float(rng.normal(0, 0.12))
    if kind < 0.75:
        return float(rng.choice([np.pi / 2, -np.pi / 2, np.pi]) + rng.normal(0, 0.12))
    return float(rng.uniform(-np.pi, np.pi))


# Plates -------------------------------------------------------------------------------------------


def _aspect(ratio: float) -> tuple[float, float]:
    """(width, height) of a ratio, the larger one 1."""
    ratio = float(np.clip(ratio, 0.35, 2.8))
    return (1.0, 1.0 / ratio) if ratio > 1 else (ratio, 1.0)


def _cells(rng: Generator, shape: tuple[int, int], count: int) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of ``count`` cells that share the plate along its longer side."""
    height, width = shape
    cuts = np.linspace(0, 1, count + 1)
    cuts[1:-1] += rng.normal(0, 0.04, max(count - 1, 0))
    if width >= height:
        return [(a * width, 0.0, b * width, float(height)) for a, b in itertools.pairwise(cuts.tolist())]
    return [(0.0, a * height, float(width), b * height) for a, b in itertools.pairwise(cuts.tolist())]


def _lay(rng: Generator, one: Shot, cell: tuple[float, float, float, float], filled: bool) -> tuple[Affine, F64]:
    """The map from the shot's frame to the plate, and the field's corners (4, 2) there."""
    u = rng.uniform
    left, top, right, bottom = cell
    room = np.array([right - left, bottom - top])
    if filled:
        turn, share = 0.0, 1.0
    else:
        turn = rng.normal(0, 0.05) if u() < 0.6 else u(-0.5, 0.5)
        if u() < 0.12:
            turn += float(rng.choice([np.pi / 2, -np.pi / 2, np.pi]))
        share = u(0.85, 1.0) if u() < 0.5 else u(0.4, 1.0)
    c, s = abs(np.cos(turn)), abs(np.sin(turn))
    need = np.array([c * one.half[0] + s * one.half[1], s * one.half[0] + c * one.half[1]]) * 2
    scale = float((room / need).min()) * share
    hands = [sprite.length for sprite, _ in one.sprites if sprite.is_hand]
    if hands:  # no smaller than a seventh of the plate, where the cell has room
        scale = min(max(scale, max(room) / 7 / min(hands)), float((room / need).min()))
    spare = np.maximum(room - need * scale, 0)
    target = np.array([left, top]) + room / 2 - 0.5 + u(-0.5, 0.5, 2) * spare
    to_plate = similarity(scale, turn - one.angle, False, one.middle, target)
    c, s = np.cos(one.angle), np.sin(one.angle)
    axes = np.array([[c, s], [-s, c]])
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = one.middle + (signs * one.half) @ axes
    return to_plate, moved(to_plate, corners)


def seen_of(sprite: Sprite, to_plate: Affine, field: F64) -> PlateHand | None:
    """What of a sprite's hand is inside the field's corners (4, 2); None when too few bones are."""
    ends = moved(to_plate, sprite.ends)
    there = np.isfinite(ends[:, 0, 0])
    steps = np.linspace(0.1, 0.9, 5)[:, None, None]
    along = ends[None, :, 0] * (1 - steps) + ends[None, :, 1] * steps  # (5, 29, 2)
    inside = _inside(along, field) & there
    seen = inside.sum(axis=0) >= 3
    forearm = [bool(inside[-1, i]) for i in _FOREARM]
    bones = [i for i in _OF_HAND if seen[i]]
    if len(bones) < FEWEST_BONES:
        return None
    weight = np.linalg.norm(ends[bones, 1] - ends[bones, 0], axis=1)
    centre = (ends[bones].mean(axis=1) * weight[:, None]).sum(axis=0) / weight.sum()
    up = to_plate[:, :2] @ sprite.up
    scale = float(np.linalg.norm(up))
    up = up / scale
    right = np.array([-up[1], up[0]])
    points = along[:, bones].reshape(-1, 2)[inside[:, bones].reshape(-1)] - centre
    box = np.array([(points @ up).max(), (-points @ up).max(), (-points @ right).max(), (points @ right).max()])
    mirrored = float(np.linalg.det(to_plate[:, :2])) < 0
    rays = [int(seen[ray].sum()) >= 2 for ray in _RAYS]
    # A small child has two carpals or fewer: where a capitate would be is what counts.
    carpus = int(seen[_CARPUS].sum()) >= max(1, min(3, int(there[_CARPUS].sum())))
    parts = np.array([*rays, carpus, any(forearm)])
    return PlateHand(centre, up, sprite.length * scale, box, sprite.thumb_left != mirrored, sprite.view, parts)


def _inside(points: F64, corners: F64) -> NDArray[np.bool_]:
    """Which points (..., 2) lie inside a rectangle given by its corners in order."""
    a, b, d = corners[0], corners[1], corners[3]
    across, down = b - a, d - a
    x, y = (points - a) @ across / (across @ across), (points - a) @ down / (down @ down)
    return np.asarray((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1))


# Exposure ----------------------------------------------------------------------------------------


def _expose(rng: Generator, picture: F32, one: Shot, to_plate: Affine, field: F64) -> None:
    """Expose a shot onto ``picture`` (H, W) 0..1, in place."""
    u = rng.uniform
    height, width = picture.shape
    mu = np.zeros(picture.shape, np.float32)
    for sprite, to_shot in one.sprites:
        mu += laid(sprite.mu, joined(to_plate, to_shot), (height, width))
    window = np.zeros(picture.shape, np.float32)
    if u() < 0.05:
        middle, half = field.mean(axis=0), np.linalg.norm(field[1:3] - field[:2], axis=1) / 2
        turn = float(np.degrees(np.arctan2(*(field[1] - field[0])[::-1])))
        cv2.ellipse(window, (tuple(map(float, middle)), tuple(map(float, half * 2)), turn), 1.0, -1)
    else:
        cv2.fillConvexPoly(window, np.rint(field * 16).astype(np.int32), 1.0, shift=4)
    shown = film.displayed(rng, mu, window > 0.5)
    soft = cv2.GaussianBlur(window, (0, 0), u(0.4, 2.0)) if u() < 0.8 else window
    leak = u(0.05, 0.35) if u() < 0.25 else 0.0
    under = picture * (1 - leak) + leak * shown
    np.copyto(picture, shown * soft + under * (1 - soft))
    if u() < 0.15:
        cv2.polylines(picture, [np.rint(field * 16).astype(np.int32)], True, u(0, 1), 1, cv2.LINE_AA, shift=4)


def laid(mu: F32, to_plate: Affine, shape: tuple[int, int]) -> F32:
    """A sprite's attenuation on a plate of ``shape`` (H, W), averaged where it shrinks."""
    scale = float(np.sqrt(abs(np.linalg.det(to_plate[:, :2]))))
    back = to_plate
    while scale < 0.6 and min(mu.shape) > 16:
        # A halved pixel k holds the old ones 2k and 2k + 1 (area), so its centre is 2k + .5.
        half = cv2.resize(mu, (mu.shape[1] // 2, mu.shape[0] // 2), interpolation=cv2.INTER_AREA)
        mu = np.asarray(half, np.float32)
        back = joined(back, np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]]))
        scale *= 2
    out = cv2.warpAffine(mu, back, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.float32)
