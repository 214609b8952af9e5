"""The hands of one radiograph as DICOM objects tell them apart: by side, or by number where the side is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ossa.hand.geometry import geometry
from ossa.hand.sides import side_of
from ossa.radiograph.radiograph import Side
from ossa.schema import Bone, BoneSchema
from ossa.segmentation.origin import Origin
from ossa.segmentation.segmentation import Region, Segmentation


@dataclass(frozen=True, eq=False)
class BonesOfHand:
    """The bones of one hand. ``side``: None where nobody tells; ``stated``: the picture's header says it."""

    segmentation: Segmentation
    side: Side | None
    stated: bool = False


@dataclass(frozen=True, eq=False)
class Segment:
    """One bone of one hand, in the order of the segments. ``number`` counts from 1; ``hand`` too; ``origin``: who
    found it.
    """

    number: int
    hand: int
    schema: BoneSchema
    bone: Bone
    region: Region
    side: Side | None
    label: str
    tracking_id: str
    origin: Origin | None = None


def told_apart(segmentations: Sequence[Segmentation], marked: Side | None) -> tuple[BonesOfHand, ...]:
    """The hands of a picture with their sides.

    ``marked``, what the picture's header says, is believed where there is one hand. The bones tell the side otherwise,
    as those of a hand seen from the back.
    """
    if len(segmentations) == 1 and marked is not None:
        return (BonesOfHand(segmentations[0], marked, True),)
    return tuple(BonesOfHand(one, side_of(geometry(one))) for one in segmentations)


def segments(hands: Sequence[BonesOfHand]) -> Iterator[Segment]:
    """Every bone of every hand, hand by hand in schema order."""
    words = {"L": "left", "R": "right"}
    sides = [hand.side for hand in hands]
    number = 0
    for k, hand in enumerate(hands, start=1):
        known = hand.side is not None and sides.count(hand.side) == 1
        told = words[hand.side] if hand.side is not None else ""
        which = told if known or len(hands) == 1 else f"{told} hand {k}".strip()
        for name, region in hand.segmentation:
            number += 1
            bone = hand.segmentation.schema.bone(name)
            label = f"{bone.title} ({which})" if which else bone.title
            tracking = f"hand{k}/{name}"[:64]
            found = hand.segmentation
            yield Segment(number, k, found.schema, bone, region, hand.side, label[:64], tracking, found.origin)
