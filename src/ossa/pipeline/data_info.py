"""What a data set is like and how to train on it: the trip behind ``ossa data info``.

OUT/data.html           the fingerprint with pictures, and the proposed training with its reasons
OUT/fingerprint.json    the same numbers
OUT/recipe.yaml         the proposed run file
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import InputError, MissingExtraError, OssaError
from ossa.progress import Track, silent
from ossa.safety import output_folder, write_json, write_text
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.dataset.dataset import Dataset
    from ossa.dataset.fingerprint import Fingerprint, Spread
    from ossa.pages.data_set import BoneRow, Histogram
    from ossa.training.plan import Machine, Plan

PAGE, NUMBERS, RECIPE = "data.html", "fingerprint.json", "recipe.yaml"

#: Pictures that the page shows, and their longer side (px).
_SHOWN, _SIDE = 8, 420

#: Problems that the page lists.
_PROBLEMS = 30


@dataclass(frozen=True)
class DataInfo:
    """``plan`` is None where none can be made: ``why_no_plan`` says why."""

    fingerprint: Fingerprint
    plan: Plan | None
    why_no_plan: str = ""

    def rows(self) -> list[tuple[str, str]]:
        """(what, in words) for a person."""
        return fact_rows(self.fingerprint)

    def to_json(self) -> str:
        """The numbers and the plan as JSON text."""
        return json.dumps(self.values(), ensure_ascii=False, indent=1)

    def values(self) -> dict[str, Any]:
        """The numbers and the plan as JSON values."""
        lines = () if self.plan is None else self.plan.lines
        planned = [{"key": line.key, "value": line.value, "reason": line.reason} for line in lines]
        return {**self.fingerprint.to_json(), "plan": planned}


def data_info(
    path: str | Path,
    output: Path | None = None,
    *,
    schema: BoneSchema | None = None,
    names: str | Path | None = None,
    budget_minutes: float | None = None,
    machine: Machine | None = None,
    workers: int | None = None,
    track: Track = silent,
) -> DataInfo:
    """Measure a data set and plan a training on it; ``output`` gets a page, the numbers and the run file.

    ``machine``: what to plan for (None: this one; a few steps are timed where a budget is given). Raises DatasetError
    for what is no data set, OutputError when ``output`` lies in it.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.dataset.fingerprint import fingerprint
    from ossa.training.plan import plan, this_machine

    dataset = open_dataset(path, schema, names=names)
    measured = fingerprint(dataset, workers, track)
    planned, why = None, ""
    try:
        planned = plan(measured, machine or _timed(this_machine(), dataset.schema, budget_minutes), budget_minutes)
    except OssaError as error:
        why = str(error)
    found = DataInfo(measured, planned, why)
    if output is not None:
        with output_folder(output, [path], (NUMBERS,)):
            _write(output, dataset, found)
    return found


def _timed(machine: Machine, schema: BoneSchema, budget_minutes: float | None) -> Machine:
    """The machine with its speed, where a budget asks for it. Raises MissingExtraError without torch."""
    if budget_minutes is None:
        return machine
    try:
        from ossa.training.speed import seconds_per_px

        return replace(machine, seconds_per_px=seconds_per_px(schema))
    except ImportError as error:
        raise MissingExtraError.of("timing a training", "train", error) from error


def _write(output: Path, dataset: Dataset, found: DataInfo) -> None:
    from ossa.pages.data_set import DataSetPage, write_data_set_page

    seen, planned = found.fingerprint, found.plan
    lines = () if planned is None else planned.lines
    write_json(output / NUMBERS, found.values())
    if planned is not None:
        write_text(output / RECIPE, planned.to_yaml())
    notes = [*([found.why_no_plan] if found.why_no_plan else []), *(planned.warnings if planned else ())]
    notes += seen.problems[:_PROBLEMS]
    if len(seen.problems) > _PROBLEMS:
        notes.append(f"... and {len(seen.problems) - _PROBLEMS} more")
    tiles = [
        (f"{seen.pictures:,}", "pictures"),
        (f"{seen.labelled:,}", "with labels"),
        (f"{seen.subjects:,}", "subjects"),
        (f"{seen.bent} of {len(seen.wrist_angles)}", "wrists bent"),
    ]
    content = DataSetPage(
        f"Data set {dataset.root.name}",
        tiles,
        dict(found.rows()),
        _histograms(seen),
        _bone_rows(seen, dataset.schema),
        [(f"{one.first} and {one.second}", one.pictures, one.share) for one in seen.overlaps],
        _pictures(dataset),
        [(line.key, line.told, line.reason) for line in lines],
        "" if planned is None else planned.to_yaml(),
        notes,
    )
    write_data_set_page(output / PAGE, content)


def fact_rows(seen: Fingerprint) -> list[tuple[str, str]]:
    """A fingerprint as lines."""
    sizes = [f"{width} x {height} px ({count})" for (height, width), count in list(seen.sizes.items())[:4]]
    more = f" and {len(seen.sizes) - 4} other sizes" if len(seen.sizes) > 4 else ""
    drawn = sum(bone.drawn > 0 for bone in seen.bones)
    rows = [
        ("format", seen.format),
        ("pictures", f"{seen.pictures}, {seen.labelled} with labels, of {seen.subjects} subjects"),
        ("splits", _counts(seen.splits)),
        ("hands", _counts({_SIDES.get(side, side): count for side, count in seen.sides.items()})),
        ("sizes", ", ".join(sizes) + more),
        ("kinds", f"{_counts(seen.kinds)} (of {seen.looked_at} looked at)"),
        ("spacing", _spacing(seen)),
        *((f"grey, {name}", _percent(spread)) for name, spread in seen.grey.items()),
        ("bones", f"{drawn} of {len(seen.bones)} are drawn"),
    ]
    if seen.overlapped is not None:
        rows.append(("overlap", f"{_percent(seen.overlapped)} of bone pixels are of two bones or more"))
    if seen.wrist is not None:
        w = seen.wrist
        rows.append(("wrists", f"{w.low:.0f} to {w.high:.0f} degrees, median {w.median:.0f}; {seen.bent} bent"))
    ages = sorted(seen.ages)
    if ages:
        rows.append(("ages", f"{ages[0]:g} to {ages[-1]:g} years, median {ages[len(ages) // 2]:g}"))
    rows.append(("sexes", _counts(seen.sexes) if seen.sexes else "not known"))
    rows.append(("people", seen.people))
    return rows


_SIDES = {"L": "left", "R": "right", "?": "not told"}


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _percent(spread: Spread) -> str:
    return f"{spread.median:.1%} (from {spread.p5:.1%} to {spread.p95:.1%})"


def _spacing(seen: Fingerprint) -> str:
    if seen.spacing is None:
        return f"not known in the {seen.looked_at} pictures looked at: lengths can only be told in px"
    s = seen.spacing
    return f"{s.low:.3g} to {s.high:.3g} mm per px, median {s.median:.3g}; {_counts(seen.spacing_sources)}"


def _histograms(seen: Fingerprint) -> list[Histogram]:
    from ossa.pages.data_set import Histogram

    longest = [float(max(size)) for size, count in seen.sizes.items() for _ in range(count)]
    return [
        Histogram("Longer side", "px", longest),
        Histogram("Wrist angle", "degrees, positive towards the little finger", seen.wrist_angles),
        Histogram("Age", "years", seen.ages),
    ]


def _bone_rows(seen: Fingerprint, schema: BoneSchema) -> list[BoneRow]:
    from ossa.pages.data_set import BoneRow

    return [
        BoneRow(
            one.title,
            "#{:02x}{:02x}{:02x}".format(*bone.colour),
            one.drawn,
            one.judged,
            None if one.area is None else (one.area.p5, one.area.median, one.area.p95),
        )
        for one, bone in zip(seen.bones, schema.bones, strict=True)
    ]


def _pictures(dataset: Dataset) -> Sequence[tuple[str, bytes]]:
    """A few cases with their bones drawn, evenly spread over the set; what cannot be read is left out."""
    import cv2
    import numpy as np

    from ossa.export.overlay import overlay
    from ossa.radiograph.display import jpeg
    from ossa.radiograph.radiograph import Radiograph
    from ossa.segmentation.segmentation import Segmentation

    cases = dataset.labelled or dataset.cases
    out = []
    for i in np.linspace(0, len(cases) - 1, min(_SHOWN, len(cases))).round().astype(int).tolist():
        case = cases[i]
        try:
            radiograph: Radiograph = case.radiograph()
            if case.label is None:
                found = Segmentation(dataset.schema, radiograph.shape, {})
            else:
                found = case.truth(dataset.schema, radiograph.shape).segmentation(dataset.schema, radiograph.shape)
        except InputError:
            continue  # told among the problems
        picture = overlay(radiograph, found)
        scale = min(1.0, _SIDE / max(picture.shape[:2]))
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        out.append((f"{case.subject}: {case.id}", jpeg(small, 80)))
    return out
