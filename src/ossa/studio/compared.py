"""What a retraining brought: old and new model on the corrected pictures, those that were kept from training apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ossa.dataset.folds import read_folds
from ossa.labels.results import Entry, open_results
from ossa.radiograph.read import read_size
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation
from ossa.studio.index import scores_of

#: The two models of a comparison, called as the folders of what they found.
MODELS = ("old", "new")


def compared(folder: Path, pictures: Sequence[Mapping[str, Any]], schema: BoneSchema) -> dict[str, Any]:
    """Dice of both models for the corrected ``pictures`` of a job in ``folder``, as JSON values.

    ``old`` and ``new`` are means over the ``held_out`` pictures that the new model was not trained on, ``bones`` the
    same bone by bone; ``trained_on`` has the means of the others, and ``pictures`` every picture's. None where there is
    nothing to take a mean of.
    """
    seen = {subject for subject, fold in read_folds(folder / "run" / "folds.json").fold_of.items() if fold != 0}
    truth = by_name(folder / "data", schema)
    answers = {which: by_name(folder / which, schema) for which in MODELS}
    rows: list[dict[str, Any]] = []
    told: dict[str, dict[str, list[float]]] = {which: {name: [] for name in schema.names} for which in MODELS}
    for picture in pictures:
        row = {"id": picture["id"], "name": picture["name"], "trained_on": picture["subject"] in seen}
        own = truth[str(PurePosixPath(picture["file"]).with_suffix(""))]
        shape = read_size(own.image or Path(picture["file"]))
        drawn, judged = own.open().read(shape)
        for which, found in answers.items():
            values = _scores(found.get(own.id.rpartition(".")[0] or own.id), drawn, judged, shape)
            row[which] = mean(values)
            for name, value in zip(schema.names, values or (), strict=values is not None):
                if value == value and not row["trained_on"]:
                    told[which][name].append(value)
        rows.append(row)

    def means(trained_on: bool) -> dict[str, float | None]:
        return {which: mean([row[which] for row in rows if row["trained_on"] == trained_on]) for which in MODELS}

    return {
        **means(False),
        "held_out": sum(not row["trained_on"] for row in rows),
        "bones": {name: [mean(told[which][name]) for which in MODELS] for name in schema.names},
        "pictures": rows,
        "trained_on": means(True),
    }


def by_name(folder: Path, schema: BoneSchema) -> dict[str, Entry]:
    """Entries by name, and by their last part."""
    found = open_results(folder, schema).entries
    by_stem = {key.rpartition("/")[2]: entry for key, entry in found.items()}
    long = {"/".join(key.split("/")[-2:]): entry for key, entry in found.items()}
    return {**by_stem, **long, **found}


def _scores(
    entry: Entry | None, truth: Segmentation, judged: frozenset[str], shape: tuple[int, int]
) -> list[float] | None:
    """Dice of every bone; None where the model said nothing of the picture."""
    if entry is None:
        return None
    values: list[float] = scores_of(entry.read(shape), truth, judged).tolist()
    return values


def mean(values: Sequence[float | None] | None) -> float | None:
    """The mean of what is a number; None where nothing is."""
    told = [value for value in values or () if value is not None and value == value]
    return round(sum(told) / len(told), 4) if told else None
