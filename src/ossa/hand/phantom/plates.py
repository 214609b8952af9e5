"""Sprites laid onto film plates: one hand, two, three, parts of hands, anywhere, any way up, or no hand at all.

A plate has one exposure or several beside each other. An exposure has a field (the collimated rectangle, or a round
one), one or more sprites whose attenuations add up, and a display curve of its own; around the fields the plate is
black, grey or white. The truth says for every hand what of it is in a field, see ``PlateHand``.

Points are (x, y) in px, pixel centres whole numbers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ossa.hand.phantom.shots import (
    CARPUS,
    FOREARM,
    OF_HAND,
    RAYS,
    Affine,
    Draw,
    Generator,
    Shot,
    joined,
    like,
    moved,
    shot,
    similarity,
)
from ossa.hand.phantom.sprites import Sprite, View
from ossa.phantom import film
from ossa.phantom.mesh import F64
from ossa.phantom.projection import F32

#: What of a hand can be in the picture: its five rays, the carpus, the forearm's end.
PARTS = ("thumb", "index", "middle", "ring", "little", "carpus", "forearm")

#: A hand of which fewer bones are in the picture is not told to be one.
FEWEST_BONES = 2


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
    forearm = [bool(inside[-1, i]) for i in FOREARM]
    bones = [i for i in OF_HAND if seen[i]]
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
    rays = [int(seen[ray].sum()) >= 2 for ray in RAYS]
    # A small child has two carpals or fewer: where a capitate would be is what counts.
    carpus = int(seen[CARPUS].sum()) >= max(1, min(3, int(there[CARPUS].sum())))
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
