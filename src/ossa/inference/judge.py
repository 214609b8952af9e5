"""How far a result can be trusted: a confidence per bone, warnings in words, and whether there is a hand at all.

A Segmentation and the logits it was decoded from flow in, the same Segmentation with ``confidence``
and ``notes`` flows out. Confidence is the estimated probability that a bone's Dice is at least
``GOOD_DICE``: what a few signs of failure say together (``suspicion``), fitted on synthetic hands that
the network had not seen, some of them with planted faults (benchmarks/bench_quality.py says how many
wrong bones it catches, and at what cost in false alarms).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.hand.bones import row
from ossa.hand.geometry import Geometry, geometry
from ossa.hand.usual import Usual, load_usual
from ossa.inference.certainty import Closely, certainty
from ossa.inference.suspicion import Suspicion, short, surroundings
from ossa.inference.views import View
from ossa.schema import BoneSchema
from ossa.segmentation.decode import threshold_logits
from ossa.segmentation.segmentation import Segmentation

Float = NDArray[np.float64]

#: The look that a result is judged by, beside the usual one: mirrored, and a little smaller. A bone that is really
#: there is found at nine tenths of its size too.
SECOND = View(mirrored=True, scale=0.9)

#: A bone below this Dice counts as wrong.
GOOD_DICE = 0.8

#: A bone whose sign of cover is above this, 8 standard deviations more than is usual, is no evidence for a hand.
HIDDEN = float(np.log1p(8.0))

#: Where little speaks for a hand, a bone that is less likely right than this is left out.
KEPT = 0.5

LEFT_OUT = "bones that can hardly be told apart here are left out: "

#: A small child has two carpals, or four; the network likes to find eight. Where so many are less likely right than
#: this, in a hand whose other bones mostly are more likely right than that, these carpals are left out.
UNRIPE, UNLIKELY, LIKELY = 4, 0.3, 0.9

NOT_THERE = "short bones that are hardly there, as in a small child's wrist, are left out: "

#: The signs of failure, in the order of the regression's weights.
SIGNS = (
    "doubt", "blur", "disagreement", "size", "length", "shape", "place", "order", "parts", "cover",
    "closely", "close doubt", "close blur",
)  # fmt: skip

#: What is said of a bone whose strongest sign is this one.
_REASONS = {
    "doubt": "the network is unsure about much of it",
    "blur": "its border is blurred",
    "disagreement": "it looks different in the mirrored picture",
    "size": "an unusual size for this hand",
    "length": "an unusual length for this hand",
    "shape": "an unusual shape",
    "place": "an unusual place in this hand",
    "order": "out of order along its digit",
    "parts": "in several parts",
    "cover": "mostly covered by another bone",
    "closely": "it looks different more closely",
    "close doubt": "the network is unsure about much of it, looked at closely",
    "close blur": "its border is blurred, looked at closely",
}

#: The files that hold what was fitted: on films as they come, and on those that a consultant has learnt.
USUAL, CONSULTED = "judge.json", "judge_consultant.json"


@dataclass(frozen=True, eq=False)
class Judge:
    """What was fitted: what is usual in a hand, what the signs say together, and the limits of the warnings.

    ``limits`` (signs,): beyond it a sign alone makes a bone doubtful; hardly any right bone goes so far.
    ``unsure``: a bone below this confidence is named. ``hand``: below this evidence (``hand_evidence``) there is no
    hand. ``cover`` (C, 2): mean and SD of the share of a bone that another one covers.
    """

    usual: Usual
    cover: Float
    suspicion: Suspicion
    limits: Float
    unsure: float
    hand: float

    @property
    def schema(self) -> BoneSchema:
        """The bones it knows."""
        return self.usual.schema

    def confidence(self, signs: Float) -> Float:
        """(C,) probability that a bone is right, from all signs of a hand (C, signs); NaN for an absent bone."""
        there = np.isfinite(signs).any(axis=1)
        out = np.where(there, self.suspicion(inputs_of(signs)), np.nan)
        beyond = (signs > self.limits).any(axis=1)
        return np.where(beyond, np.minimum(out, self.unsure / 2), out)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "signs": list(SIGNS),
            "cover": short(self.cover),
            "suspicion": self.suspicion.to_json(),
            "limits": short(self.limits),
            "unsure": self.unsure,
            "hand": self.hand,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], usual: Usual) -> Judge:
        """From ``to_json``, fitted with ``usual``; ConfigError when it was fitted with other signs or bones."""
        if list(value.get("signs", ())) != list(SIGNS):
            raise ConfigError("quality was fitted with other signs", found=value.get("signs"), expected=list(SIGNS))
        cover, limits = (np.array(value[name], np.float64) for name in ("cover", "limits"))
        if len(cover) != len(usual.schema):
            raise ConfigError("quality was fitted for other bones", found=len(cover), expected=usual.schema.name)
        suspicion = Suspicion.from_json(value["suspicion"])
        return cls(usual, cover, suspicion, limits, float(value["unsure"]), float(value["hand"]))


@cache
def default_judge(schema: BoneSchema, fitted: str = USUAL) -> Judge | None:
    """The shipped judge, or that of what a consultant says (CONSULTED); None for a schema that has none."""
    usual = load_usual(schema)
    if usual is None:
        return None
    text = files("ossa").joinpath("inference", fitted).read_text(encoding="utf-8")
    return Judge.from_json(json.loads(text), usual)


def inputs_of(signs: Float) -> Float:
    """(C, inputs) of a suspicion: the signs of a hand (C, signs) and what each bone has around it."""
    return np.concatenate([signs, surroundings(signs, SIGNS)], axis=1)


# Signs ----------------------------------------------------------------------------------------


def signs_of(
    segmentation: Segmentation,
    logits: NDArray[Any],
    usual: Usual,
    cover: Float,
    measured: Geometry,
    other: NDArray[Any] | None = None,
    thresholds: Mapping[str, float] | None = None,
    closely: Mapping[str, Closely] | None = None,
) -> Float:
    """(C, signs) float; NaN rows for absent bones. Every sign grows with the suspicion that a bone is wrong.

    ``logits`` (C, h, w) as decoded; ``other``: the logits of another look at the same picture (mirrored, scaled), on
    the same grid, without which the disagreement is taken to be usual (NaN, see ``assess``). A bone that only a closer
    look found is not in ``logits``: doubt, blur, disagreement and parts are NaN. ``closely``: what the closer looks say
    of the bones that they looked at; of others the disagreement with them is not known, and how sure the first look is
    stands for how sure they were.
    """
    schema = segmentation.schema
    limits = threshold_logits(schema, thresholds)
    odd = usual.oddness(measured)
    out = np.full((len(schema), len(SIGNS)), np.nan)
    covered = covered_shares(segmentation)
    for i, name in enumerate(schema.names):
        region = segmentation.get(name)
        if region is None:
            continue
        sure = certainty(logits[i], float(limits[i]))
        close = (closely or {}).get(name, Closely(np.nan))
        differ = np.nan if other is None else _disagreement(logits[i], other[i], float(limits[i]))
        usual, spread = cover[i]
        hidden = max(0.0, (covered[i] - usual) / max(spread, 0.05))
        out[i] = (
            sure.doubt,
            sure.blur,
            differ,
            *(np.log1p(float(x[i])) for x in (odd.size, odd.length, odd.shape, odd.place)),
            odd.order[i],
            sure.parts,
            np.log1p(min(hidden, 20.0)),
            1.0 - close.agreement,
            sure.doubt if np.isnan(close.doubt) else close.doubt,
            sure.blur if np.isnan(close.blur) else close.blur,
        )
    return out


def _disagreement(plane: NDArray[Any], other: NDArray[Any], limit: float) -> float:
    """1 - Dice of the masks of two looks."""
    a, b = plane > limit, other > limit
    if not a.any():
        return np.nan
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 1.0 - 2.0 * int(np.count_nonzero(a & b)) / total if total else 0.0


def covered_shares(segmentation: Segmentation) -> Float:
    """(C,) the largest share of a bone's pixels that one other bone has too; 0 for an absent one."""
    from ossa.segmentation.compare import intersection_area

    out = np.zeros(len(segmentation.schema))
    items = [(segmentation.schema.index(name), region, region.area) for name, region in segmentation]
    for k, (i, a, area_a) in enumerate(items):
        for j, b, area_b in items[k + 1 :]:
            both = intersection_area(a, b)
            if both:
                out[i], out[j] = max(out[i], both / area_a), max(out[j], both / area_b)
    return out


# Judgement ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Assessment:
    """``confidence`` (C,), NaN where absent; ``signs`` (C, signs); ``evidence`` 0..1 that this is a hand; the
    indices of bones that are ``doubtful`` and that are ``missing`` between or beyond their neighbours.
    """

    confidence: Float
    signs: Float
    evidence: float
    doubtful: tuple[int, ...]
    missing: tuple[int, ...]


def assess(
    segmentation: Segmentation,
    logits: NDArray[Any],
    judge: Judge,
    other: NDArray[Any] | None = None,
    thresholds: Mapping[str, float] | None = None,
    closely: Mapping[str, Closely] | None = None,
) -> Assessment:
    """Judge a result; see ``signs_of`` for the arguments. Raises ConfigError when the bones are not the judge's."""
    if segmentation.schema.names != judge.schema.names:
        raise ConfigError(
            "quality was fitted for other bones", found=segmentation.schema.name, expected=judge.schema.name
        )
    measured = geometry(segmentation)
    signs = signs_of(segmentation, logits, judge.usual, judge.cover, measured, other, thresholds, closely)
    confidence = judge.confidence(signs)
    doubtful = tuple(int(i) for i in np.flatnonzero(measured.found & (confidence < judge.unsure)))
    missing = _missing(segmentation, judge.usual, measured)
    return Assessment(confidence, signs, hand_evidence(confidence, signs), doubtful, missing)


def hand_evidence(confidence: Float, signs: Float) -> float:
    """How much speaks for a hand, 0..1: the sum of the confidences over what a wrist-only view shows (15 bones), at
    most 1. One bone alone is no evidence, however sure: long dark-bordered blobs occur in any picture. Nor is a bone
    that lies in another one far beyond what hands show (HIDDEN): the same blob under several names speaks once.
    """
    counted = np.isfinite(confidence) & ~(signs[:, SIGNS.index("cover")] > HIDDEN)
    return min(1.0, float(confidence[counted].sum()) / 15.0)


def _missing(segmentation: Segmentation, usual: Usual, measured: Geometry) -> tuple[int, ...]:
    """Absent bones that should be in the picture: inside it, by what their neighbours say, or one of a nearly whole
    carpus."""
    height, width = segmentation.shape
    schema = segmentation.schema
    carpals = row(schema, "carpal")
    nearly = sum(bool(measured.found[i]) for i in carpals) >= max(3, len(carpals) - 3)
    out = []
    for i in np.flatnonzero(~measured.found).tolist():
        if i in carpals:
            if nearly:
                out.append(i)
            continue
        place = usual.expected(measured, i)
        if place is not None and 0 <= place[0] < width and 0 <= place[1] < height:
            out.append(i)
    return tuple(out)


def notes_of(assessment: Assessment, judge: Judge, asked: float = 1.0) -> tuple[str, ...]:
    """Sentences for the reader of a result, the most important first. For ``asked`` see ``judged``."""
    names = judge.schema.names
    if assessment.evidence < judge.hand * asked:
        return (NO_HAND,)
    notes = []
    if len(assessment.doubtful) > len(names) // 3:
        notes.append(f"{len(assessment.doubtful)} {MANY_DOUBTFUL}")
    else:
        notes.extend(f"{names[i]} is doubtful ({reason(assessment.signs, i, judge)})" for i in assessment.doubtful)
    if assessment.missing:
        notes.append("not found though they should be in view: " + ", ".join(names[i] for i in assessment.missing))
    return tuple(notes)


#: Said, after their number, where many bones are doubtful.
MANY_DOUBTFUL = "bones are doubtful: check this image before you use it"

#: Said of a picture that is not of a hand.
NO_HAND = "no hand found: nothing here looks enough like the bones of a hand"


def reason(signs: Float, bone: int, judge: Judge) -> str:
    """The sign that speaks most against a bone, an index of ``signs`` (C, signs), in words."""
    own = signs[bone]
    speaks = judge.suspicion.speaks(inputs_of(signs)[bone])
    speaks = np.where(own > judge.limits, 1e3 + own - judge.limits, speaks)
    return _REASONS[SIGNS[int(np.argmax(speaks))]]


def judged(segmentation: Segmentation, assessment: Assessment, judge: Judge, asked: float = 1.0) -> Segmentation:
    """The segmentation with confidences and notes; without any bone when there is no hand.

    ``asked``: the share of the usual evidence that is enough for a hand. Where there is less than usual, but enough,
    those bones are left out that are less likely right than not, and named.
    """
    notes = (*segmentation.notes, *notes_of(assessment, judge, asked))
    if assessment.evidence < judge.hand * asked:
        return replace(segmentation, regions={}, notes=notes)
    schema = segmentation.schema
    confidence = {name: round(float(assessment.confidence[schema.index(name)]), 4) for name, _ in segmentation}
    told = replace(segmentation, confidence=confidence, notes=notes)
    return without_unripe(told) if assessment.evidence >= judge.hand else told_apart(told)


def told_apart(bones: Segmentation) -> Segmentation:
    """The bones whose confidence is at least KEPT; a note names the others, which are left out."""
    left_out = [name for name, _ in bones if bones.confidence.get(name, 1.0) < KEPT]
    if not left_out:
        return bones
    told = tuple(note for note in bones.notes if not note.endswith(MANY_DOUBTFUL))
    return _without(replace(bones, notes=told), left_out, LEFT_OUT)


def without_unripe(bones: Segmentation) -> Segmentation:
    """The bones without those carpals that are hardly there, where there are many in an otherwise clear hand."""
    carpals = set(bones.schema.in_row("carpal"))
    others = [value for name, value in bones.confidence.items() if name not in carpals]
    unlikely = [name for name, _ in bones if name in carpals and bones.confidence.get(name, 1.0) < UNLIKELY]
    if len(unlikely) < UNRIPE or not others or float(np.median(others)) < LIKELY:
        return bones
    return _without(bones, unlikely, NOT_THERE)


def _without(bones: Segmentation, left_out: list[str], why: str) -> Segmentation:
    """The bones but those that are ``left_out``, and ``why`` they are."""
    kept = {name: region for name, region in bones if name not in left_out}
    # What is said of a bone that is not given would only confuse.
    of_those = tuple(f"{name} is doubtful" for name in left_out)
    notes = [note for note in bones.notes if not note.startswith(of_those)]
    return replace(
        bones,
        regions=kept,
        confidence={name: value for name, value in bones.confidence.items() if name in kept},
        probability={name: value for name, value in bones.probability.items() if name in kept},
        plausible={name: edges for name, edges in bones.plausible.items() if name in kept},
        notes=(*notes, why + ", ".join(left_out)),
    )
