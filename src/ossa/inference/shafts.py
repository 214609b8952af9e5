"""Which bones of a result have shafts to be followed (segmentation.shafts), and which way these lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.hand.bones import SHAFTS
from ossa.radiograph.polarity import invert
from ossa.segmentation.segmentation import Segmentation
from ossa.segmentation.shafts import followed

if TYPE_CHECKING:
    from ossa.inference.hands import Hand
    from ossa.radiograph.radiograph import Radiograph


def followed_on(radiograph: Radiograph, hands: Iterable[Hand]) -> tuple[Hand, ...]:
    """The ``hands`` that were found on a radiograph, with their shafts as far as it shows them."""
    out = []
    for hand in hands:
        dark = hand.where is not None and hand.where.negative
        pixels = invert(radiograph.pixels) if dark else radiograph.pixels
        out.append(replace(hand, segmentation=with_shafts(hand.segmentation, pixels)))
    return tuple(out)


def with_shafts(found: Segmentation, picture: NDArray[Any]) -> Segmentation:
    """``found`` with the bones beyond the wrist, or the ankle, as far as the ``picture`` (H, W; bright bones) shows
    them; away from all other bones, without which nobody knows where they lead."""
    names = [bone.name for bone in found.schema.bones if bone.row in SHAFTS and bone.name in found]
    others = [region.middle for name, region in found if name not in names]
    if not names or not others:
        return found
    middle = np.mean(others, axis=0)
    regions = dict(found.regions)
    for name in names:
        away = regions[name].middle - middle
        regions[name] = followed(regions[name], picture, away / max(float(np.hypot(*away)), 1e-9))
    return replace(found, regions=regions)
