"""Pseudo-labels as cases: a model's own answers on unlabelled pictures, with where they came from.

    RUN/pseudo/pseudo.json        models with hashes, floor, and per picture which bones were kept at which probability
    RUN/pseudo/labels/NAME.json   the kept bones in the competition's label format

A bone that the model was not sure of is not annotated, which leaves it out of the loss: it is neither there nor absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ossa.errors import LabelError
from ossa.labels.case import Case, Truth
from ossa.labels.competition import read_label, write_label
from ossa.safety import inside, read_json, write_json
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation

#: Subject of a pseudo-labelled picture, before the picture's name: no subject of a data set begins so.
SUBJECT = "pseudo:"


@dataclass(frozen=True)
class Kept:
    """One picture's pseudo-label: the bones kept and the network's probability of each."""

    image: Path
    label: Path
    probability: Mapping[str, float]


def keep(found: Segmentation, floor: float) -> Segmentation:
    """``found`` without the bones whose probability is below ``floor`` (or unknown)."""
    regions = {name: region for name, region in found if found.probability.get(name, 0.0) >= floor}
    return Segmentation(found.schema, found.shape, regions, probability=found.probability)


def write_pseudo(folder: Path, image: Path, name: str, kept: Segmentation) -> Kept:
    """Write one picture's label below ``folder``."""
    path = inside(folder / "labels", f"{name}.json")
    write_label(path, kept, image.name)
    return Kept(image, path, kept.probability)


def write_index(folder: Path, source: Mapping[str, Any], kept: Sequence[Kept], left_out: Mapping[str, str]) -> None:
    """Write pseudo.json last: a folder without it was not finished. ``left_out``: picture -> why."""
    pictures = [
        {
            "image": str(k.image),
            "label": k.label.relative_to(folder.resolve()).as_posix(),
            "bones": {name: round(float(value), 4) for name, value in k.probability.items()},
        }
        for k in kept
    ]
    write_json(folder / "pseudo.json", {"source": dict(source), "pictures": pictures, "left_out": dict(left_out)})


def read_pseudo(folder: Path) -> tuple[Case, ...]:
    """The cases of a finished folder. Raises InputError or LabelError when it is damaged."""
    index = read_json(folder / "pseudo.json")
    try:
        return tuple(
            Case(
                id=Path(entry["image"]).name,
                subject=SUBJECT + Path(entry["image"]).name,
                image=Path(entry["image"]),
                label=inside(folder, entry["label"]),
                split="pseudo",
                annotated=frozenset(entry["bones"]),
                reader=truth_of,
            )
            for entry in index["pictures"]
        )
    except (KeyError, TypeError) as error:
        raise LabelError("is not an index of pseudo-labels", path=folder / "pseudo.json", found=repr(error)) from error


def truth_of(case: Case, schema: BoneSchema) -> Truth:
    """The kept bones of a case; only they are annotated."""
    assert case.label is not None
    return Truth(read_label(case.label, schema), case.annotated)
