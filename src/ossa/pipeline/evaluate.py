"""Predictions against the truth, bone by bone: the trip behind ``ossa evaluate``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, ImageError, InputError, LabelError, OssaError
from ossa.labels.meant import Look, look, suspicion
from ossa.labels.results import (
    CSV,
    STORE,
    Opened,
    Results,
    Saved,
    Shape,
    open_results,
)
from ossa.labels.several import named
from ossa.pipeline.pairs import Pair, pair_up
from ossa.progress import Track, silent
from ossa.safety import output_folder
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.decode import per_bone
from ossa.segmentation.segmentation import Segmentation

if TYPE_CHECKING:
    from ossa.pages.evaluation import ThresholdTable, WorstCase
    from ossa.segmentation.compare import Comparison, Summary
    from ossa.segmentation.scores import Scores

Values = NDArray[np.float64]

#: Metrics of a comparison that become columns of a score table.
COLUMNS = ("dice", "surface_dice", "hd95", "overlap_dice", "iou")

#: Thresholds at which stored probabilities are scored.
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)

#: What the output folder calls the run lengths of everything that was compared.
SUBMISSION = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``summary`` and ``scores`` over all pictures compared. ``missing``: labelled pictures without a prediction;
    ``unknown``: predictions of pictures that the truth does not have; ``unjudged``: labelled pictures in which nobody
    judged a bone; ``failed``: a sentence for every picture that could not be compared; ``warnings``: how the whole
    looks. ``page``: where it can be looked at, when it was written.
    """

    summary: Summary
    scores: Scores
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    thresholds: ThresholdTable | None = None
    page: Path | None = None

    @property
    def dice(self) -> dict[str, float]:
        """Mean Dice over bones, per picture."""
        return dict(zip(self.scores.images, self.scores.per_image("dice").tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Scored:
    """``at`` (T, C): Dice at each threshold, where probabilities are saved; ``look`` where run lengths are compared."""

    pair: Pair
    comparison: Comparison
    predicted: tuple[Segmentation, ...]
    judged: bool
    at: Values | None
    look: Look | None


@dataclass(frozen=True)
class _Rules:
    """What holds for all pictures of a comparison."""

    schema: BoneSchema
    tolerance: float
    size: Shape | None
    scale_labels: bool
    csv: Literal["predicted", "truth"] | None
    cuts: tuple[Mapping[str, float], ...] = ()

    @property
    def table(self) -> tuple[Mapping[str, float], ...]:
        """The thresholds at which saved probabilities are scored."""
        return self.cuts or tuple(dict.fromkeys(self.schema.names, t) for t in THRESHOLDS)

    @property
    def main(self) -> int:
        """Which of the table's thresholds all other figures are taken at."""
        return 0 if self.cuts else THRESHOLDS.index(0.5)


def evaluate(
    prediction: str | Path,
    truth: str | Path,
    *,
    output: str | Path | None = None,
    images: str | Path | None = None,
    size: Shape | None = None,
    names: str | Path | None = None,
    scale_labels: bool = False,
    schema: BoneSchema | None = None,
    tolerance: float = 2.0,
    worst: int = 24,
    thresholds: Sequence[Mapping[str, float]] = (),
    workers: int | None = None,
    track: Track = silent,
) -> Evaluation:
    """Compare predictions with every labelled picture.

    ``prediction`` and ``truth``: a submission CSV, the output of ``ossa predict``, saved probabilities, a folder of
    label files, or a data set of any known format. ``tolerance`` of surface Dice in px. ``output`` takes the page
    (one page), its tables, and the run lengths of what was compared. ``names``: a file that maps names of labels to
    bones. The size of a picture is what its label or its probabilities say, else that of the picture (``images``: a
    folder of them, where neither side knows them), else ``size`` (H, W). A label drawn at another size than its picture
    has is refused, or with ``scale_labels`` scaled. ``thresholds`` (bone -> probability, "*" for every bone, .5 where
    nothing is said): where saved probabilities are cut; figures are taken at the first, and of several each has a
    file of run lengths. Without them figures are taken at .5, and a table says how others would do.

    A picture without a prediction is left out and named, and so is one that cannot be compared. A bone that nobody
    judged is not scored. Raises InputError when nothing is to be compared, OutputError when ``output`` is one of the
    inputs.
    """
    if worst < 0:
        raise ConfigError("the number of worst cases is out of range", found=worst, expected="0 or more")
    bones = schema if schema is not None else load_schema()
    known, found = (open_results(path, bones, names, scale_labels) for path in (truth, prediction))
    pairs, missing, unknown = pair_up(known, found, images)
    csv: Literal["predicted", "truth"] | None = None
    if CSV in (found.kind, known.kind):
        csv = "predicted" if found.kind == CSV else "truth"
    if thresholds and found.kind != STORE:
        raise ConfigError(
            "thresholds are for saved probabilities",
            found=f"{found.path}: {found.kind}",
            expected="a folder that 'ossa ensemble save' or 'ossa train' with folds.store wrote",
        )
    cuts = tuple(per_bone(bones, {"*": 0.5, **one}) for one in thresholds)
    rules = _Rules(bones, tolerance, size, scale_labels, csv, cuts)
    given = [path for path in (prediction, truth, images) if path is not None]
    with nullcontext() if output is None else output_folder(output, given, ("evaluation.html",)) as folder:
        files: tuple[Path, ...] = ()
        if folder is not None:
            several = named(folder / SUBMISSION, thresholds) if len(thresholds) > 1 else ()
            files = (folder / SUBMISSION, *several)
        results, failed = _compare(pairs, rules, files, workers, track)
        unjudged = tuple(result.pair.name for result in results if not result.judged)
        results = [result for result in results if result.judged]
        if not results:
            raise InputError(
                "nothing could be compared",
                path=known.path,
                found=failed[0] if failed else f"{len(unjudged)} pictures in which no bone is outlined",
            )
        evaluation = _evaluation(results, tuple(one.get("*", 0.5) for one in thresholds) or THRESHOLDS)
        doubt = suspicion([result.look for result in results if result.look is not None])
        evaluation = replace(
            evaluation,
            missing=missing,
            unknown=unknown,
            unjudged=unjudged,
            failed=tuple(dict.fromkeys(failed)),
            warnings=(f"the run lengths of {(found if csv == 'predicted' else known).path} {doubt}",) if doubt else (),
        )
        if folder is None:
            return evaluation
        cut = rules.table[rules.main]
        return replace(evaluation, page=_write_page(folder, evaluation, results, (known, found), worst, cut))


def _evaluation(results: Sequence[_Scored], thresholds: Sequence[float]) -> Evaluation:
    from ossa.segmentation.compare import aggregate
    from ossa.segmentation.scores import Scores

    comparisons = [result.comparison for result in results]
    pairs = [result.pair for result in results]
    subjects = tuple(pair.truth.subject or pair.predicted.subject or pair.truth.name for pair in pairs)
    values = {c: np.stack([getattr(comparison, c) for comparison in comparisons]) for c in COLUMNS}
    scores = Scores(tuple(pair.name for pair in pairs), subjects, comparisons[0].schema.names, values)
    rows = [result.at for result in results if result.at is not None]
    return Evaluation(aggregate(comparisons), scores, thresholds=_threshold_table(rows, thresholds) if rows else None)


def _compare(
    pairs: Sequence[Pair], rules: _Rules, files: Sequence[Path], workers: int | None, track: Track
) -> tuple[list[_Scored], list[str]]:
    """Compare all pairs; what could be compared, and why the rest could not. Run lengths go to ``files``."""
    from ossa.labels.several import write_submissions
    from ossa.parallel import in_order

    results: list[_Scored] = []
    failed: list[str] = []

    def compared() -> Iterator[tuple[str, tuple[Segmentation, ...]]]:
        done = in_order((partial(_try, pair, rules) for pair in pairs), workers)
        for result in track(done, len(pairs), "Comparing"):
            if isinstance(result, OssaError):
                failed.append(str(result))
                continue
            results.append(replace(result, predicted=()))
            yield result.pair.image_name, result.predicted[: len(files)]

    if files:
        write_submissions(files, compared())
    else:
        deque(compared(), maxlen=0)
    return results, failed


def _try(pair: Pair, rules: _Rules) -> _Scored | OssaError:
    """One file that cannot be read never ends the others."""
    try:
        return _score(pair, rules)
    except ConfigError:
        raise  # the same for every picture
    except OssaError as error:
        return error


def _score(pair: Pair, rules: _Rules) -> _Scored:
    """Read both sides of one picture, each once, and compare them."""
    from ossa.segmentation.compare import compare, dice

    known, found = pair.truth.open(), pair.predicted.open()
    shape = _shape(pair, known, found, rules)
    truth, annotated = known.read(shape)
    if isinstance(found, Saved):
        cuts = found.read_at(shape, rules.table)
        predicted = cuts[rules.main]
    else:
        cuts, predicted = [], found.read(shape)[0]
    comparison = compare(predicted, truth, rules.tolerance)
    unscored = np.array([name not in annotated for name in rules.schema.names])
    at = np.array([[dice(cut.get(name), truth.get(name)) for name in rules.schema.names] for cut in cuts])
    if unscored.any():
        blank: dict[str, Any] = {c: np.where(unscored, np.nan, getattr(comparison, c)) for c in (*COLUMNS, "assd")}
        nowhere = {c: getattr(comparison, c) & ~unscored for c in ("predicted", "annotated")}
        comparison = replace(comparison, **blank, **nowhere)
        at = np.where(unscored, np.nan, at) if len(at) else at
    seen = None
    if rules.csv is not None:
        seen = look(predicted, truth) if rules.csv == "predicted" else look(truth, predicted)
    each = (predicted, *cuts) if rules.cuts else (predicted,)
    return _Scored(pair, comparison, each, bool(annotated), at if len(at) else None, seen)


def _shape(pair: Pair, known: Opened, found: Opened, rules: _Rules) -> Shape:
    """The picture's (H, W), from whom it is known: the labels, the picture, the user. It is never guessed."""
    from ossa.radiograph.read import read_size

    own = next((opened.size for opened in (known, found) if opened.size is not None), None)
    try:
        seen = read_size(pair.picture) if pair.picture is not None else None
    except ImageError:
        if own is None:
            raise
        seen = None  # a broken picture, and nothing of it is needed
    if own is not None and seen is not None and seen != own and not rules.scale_labels:
        raise LabelError(
            f"the picture of '{pair.name}' has another size than what is compared",
            path=pair.picture,
            found="{}x{}".format(*seen),
            expected="{}x{}".format(*own),
            remedy="Give the picture of this label; if it shows the same, have labels scaled (--scale-labels)",
        )
    size = seen or own or rules.size
    if size is not None:
        return size
    raise InputError(
        f"the size of '{pair.name}' is not known",
        expected="a label that says it, the picture, or a size",
        remedy="Give the folder of the pictures (--images), or the size of all of them (--size HEIGHTxWIDTH)",
    )


def _threshold_table(rows: Sequence[Values], thresholds: Sequence[float]) -> ThresholdTable:
    from ossa.pages.evaluation import ThresholdTable
    from ossa.segmentation.scores import finite_mean

    table = np.stack(rows)
    everything = table.transpose(1, 0, 2).reshape(len(thresholds), -1)
    return ThresholdTable(tuple(thresholds), finite_mean(table, axis=0), finite_mean(everything, axis=1))


def _write_page(
    folder: Path,
    evaluation: Evaluation,
    results: Sequence[_Scored],
    sources: tuple[Results, Results],
    worst: int,
    cut: Mapping[str, float],
) -> Path:
    from ossa.pages.evaluation import EvaluationPage, write_evaluation

    known, found = sources
    scores = evaluation.scores
    comparisons = [result.comparison for result in results]
    notes = [*known.problems[:5], *evaluation.warnings]
    for names, what in (
        (evaluation.missing, "labelled pictures have no prediction and are left out"),
        (evaluation.unknown, "predictions are of pictures without a label"),
        (evaluation.unjudged, "labelled pictures have no outline and are not scored"),
        (evaluation.failed, "pictures could not be compared"),
    ):
        if names:
            notes.append(f"{len(names)} {what}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
    content = EvaluationPage(
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
        worst=_worst_cases(scores, [result.pair for result in results], evaluation.summary.schema, worst, cut),
        thresholds=evaluation.thresholds,
    )
    return write_evaluation(folder, content)


def _worst_cases(
    scores: Scores, pairs: Sequence[Pair], schema: BoneSchema, count: int, cut: Mapping[str, float]
) -> list[WorstCase]:
    """The lowest Dice pairs with a picture of the place; at most three bones of one picture."""
    from ossa.pages.evaluation import WorstCase, case_picture
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
        try:
            grey = read_radiograph(pair.picture)
            opened = pair.predicted.open()
            found = opened.read_at(grey.shape, [cut])[0] if isinstance(opened, Saved) else opened.read(grey.shape)[0]
            truth = pair.truth.read(grey.shape)
        except InputError:
            continue  # the scores need no picture; a page without this one is better than none
        for bone in (b for i, b in chosen if i == image):
            name = schema.names[bone]
            pictures[image, bone] = case_picture(
                grey.pixels, truth.get(name), found.get(name), schema.bones[bone].colour
            )
    return [
        WorstCase(
            scores.images[image],
            scores.bones[bone],
            {m: float(scores.values[m][image, bone]) for m in ("dice", "surface_dice", "hd95")},
            pictures.get((image, bone)),
        )
        for image, bone in chosen
    ]
