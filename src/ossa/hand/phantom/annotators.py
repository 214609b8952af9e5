"""How people outline bones: with a shaking hand, more or less points, and now and then one of the known mistakes.

The exact truth of a phantom flows in, outlines as annotators would have left them flow out, in px of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from ossa.hand.bones import DISTAL_CARPALS, PROXIMAL_CARPALS
from ossa.hand.phantom.contest import Mistake
from ossa.phantom.mesh import F64
from ossa.segmentation.outlines import Outline, outlines_from_region, region_from_outlines
from ossa.segmentation.segmentation import Region, Segmentation

Drawn = dict[str, tuple[Outline, ...]]

#: Size of the published pictures in px, at which the lengths below hold; smaller pictures have smaller ones.
FULL = 2048
#: How far (px) an annotator's outline of a bone lies off as a whole, and how much larger or smaller it is drawn (share
#: of its extent): together about .985 Dice against the exact truth, as good models agree with each other there.
SHIFT, SWELL = 0.9, 0.009
#: Distance (px) up to which an outline of few points leaves the one of many, and the share of files drawn so.
COARSE, COARSE_SHARE = (0.7, 3.5), 0.6

#: Fingers whose proximal phalanx may wear the ring of a mistake: index, middle, ring, little finger.
RINGED = ("finger-6", "finger-10", "finger-14", "finger-18")


def outlined(truth: Segmentation, rng: np.random.Generator) -> Drawn:
    """The outlines that a person draws of the true regions; holes are passed over, parts drawn apart."""
    scale = max(truth.shape) / FULL
    coarse = rng.uniform(*COARSE) * scale if rng.uniform() < COARSE_SHARE else 0.0
    last = np.array(truth.shape[::-1]) - 1
    return {name: _within(_drawn(region, coarse, scale, rng), last) for name, region in truth}


def _within(parts: tuple[Outline, ...], last: NDArray[np.int_]) -> tuple[Outline, ...]:
    """Nobody draws beyond the picture, whose ``last`` pixel is (x, y)."""
    return tuple(part.mapped(lambda ring: np.clip(ring, 0, last)) for part in parts)


def _drawn(region: Region, coarse: float, scale: float, rng: np.random.Generator) -> tuple[Outline, ...]:
    parts = []
    shift, swell = rng.normal(0, SHIFT * scale, 2), 1 + rng.normal(0, SWELL)
    centre = np.array([region.left + region.mask.shape[1] / 2, region.top + region.mask.shape[0] / 2])
    for part in outlines_from_region(region):
        ring = part.exterior
        if coarse and len(ring) > 12:
            fewer = cv2.approxPolyDP(ring.astype(np.float32).reshape(-1, 1, 2), coarse, True).reshape(-1, 2)
            ring = np.asarray(fewer if len(fewer) >= 6 else ring, np.float64)
        parts.append(Outline(np.round(centre + (ring - centre) * swell + shift, 2)))
    return tuple(parts)


def mistaken(
    drawn: Mapping[str, tuple[Outline, ...]], mistake: Mistake, picture: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Drawn, NDArray[np.uint8]]:
    """The outlines with a mistake in them, and the picture (H, W), which gets the ring that is taken for a bone."""
    out = dict(drawn)
    if mistake == "reversed":
        fingers = [f"finger-{k}" for k in range(1, 20)]
        return _relabelled(out, dict(zip(fingers, fingers[::-1], strict=True))), picture
    if mistake == "carpal row":
        row = DISTAL_CARPALS if rng.uniform() < 0.5 else PROXIMAL_CARPALS[:3]
        return _relabelled(out, dict(zip(row, row[::-1], strict=True))), picture
    if mistake == "pisiform":
        return _on_ulna(out, np.array(picture.shape[::-1]) - 1), picture
    return _ring(out, str(rng.choice([b for b in RINGED if b in out])), picture)


def _relabelled(drawn: Drawn, names: Mapping[str, str]) -> Drawn:
    return {names.get(name, name): parts for name, parts in drawn.items()}


def _on_ulna(drawn: Drawn, last: NDArray[np.int_]) -> Drawn:
    """The pisiform's outline, moved onto the end of the ulna that is nearest to it."""
    if not {"Pisiform", "Ulna"} <= set(drawn):
        return drawn
    pisiform = np.concatenate([part.exterior for part in drawn["Pisiform"]])
    ulna = np.concatenate([part.exterior for part in drawn["Ulna"]])
    centre = pisiform.mean(axis=0)
    near = ulna[np.argsort(np.linalg.norm(ulna - centre, axis=1))[: max(3, len(ulna) // 6)]].mean(axis=0)
    inwards = ulna.mean(axis=0) - near
    inwards = inwards / max(float(np.linalg.norm(inwards)), 1e-6) * 0.5 * float(np.ptp(pisiform, axis=0).max())
    move = near + inwards - centre
    moved = tuple(part.mapped(lambda ring: ring + move) for part in drawn["Pisiform"])
    return {**drawn, "Pisiform": _within(moved, last)}


def _ring(drawn: Drawn, bone: str, picture: NDArray[np.uint8]) -> tuple[Drawn, NDArray[np.uint8]]:
    """A metal ring about the middle of a phalanx, and its outline in the place of the bone's."""
    region = region_from_outlines(drawn[bone], (picture.shape[0], picture.shape[1]))
    assert region is not None
    rows, columns = np.nonzero(region.mask)
    points = np.stack([columns + region.left, rows + region.top], axis=1).astype(np.float64)
    centre = points.mean(axis=0)
    axis: F64 = np.linalg.svd(np.cov((points - centre).T))[0][:, 0]
    across = np.array([-axis[1], axis[0]])
    half = 1.15 * float(np.abs((points - centre) @ across).max())
    thick = 0.2 * half
    band = [centre + s * half * across + e * thick * axis for s, e in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    ring = cv2.fillConvexPoly(np.zeros(picture.shape, np.uint8), np.round(band).astype(np.int32), 255, cv2.LINE_AA)
    last = np.array(picture.shape[::-1]) - 1
    return {**drawn, bone: _within((Outline(np.round(np.array(band), 1)),), last)}, np.maximum(picture, ring)
