"""Which submission files help which bones: weights per bone of a vote, fitted on out-of-fold files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ossa.ensemble.vote import same_images, select_weights
from ossa.errors import ConfigError, InputError
from ossa.pipeline.ensemble import MAJORITY, Fitted
from ossa.progress import Track, silent
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.labels.case import Case
    from ossa.segmentation.segmentation import Segmentation

#: Files whose every combination of answers a pixel's code can hold.
MOST_FILES = 62


def fit_votes(
    submissions: Sequence[str | Path],
    dataset: str | Path,
    *,
    schema: BoneSchema | None = None,
    bones: Sequence[str] = (),
    threshold: float = MAJORITY,
    track: Track = silent,
) -> Fitted:
    """Fit one weight per file and bone for ``pipeline.ensemble.vote`` against the truth of ``dataset``.

    ``bones``: only these; the others keep equal weights, and figures of their own are not taken. ``threshold``: the
    share of the weight that makes a pixel bone. The files must be out of fold: each image predicted by a model that
    has not seen its subject, which a CSV cannot say. Scores are Dice at the pictures' own size. Raises InputError when
    the files' images differ or have no truth, ConfigError for fewer than two files or subjects, SchemaError.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.labels.submission import read_submission
    from ossa.radiograph.read import read_size

    known = load_schema() if schema is None else schema
    chosen = tuple(dict.fromkeys(known.bone(name).name for name in bones)) or known.names
    if not 2 <= len(submissions) <= MOST_FILES:
        raise ConfigError("weights are fitted for several files", found=len(submissions), expected=f"2 to {MOST_FILES}")
    found_in = open_dataset(dataset, known)
    loose = [read_submission(path, known, (1, 1)) for path in submissions]
    images = same_images({str(file.path): list(file) for file in loose})
    cases = found_in.labelled_by_image(images)
    missing = [image for image in images if image not in cases]
    if missing:
        raise InputError(
            "images without truth",
            path=dataset,
            found=", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else ""),
            expected="a label for every image of the files",
            remedy="Give the data set that the files are predictions of",
        )
    score = _VoteDice(chosen, threshold)
    for image in track(images, len(images), "Reading"):
        case = cases[image]
        score.add(case, [file.with_shape(read_size(case.image))[image] for file in loose], known)
    found = select_weights(score, [cases[image].subject for image in images], len(submissions), len(chosen))
    columns = [known.index(name) for name in chosen]
    weights = np.full((len(submissions), len(known)), 1.0 / len(submissions))
    uniform, selected = np.full(len(known), np.nan), np.full(len(known), np.nan)
    weights[:, columns], uniform[columns], selected[columns] = found.weights, found.uniform, found.selected
    return Fitted(known, tuple(str(path) for path in submissions), weights, uniform, selected)


class _VoteDice:
    """Dice (images, bones) of weighted votes.

    Pixels with the same answers of all files count alike: per image and bone only how many pixels of each combination
    are bone and how many are not is kept, so that a set of weights is scored in microseconds.
    """

    def __init__(self, bones: Sequence[str], threshold: float) -> None:
        self._bones = bones
        self._threshold = threshold
        self._rows: list[list[tuple[NDArray[np.float64], NDArray[np.int64], int] | None]] = []

    def add(self, case: Case, found: Sequence[Segmentation], schema: BoneSchema) -> None:
        """Count one image's pixels; a bone that nobody judged is not scored."""
        truth = case.truth(schema, found[0].shape)
        known = truth.segmentation(schema, found[0].shape)
        self._rows.append([_counts(known, found, b) if b in truth.annotated else None for b in self._bones])

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full((len(self._rows), len(self._bones)), np.nan)
        for n, row in enumerate(self._rows):
            for i, entry in enumerate(row):
                if entry is None:
                    continue
                answers, counts, area = entry
                total = weights[:, i].sum()
                inside = answers @ weights[:, i] >= (self._threshold - 1e-9) * total
                both, outside = counts[inside].sum(axis=0)
                out[n, i] = (2 * both + 1e-4) / (both + outside + area + 1e-4)
        return out


def _counts(
    truth: Segmentation, found: Sequence[Segmentation], bone: str
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """(K, M) answers of the files, (K, 2) pixels with them that are bone and are not, and the bone's area.

    Pixels that no file takes for bone have no row: no vote can reach them.
    """
    regions = [segmentation.get(bone) for segmentation in found]
    real = truth.get(bone)
    area = 0 if real is None else real.area
    there = [region for region in (*regions, real) if region is not None]
    if not any(region is not None for region in regions):
        return np.zeros((0, len(found))), np.zeros((0, 2), np.int64), area
    top, left = min(r.top for r in there), min(r.left for r in there)
    bottom = max(r.top + r.mask.shape[0] for r in there)
    right = max(r.left + r.mask.shape[1] for r in there)
    code = np.zeros((bottom - top, right - left), np.int64)
    for bit, region in enumerate((real, *regions)):
        if region is not None:
            y, x = region.top - top, region.left - left
            code[y : y + region.mask.shape[0], x : x + region.mask.shape[1]] |= region.mask.astype(np.int64) << bit
    values, counts = np.unique(code[code > 1], return_counts=True)
    patterns, where = np.unique(values >> 1, return_inverse=True)
    table = np.zeros((len(patterns), 2), np.int64)
    np.add.at(table, (where, 1 - (values & 1)), counts)
    answers = (patterns[:, None] >> np.arange(len(found))) & 1
    return answers.astype(np.float64), table, area
