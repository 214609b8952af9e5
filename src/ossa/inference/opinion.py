"""What is thought of a radiograph before it is told: bones, what they were seen by, and how sure that is.

Two opinions are joined bone by bone: the one with more evidence for a hand is the base, and of the other are taken
those bones that are much surer there, or missing here. What comes of it is assessed anew, as one hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ossa.inference.certainty import Closely
from ossa.inference.judge import Assessment, Judge, assess, hand_evidence
from ossa.inference.networks import Look
from ossa.segmentation.compare import intersection_area
from ossa.segmentation.decode import resample_logits
from ossa.segmentation.segmentation import Segmentation
from ossa.segmentation.strips import Seen

Float = NDArray[np.float32]
T = TypeVar("T")

#: With less evidence than this, fewer than 12 sure bones, another opinion is asked for even where none is doubtful.
PLENTY = 0.8

#: With less evidence than this for a hand a consultant denies it: of most feet it sees less.
UNLIKE = 0.05

#: But not what has so much evidence beside the digits: a consultant of parts and digits knows few films that have none.
BESIDE = 0.3

#: A bone of the other opinion is taken where its confidence is at least so much higher, and at least so high.
SURER, SURE = 0.3, 0.5

#: A bone that shares more than this of the smaller area with one that stays is the same bone under another name.
SAME = 0.5


@dataclass(frozen=True, eq=False)
class Opinion:
    """``bones``: neither judged nor refined; ``look`` that found them first, ``second``: another look's logits on its
    grid; ``closely``: what closer looks say; ``seen``: the look that gave each bone's outline; ``judge`` of whoever
    has this opinion.
    """

    bones: Segmentation
    look: Look
    second: Float
    closely: Mapping[str, Closely]
    seen: Mapping[str, Seen]
    assessment: Assessment
    judge: Judge

    def sees(self, asked: float) -> bool:
        """Whether this is a hand, where this share of the usual evidence is enough."""
        return self.assessment.evidence >= self.judge.hand * asked

    @property
    def in_doubt(self) -> bool:
        """Whether another opinion may help."""
        said = self.assessment
        return said.evidence < PLENTY or bool(said.doubtful) or bool(said.missing)


def joined(own: Opinion, other: Opinion, asked: float = 1.0, thresholds: Mapping[str, float] | None = None) -> Opinion:
    """Both opinions of one radiograph as one; for ``asked`` see ``judge.judged``.

    The base is the one with more evidence; the ``other`` where ``own`` sees no hand and it does; ``own`` alone where
    neither does. Nobody's bones where ``own`` is not sure of a hand and the ``other``, which knows feet, sees hardly
    anything of one; unless much of what ``own`` sees are no bones of digits.
    """
    unsure = own.assessment.evidence < PLENTY and _beside_digits(own) < BESIDE
    if unsure and other.assessment.evidence < UNLIKE:
        return replace(own, assessment=replace(own.assessment, evidence=0.0))
    sees, other_sees = own.sees(asked), other.sees(asked)
    if not sees and not other_sees:
        return own
    first = sees and own.assessment.evidence >= other.assessment.evidence
    base, more = (own, other) if first else (other, own)
    names = _surer(base, more)
    if not names:
        return base
    bones = replace(
        base.bones,
        regions={**base.bones.regions, **{name: more.bones.regions[name] for name in names}},
        probability={**base.bones.probability, **_of(more.bones.probability, names)},
        plausible={**_but(base.bones.plausible, names), **_of(more.bones.plausible, names)},
    )
    channels = [bones.schema.index(name) for name in names]
    logits, second = base.look.logits.copy(), base.second.copy()
    for target, source in ((logits, more.look.logits), (second, more.second)):
        target[channels] = resample_logits(source[channels], more.look.placement, base.look.placement, target.shape[1:])
    closely = {**_but(base.closely, names), **_of(more.closely, names)}
    assessment = assess(bones, logits, base.judge, second, thresholds, closely)
    if assessment.evidence < base.assessment.evidence:
        return base  # what looked surer does not go with the rest
    look = replace(base.look, logits=logits)
    return Opinion(bones, look, second, closely, {**base.seen, **_of(more.seen, names)}, assessment, base.judge)


def _beside_digits(opinion: Opinion) -> float:
    """What speaks for a hand (``judge.hand_evidence``) of bones that belong to no digit."""
    others = [bone.digit is None for bone in opinion.bones.schema.bones]
    return hand_evidence(opinion.assessment.confidence[others], opinion.assessment.signs[others])


def _surer(base: Opinion, more: Opinion) -> list[str]:
    """The bones of ``more`` that are to be taken, the surest first."""
    here, there = (np.nan_to_num(one.assessment.confidence) for one in (base, more))
    taken: list[str] = []
    for i in np.argsort(-there, kind="stable"):
        name = base.bones.schema.names[i]
        region = more.bones.get(name)
        if region is None or there[i] < SURE or there[i] - here[i] < SURER:
            continue
        stay = [(other, one) for other, one in base.bones if other != name and other not in taken]
        stay += [(other, more.bones.regions[other]) for other in taken]
        if all(intersection_area(region, one) <= SAME * min(region.area, one.area) for _, one in stay):
            taken.append(name)
    return taken


def _of(values: Mapping[str, T], names: list[str]) -> dict[str, T]:
    return {name: values[name] for name in names if name in values}


def _but(values: Mapping[str, T], names: list[str]) -> dict[str, T]:
    return {name: value for name, value in values.items() if name not in names}
