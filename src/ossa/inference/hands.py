"""Every hand of a film by itself: found, cut out upright, looked at by whoever looks at one hand, laid back, told of.

``looked_at`` joins the finder to a predictor of single hands; it knows nothing of how bones are found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ossa.hand.geometry import geometry
from ossa.hand.sides import side_of
from ossa.inference.cutout import cut_forearm, cut_out, laid_back
from ossa.inference.finder import Found, FoundHand
from ossa.inference.judge import NO_HAND
from ossa.segmentation.segmentation import Segmentation

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph, Side
    from ossa.schema import BoneSchema

#: A hand beside others must be this sure; the only one may be less so, as long as the film shows one at all.
ANOTHER = 0.5

#: Of a hand this sure the judge is not asked whether it is one, only about its bones.
SURE = 0.6

#: Below this probability of any hand, and without a peak, no bone is looked for.
PRESENT = 0.5

#: With fewer bones a result is told to say little.
FEW = 3

LATERAL = "a lateral view: bones lie over each other and their outlines can hardly be told apart; take a frontal film"


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand of a film: its bones in the film's px.

    ``side``: that of a hand seen from the back, by its bones or else by the finder; ``where`` the finder found it.
    None where nobody tells.
    """

    segmentation: Segmentation
    side: Side | None = None
    where: FoundHand | None = None


#: Finds the bones of a radiograph of one hand. Told whether it is surely a hand, and lies upright.
LookAtOne = Callable[["Radiograph", bool], Segmentation]

#: Finds the bones of a wrist with its forearm, not judged.
LookAtForearm = Callable[["Radiograph"], Segmentation]


def looked_at(
    radiograph: Radiograph, found: Found, look: LookAtOne, look_at_forearm: LookAtForearm, schema: BoneSchema
) -> tuple[Hand, ...]:
    """The hands of a film from left to right, at least one; one without bones when there is none.

    ``look`` finds the bones of one hand in an upright picture of it, ``look_at_forearm`` those of a forearm of which
    that picture shows the end alone.
    """
    hands = [hand for k, hand in enumerate(found.hands) if k == 0 or hand.sure >= ANOTHER]
    if not hands:
        if found.present < PRESENT:
            return (Hand(Segmentation(schema, radiograph.shape, {}, {}, (NO_HAND,))),)
        return (Hand(look(radiograph, False)),)
    hands.sort(key=lambda hand: float(hand.centre[0]))
    out = []
    for hand in hands:
        others = [other for other in hands if other is not hand]
        cutout = cut_out(radiograph, hand, others)
        seen = laid_back(look(cutout.radiograph, hand.sure >= SURE), cutout)
        forearm = None if cutout.whole or not len(seen) else cut_forearm(radiograph, hand, others)
        if forearm is not None:
            seen = _with_forearm(seen, laid_back(look_at_forearm(forearm.radiograph), forearm))
        notes = (*_notes(hand, len(hands)), *_few(seen), *seen.notes)
        out.append(Hand(replace(seen, notes=notes), side_of(geometry(seen)) or hand.side, hand))
    return tuple(out)


def _with_forearm(seen: Segmentation, forearm: Segmentation) -> Segmentation:
    """The bones of a hand, those of its forearm as they were seen with more of it."""
    names = [name for name in seen.schema.in_row("forearm") if name in forearm.regions]
    regions = dict(seen.regions) | {name: forearm.regions[name] for name in names}
    confidence = {name: forearm.confidence[name] for name in names if name in forearm.confidence} | dict(
        seen.confidence
    )
    return replace(seen, regions=regions, confidence=confidence)


def _notes(hand: FoundHand, count: int) -> tuple[str, ...]:
    notes = []
    if count > 1:
        notes.append(f"{count} hands found on this film: this is one of them")
    if hand.view == "lateral":
        notes.append(LATERAL)
    return tuple(notes)


def _few(seen: Segmentation) -> tuple[str, ...]:
    if len(seen) >= FEW or NO_HAND in seen.notes:
        return ()
    return ("less than three bones show: too little of a hand to tell which bones they are",)
