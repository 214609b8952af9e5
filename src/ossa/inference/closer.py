"""A closer look: the same network once more, on a part of the hand cut out of the picture and enlarged.

The carpals are small and cover each other; on the grid of a whole hand they are a few pixels apart. A network that
was also trained on wrists alone finds their outlines better at about twice that scale, and one that was trained on
fingers alone those of the digits. Which bones are looked at together, and taken from there, is data (``closer`` in a
model's card).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ossa.hand.bones import towards_fingers
from ossa.inference.certainty import Certainty, Closely, certainty
from ossa.radiograph.prepare import Preparation, height_of_a_pixel, place
from ossa.segmentation.decode import decode, threshold_logits
from ossa.segmentation.edges import with_edges
from ossa.segmentation.segmentation import Region, Segmentation
from ossa.segmentation.strips import Seen

if TYPE_CHECKING:
    from ossa.bundle.card import Closer
    from ossa.inference.networks import Look, Networks
    from ossa.radiograph.radiograph import Radiograph

#: The closer look must enlarge by this much, else it shows nothing new (a film of the wrist alone).
LEAST_GAIN = 1.2

#: A cut-out is not blown up beyond this many grid pixels per pixel of the picture.
MOST_ENLARGED = 2.0


@dataclass(frozen=True, eq=False)
class CloserLook:
    """The ``bones`` that were looked at closely, as they were ``seen``, and how sure of each the network is."""

    bones: Segmentation
    seen: Seen
    certainty: Mapping[str, Certainty] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LookedCloser:
    """Bones after the closer looks, and what these say ``closely`` of each bone that they looked at, with an agreement
    of 0 where one look alone found it; ``seen``: the look that gave a bone's outline, where that was a closer one.
    """

    bones: Segmentation
    closely: dict[str, Closely]
    seen: dict[str, Seen]

    def seen_after(self, look: Look) -> dict[str, Seen]:
        """The look that gave each bone's outline: the first one, ``look``, or a closer one."""
        return {**dict.fromkeys(self.bones.regions, Seen(look.logits, look.placement)), **self.seen}


def look_closer(
    networks: Networks,
    radiograph: Radiograph,
    found: Segmentation,
    closer: Closer,
    thresholds: Mapping[str, float],
    edges: bool = False,
) -> CloserLook | None:
    """The bones of ``closer`` as the closer look sees them, in the whole picture; None where nothing is to be gained.

    ``found``: the bones of the first look, by which the wrist's place is known. Only bones that the closer look finds
    are in the result, with ``edges`` with their plausible edges.
    """
    window = window_of(found, closer, height_of_a_pixel(radiograph))
    if window is None:
        return None
    top, bottom, left, right = window
    pixels: Any = np.ascontiguousarray(radiograph.pixels[top:bottom, left:right])
    cut = replace(radiograph, pixels=pixels)
    natural = place(cut.shape, Preparation(closer.size, 1), radiograph.sides)
    size = round(closer.size * min(1.0, MOST_ENLARGED / natural.scale_x))
    first = max(place(radiograph.shape, m.preparation, radiograph.sides).scale_x for m in networks.members)
    if min(natural.scale_x, MOST_ENLARGED) < LEAST_GAIN * first:
        return None
    members = tuple(
        replace(m, preparation=Preparation(max(size, m.preparation.multiple), m.preparation.multiple))
        for m in networks.members
    )
    inner = replace(networks, members=members)
    angle = upright_angle(found) if networks.upright else 0.0
    look = inner.look_through(inner.prepare(cut), networks.views, angle)
    seen = decode(look.logits, look.placement, found.schema, thresholds, closer.bones)
    if edges:
        seen = with_edges(seen, look.logits, look.placement, thresholds, closer.bones)

    def placed(region: Region) -> Region:
        return Region(region.top + top, region.left + left, region.mask)

    regions = {name: placed(region) for name, region in seen}
    plausible = {name: tuple(map(placed, several)) for name, several in seen.plausible.items()}
    bones = replace(found, regions=regions, probability=seen.probability, plausible=plausible)
    limits = threshold_logits(found.schema, thresholds)
    index = {name: found.schema.index(name) for name in regions}
    sure = {name: certainty(look.logits[i], float(limits[i])) for name, i in index.items()}
    return CloserLook(bones, Seen(look.logits, look.placement, top, left), sure)


def with_closer(found: Segmentation, seen: Segmentation, tidied: Segmentation) -> Segmentation:
    """``found`` with the bones that were ``seen`` at the closer look as they are ``tidied``; the others stay.

    Tidied there and not with the rest: what is dropped as too small then was not found, and no bone is tidied twice.
    """
    regions = {name: region for name, region in found if name not in seen.regions} | dict(tidied.regions)
    # The first look's own outline is one of those that a bone of the closer look may have.
    first = {name: (found.regions[name],) if name in found.regions else () for name in seen.plausible}
    plausible = {**found.plausible, **{name: (*seen.plausible[name], *first[name]) for name in seen.plausible}}
    return replace(found, regions=regions, probability={**found.probability, **tidied.probability}, plausible=plausible)


def window_of(found: Segmentation, closer: Closer, tall: float = 1.0) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) of the cut-out in px; None when too few bones are found.

    It is square, unless the picture ends, when a pixel is ``tall`` times as high as wide.
    """
    regions = [found.regions[name] for name in closer.bones if name in found.regions]
    if len(regions) < min(closer.least, len(closer.bones)):
        return None
    top, bottom = min(r.top for r in regions), max(r.bottom for r in regions)
    left, right = min(r.left for r in regions), max(r.right for r in regions)
    half = (0.5 + closer.margin) * max((bottom - top) * tall, right - left)
    y, x = (top + bottom) / 2, (left + right) / 2
    height, width = found.shape
    return (
        max(0, int(y - half / tall)),
        min(height, round(y + half / tall)),
        max(0, int(x - half)),
        min(width, round(x + half)),
    )


def upright_angle(found: Segmentation) -> float:
    """The turn in degrees (0, 90, -90 or 180; inference.views's sense) that brings the fingers to the top.

    From the middles of the bones' boxes, which need no pixel; 0 when no finger or no wrist is found.
    """
    centre = np.full((len(found.schema), 2), np.nan)
    for name, region in found:
        centre[found.schema.index(name)] = region.middle
    way = towards_fingers(centre, found.schema)
    if way is None:
        return 0.0
    quarter = round((-90.0 - float(np.degrees(np.arctan2(way[1], way[0])))) / 90.0) * 90.0
    return (quarter + 180.0) % 360.0 - 180.0
