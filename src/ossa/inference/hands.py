"""Every hand of a film by itself: found, cut out upright, looked at by whoever looks at one hand, laid back, told of.

``looked_at`` joins the finder to a predictor of single hands; it knows nothing of how bones are found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ossa.hand.geometry import geometry
from ossa.hand.sides import side_of
from ossa.inference.cutout import Cutout, cut_forearm, cut_out, laid_back, wider
from ossa.inference.finder import Found, FoundHand
from ossa.inference.judge import NO_HAND
from ossa.segmentation.segmentation import Segmentation

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph, Side

#: A hand beside a surer one must be this sure itself.
ANOTHER = 0.45

#: Where the finder is this sure of a hand that the judge refuses, more is said than that there is none.
SEEN = 0.35

#: With fewer bones a result is told to say little.
FEW = 3

#: Share of the bones in view that is expected to be found.
EXPECTED = 0.8

#: How certain of a hand the finder is (its sureness times how likely the film shows any): up to the first of these it
#: changes nothing, from the second on a share of the evidence is enough.
CERTAIN, ENOUGH = (0.35, 0.7), 0.5

#: Of a lateral view that the finder is certain of this much is asked: a few bones that stand clear of the others.
ASIDE = 0.3

#: What is asked where the finder sees no hand.
UNSEEN = 1.3

NOT_TOLD = (
    "no hand found: something like one is in view, but too few of its bones can be told apart (fingers alone, a "
    "lateral view and a foot look so)"
)

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


@dataclass(frozen=True, eq=False)
class Glance:
    """``bones``: those of the first look at a picture, by which one sees whether it shows all of the hand;
    ``finished()``: those of all looks, none where no hand is seen.
    """

    bones: Segmentation
    finished: Callable[[], Segmentation]


#: Begins to look at a radiograph of one hand. The number says how much more than usual must speak for a hand (see
#: ``evidence_asked``).
Look = Callable[["Radiograph", float], Glance]

#: Finds the bones of a wrist with its forearm.
LookAtForearm = Callable[["Radiograph"], Segmentation]


def evidence_asked(place: FoundHand, present: float) -> float:
    """How much more must speak for a hand of which this much is in view, than for a wrist with the 15 bones that one
    shows; ``present``: how likely the film shows a hand.

    A whole hand has more bones than a wrist, and feet with a few bones like a hand's would be whole hands. The more
    certain the finder is, the less is asked; less than 1 of a part of a hand that has few bones.
    """
    expected = EXPECTED * max(place.bones, FEW) / 15.0
    most, least = max(1.0, expected), ASIDE if place.view == "lateral" else ENOUGH * expected
    return float(np.interp(place.sure * present, CERTAIN, (most, least)))


def looked_at(radiograph: Radiograph, found: Found, look: Look, look_at_forearm: LookAtForearm) -> tuple[Hand, ...]:
    """The hands of a film from left to right, at least one; one without bones when there is none.

    ``look`` is given an upright picture of each hand, the whole film where the finder finds none; ``look_at_forearm``
    a forearm of which that picture shows the end alone.
    """
    places = [hand for k, hand in enumerate(found.hands) if k == 0 or hand.sure >= ANOTHER]
    if not places:
        return (_hand(look(radiograph, UNSEEN).finished(), None, 1),)
    seen = []
    for place in places:
        others = [other for other in places if other is not place]
        cutout, glance = _all_in_view(radiograph, place, others, found.present, look)
        bones = laid_back(glance.finished(), cutout)
        seen_of_it = any(name in bones.regions for name in bones.schema.in_row("forearm"))
        forearm = cut_forearm(radiograph, place, others) if seen_of_it and not cutout.whole else None
        if forearm is not None:
            bones = _with_forearm(bones, laid_back(look_at_forearm(forearm.radiograph), forearm))
        seen.append((place, bones))
    # What turns out to be no hand is told only where there is none at all.
    hands = [(place, bones) for place, bones in seen if NO_HAND not in bones.notes] or seen[:1]
    hands.sort(key=lambda hand: float(hand[0].centre[0]))
    return tuple(_hand(bones, place, len(hands)) for place, bones in hands)


def _all_in_view(
    radiograph: Radiograph, place: FoundHand, others: list[FoundHand], present: float, look: Look
) -> tuple[Cutout, Glance]:
    """The cut-out of a hand and a first look at it; once more with more around it where that look finds bones that run
    into its sides, as fingers do that are longer than the finder took them for."""
    asked = evidence_asked(place, present)
    cutout = cut_out(radiograph, place, others)
    glance = look(cutout.radiograph, asked)
    more = wider(cutout, place, glance.bones)
    if more is not None:
        larger = cut_out(radiograph, more, others)
        if larger.radiograph.shape != cutout.radiograph.shape:
            return larger, look(larger.radiograph, asked)
    return cutout, glance


def _hand(bones: Segmentation, place: FoundHand | None, count: int) -> Hand:
    """A hand of ``count``, with what is to be said of it."""
    refused = NO_HAND in bones.notes
    notes = []
    if count > 1:
        notes.append(f"{count} hands found on this film: this is one of them")
    if place is not None and place.view == "lateral":
        notes.append(LATERAL)
    if refused and place is not None and place.sure >= SEEN:
        notes.append(NOT_TOLD)
    elif refused:
        notes.append(NO_HAND)
    elif len(bones) < FEW:
        notes.append("less than three bones show: too little of a hand to tell which bones they are")
    notes += [note for note in bones.notes if note != NO_HAND]
    told = replace(bones, notes=tuple(notes))
    return Hand(told, side_of(geometry(bones)) or (None if place is None else place.side), place)


def _with_forearm(seen: Segmentation, forearm: Segmentation) -> Segmentation:
    """The bones of a hand, those of its forearm as they were seen with more of it."""
    names = [name for name in seen.schema.in_row("forearm") if name in forearm.regions]
    regions = dict(seen.regions) | {name: forearm.regions[name] for name in names}
    confidence = {name: forearm.confidence[name] for name in names if name in forearm.confidence} | dict(
        seen.confidence
    )
    plausible = dict(seen.plausible) | {n: forearm.plausible[n] for n in names if n in forearm.plausible}
    return replace(seen, regions=regions, confidence=confidence, plausible=plausible)
