"""Whether the outlined bones are the bright ones of the picture: labels of another one, metal outlined as bone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Region

Told = Iterable[tuple[str, str, Sequence[str]]]

#: Bones of the picture that are brighter than their surroundings, least share. In correct pairs it is above .9,
#: for a label of another hand about one half.
LEAST_BRIGHT = 0.6

#: Grey (of 255) that only metal reaches while other bones do not come near it.
METAL, BONE = 248, 215


def levels(
    grey: NDArray[np.uint8], regions: Mapping[str, Region], field: NDArray[np.bool_]
) -> tuple[dict[str, float], dict[str, float]]:
    """Bone -> the median grey in it, and bone -> how much that is above what lies around it and is no other bone.

    ``field`` (H, W): what was exposed; beyond it films are as bright or as dark as chance will have it.
    """
    import cv2

    medians, contrasts = {}, {}
    covered = ~field
    for region in regions.values():
        covered[region.top : region.bottom, region.left : region.right] |= region.mask
    for name, region in regions.items():
        reach = max(3, round(0.2 * math.sqrt(region.area)))
        top, left = max(0, region.top - reach), max(0, region.left - reach)
        box = (slice(top, region.bottom + reach), slice(left, region.right + reach))
        inside = np.zeros(grey[box].shape, np.uint8)
        rows, columns = region.mask.shape
        inside[region.top - top : region.top - top + rows, region.left - left : region.left - left + columns] = (
            region.mask
        )
        ring = cv2.dilate(inside, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
        ring &= ~covered[box]
        medians[name] = float(np.median(grey[box][inside > 0]))
        if np.count_nonzero(ring) >= 20:
            contrasts[name] = medians[name] - float(np.median(grey[box][ring]))
    return medians, contrasts


def brightness_findings(medians: Mapping[str, float], contrasts: Mapping[str, float], schema: BoneSchema) -> Told:
    """(kind, sentence, bones): bones are brighter than what is around them, and none is as bright as metal.

    Carpals, which lie one over another, and the thick forearm may be as white as the picture can be.
    """
    if len(contrasts) >= 5:
        dark = [name for name, contrast in contrasts.items() if contrast <= 0]
        share = 1 - len(dark) / len(contrasts)
        if share < LEAST_BRIGHT:
            yield (
                "mismatch",
                f"only {share:.0%} of the outlined bones are brighter than what is around them: "
                "is this the label of another picture, drawn at another size, or the picture a negative?",
                dark,
            )
    rest = float(np.median(list(medians.values()))) if medians else 0.0
    single = {name: level for name, level in medians.items() if schema.bone(name).digit is not None}
    metal = [name for name, level in single.items() if level >= METAL and rest <= BONE]
    if metal and len(metal) <= 3:
        yield "metal", f"as bright as metal: {', '.join(metal)}: a ring or a plate outlined as bone?", metal
