"""Predictions against the truth, bone by bone: the trip behind ``ossa evaluate``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, InputError
from ossa.labels.results import Entry, Results, find_pictures, open_results, picture_shape
from ossa.progress import Track, silent
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.pages.report import ThresholdTable, WorstCase
    from ossa.segmentation.compare import Comparison, Summary
    from ossa.segmentation.scores import Scores
    from ossa.segmentation.segmentation import Segmentation

Values = NDArray[np.float64]

#: Measures of a comparison that become columns of a score table.
COLUMNS = ("dice", "surface_dice", "hd95", "overlap_dice", "iou")

#: Thresholds at which stored probabilities are scored.
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)

#: What the output folder calls the run lengths of everything that was compared.
SUBMISSION = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``summary`` and ``scores`` over all pictures compared; ``missing``: labelled pictures without a prediction;
    ``unknown``: predictions of pictures that the truth does not have. ``page`` is the report, when one was written.
    """

    summary: Summary
    scores: Scores
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    thresholds: ThresholdTable | None = None
    page: Path | None = None

    @property
    def dice(self) -> dict[str, float]:
        """Mean Dice over bones, per picture."""
        return dict(zip(self.scores.images, self.scores.per_image("dice").tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Pair:
    """One picture to compare; ``shape`` is found when the picture is opened."""

    key: str
    truth: Entry
    predicted: Entry
    picture: Path | None


@dataclass(frozen=True, eq=False)
class _Scored:
    """``at`` (T, C): Dice at each threshold, where probabilities are saved."""

    comparison: Comparison
    at: Values | None


def evaluate(
    prediction: str | Path,
    truth: str | Path,
    *,
    output: str | Path | None = None,
    images: str | Path | None = None,
    schema: BoneSchema | None = None,
    tolerance: float = 2.0,
    worst: int = 24,
    workers: int | None = None,
    track: Track = silent,
) -> Evaluation:
    """Compare predictions with every labelled picture.

    ``prediction`` and ``truth``: a submission CSV, the output of ``ossa predict``, saved probabilities, a folder of
    label files, or a data set of any known format. ``tolerance`` of surface Dice in px. ``output`` takes the report
    (one page), its tables, and the run lengths of what was compared. ``images``: a folder of the pictures, where
    neither side knows them (then run lengths are taken to be of 2048 x 2048 pictures, as the competition's).

    A picture without a prediction is left out and named. A bone that is not annotated is not scored. Raises
    InputError when nothing is to be compared, and the errors of the readers.
    """
    from ossa.labels.submission import write_submission
    from ossa.parallel import in_order
    from ossa.segmentation.compare import aggregate
    from ossa.segmentation.scores import Scores

    if worst < 0:
        raise ConfigError("the number of worst cases is out of range", found=worst, expected="0 or more")
    bones = schema if schema is not None else load_schema()
    known, found = open_results(truth, bones), open_results(prediction, bones)
    pairs, missing, unknown = _pair(known, found, find_pictures(images, (known, found)))
    with_thresholds = all(pair.predicted.probabilities is not None for pair in pairs)
    job = partial(_score, schema=bones, tolerance=tolerance, thresholds=with_thresholds)
    results: list[_Scored] = []

    def compared() -> Iterator[tuple[str, Segmentation]]:
        done = in_order((partial(job, pair) for pair in pairs), workers)
        for pair, (scored, predicted) in zip(pairs, track(done, len(pairs), "Comparing"), strict=True):
            results.append(scored)
            yield _image_name(pair), predicted

    if output is not None:
        write_submission(Path(output) / SUBMISSION, compared())
    else:
        deque(compared(), maxlen=0)
    comparisons = [result.comparison for result in results]
    names = tuple(pair.truth.name for pair in pairs)
    subjects = tuple(pair.truth.subject or pair.predicted.subject or pair.key for pair in pairs)
    values = {c: np.stack([getattr(comparison, c) for comparison in comparisons]) for c in COLUMNS}
    scores = Scores(names, subjects, bones.names, values)
    table = _threshold_table([result.at for result in results]) if with_thresholds else None
    evaluation = Evaluation(aggregate(comparisons), scores, missing, unknown, table)
    if output is None:
        return evaluation
    page = _write_report(Path(output), evaluation, comparisons, pairs, (known, found), worst)
    return Evaluation(evaluation.summary, scores, missing, unknown, table, page)


def _pair(
    known: Results, found: Results, pictures: Mapping[str, Path]
) -> tuple[list[_Pair], tuple[str, ...], tuple[str, ...]]:
    """What can be compared, labelled pictures without a prediction, predictions without a truth."""
    labelled = {key: entry for key, entry in known.entries.items() if entry.annotated}
    if not labelled:
        raise InputError("no picture has a label", path=known.path, expected="pictures with labels")
    pairs, missing, used = [], [], set()
    for key, entry in labelled.items():
        predicted = found.find(key, entry.subject)
        if predicted is None:
            missing.append(entry.name)
            continue
        used.add(predicted.name)
        pairs.append(_Pair(key, entry, predicted, pictures.get(key)))
    if not pairs:
        others = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise InputError(
            "no prediction belongs to a labelled picture",
            path=found.path,
            found=f"none for {missing[0]}{others}; the first prediction is of '{next(iter(found.entries), '')}'",
            expected=f"predictions for the pictures of {known.path}",
        )
    unknown = tuple(entry.name for entry in found.entries.values() if entry.name not in used)
    return pairs, tuple(missing), unknown


def _score(pair: _Pair, schema: BoneSchema, tolerance: float, thresholds: bool) -> tuple[_Scored, Segmentation]:
    """Read both sides of one picture and compare them."""
    from ossa.segmentation.compare import compare, dice
    from ossa.segmentation.decode import decode

    shape = _shape(pair)
    truth, predicted = pair.truth.read(shape), pair.predicted.read(shape)
    comparison = compare(predicted, truth, tolerance)
    unscored = np.array([name not in pair.truth.annotated for name in schema.names])
    if unscored.any():
        blank: dict[str, Any] = {c: np.where(unscored, np.nan, getattr(comparison, c)) for c in (*COLUMNS, "assd")}
        comparison = replace(comparison, **blank)
    at = None
    if thresholds and pair.predicted.probabilities is not None:
        saved = pair.predicted.probabilities()
        logits = saved.logits()
        at = np.empty((len(THRESHOLDS), len(schema)))
        for i, threshold in enumerate(THRESHOLDS):
            cut = decode(logits, saved.placement, schema, dict.fromkeys(schema.names, threshold))
            at[i] = [dice(cut.get(name), truth.get(name)) for name in schema.names]
        at[:, unscored] = np.nan
    return _Scored(comparison, at), predicted


def _shape(pair: _Pair) -> tuple[int, int]:
    from ossa.labels.submission import COMPETITION_SHAPE

    if pair.picture is not None:
        return picture_shape(pair.picture)
    if pair.predicted.probabilities is not None:
        return pair.predicted.probabilities().placement.image_shape
    return COMPETITION_SHAPE


def _threshold_table(rows: Sequence[Values | None]) -> ThresholdTable:
    from ossa.pages.report import ThresholdTable
    from ossa.segmentation.scores import finite_mean

    return ThresholdTable(THRESHOLDS, finite_mean(np.stack([row for row in rows if row is not None]), axis=0))


def _image_name(pair: _Pair) -> str:
    return pair.picture.name if pair.picture is not None else pair.truth.name


def _write_report(
    folder: Path,
    evaluation: Evaluation,
    comparisons: Sequence[Comparison],
    pairs: Sequence[_Pair],
    sources: tuple[Results, Results],
    worst: int,
) -> Path:
    from ossa.pages.report import Report, write_report

    known, found = sources
    scores = evaluation.scores
    notes = list(known.problems[:5])
    if evaluation.missing:
        shown = ", ".join(evaluation.missing[:5]) + (", ..." if len(evaluation.missing) > 5 else "")
        notes.append(f"{len(evaluation.missing)} labelled pictures have no prediction and are left out: {shown}")
    if evaluation.unknown:
        shown = ", ".join(evaluation.unknown[:5]) + (", ..." if len(evaluation.unknown) > 5 else "")
        notes.append(f"{len(evaluation.unknown)} predictions are of pictures without a label: {shown}")
    report = Report(
        title=f"{found.path.resolve().name} against {known.path.resolve().name}",
        schema=evaluation.summary.schema,
        scores=scores,
        unit=evaluation.summary.unit,
        tolerance=evaluation.summary.tolerance,
        predicted=np.stack([c.predicted for c in comparisons]),
        annotated=np.stack([c.annotated for c in comparisons]),
        facts={
            "predictions": f"{found.path.name} ({found.kind})",
            "truth": f"{known.path.name} ({known.kind})",
            "pictures": f"{len(scores.images)} of {len(set(scores.subjects))} subjects",
        },
        notes=notes,
        worst=_worst_cases(scores, pairs, evaluation.summary.schema, worst),
        thresholds=evaluation.thresholds,
    )
    return write_report(folder, report)


def _worst_cases(scores: Scores, pairs: Sequence[_Pair], schema: BoneSchema, count: int) -> list[WorstCase]:
    """The lowest Dice pairs with a picture of the place; at most three bones of one picture."""
    from ossa.pages.report import WorstCase, case_picture
    from ossa.radiograph.read import read_radiograph

    chosen: list[tuple[int, int]] = []
    per_picture: dict[int, int] = {}
    for image, bone in scores.worst("dice", 20 * count):
        if per_picture.get(image, 0) < 3 and len(chosen) < count:
            chosen.append((image, bone))
            per_picture[image] = per_picture.get(image, 0) + 1
    pictures: dict[tuple[int, int], bytes | None] = {}
    for image in dict.fromkeys(i for i, _ in chosen):  # each picture is read once, its bones come out in any order
        pair = pairs[image]
        if pair.picture is None:
            continue
        grey = read_radiograph(pair.picture).pixels
        truth, found = pair.truth.read(grey.shape), pair.predicted.read(grey.shape)
        for bone in (b for i, b in chosen if i == image):
            name = schema.names[bone]
            pictures[image, bone] = case_picture(grey, truth.get(name), found.get(name), schema.bones[bone].colour)
    return [
        WorstCase(
            scores.images[image],
            scores.bones[bone],
            {m: float(scores.values[m][image, bone]) for m in ("dice", "surface_dice", "hd95")},
            pictures.get((image, bone)),
        )
        for image, bone in chosen
    ]
