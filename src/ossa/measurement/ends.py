"""Ends of bones that cannot be seen: under other bones, or too faint to tell from what is around them.

A network outlines such an end all the same, and is as sure of it as of any other, so neither its confidence nor the
spread over plausible edges tells that a length taken there is a guess: the picture and the other bones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.hand.bones import SHORT
from ossa.measurement.anatomy import Bones
from ossa.measurement.trace import Float, left_of
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.segmentation import Region, Segmentation

#: An end is this share of a bone's length, as far as the longest errors of lengths reach.
_END = 0.08

#: An end is hidden when other bones cover this share of it. Of phantoms' bones with less the errors of one in twenty
#: grow from 4 % of the length (nothing covered) to 7 %; beyond it from there to 15 %.
HIDDEN = 2 / 3

#: A free tip is faint when its grey exceeds that beyond it by less than so many standard deviations of its own. Of
#: phantoms' tips below it half are off by 4 % of the length, of all others half by 1.3 %.
FAINT = 1.2

#: The inner half of a tip's width is looked at, and so much beyond its outline, as shares of the end, where the
#: outline itself is a pixel or two off.
_HALF, _BEYOND = 0.25, (0.12, 1.0)

#: Fewer px than this beyond a tip say nothing.
_FEWEST = 6


def unseen_ends(bones: Bones, segmentation: Segmentation, radiograph: Radiograph | None) -> Mapping[str, str]:
    """Bone -> why its length cannot be had, for those that have an end which does not show.

    Without ``radiograph`` only what lies under other bones is told. Radius and ulna have no length, and bones that are
    cut no end, to be judged.
    """
    cover = np.zeros(segmentation.shape, np.uint8)
    for _, region in segmentation:
        cover[region.top : region.bottom, region.left : region.right] += region.mask
    out = {}
    for name, region in segmentation:
        if name in bones.cut or name in bones.reasons:
            continue
        if bones.schema.bone(name).row in SHORT:
            # Carpals lie over each other in every view: one is hidden when most of it is.
            box = (slice(region.top, region.bottom), slice(region.left, region.right))
            if float((cover[box][region.mask] > 1).mean()) >= HIDDEN:
                out[name] = "most of it lies under other bones"
        elif name in bones.directions:
            reason = _unseen(bones, name, region, cover, radiograph)
            out.update({name: reason} if reason else {})
    return out


def _unseen(
    bones: Bones, name: str, region: Region, cover: NDArray[np.uint8], radiograph: Radiograph | None
) -> str | None:
    """Why an end of a digit's bone does not show."""
    axis = bones.directions[name]
    box = cover[region.top : region.bottom, region.left : region.right]
    # Where no bone lies over another, none hides an end: hardly any does, and nothing more is looked at.
    for way, end in ((-axis, "base"), (axis, "head")) if int(box.max()) > 1 else ():
        strip = _Strip.of(bones, name, region, way)
        seen = cover[strip.box]
        covered = seen[strip.inside[: seen.shape[0], : seen.shape[1]]] > 1
        if covered.size and covered.mean() >= HIDDEN:
            return f"its {end} lies under other bones"
    tip = bones.schema.bone(name).row == "distal"
    if tip and radiograph is not None and _faint(bones, name, region, axis, cover, radiograph):
        return "its tip is too faint to tell where it ends"
    return None


@dataclass(frozen=True, eq=False)
class _Strip:
    """The px around one end of a bone, those of ``box``. For each of them (h, w): its place ``along`` the
    axis, in ends (0 at the outermost place, -1 where the end begins), and ``across`` it, in units of the scale; and
    whether it is ``inside`` of the bone's end.
    """

    box: tuple[slice, slice]
    along: Float
    across: Float
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, bones: Bones, name: str, region: Region, way: Float, around: float = 0.0) -> _Strip:
        """The end of a bone in the direction ``way``, with so many ends' lengths ``around`` it."""
        bone, scale = bones.traces[name], bones.scale
        reach = bone.along(way)
        far, length = float(reach.max()), _END * float(np.ptp(reach))
        places = bone.points[reach >= far - length] / (scale.column, scale.row)
        pad = around * length / np.array([scale.column, scale.row])
        left, top = np.maximum(np.floor(places.min(axis=0) - pad).astype(int), 0).tolist()
        right, bottom = (np.ceil(places.max(axis=0) + pad).astype(int) + 1).tolist()
        x = (np.arange(left, right) * scale.column - bone.centre[0])[None]
        y = (np.arange(top, bottom) * scale.row - bone.centre[1])[:, None]
        side = left_of(way)
        along = (x * way[0] + y * way[1] - far) / length
        inside = _window(region, (top, bottom, left, right)) & (along >= -1.0)
        return cls((slice(top, bottom), slice(left, right)), along, x * side[0] + y * side[1], inside)


def _window(region: Region, window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """The part of a region's mask in ``window`` (top, bottom, left, right); nothing is there outside of its box."""
    top, bottom, left, right = window
    out = np.zeros((bottom - top, right - left), bool)
    a, b = max(top, region.top), min(bottom, region.bottom)
    c, d = max(left, region.left), min(right, region.right)
    if a < b and c < d:
        inner = region.mask[a - region.top : b - region.top, c - region.left : d - region.left]
        out[a - top : b - top, c - left : d - left] = inner
    return out


def _faint(
    bones: Bones, name: str, region: Region, way: Float, cover: NDArray[np.uint8], radiograph: Radiograph
) -> bool:
    """Whether a free tip hardly differs from what lies beyond it, as bones of this picture do: brighter or darker."""
    strip = _Strip.of(bones, name, region, way, 1.0)
    seen = cover[strip.box]
    here = (slice(seen.shape[0]), slice(seen.shape[1]))  # the film may end before the box does
    across, along, inside = strip.across[here], strip.along[here], strip.inside[here]
    if not inside.any():
        return False
    middle, wide = float(np.median(across[inside])), float(np.ptp(across[inside]))
    central = np.abs(across - middle) < _HALF * wide
    beyond = central & (seen == 0) & (along > _BEYOND[0]) & (along < _BEYOND[1])
    tip = central & inside
    if np.count_nonzero(beyond) < _FEWEST or np.count_nonzero(tip) < _FEWEST:
        return False
    grey = np.asarray(radiograph.pixels[strip.box], np.float64)
    step = float(np.median(grey[tip]) - np.median(grey[beyond]))
    noise = float(grey[tip].std()) + 1e-9
    return step * _way_of_grey(radiograph, region, cover) < FAINT * noise


def _way_of_grey(radiograph: Radiograph, region: Region, cover: NDArray[np.uint8]) -> float:
    """1 where a bone is brighter than what lies beside it, -1 in a negative."""
    wide = region.mask.shape[1] // 2 + 1
    top, bottom, left, right = region.top, region.bottom, max(0, region.left - wide), region.right + wide
    box = (slice(top, bottom), slice(left, right))
    grey, beside = radiograph.pixels[box], cover[box] == 0
    inside = _window(region, (top, bottom, left, left + grey.shape[1]))
    if not beside.any():
        return 1.0
    return 1.0 if float(np.median(grey[inside])) >= float(np.median(grey[beside])) else -1.0
