"""Two opinions of one radiograph joined bone by bone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from helpers_judge import a_judge
from ossa.inference.judge import Judge, assess
from ossa.inference.networks import Look
from ossa.inference.opinion import BESIDE, Opinion, joined
from ossa.radiograph.prepare import Preparation, place
from ossa.segmentation.segmentation import Segmentation
from ossa.segmentation.strips import Seen

SIZE = 256
HAND = segmentation(schematic_hand(SIZE, seed=3), SIZE)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return a_judge(0.4)


def opinion(judge: Judge, bones: Segmentation, grid: int = 128, **confidence: float) -> Opinion:
    """Somebody who found these ``bones`` on a grid of ``grid`` px, .73 sure of each where nothing else is said."""
    placement = place((SIZE, SIZE), Preparation(grid, 32))
    step = SIZE // (grid // 2)
    logits = np.full((len(SCHEMA), grid // 2, grid // 2), -6.0, np.float32)
    for name, region in bones:
        cells = region.plane((SIZE, SIZE)).reshape(grid // 2, step, grid // 2, step).mean(axis=(1, 3))
        logits[SCHEMA.index(name)] = cells * 12 - 6
    assessment = assess(bones, logits, judge, logits)
    sure = assessment.confidence.copy()
    for name, value in confidence.items():
        sure[SCHEMA.index(name.replace("_", "-"))] = value
    assessment = replace(assessment, confidence=sure, evidence=min(1.0, float(np.nansum(sure)) / 15))
    look = Look(logits, placement)
    return Opinion(bones, look, logits, {}, dict.fromkeys(bones.regions, Seen(logits, placement)), assessment, judge)


def some(*left_out: str) -> Segmentation:
    return replace(HAND, regions={name: region for name, region in HAND if name not in left_out})


def test_what_one_did_not_find_is_taken_from_the_other(judge: Judge) -> None:
    own = opinion(judge, some("finger-4", "Lunate"))
    other = opinion(judge, some("finger-9"), 64)
    both = joined(own, other)
    assert set(both.bones.regions) == set(HAND.regions)
    assert both.bones.regions["finger-4"] is other.bones.regions["finger-4"]
    assert both.bones.regions["finger-5"] is own.bones.regions["finger-5"]
    assert list(both.bones.regions) == [name for name in SCHEMA.names if name in HAND]
    # Each outline is refined by what the look saw that found it, and everything is assessed on one grid.
    assert both.seen["finger-4"] is other.seen["finger-4"]
    assert both.seen["finger-5"] is own.seen["finger-5"]
    assert both.look.logits.shape == own.look.logits.shape
    lunate = SCHEMA.index("Lunate")
    assert both.look.logits[lunate].max() > 0 > own.look.logits[lunate].max()
    assert np.isfinite(both.assessment.confidence).all()
    assert both.assessment.evidence >= own.assessment.evidence


def test_a_doubtful_bone_gives_way_to_a_much_surer_one(judge: Judge) -> None:
    shifted = replace(HAND.regions["finger-4"], top=HAND.regions["finger-4"].top + 3)
    wrong = replace(HAND, regions={**HAND.regions, "finger-4": shifted})
    own, other = opinion(judge, wrong, finger_4=0.1), opinion(judge, HAND, finger_4=0.6, finger_5=0.9)
    own = replace(own, assessment=replace(own.assessment, evidence=1.0))
    both = joined(own, other)
    assert both.bones.regions["finger-4"] is HAND.regions["finger-4"]
    assert both.bones.regions["finger-5"] is own.bones.regions["finger-5"], ".17 more is not enough"
    assert (
        joined(opinion(judge, wrong, finger_4=0.4), opinion(judge, HAND)).bones.regions["finger-4"]
        is (HAND.regions["finger-4"])
    )


def test_nor_is_a_bone_taken_under_another_name(judge: Judge) -> None:
    own = opinion(judge, some("finger-16"))
    renamed = replace(HAND, regions={"finger-16": HAND.regions["finger-12"]})
    both = joined(own, opinion(judge, renamed))
    assert both is own


def test_who_has_more_evidence_is_the_base(judge: Judge) -> None:
    own = opinion(judge, replace(HAND, regions={"Radius": HAND.regions["Radius"], "Ulna": HAND.regions["Ulna"]}))
    other = opinion(judge, some("Radius"), 64)
    both = joined(own, other)
    assert both.look.logits.shape == other.look.logits.shape
    assert both.bones.regions["Ulna"] is other.bones.regions["Ulna"]
    assert both.bones.regions["Radius"] is own.bones.regions["Radius"]


def test_where_own_sees_no_hand_the_other_may() -> None:
    few = replace(HAND, regions={name: HAND.regions[name] for name in ("finger-4", "finger-5", "finger-6", "finger-8")})
    own = opinion(a_judge(0.4), few)  # .73 of 4 bones: .19
    three = replace(few, regions={name: HAND.regions[name] for name in ("finger-5", "finger-6", "finger-7")})
    other = opinion(a_judge(0.1), three)  # .15, which is enough for this judge
    both = joined(own, other)
    assert both.judge is other.judge
    assert set(both.bones.regions) == {"finger-4", "finger-5", "finger-6", "finger-7", "finger-8"}
    assert joined(own, other, asked=0.4).judge is own.judge, "then own sees one too, with more evidence"
    refused = joined(own, opinion(a_judge(0.3), three))
    assert refused.judge is own.judge
    assert not refused.sees(1.0), "bones of the other make no hand of what neither sees"


def test_nothing_is_lost_where_the_other_knows_little(judge: Judge) -> None:
    own, little = opinion(judge, HAND), opinion(judge, replace(HAND, regions={"finger-4": HAND.regions["finger-4"]}))
    own = replace(own, assessment=replace(own.assessment, evidence=1.0))
    assert joined(own, little) is own
    assert joined(little, own) is own
    assert joined(own, opinion(judge, replace(HAND, regions={}))) is own


def test_what_a_consultant_sees_nothing_of_is_no_hand(judge: Judge) -> None:
    few = replace(HAND, regions=dict(list(HAND.regions.items())[:9]))
    own, nothing = opinion(judge, few), opinion(judge, replace(HAND, regions={}))
    denied = joined(own, nothing)
    assert 0.4 < own.assessment.evidence < 0.8
    assert denied.assessment.evidence == 0.0
    assert denied.bones is own.bones


def test_a_wrist_is_not_denied_by_who_has_learnt_digits(judge: Judge) -> None:
    wrist = replace(HAND, regions={name: one for name, one in HAND if SCHEMA.bone(name).digit is None})
    own, nothing = opinion(judge, wrist), opinion(judge, replace(HAND, regions={}))
    assert BESIDE < own.assessment.evidence < 0.8
    assert joined(own, nothing) is own
    said = own.assessment
    unsure = replace(own, assessment=replace(said, confidence=said.confidence * 0.3, evidence=said.evidence * 0.3))
    assert joined(unsure, nothing).assessment.evidence == 0.0, "little of a wrist is denied like anything else"


def test_when_another_opinion_is_asked_for(judge: Judge) -> None:
    sure = opinion(judge, HAND)
    sure = replace(sure, assessment=replace(sure.assessment, evidence=1.0, doubtful=(), missing=()))
    assert not sure.in_doubt
    for changes in ({"evidence": 0.7}, {"doubtful": (3,)}, {"missing": (4,)}):
        assert replace(sure, assessment=replace(sure.assessment, **changes)).in_doubt
