"""Predictions against the truth, bone by bone: the trip behind ``ossa evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import InputError
from ossa.pipeline.predict import CSV_NAME
from ossa.progress import Track, silent

if TYPE_CHECKING:
    from ossa.dataset.case import Case
    from ossa.dataset.dataset import Dataset
    from ossa.segmentation.compare import Comparison, Summary
    from ossa.segmentation.segmentation import Segmentation

#: Finds the prediction for a case; None when there is none.
Predictions = Callable[["Case", tuple[int, int]], "Segmentation | None"]


@dataclass(frozen=True)
class Evaluation:
    """``summary`` over all pictures, Dice per picture, and the labelled pictures without a prediction."""

    summary: Summary
    dice: dict[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def evaluate(prediction: str | Path, truth: str | Path, *, tolerance: float = 2.0, track: Track = silent) -> Evaluation:
    """Compare predictions with every labelled picture of a data set.

    ``prediction``: a submission CSV, the output folder of ``ossa predict`` or a folder of label files. ``truth``: a
    data set folder of any known format. ``tolerance`` of surface Dice in px. A picture without a prediction is left
    out and named. Raises InputError when nothing is to be compared, and the errors of the readers.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.segmentation.compare import aggregate, compare

    dataset = open_dataset(truth)
    if not dataset.labelled:
        raise InputError("no picture has a label", path=truth, expected="pictures with labels")
    find = _predictions(Path(prediction), dataset)
    dice: dict[str, float] = {}
    missing: list[str] = []

    def comparisons() -> Iterator[Comparison]:
        for case in track(dataset.labelled, len(dataset.labelled), "Comparing"):
            shape = case.radiograph().shape
            predicted = find(case, shape)
            if predicted is None:
                missing.append(case.id)
                continue
            comparison = compare(predicted, case.segmentation(dataset.schema, shape), tolerance)
            dice[case.id] = comparison.means()["dice"]
            yield comparison
        if not dice:
            raise InputError(
                "no prediction belongs to a labelled picture",
                path=prediction,
                found=f"none for {missing[0]} and {len(missing) - 1} others",
                expected=f"predictions for the pictures of {truth}",
            )

    return Evaluation(aggregate(comparisons()), dice, tuple(missing))


def _predictions(path: Path, dataset: Dataset) -> Predictions:
    if path.is_dir():
        return _from_csv(path / CSV_NAME, dataset) if (path / CSV_NAME).is_file() else _from_labels(path, dataset)
    if not path.exists():
        raise InputError("there is no such file or folder", path=path)
    return _from_csv(path, dataset)


def _from_csv(path: Path, dataset: Dataset) -> Predictions:
    from ossa.export.csv import read_submission

    submission = read_submission(path, dataset.schema)

    def find(case: Case, shape: tuple[int, int]) -> Segmentation | None:
        names = (case.id, f"{case.subject}/{case.id}")
        name = next((n for n in names if n in submission), None)
        return None if name is None else submission.with_shape(shape)[name]

    return find


def _from_labels(folder: Path, dataset: Dataset) -> Predictions:
    from ossa.dataset.case import Truth
    from ossa.dataset.formats.competition import read_label

    def find(case: Case, shape: tuple[int, int]) -> Segmentation | None:
        stem = Path(case.id).stem
        for path in (folder / f"{stem}.json", folder / case.subject / f"{stem}.json"):
            if path.is_file():
                outlines = read_label(path, dataset.schema, shape)
                return Truth(outlines, frozenset(dataset.schema.names)).segmentation(dataset.schema, shape)
        return None

    return find
