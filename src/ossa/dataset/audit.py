"""Finds label errors by itself: what a person should look at before training on a data set.

Each case is checked on its own (does the label fit its picture, do its bones lie where bones lie, is anything
missing), in parallel processes; then all cases against each other (areas, duplicated pictures). A finding is a
reason to look, not a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ossa.dataset.cache import read_grey
from ossa.dataset.dataset import Dataset
from ossa.errors import InputError
from ossa.hand.geometry import side_of, wrist_angle
from ossa.hand.misplaced import area_findings, placement_findings
from ossa.hand.reference import STUBS, Fit, Reference, anchors_of, area_ratios, fit_hand, load_reference
from ossa.labels.case import Case, Truth
from ossa.parallel import cores, in_processes
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

#: Bones of the picture that are brighter than their surroundings, least share. In correct pairs it is above .9,
#: for a label of another hand about one half.
LEAST_BRIGHT = 0.6

#: Two different bones whose outlines share this much (IoU) are one outline labelled twice; triquetrum and pisiform,
#: which overlap most, reach .45 on average.
SAME_OUTLINE = 0.85

#: Grey (of 255) that only metal reaches while other bones do not come near it.
METAL, BONE = 248, 215

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
class CaseReport:
    """What was found and measured in one case. ``areas``: bone -> share of what a hand of this size should have."""

    case: str
    findings: tuple[Finding, ...]
    areas: Mapping[str, float] = field(default_factory=dict)
    side: Side | None = None
    angle: float | None = None
    digest: str = ""
    thumbnail: NDArray[np.uint8] | None = None


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


def audit(dataset: Dataset, workers: int | None = None, track: Track = silent) -> Audit:
    """Check every case of a data set, in ``workers`` processes (as many as cores, at most 8)."""
    jobs = [(case, dataset.schema) for case in dataset.cases]
    count = min(workers if workers is not None else min(8, cores()), max(1, len(jobs) // 8))
    reports = list(track(in_processes(_job, jobs, count, "Give fewer --workers"), len(jobs), "auditing"))
    findings = [finding for report in reports for finding in report.findings]
    findings += [Finding(p.path.name, "folder", f"{p.message} ({p.path})") for p in dataset.problems]
    findings += area_outliers(reports) + duplicates(reports)
    order = {case.id: i for i, case in enumerate(dataset.cases)}
    findings.sort(key=lambda finding: order.get(finding.case, len(order)))
    return Audit(tuple(findings), len(reports), {r.case: (r.side, r.angle) for r in reports})


def _job(job: tuple[Case, BoneSchema]) -> CaseReport:
    return audit_case(*job)


def audit_case(case: Case, schema: BoneSchema) -> CaseReport:
    """Check one case on its own."""
    findings: list[Finding] = []

    def found(kind: str, message: str, bones: Sequence[str] = ()) -> None:
        findings.append(Finding(case.id, kind, message, tuple(bones)))

    try:
        grey, placement = read_grey(case.image, Preparation(SIZE))
    except InputError as error:
        return CaseReport(case.id, (Finding(case.id, "picture", f"the picture cannot be read: {error}"),))
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
        return CaseReport(case.id, tuple(findings), digest=digest, thumbnail=thumbnail)

    small = map_outlines(truth.outlines, placement.to_grid)
    regions = {n: r for n, r in ((n, region_from_outlines(p, grey.shape)) for n, p in small.items()) if r is not None}
    placed = _Placed.of(truth.outlines, regions, schema, (grey.shape[0], grey.shape[1]))
    for kind, message, bones in (
        *_brightness(grey, regions, schema),
        *_shared_outlines(regions),
        *placed.findings(regions),
        *_missing(case, truth, placed, placement, schema),
        *_side(case, truth.outlines),
    ):
        found(kind, message, bones)
    return CaseReport(
        case.id,
        tuple(findings),
        placed.areas(),
        side_of(truth.outlines),
        wrist_angle(truth.outlines),
        digest,
        thumbnail,
    )


Told = Iterable[tuple[str, str, Sequence[str]]]


def _brightness(grey: NDArray[np.uint8], regions: Mapping[str, Region], schema: BoneSchema) -> Told:
    """Bones are brighter than what is around them, and none is as bright as metal.

    Carpals, which lie one over another, may be as white as the picture can be.
    """
    import cv2

    medians, contrasts = {}, {}
    covered = np.zeros(grey.shape, bool)
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
    if len(contrasts) >= 5:
        dark = [name for name, contrast in contrasts.items() if contrast <= 0]
        share = 1 - len(dark) / len(contrasts)
        if share < LEAST_BRIGHT:
            yield (
                "mismatch",
                f"only {share:.0%} of the outlined bones are brighter than what is around them: "
                "is this the label of another picture, or drawn at another size?",
                dark,
            )
    rest = float(np.median(list(medians.values()))) if medians else 0.0
    single = {name: level for name, level in medians.items() if schema.bone(name).row != "carpal"}
    metal = [name for name, level in single.items() if level >= METAL and rest <= BONE]
    if metal and len(metal) <= 3:
        yield "metal", f"as bright as metal: {', '.join(metal)}: a ring or a plate outlined as bone?", metal


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


def _whole(outlines: Outlines, regions: Mapping[str, Region], shape: tuple[int, int]) -> Outlines:
    """Outlines of the bones that the picture's border does not cut; the forearm's stubs stay."""
    return {
        name: parts
        for name, parts in outlines.items()
        if name in STUBS
        or (
            (r := regions.get(name)) is not None
            and r.top > 0
            and r.left > 0
            and r.bottom < shape[0]
            and r.right < shape[1]
        )
    }


@dataclass(frozen=True)
class _Placed:
    """The whole bones of a case and their fit; None where the schema has no reference or there are too few bones."""

    whole: Outlines
    reference: Reference | None
    fit: Fit | None

    @classmethod
    def of(
        cls, outlines: Outlines, regions: Mapping[str, Region], schema: BoneSchema, shape: tuple[int, int]
    ) -> _Placed:
        whole, reference = _whole(outlines, regions, shape), load_reference(schema)
        return cls(whole, reference, fit_hand(anchors_of(whole), reference) if reference is not None else None)

    def findings(self, regions: Mapping[str, Region]) -> Told:
        """Bones lie where the reference has them and are about as large."""
        if self.fit is not None and self.reference is not None:
            yield from placement_findings(self.whole, regions, self.fit, self.reference)
            yield from area_findings(self.whole, self.fit, self.reference)

    def areas(self) -> dict[str, float]:
        """Bone -> its share of the area that it should have."""
        if self.fit is None or self.reference is None:
            return {}
        return area_ratios(self.whole, self.fit, self.reference)


def _missing(case: Case, truth: Truth, placed: _Placed, placement: Placement, schema: BoneSchema) -> Told:
    """Bones that labels of this set show have outlines, unless they lie outside of the picture."""
    shown = case.annotated | truth.annotated
    missing = [name for name in schema.names if name in shown and name not in truth.outlines]
    if placed.fit is not None:
        places = placed.fit.places
        missing = [name for name in missing if name not in places or _within(places[name], placement)]
    if missing:
        yield "missing", f"{len(missing)} bone(s) are not outlined: {', '.join(missing)}", missing


def _within(place: complex, placement: Placement, margin: float = 0.04) -> bool:
    """Whether a place (px) lies in the picture, its outermost 4 % left out."""
    height, width = placement.image_shape
    edge = margin * max(height, width)
    return edge <= place.real <= width - edge and edge <= place.imag <= height - edge


def _side(case: Case, outlines: Outlines) -> Told:
    measured = side_of(outlines)
    if case.side is not None and measured is not None and case.side != measured:
        words = {"R": "right", "L": "left"}
        yield (
            "side",
            f"the name says {words[case.side]} hand, the outlines show a {words[measured]} one "
            "(thumb and little finger exchanged, or a mirrored picture?)",
            (),
        )


# --- all cases against each other ---------------------------------------------------------------------------------


def area_outliers(reports: Sequence[CaseReport]) -> list[Finding]:
    """Bones whose area, for the size of its hand, lies far from that of the other hands (of at least 12)."""
    findings = []
    for name in sorted({name for report in reports for name in report.areas}):
        having = [report for report in reports if report.areas.get(name, 0) > 0]
        if len(having) < 12:
            continue
        logs = np.log([report.areas[name] for report in having])
        middle = float(np.median(logs))
        sd = max(0.08, 1.4826 * float(np.median(np.abs(logs - middle))))
        for report, value in zip(having, logs - middle, strict=True):
            told = any(f.kind in ("area", "reversed") and (not f.bones or name in f.bones) for f in report.findings)
            if not told and abs(value) > max(AREA_SDS * sd, math.log(AREA_FACTOR)):
                factor = math.exp(float(value))
                message = f"{name} has {factor:.2f} times the area that it has in the other hands"
                findings.append(Finding(report.case, "area", message, (name,)))
    return findings


def duplicates(reports: Sequence[CaseReport]) -> list[Finding]:
    """Pictures that are the same file, or the same picture stored anew."""
    findings = []
    first: dict[str, str] = {}
    kept: list[tuple[str, NDArray[np.int16]]] = []
    for report in reports:
        if report.thumbnail is None:
            continue
        original = first.setdefault(report.digest, report.case)
        if original != report.case or any(name == report.case for name, _ in kept):
            findings.append(Finding(report.case, "duplicate", f"is the same file as {original}"))
            continue
        thumbnail = report.thumbnail.astype(np.int16)
        twin = next((name for name, other in kept if int(np.abs(thumbnail - other).max()) <= 2), None)
        if twin is not None and int(np.ptp(thumbnail)) > 10:
            findings.append(Finding(report.case, "duplicate", f"shows the same picture as {twin}, stored anew"))
        kept.append((report.case, thumbnail))
    return findings


def _thumbnail(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture as 24x24 area means: the same however it was stored, different for different hands."""
    import cv2

    return np.asarray(cv2.resize(grey, (24, 24), interpolation=cv2.INTER_AREA), dtype=np.uint8)
