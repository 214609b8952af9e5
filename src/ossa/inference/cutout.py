"""One hand cut out of its film and laid upright, and what was found there laid back.

A cut-out is a radiograph of its own, as large as the hand is on the film: quarter turns and crops move pixels, nothing
is resampled unless the hand lies askew. Bones found on it are laid back by the exact inverse of the same map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.inference.finder import FoundHand
from ossa.radiograph.percentiles import percentiles
from ossa.radiograph.polarity import invert
from ossa.radiograph.prepare import height_of_a_pixel
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.segmentation.segmentation import Region, Segmentation

Affine = NDArray[np.float64]

#: Beyond the bones in view, as shares of the whole hand's length: flesh at the fingers and at the sides, the
#: forearm at the elbow's end. Networks are best where a hand fills its picture as it does on most films.
AROUND, ALONG = 0.08, 0.25

#: The cut-out of a forearm begins so far above the wrist, and ends so far below it at most.
WRIST, FOREARM = 0.35, 1.0

#: A cut-out is at least this share of the hand's length wide and high: a finger alone is not blown up.
LEAST = 0.6

#: A side of a cut-out that a bone runs into, within so many px, is moved out by this share of the hand's length.
TOUCHED, MORE = 1, 0.15

#: Turns smaller than this, in degrees, stay as they are: the networks know them.
ASKEW = 14.0

#: A cut-out that would take away less than this share of the film's longer side is not cut: networks know hands of
#: that size, and a finger that the finder overlooks is not lost. Of smaller ones they miss bones: with all of the plate
#: around it a traced hand had a Dice of .65 where its film took 58 % of the plate, .91 at 62 %, .95 at 70 %.
WORTH = 0.1


@dataclass(frozen=True, eq=False)
class Cutout:
    """``radiograph``: the hand upright; ``to_film`` (2, 3): its px (x, y) to the film's; ``film``: the film's (H, W).

    ``whole``: it shows all of the film.
    """

    radiograph: Radiograph
    to_film: Affine
    film: tuple[int, int]
    whole: bool


def cut_out(radiograph: Radiograph, hand: FoundHand, others: Sequence[FoundHand] = ()) -> Cutout:
    """``hand`` upright in a picture of its own; the ``others`` on the film are covered where they lie beside it.

    All of the film where the hand fills it, turned by quarters where it lies on its side.
    """
    around = AROUND * hand.length
    reach = hand.box + np.array([around, ALONG * hand.length, around, around])
    turn = _kept_turn(hand.angle)
    if turn % 90.0 == 0.0 and not others:
        height, width = radiograph.shape
        film = (float(width), height * height_of_a_pixel(radiograph))
        low, high = _window(hand, reach, turn, film)
        if (high - low).max() > (1 - WORTH) * max(film):
            if turn == 0.0 and not hand.negative:
                return Cutout(radiograph, np.eye(2, 3), radiograph.shape, True)
            return replace(_cut(radiograph, hand, np.full(4, sum(film)), others), whole=True)
    return _cut(radiograph, hand, reach, others)


def wider(cutout: Cutout, hand: FoundHand, found: Segmentation) -> FoundHand | None:
    """``hand`` with a box that reaches further where a bone ``found`` in its cut-out runs into a side, the elbow's
    excepted; None where none does. A forearm may: it is cut off anywhere.
    """
    if cutout.whole:
        return None
    bones = [region for name, region in found if found.schema.bone(name).row != "forearm"]
    top, left = (any(getattr(one, side) < TOUCHED for one in bones) for side in ("top", "left"))
    right = any(one.right > cutout.radiograph.shape[1] - TOUCHED for one in bones)
    touched = np.array([top, False, left, right])
    return replace(hand, box=hand.box + MORE * hand.length * touched) if touched.any() else None


def cut_forearm(radiograph: Radiograph, hand: FoundHand, others: Sequence[FoundHand] = ()) -> Cutout | None:
    """The wrist and what the film shows of the forearm, the hand upright; None where ``cut_out`` shows all of it."""
    film = np.array([radiograph.shape[1], radiograph.shape[0] * height_of_a_pixel(radiograph)])
    # How far the film goes on towards the elbow.
    with np.errstate(divide="ignore"):
        room = np.where(hand.up > 0, hand.centre + 0.5, hand.centre + 0.5 - film) / hand.up
    beyond = float(np.abs(room).min()) - float(hand.box[1])
    if beyond < 1.1 * ALONG * hand.length:
        return None
    wrist, aside = float(hand.box[1]), hand.box[2:] + AROUND * hand.length
    down = wrist + min(beyond, FOREARM * hand.length)
    return _cut(radiograph, hand, np.array([WRIST * hand.length - wrist, down, *aside]), others)


def _cut(radiograph: Radiograph, hand: FoundHand, reach: NDArray[np.float64], others: Sequence[FoundHand]) -> Cutout:
    """What lies within ``reach`` (4,) of the hand's centre, like its box; upright."""
    film = radiograph.shape
    tall = height_of_a_pixel(radiograph)
    turn = _kept_turn(hand.angle)
    low, high = _window(hand, reach, turn, (film[1], film[0] * tall))
    # Cut-out px to square px of the film, then to its own px.
    axes = _axes(turn)
    origin = hand.centre + axes @ low
    if turn % 90.0 == 0.0:  # px onto px
        axes, origin = np.round(axes), np.round(origin)
    to_square = np.hstack([axes, origin[:, None]])
    to_film = to_square.copy()
    to_film[1] = (to_square[1] + [0.0, 0.0, 0.5]) / tall - [0.0, 0.0, 0.5]
    size = np.maximum(np.ceil(high - low).astype(int), 8)
    pixels = _warped(radiograph.pixels, to_film, (int(size[1]), int(size[0])))
    for other in others:
        _cover(pixels, to_square, other, hand)
    if hand.negative:
        pixels = invert(pixels)
    spacing = radiograph.spacing
    square = None if spacing is None else Spacing(spacing.column, spacing.column, spacing.source)
    return Cutout(replace(radiograph, pixels=pixels, spacing=square, aspect=None), to_film, film, False)


def _kept_turn(angle: float) -> float:
    """The turn in degrees that is undone: none for a hand nearly upright, a quarter for one nearly on its side."""
    quarter = round(angle / 90.0) * 90.0
    return quarter if abs(angle - quarter) <= ASKEW else angle


def _axes(turn: float) -> NDArray[np.float64]:
    """The x and y direction, as columns (2, 2), of a frame turned by ``turn`` degrees clockwise."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.array([[c, -s], [s, c]])


def _window(hand: FoundHand, reach: NDArray[np.float64], turn: float, film: tuple[float, float]) -> tuple[Any, Any]:
    """Two corners of the cut-out in the frame turned by ``turn`` degrees around the hand's centre, square px.

    What is within ``reach`` as the hand lies in that frame, and no more than the film (width, height) holds.
    """
    fingers, elbow, left, right = reach
    corners = np.array([(x, y) for x in (-left, right) for y in (-fingers, elbow)]) @ _axes(hand.angle - turn).T
    low, high = corners.min(axis=0), corners.max(axis=0)
    short = np.maximum(LEAST * hand.length - (high - low), 0)
    low, high = low - short / 2, high + short / 2
    border = np.array([(x, y) for x in (0.0, film[0]) for y in (0.0, film[1])]) - 0.5 - hand.centre
    border = border @ _axes(turn)
    low, high = np.maximum(low, border.min(axis=0) + 0.5), np.minimum(high, border.max(axis=0) + 0.5)
    return np.round(low), np.maximum(np.round(high), np.round(low) + 8)


def _warped(pixels: Any, to_film: Affine, shape: tuple[int, int]) -> Any:
    """The film's grey values at the cut-out's px; beyond the film its border goes on."""
    import cv2

    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, to_film, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _cover(pixels: Any, to_square: Affine, other: FoundHand, hand: FoundHand) -> None:
    """Paint the box of another hand with the grey of bare film, but where the hand itself may lie; in place."""
    import cv2

    back = np.linalg.inv(to_square[:, :2])
    mask = np.zeros(pixels.shape, np.uint8)
    for one, value, around in ((other, 1, 0.08), (hand, 0, 0.04)):
        corners = (box_corners(one, around * one.length) - to_square[:, 2]) @ back.T
        cv2.fillConvexPoly(mask, np.rint(corners * 16).astype(np.int32), value, shift=4)
    pixels[mask > 0] = percentiles(pixels, 5, 5)[0]


def box_corners(hand: FoundHand, around: float = 0.0) -> NDArray[np.float64]:
    """Corners (4, 2) in order of the bones in view, ``around`` px wider on each side, in square px of the film."""
    right = np.array([-hand.up[1], hand.up[0]])
    fingers, elbow, aside_left, aside_right = hand.box + around
    return np.array(
        [
            hand.centre + hand.up * along + right * across
            for along, across in (
                (fingers, -aside_left), (fingers, aside_right), (-elbow, aside_right), (-elbow, -aside_left)
            )
        ]
    )  # fmt: skip


def laid_back(found: Segmentation, cutout: Cutout) -> Segmentation:
    """Bones of a cut-out where they lie on the film."""
    if cutout.radiograph.shape == cutout.film and (cutout.to_film == np.eye(2, 3)).all():
        return found
    regions = {name: region for name, one in found if (region := _back(one, cutout)) is not None}
    confidence = {name: value for name, value in found.confidence.items() if name in regions}
    plausible = {
        name: tuple(back for one in several if (back := _back(one, cutout)) is not None)
        for name, several in found.plausible.items()
    }
    return replace(found, shape=cutout.film, regions=regions, confidence=confidence, plausible=plausible)


def _back(region: Region, cutout: Cutout) -> Region | None:
    """One bone on the film: those of the film's pixels whose place in the cut-out is more than half bone."""
    import cv2

    a = cutout.to_film
    if (a[:, :2] == np.eye(2)).all() and (a[:, 2] == np.round(a[:, 2])).all():
        return Region(region.top + int(a[1, 2]), region.left + int(a[0, 2]), region.mask)
    box = np.array(
        [[x, y] for x in (region.left - 1, region.right) for y in (region.top - 1, region.bottom)], np.float64
    )
    there = box @ a[:, :2].T + a[:, 2]
    left, top = np.maximum(np.floor(there.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(there.max(axis=0)).astype(int) + 2, cutout.film[::-1])
    if right <= left or bottom <= top:
        return None
    # From px of the mask to px of the box on the film.
    to_box = np.hstack([a[:, :2], (a[:, 2] + a[:, :2] @ (region.left, region.top) - (left, top))[:, None]])
    grey = region.mask.astype(np.uint8) * np.uint8(255)
    seen = cv2.warpAffine(grey, to_box, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    return Region.tight(seen > 127, int(top), int(left))
