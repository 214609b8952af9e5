"""What is tidied in a decoded result: stray parts, holes, bones too small to be one.

A Segmentation flows in and out. Which rule holds for which bone is data (``Cleanup.to_json`` stands in a
model's card): labels may count a sesamoid to the bone beside it, which must be able to keep a
small second part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from ossa.errors import ConfigError
from ossa.segmentation.segmentation import Region, Segmentation


def parts(region: Region) -> list[Region]:
    """The connected parts (8 neighbours) of a region, the largest first, equal ones by top, then left."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.mask.view(np.uint8), connectivity=8)
    found = []
    # The labels' own order follows OpenCV's block scan, so that ties are broken by position.
    keys = (stats[1:count, cv2.CC_STAT_LEFT], stats[1:count, cv2.CC_STAT_TOP], -stats[1:count, cv2.CC_STAT_AREA])
    for i in np.lexsort(keys) + 1:
        left, top, width, height = stats[i, : cv2.CC_STAT_AREA].tolist()
        mask = labels[top : top + height, left : left + width] == i
        found.append(Region(region.top + top, region.left + left, mask))
    return found


def largest_part(region: Region) -> Region:
    """The largest connected part (8 neighbours) alone; of equal ones the topmost, then leftmost."""
    return parts(region)[0]


def without_small_parts(region: Region, area: float) -> Region | None:
    """The connected parts of at least ``area`` px; None when there is none."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.mask.view(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= area
    kept[0] = False
    if kept[1:count].all():
        return region
    return Region.tight(kept[labels], region.top, region.left)


def fill_holes(region: Region, area: float = np.inf) -> Region:
    """The region with its holes of at most ``area`` px filled.

    A hole is background that no path over side neighbours joins to the outside.
    """
    import cv2

    outside = cv2.copyMakeBorder((~region.mask).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    filled = stats[:, cv2.CC_STAT_AREA] <= area
    filled[[0, labels[0, 0]]] = False  # 0 is the bone itself, the corner lies outside
    if not filled[:count].any():
        return region
    return Region(region.top, region.left, region.mask | filled[labels[1:-1, 1:-1]])


#: A bone so many times as long towards a border of the picture as it is wide along it leaves the picture there.
LEAVING = 1.5


def fill_shaft(region: Region, shape: tuple[int, int], area: float = np.inf) -> Region:
    """The region with the marrow of a shaft that leaves the picture, of ``shape`` (H, W), filled; at most ``area`` px.

    Between its dark walls the marrow of a shaft may look like flesh and be left out, as a notch from the border,
    which is no hole. In the half of the bone that is nearer to the border each line along the border is filled from
    its first to its last pixel.
    """
    sides = (region.bottom == shape[0], region.right == shape[1], region.top == 0, region.left == 0)
    mask = region.mask
    for turns, touches in enumerate(sides):
        if not touches:
            continue
        turned = np.rot90(mask, -turns)  # that border lies below
        height, width = turned.shape
        if height < LEAVING * width:
            continue
        lower = turned[height // 2 :]
        first = np.logical_or.accumulate(lower, axis=1)
        last = np.logical_or.accumulate(lower[:, ::-1], axis=1)[:, ::-1]
        between = first & last
        if 0 < np.count_nonzero(between) - np.count_nonzero(lower) <= area:
            filled = turned.copy()
            filled[height // 2 :] = between
            mask = np.ascontiguousarray(np.rot90(filled, turns))
    return region if mask is region.mask else Region(region.top, region.left, mask)


def is_whole(region: Region) -> bool:
    """Whether a region is one part (8 neighbours) without a hole that fills its box, as nearly every bone is.

    Found by its outlines, in a fraction of the time that connected parts take.
    """
    import cv2

    lines, _ = cv2.findContours(region.mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return len(lines) == 1 and tuple(cv2.boundingRect(lines[0])[2:]) == region.mask.shape[::-1]


@dataclass(frozen=True)
class Rule:
    """How one bone is tidied; nothing is done by a Rule without arguments.

    ``part``: parts smaller than this share (0..1) of the bone's largest part are dropped; 1 keeps the
    largest alone. ``hole``: holes up to this share (0..1) of the bone's area are filled; 1 fills all.
    ``bone``: a bone smaller than this share (0..1) of the picture is dropped. The tip of a digit takes
    about .0009 of a competition picture.
    """

    part: float = 0.0
    hole: float = 0.0
    bone: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ConfigError(f"clean-up '{name}' is out of range", found=repr(value), expected="a share of 0 to 1")

    def tidied(self, region: Region, shape: tuple[int, int]) -> Region | None:
        """The tidied region of a picture of ``shape`` (H, W); None when nothing of it is left."""
        whole = is_whole(region)
        kept = region if whole else self._without_parts(region)
        if kept is not None and self.hole > 0:
            limit = np.inf if self.hole >= 1 else self.hole * kept.area
            kept = fill_shaft(kept if whole else fill_holes(kept, limit), shape, limit)
        return None if kept is None or kept.area < self.bone * shape[0] * shape[1] else kept

    def _without_parts(self, region: Region) -> Region | None:
        if self.part >= 1:
            return largest_part(region)
        return without_small_parts(region, self.part * largest_part(region).area) if self.part > 0 else region


@dataclass(frozen=True)
class Cleanup:
    """A rule for every bone, and the ``bones`` with a rule of their own. Call it with a Segmentation."""

    rule: Rule = field(default_factory=Rule)
    bones: Mapping[str, Rule] = field(default_factory=dict)

    def __call__(self, segmentation: Segmentation) -> Segmentation:
        """The tidied Segmentation; numbers and notes stay. SchemaError for a rule of an unknown bone."""
        for name in self.bones:
            segmentation.schema.index(name)
        regions = {}
        for name, region in segmentation:
            kept = self.bones.get(name, self.rule).tidied(region, segmentation.shape)
            if kept is not None:
                regions[name] = kept
        return replace(segmentation, regions=regions)

    def to_json(self) -> dict[str, Any]:
        """{"rule": {"part": .., "hole": .., "bone": ..}, "bones": {name: {..}}}."""
        return {"rule": asdict(self.rule), "bones": {name: asdict(rule) for name, rule in self.bones.items()}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cleanup:
        """From ``to_json``; what is left out is not done. Raises ConfigError for anything else."""
        unknown = set(value) - {"rule", "bones"} if isinstance(value, Mapping) else {repr(value)}
        bones = {} if unknown else value.get("bones", {})
        if unknown or not isinstance(bones, Mapping):
            raise ConfigError(
                "clean-up rules are not understood", found=sorted(unknown) or repr(bones), expected="rule and bones"
            )
        return cls(_rule(value.get("rule", {})), {str(name): _rule(rule) for name, rule in bones.items()})


def _rule(value: object) -> Rule:
    known = [f.name for f in fields(Rule)]
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        raise ConfigError("a clean-up rule is not understood", found=repr(value), expected="any of " + ", ".join(known))
    return Rule(**value)
