"""Trips around a data set: what is in it, what is wrong with it, its folds, what a network would be shown of it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import ConfigError, DatasetError, InputError, LabelError, reason_of
from ossa.parallel.pool import Pool
from ossa.progress import Track, silent
from ossa.safety import parse_yaml, refuse_inputs, write_bytes, write_json, write_text
from ossa.safety.log import Log
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ossa.dataset.audit import Audit
    from ossa.dataset.dataset import Dataset
    from ossa.training.augment_keys import AugmentConfig
    from ossa.training.batches import Sample


#: What follows the name of an audit's table: the log of one that is not complete lies beside it, hidden.
RUN = ".ossa-run"


@dataclass(frozen=True)
class DataSummary:
    """``rows``: (what, value) lines; ``bones``: (bone, title, pictures that show it, median area in px or None)."""

    rows: tuple[tuple[str, str], ...]
    bones: tuple[tuple[str, str, int, float | None], ...]
    problems: tuple[str, ...]


def summarise(
    path: str | Path,
    schema: BoneSchema | None = None,
    track: Track = silent,
    names: str | Path | None = None,
) -> DataSummary:
    """Count pictures, subjects, sides and wrists of a data set, and each bone with its median area.

    A label that cannot be read, or of which something is left out, becomes a problem. ``names``: a file that maps names
    of labels to bones. Raises DatasetError when the folder is no data set.
    """
    import numpy as np

    from ossa.dataset.dataset import open_dataset
    from ossa.dataset.folds import Stratum
    from ossa.hand.geometry import geometry_of_outlines
    from ossa.hand.sides import side_of
    from ossa.hand.wrist import BENT, wrist_angle

    dataset = open_dataset(path, schema, names=names)
    problems = [str(problem) for problem in dataset.problems]
    areas: dict[str, list[float]] = {name: [] for name in dataset.schema.names}
    strata: Counter[str] = Counter()
    for case in track(dataset.labelled, len(dataset.labelled), "reading labels"):
        try:
            truth = case.truth(dataset.schema)
        except LabelError as error:
            problems.append(str(error))
            continue
        outlines = truth.outlines
        problems += [f"{case.name}: {what}" for what in truth.left_out]
        if not truth.annotated:
            problems.append(f"{case.name}: the label outlines no bone")
        angle = wrist_angle(outlines, dataset.schema)
        measured = geometry_of_outlines(outlines, dataset.schema)
        bent = angle is not None and abs(angle) >= BENT
        strata[Stratum(bent, case.side or side_of(measured) or "?").name] += 1
        for name in outlines:
            areas[name].append(float(measured.area[dataset.schema.index(name)]))
    splits = Counter(case.split for case in dataset)
    rows = [
        ("format", dataset.format),
        ("pictures", f"{len(dataset)} of {len(dataset.subjects)} subjects"),
        ("labelled", str(len(dataset.labelled))),
        ("splits", ", ".join(f"{name} {count}" for name, count in sorted(splits.items()))),
        ("hands", ", ".join(f"{name} {count}" for name, count in sorted(strata.items())) or "no label to measure"),
    ]
    bones = tuple(
        (bone.name, bone.title, len(areas[bone.name]), float(np.median(areas[bone.name])) if areas[bone.name] else None)
        for bone in dataset.schema.bones
    )
    return DataSummary(tuple(rows), bones, tuple(problems))


def audit_dataset(
    path: str | Path,
    output: Path | None = None,
    *,
    schema: BoneSchema | None = None,
    workers: int | None = None,
    pool: Pool | None = None,
    track: Track = silent,
    names: str | Path | None = None,
) -> Audit:
    """Look for label errors; ``output`` gets all findings as a table (.csv) or with the measurements (.json).

    ``names``: a file that maps names of labels to bones. ``pool``: who does the work, if not ``workers`` processes of
    this machine. With an ``output`` an audit that was stopped goes on where it was.
    """
    from ossa import __version__
    from ossa.dataset.audit import audit
    from ossa.dataset.audit_memory import LoggedAudit
    from ossa.dataset.dataset import open_dataset

    if output is not None:
        if output.suffix.lower() not in (".csv", ".json"):
            expected = "a name in .csv or .json"
            raise ConfigError("the findings cannot be written so", found=output.name, expected=expected)
        refuse_inputs(output, [path])
    dataset = open_dataset(path, schema, names=names)
    if output is None:
        return audit(dataset, workers, track, pool=pool)
    settings = {"ossa": __version__, "bones": dataset.schema.name, "names": None if names is None else str(names)}
    log = Log.begin(output.with_name(f".{output.name}{RUN}"), settings)
    found = audit(dataset, workers, track, pool=pool, memory=LoggedAudit(log))
    _write_findings(output, found)
    log.remove()
    return found


def _write_findings(output: Path, found: Audit) -> None:
    if output.suffix.lower() == ".json":
        findings = [
            {"case": f.case, "kind": f.kind, "bones": list(f.bones), "message": f.message} for f in found.findings
        ]
        measured = {case: {"side": side, "wrist_angle": angle} for case, (side, angle) in found.measured.items()}
        write_json(output, {"checked": found.checked, "findings": findings, "measured": measured})
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["case", "kind", "bones", "message"])
    table.writerows([f.case, f.kind, " ".join(f.bones), f.message] for f in found.findings)
    write_text(output, text.getvalue())


@dataclass(frozen=True)
class FoldsFile:
    """What was written: its ``hash``, cases per stratum and fold, and names of an imported split that fit nothing."""

    hash: str
    table: dict[str, list[int]]
    strangers: tuple[str, ...]


def make_folds_file(
    path: str | Path,
    output: Path,
    count: int,
    *,
    seed: int = 1,
    schema: BoneSchema | None = None,
    track: Track = silent,
    names: str | Path | None = None,
    imported: str | Path | None = None,
) -> FoldsFile:
    """Write the folds of a data set's labelled cases once.

    ``names``: a file that maps names of labels to bones. ``imported``: somebody's split instead of one of ``count``
    folds that is made here (see ``dataset.folds_import``).
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.dataset.folds import make_folds, strata_of, table, write_folds
    from ossa.dataset.folds_import import import_folds

    dataset = open_dataset(path, schema, names=names)
    strangers: tuple[str, ...] = ()
    if imported is not None:
        refuse_inputs(output, [path, imported])
        folds, strangers = import_folds(imported, dataset.labelled)
    strata = strata_of(dataset.labelled, dataset.schema, track)
    if imported is None:
        folds = make_folds(strata, count, seed)
    write_folds(output, folds)
    return FoldsFile(folds.hash, table(strata, folds), strangers)


def write_contact_sheet(
    path: str | Path,
    output: Path,
    *,
    size: int = 384,
    count: int = 12,
    columns: int = 4,
    seed: int = 0,
    settings: Sequence[str] = (),
    schema: BoneSchema | None = None,
    names: str | Path | None = None,
) -> tuple[int, tuple[str, ...]]:
    """Write a PNG of augmented samples with their truth; how many it shows, and what could not be read.

    ``settings`` are "name=value" changes of the augmentation ("p_bend=1", "rotate=45", "scale=[0.5,1]"). Cases are
    drawn by ``seed``; the same arguments give the same picture. A case that cannot be read gives its place to the
    next. Raises DatasetError when none can be read or has a label, OutputError when ``output`` lies in the data set.
    ``names``: a file that maps names of labels to bones.
    """
    import numpy as np

    from ossa.dataset.cache import GreyCache
    from ossa.dataset.dataset import open_dataset
    from ossa.errors import MissingExtraError
    from ossa.radiograph.prepare import Preparation

    try:
        from ossa.training.batches import BoneData
        from ossa.training.samples import CaseSource
        from ossa.training.sheet import contact_sheet
    except ImportError as error:
        raise MissingExtraError.of("drawing training samples", "train", error) from error
    if count < 1 or columns < 1 or size < 32:
        raise ConfigError("the sheet would be empty", found=f"{count} samples of {size} px in {columns} columns")
    _refuse_other_than_png(output)
    refuse_inputs(output, [path])
    dataset = _labelled(open_dataset(path, schema, names=names))
    source = CaseSource(dataset.labelled, dataset.schema, GreyCache(None, Preparation(size)))
    data = BoneData(source, dataset.schema, size, augment=_augmentation(settings), seed=seed)
    order = cycle(np.random.default_rng(seed).permutation(len(source)).tolist())
    bad: dict[int, str] = {}
    samples: list[Sample] = []
    while len(samples) < count:
        index = next(i for i in order if i not in bad)
        try:
            samples.append(data[(0, len(samples), index)])
        except InputError as error:
            bad[index] = reason_of(error, dataset.labelled[index].image)
            if len(bad) == len(source):
                raise DatasetError("no labelled picture can be read", path=path, found=bad[index]) from error
    write_sheet(output, contact_sheet(samples, dataset.schema, columns))
    return len(samples), tuple(bad.values())


def _refuse_other_than_png(output: Path) -> None:
    if output.suffix.lower() != ".png":
        raise ConfigError("the sheet cannot be written so", found=output.name, expected="a name in .png")


def write_sheet(output: Path, sheet: NDArray[np.uint8]) -> None:
    """Write a contact sheet (H, W, 3) RGB as PNG. Raises ConfigError for another kind of name."""
    from ossa.radiograph.display import png

    _refuse_other_than_png(output)
    write_bytes(output, png(sheet))


def _labelled(dataset: Dataset) -> Dataset:
    if not dataset.labelled:
        raise DatasetError("has no labelled picture", path=dataset.root, found=f"{len(dataset)} without a label")
    return dataset


def _augmentation(settings: Sequence[str]) -> AugmentConfig:
    """The augmentation with "name=value" changes; ConfigError names the nearest setting."""
    import yaml

    from ossa.training.augment_keys import augment_config

    values = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError("a setting is written name=value", found=setting, expected="such as p_flip=1")
        try:
            values[name] = parse_yaml(value)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise ConfigError(f"the value of '{name}' cannot be read", found=value) from error
    return augment_config(values)
