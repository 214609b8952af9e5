"""Finds label errors by itself: what a person should look at before training on a data set.

Each case is checked on its own (does the label fit its picture, do its bones lie where bones lie, is anything
missing), in parallel processes; then all cases against each other (areas, duplicated pictures). A finding is a
reason to look, not a verdict.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ossa.dataset.brightness import brightness_findings, levels
from ossa.dataset.cache import read_grey
from ossa.dataset.dataset import Dataset
from ossa.errors import InputError
from ossa.hand.align import Aligned, Complex, align
from ossa.hand.bones import rays, row
from ossa.hand.cut import Cut, find_cut
from ossa.hand.displaced import displaced_findings, exchanged_findings, metacarpal_findings
from ossa.hand.geometry import Float, Geometry, geometry_of_outlines
from ossa.hand.misplaced import area_findings, area_ratios, placement_findings
from ossa.hand.neighbours import Neighbours, load_neighbours, pose, upright
from ossa.hand.sides import side_of
from ossa.hand.usual import Usual, load_usual
from ossa.hand.wrist import wrist_angle
from ossa.labels.case import Case, Truth
from ossa.parallel import cores
from ossa.parallel.pool import Here, Lost, Needs, Pool, doing
from ossa.progress import Track, silent
from ossa.radiograph.prepare import Placement, Preparation
from ossa.radiograph.radiograph import Side
from ossa.safety import sha256
from ossa.schema import BoneSchema
from ossa.segmentation.compare import iou
from ossa.segmentation.outlines import Outlines, map_outlines, region_from_outlines
from ossa.segmentation.segmentation import Region

#: Pictures are looked at with this longest side (px).
SIZE = 512

#: Two different bones whose outlines share this much (IoU) are one outline labelled twice; triquetrum and pisiform,
#: which overlap most, reach .45 on average.
SAME_OUTLINE = 0.85

#: Robust standard deviations and least factor from which an area is an outlier among the other hands' areas.
AREA_SDS, AREA_FACTOR = 6.0, 1.6


@dataclass(frozen=True)
class Finding:
    """One reason to look at a case. ``kind`` is a short word for tables, ``bones`` those concerned."""

    case: str
    kind: str
    message: str
    bones: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.case}: {self.message}"


@dataclass(frozen=True, eq=False)
class CaseFindings:
    """What was found and measured in one case. ``areas``: bone -> share of what a hand of this size should have."""

    case: str
    findings: tuple[Finding, ...]
    areas: Mapping[str, float] = field(default_factory=dict)
    side: Side | None = None
    angle: float | None = None
    digest: str = ""
    thumbnail: NDArray[np.uint8] | None = None


class Memory(Protocol):
    """What an audit that was stopped had looked at (dataset.audit_memory)."""

    def get(self, case: Case) -> CaseFindings | None:
        """What was found of a case, None where it was not looked at or has changed since."""
        ...

    def put(self, case: Case, found: CaseFindings) -> None:
        """Remember what was found of a case."""
        ...


@dataclass(frozen=True)
class Audit:
    """``findings`` sorted by case; ``cases`` with at least one; ``measured`` side and wrist angle per case."""

    findings: tuple[Finding, ...]
    checked: int
    measured: Mapping[str, tuple[Side | None, float | None]]

    @property
    def cases(self) -> tuple[str, ...]:
        """Every case with a finding, once."""
        return tuple(dict.fromkeys(finding.case for finding in self.findings))


def audit(
    dataset: Dataset,
    workers: int | None = None,
    track: Track = silent,
    *,
    pool: Pool | None = None,
    memory: Memory | None = None,
) -> Audit:
    """Check every case of a data set, in ``workers`` processes (as many as cores, at most 8), or by ``pool``.

    What ``memory`` holds of an audit that was stopped is not looked at again. A case that ends its worker again and
    again becomes a finding.
    """
    times = Counter(case.id for case in dataset.cases)
    # Findings are told by base names; where these repeat, by paths below the root.
    cases = [case if times[case.id] == 1 else replace(case, id=case.name) for case in dataset.cases]
    known = {number: kept for number, case in enumerate(cases) if memory and (kept := memory.get(case)) is not None}
    waiting = [number for number in range(len(cases)) if number not in known]
    jobs = [(cases[number], dataset.schema) for number in waiting]
    here = Here(min(workers if workers is not None else min(8, cores()), max(1, len(jobs) // 8)))
    stream = (pool or here).each(doing(_job), jobs, Needs(remedy="Give fewer --workers"))
    for number, one in track(stream, len(jobs), "auditing"):
        case = jobs[number][0]
        if isinstance(one, Lost):
            known[waiting[number]] = CaseFindings(case.id, (Finding(case.id, "picture", one.reason),))
            continue
        known[waiting[number]] = one
        if memory is not None:
            memory.put(case, one)
    looked_at = [known[number] for number in range(len(cases))]
    findings = [finding for one in looked_at for finding in one.findings]
    findings += [Finding(p.path.name, "folder", f"{p.message} ({p.path})") for p in dataset.problems]
    findings += area_outliers(looked_at, dataset.schema) + duplicates(looked_at)
    order = {case.id: i for i, case in enumerate(cases)}
    findings.sort(key=lambda finding: order.get(finding.case, len(order)))
    return Audit(tuple(findings), len(looked_at), {r.case: (r.side, r.angle) for r in looked_at})


def _job(job: tuple[Case, BoneSchema]) -> CaseFindings:
    return audit_case(*job)


def audit_case(case: Case, schema: BoneSchema) -> CaseFindings:
    """Check one case on its own."""
    findings: list[Finding] = []

    def found(kind: str, message: str, bones: Sequence[str] = ()) -> None:
        findings.append(Finding(case.id, kind, message, tuple(bones)))

    try:
        grey, placement = read_grey(case.image, Preparation(SIZE))
    except InputError as error:
        return CaseFindings(case.id, (Finding(case.id, "picture", f"the picture cannot be read: {error}"),))
    digest, thumbnail = sha256(case.image), _thumbnail(grey)
    truth: Truth | None = None
    if case.label is not None:
        try:
            truth = case.truth(schema)
            for what in truth.left_out:
                found("left out", what)
            truth = case.fit(truth, placement.image_shape)
        except InputError as error:
            found("label", f"the label cannot be used: {error}")
    if truth is None or not truth.outlines:
        if truth is not None:
            found("missing", "the label outlines no bone at all", sorted(case.annotated))
        return CaseFindings(case.id, tuple(findings), digest=digest, thumbnail=thumbnail)

    small = map_outlines(truth.outlines, placement.to_grid)
    regions = {n: r for n, r in ((n, region_from_outlines(p, grey.shape)) for n, p in small.items()) if r is not None}
    hand = _Hand.of(truth.outlines, schema, placement.image_shape)
    field = hand.cut.field(grey.shape, (placement.scale_x, placement.scale_y))
    medians, contrasts = levels(grey, regions, field)
    for kind, message, bones in (
        *brightness_findings(medians, contrasts, schema),
        *_shared_outlines(regions),
        *hand.findings(regions, contrasts),
        *_missing(case, truth, hand, placement),
        *_side(case, hand.measured),
    ):
        found(kind, message, bones)
    return CaseFindings(
        case.id,
        tuple(findings),
        hand.ratios,
        side_of(hand.measured),
        wrist_angle(truth.outlines, schema),
        digest,
        thumbnail,
    )


Told = Iterable[tuple[str, str, Sequence[str]]]


def _shared_outlines(regions: Mapping[str, Region]) -> Told:
    """No two bones have the same outline."""
    names = list(regions)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if iou(regions[first], regions[second]) >= SAME_OUTLINE:
                yield (
                    "twice",
                    f"{first} and {second} have the same outline: one of them is labelled wrongly",
                    (first, second),
                )


@dataclass(frozen=True, eq=False)
class _Hand:
    """The bones of a case: all of them, what is cut off, and the usual hand laid over the rest.

    ``usual`` is None for a schema for which none was fitted, ``laid`` also with too few bones.
    """

    measured: Geometry
    cut: Cut
    usual: Usual | None
    laid: Aligned | None
    ratios: Mapping[str, float]

    @classmethod
    def of(cls, outlines: Outlines, schema: BoneSchema, shape: tuple[int, int]) -> _Hand:
        measured, cut, usual = (
            geometry_of_outlines(outlines, schema),
            find_cut(outlines, schema, shape),
            load_usual(schema),
        )
        if usual is None:
            return cls(measured, cut, None, None, {})
        # The forearm is cut off anywhere: its end at the hand has a place all the same.
        placed = ~cut.bones
        placed[row(schema, "forearm")] = True
        laid = align(measured.where(placed), usual)
        return cls(measured, cut, usual, laid, area_ratios(measured, cut.bones, usual) if laid is not None else {})

    def beyond_the_edge(self) -> set[str]:
        """The bones of digits that are cut off nearer to the wrist: they cannot be seen."""
        names, found = self.measured.schema.names, self.measured.found
        out: set[str] = set()
        for ray in rays(self.measured.schema):
            ends = [k for k, bone in enumerate(ray) if found[bone] and self.cut.ends[bone]]
            out |= {names[bone] for end in ends for bone in ray[end:] if not found[ray[end:]][1:].any()}
        return out

    def findings(self, regions: Mapping[str, Region], contrasts: Mapping[str, float]) -> Told:
        """Bones lie where they usually do, as seen from the hand and from their neighbours, and are about as large."""
        if self.usual is not None and self.laid is not None:
            model = load_neighbours(self.measured.schema)
            points = upright(self.measured, self.cut.bones)
            odd = None if model is None else model.oddness(points)
            judged = self.measured.where(np.isfinite(self.laid.z))
            whole = list(placement_findings(judged, regions, self.laid, self.usual, pose(odd)))
            if whole or model is None or odd is None:
                yield from whole
            else:
                yield from self._single(points, model, odd, regions, contrasts)
            yield from area_findings(self.ratios, self.usual)

    def _single(
        self,
        points: Complex,
        model: Neighbours,
        odd: Float,
        regions: Mapping[str, Region],
        contrasts: Mapping[str, float],
    ) -> Told:
        """What only the neighbours of a bone tell."""
        exchanged = list(exchanged_findings(points, model)) or list(metacarpal_findings(self.measured))
        yield from exchanged or displaced_findings(odd / pose(odd), model.schema, regions, contrasts)


def _missing(case: Case, truth: Truth, hand: _Hand, placement: Placement) -> Told:
    """Bones that labels of this set show have outlines, unless they lie outside of the picture or its exposed field."""
    names = hand.measured.schema.names
    shown = case.annotated | truth.annotated
    missing = [name for name in names if name in shown and name not in truth.outlines]
    if hand.laid is not None:
        places = dict(zip(names, hand.laid.places.tolist(), strict=True))
        unseen = hand.beyond_the_edge()
        missing = [name for name in missing if name not in unseen and _within(places[name], hand.cut, placement)]
    if missing:
        yield "missing", f"{len(missing)} bone(s) are not outlined: {', '.join(missing)}", missing


def _within(place: complex, cut: Cut, placement: Placement, margin: float = 0.04) -> bool:
    """Whether a place (px) lies in what is shown, its outermost 4 % left out; a place that is not known may."""
    height, width = placement.image_shape
    edge = margin * max(height, width)
    if not np.isfinite(place):
        return True
    inside = edge <= place.real <= width - edge and edge <= place.imag <= height - edge
    return inside and cut.holds(place, edge)


def _side(case: Case, measured: Geometry) -> Told:
    seen = side_of(measured)
    if case.side is not None and seen is not None and case.side != seen:
        words = {"R": "right", "L": "left"}
        yield (
            "side",
            f"the name says {words[case.side]} hand, the outlines show a {words[seen]} one "
            "(thumb and little finger exchanged, or a mirrored picture?)",
            (),
        )


# --- all cases against each other ---------------------------------------------------------------------------------


def area_outliers(looked_at: Sequence[CaseFindings], schema: BoneSchema) -> list[Finding]:
    """Bones whose area, for the size of its hand, lies far from that of the other hands (of at least 12).

    A bone of a digit that a neighbour in it shares its fault with, is seen from the side or the tip: only what it is
    off beyond that neighbour counts.
    """
    away: dict[str, dict[str, float]] = {}
    limits: dict[str, float] = {}
    for name in sorted({name for one in looked_at for name in one.areas}):
        having = [one for one in looked_at if one.areas.get(name, 0) > 0]
        if len(having) < 12:
            continue
        logs = np.log([one.areas[name] for one in having])
        middle = float(np.median(logs))
        sd = max(0.08, 1.4826 * float(np.median(np.abs(logs - middle))))
        limits[name] = max(AREA_SDS * sd, math.log(AREA_FACTOR))
        away[name] = {one.case: float(value) for one, value in zip(having, logs - middle, strict=True)}
    beside = _beside(schema)
    findings = []
    for one in looked_at:
        for name, limit in limits.items():
            value = away[name].get(one.case, 0.0)
            if abs(value) <= limit or any(_tells_area(finding, name) for finding in one.findings):
                continue
            shared = [away.get(other, {}).get(one.case, 0.0) for other in beside.get(name, ())]
            along = max((v * math.copysign(1.0, value) for v in shared), default=0.0)
            if abs(value) - max(along, 0.0) > limit:
                message = f"{name} has {math.exp(value):.2f} times the area that it has in the other hands"
                findings.append(Finding(one.case, "area", message, (name,)))
    return findings


def _tells_area(finding: Finding, name: str) -> bool:
    return finding.kind in ("area", "reversed") and (not finding.bones or name in finding.bones)


def _beside(schema: BoneSchema) -> dict[str, tuple[str, ...]]:
    """Bone of a digit -> the bones before and after it in the digit."""
    names = schema.names
    return {
        names[bone]: tuple(names[other] for other in (*ray[max(0, k - 1) : k], *ray[k + 1 : k + 2]))
        for ray in rays(schema)
        for k, bone in enumerate(ray)
    }


def duplicates(looked_at: Sequence[CaseFindings]) -> list[Finding]:
    """Pictures that are the same file, or the same picture stored anew."""
    findings = []
    first: dict[str, str] = {}
    kept: list[tuple[str, NDArray[np.int16]]] = []
    for one in looked_at:
        if one.thumbnail is None:
            continue
        original = first.setdefault(one.digest, one.case)
        if original != one.case or any(name == one.case for name, _ in kept):
            findings.append(Finding(one.case, "duplicate", f"is the same file as {original}"))
            continue
        thumbnail = one.thumbnail.astype(np.int16)
        twin = next((name for name, other in kept if int(np.abs(thumbnail - other).max()) <= 2), None)
        if twin is not None and int(np.ptp(thumbnail)) > 10:
            findings.append(Finding(one.case, "duplicate", f"shows the same picture as {twin}, stored anew"))
        kept.append((one.case, thumbnail))
    return findings


def _thumbnail(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture as 24x24 area means: the same however it was stored, different for different hands."""
    import cv2

    return np.asarray(cv2.resize(grey, (24, 24), interpolation=cv2.INTER_AREA), dtype=np.uint8)
