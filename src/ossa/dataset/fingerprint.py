"""What a data set is like, in numbers: sizes, spacing, grey values, bones, wrists, overlap, people.

A ``Fingerprint`` is what a page shows, and what a plan of a training (``ossa.training.plan``) follows from. Labels are
all measured; of pictures all headers are read, and the grey values of as many as are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ossa.dataset.dataset import Dataset
from ossa.errors import DatasetError, InputError, MissingExtraError
from ossa.hand.geometry import geometry_of_outlines
from ossa.hand.sides import side_of
from ossa.hand.wrist import BENT, wrist_angle
from ossa.labels.case import Case
from ossa.parallel import cores, in_processes
from ossa.progress import Track, silent
from ossa.radiograph.read import read_radiograph, read_size
from ossa.schema import BoneSchema
from ossa.segmentation.compare import intersection_area

#: Pictures whose grey values and spacing are read, evenly spread over the set.
PIXELS_OF = 60

#: The percentiles that a ``Spread`` holds.
_PERCENTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class Spread:
    """Percentiles 0, 5, 50, 95 and 100 of ``count`` numbers."""

    count: int
    low: float
    p5: float
    median: float
    p95: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Of finite numbers; None without any."""
        good = [value for value in values if np.isfinite(value)]
        return cls(len(good), *(float(v) for v in np.percentile(good, _PERCENTILES))) if good else None


@dataclass(frozen=True)
class BoneFacts:
    """One bone over all labels: in how many it is ``drawn`` and ``judged``; ``area`` and ``width`` (of the narrow side)
    in px of the full-size picture."""

    name: str
    title: str
    drawn: int
    judged: int
    area: Spread | None
    width: Spread | None


@dataclass(frozen=True)
class Overlap:
    """Two bones that share pixels in ``pictures`` pictures; ``share``: of the smaller bone's, there, as a median."""

    first: str
    second: str
    pictures: int
    share: float


@dataclass(frozen=True)
class Fingerprint:
    """``sizes``: (H, W) -> pictures, the most frequent first. ``longest``: the longer side, px. ``spacing``: mm per px.
    ``grey``: levels of pictures at percentile 0.5, 50 and 99.5 as shares of what their bits hold. ``overlapped``: share
    of bone pixels that are of two bones or more. ``wrist`` in degrees, positive to the little finger; ``bent``: wrists
    bent by ``ossa.hand.wrist.BENT`` or more. ``ages`` in years.
    """

    root: str
    format: str
    schema: str
    pictures: int
    labelled: int
    subjects: int
    per_subject: Spread | None
    splits: Mapping[str, int]
    sides: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    longest: Spread | None
    kinds: Mapping[str, int]
    spacing: Spread | None
    spacing_sources: Mapping[str, int]
    grey: Mapping[str, Spread]
    looked_at: int
    bones: tuple[BoneFacts, ...]
    overlapped: Spread | None
    overlaps: tuple[Overlap, ...]
    wrist: Spread | None
    wrist_angles: tuple[float, ...]
    bent: int
    ages: tuple[float, ...]
    sexes: Mapping[str, int]
    people: str
    problems: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; sizes as "HxW"."""
        value = asdict(self)
        value["sizes"] = {f"{height}x{width}": count for (height, width), count in self.sizes.items()}
        return value


@dataclass(frozen=True)
class _Label:
    """What one label says: per bone drawn (area, width), pairs that overlap (share), and the rest."""

    size: tuple[int, int] | None
    side: str
    angle: float | None
    judged: frozenset[str]
    bones: Mapping[str, tuple[float, float]]
    pairs: Mapping[tuple[str, str], float]
    overlapped: float
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Pixels:
    kind: str
    spacing: float | None
    source: str
    levels: tuple[float, float, float]


def fingerprint(
    dataset: Dataset, workers: int | None = None, track: Track = silent, pixels_of: int = PIXELS_OF
) -> Fingerprint:
    """Measure a data set in ``workers`` processes (as many as cores, at most 8).

    A picture or label that cannot be read becomes a problem. ``pixels_of``: pictures whose pixels are read.
    """
    cases = dataset.cases
    chosen = set(np.linspace(0, len(cases) - 1, min(pixels_of, len(cases))).round().astype(int).tolist())
    count = min(workers if workers is not None else min(8, cores()), max(1, len(cases) // 8))
    jobs = [(case, dataset.schema, i in chosen) for i, case in enumerate(cases)]
    found = list(track(in_processes(_measure, jobs, count, "Give fewer --workers"), len(jobs), "measuring"))
    labels = [label for label, _ in found if label is not None]
    pixels = [seen for _, seen in found if seen is not None]
    sizes = Counter(label.size for label in labels if label.size is not None)
    ages, sexes, people = _people(dataset)
    angles = tuple(label.angle for label in labels if label.angle is not None)
    sources = Counter(seen.source for seen in pixels)
    return Fingerprint(
        root=str(dataset.root),
        format=dataset.format,
        schema=dataset.schema.name,
        pictures=len(dataset),
        labelled=len(dataset.labelled),
        subjects=len(dataset.subjects),
        per_subject=Spread.of(list(Counter(case.subject for case in cases).values())),
        splits=dict(sorted(Counter(case.split for case in cases).items())),
        sides=dict(sorted(Counter(label.side for label in labels).items())),
        sizes=dict(sizes.most_common()),
        longest=Spread.of([max(size) for size, times in sizes.items() for _ in range(times)]),
        kinds=dict(Counter(seen.kind for seen in pixels).most_common()),
        spacing=Spread.of([seen.spacing for seen in pixels if seen.spacing is not None]),
        spacing_sources=dict(sources.most_common()),
        grey=_greys(pixels),
        looked_at=len(pixels),
        bones=_bones(labels, dataset.schema),
        overlapped=Spread.of([label.overlapped for label in labels if label.bones]),
        overlaps=_overlaps(labels),
        wrist=Spread.of(angles),
        wrist_angles=angles,
        bent=sum(abs(angle) >= BENT for angle in angles),
        ages=ages,
        sexes=sexes,
        people=people,
        problems=(*map(str, dataset.problems), *(problem for label in labels for problem in label.problems)),
    )


def _measure(job: tuple[Case, BoneSchema, bool]) -> tuple[_Label | None, _Pixels | None]:
    case, schema, with_pixels = job
    problems: list[str] = []
    size: tuple[int, int] | None = None
    try:
        size = read_size(case.image)
        pixels = _pixels(case) if with_pixels else None
    except InputError as error:
        return _Label(None, case.side or "?", None, frozenset(), {}, {}, 0.0, (str(error),)), None
    if case.label is None:
        return _Label(size, case.side or "?", None, frozenset(), {}, {}, 0.0, ()), pixels
    try:
        truth = case.truth(schema, size)
    except InputError as error:
        return _Label(size, case.side or "?", None, frozenset(), {}, {}, 0.0, (str(error),)), pixels
    problems += [f"{case.name}: {what}" for what in truth.left_out]
    measured = geometry_of_outlines(truth.outlines, schema)
    bones = {
        name: (float(measured.area[i]), float(measured.width[i]))
        for name in truth.outlines
        if (i := schema.index(name)) is not None
    }
    regions = list(truth.segmentation(schema, size))
    pairs: dict[tuple[str, str], float] = {}
    twice = 0
    for i, (first, one) in enumerate(regions):
        for second, other in regions[i + 1 :]:
            common = intersection_area(one, other)
            if common:
                pairs[first, second] = common / min(one.area, other.area)
                twice += common
    total = sum(region.area for _, region in regions)
    side = case.side or side_of(measured) or "?"
    share = twice / max(1, total - twice)  # exact where no three bones meet
    angle = wrist_angle(truth.outlines, schema)
    return _Label(size, side, angle, truth.annotated, bones, pairs, share, tuple(problems)), pixels


def _pixels(case: Case) -> _Pixels:
    radiograph = read_radiograph(case.image)
    origin, spacing = radiograph.provenance, radiograph.spacing
    full = float(np.iinfo(radiograph.pixels.dtype).max)
    low, middle, high = np.percentile(radiograph.pixels[::4, ::4], (0.5, 50, 99.5)) / full
    kind = f"{origin.format}, {origin.bits} bit" + (", inverted" if origin.inverted else "")
    if spacing is None:
        return _Pixels(kind, None, "not known", (low, middle, high))
    return _Pixels(kind, (spacing.row + spacing.column) / 2, spacing.source, (low, middle, high))


def _greys(pixels: Sequence[_Pixels]) -> dict[str, Spread]:
    names = ("dark (0.5 %)", "median", "bright (99.5 %)")
    spreads = {name: Spread.of([seen.levels[k] for seen in pixels]) for k, name in enumerate(names)}
    return {name: spread for name, spread in spreads.items() if spread is not None}


def _bones(labels: Sequence[_Label], schema: BoneSchema) -> tuple[BoneFacts, ...]:
    return tuple(
        BoneFacts(
            bone.name,
            bone.title,
            sum(bone.name in label.bones for label in labels),
            sum(bone.name in label.judged for label in labels),
            Spread.of([label.bones[bone.name][0] for label in labels if bone.name in label.bones]),
            Spread.of([label.bones[bone.name][1] for label in labels if bone.name in label.bones]),
        )
        for bone in schema.bones
    )


def _overlaps(labels: Sequence[_Label], most: int = 12) -> tuple[Overlap, ...]:
    """The pairs that share most, among those that meet in a tenth of the pictures."""
    shares: dict[tuple[str, str], list[float]] = {}
    for label in labels:
        for pair, share in label.pairs.items():
            shares.setdefault(pair, []).append(share)
    often = [(pair, found) for pair, found in shares.items() if len(found) * 10 >= len(labels)]
    pairs = [Overlap(first, second, len(found), float(np.median(found))) for (first, second), found in often]
    return tuple(sorted(pairs, key=lambda pair: -pair.share)[:most])


def _people(dataset: Dataset) -> tuple[tuple[float, ...], dict[str, int], str]:
    """Ages and sexes of the subjects that are there, and a sentence on where they come from."""
    try:
        said = dataset.metadata()
    except (DatasetError, MissingExtraError) as error:
        return (), {}, str(error)
    here = [said[subject] for subject in dataset.subjects if subject in said]
    if not here:
        return (), {}, "no meta_data.xlsx tells of them"
    ages = tuple(person.age for person in here if person.age is not None)
    sexes = Counter(person.sex or "not said" for person in here)
    return ages, dict(sorted(sexes.items())), f"meta_data.xlsx, for {len(here)} of {len(dataset.subjects)} subjects"
