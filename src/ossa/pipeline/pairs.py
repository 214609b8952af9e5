"""Which prediction belongs to which labelled picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ossa.errors import InputError
from ossa.labels.results import Entry, Results, find_pictures, line_up, picture_of


@dataclass(frozen=True, eq=False)
class Pair:
    """One picture to compare. ``name`` is what its scores are called, ``image_name`` what its run lengths are."""

    name: str
    image_name: str
    truth: Entry
    predicted: Entry
    picture: Path | None


def pair_up(
    known: Results, found: Results, images: str | Path | None
) -> tuple[list[Pair], tuple[str, ...], tuple[str, ...]]:
    """What can be compared, labelled pictures without a prediction, predictions without a truth."""
    if not any(entry.labelled for entry in known.entries.values()):
        raise InputError("no picture has a label", path=known.path, expected="pictures with labels")
    rows = line_up([known, found])
    pictures = find_pictures(images, rows) if images is not None else {}
    both, missing, unknown = [], [], []
    for number, (truth, predicted) in enumerate(rows):
        if truth is not None and truth.labelled and predicted is not None:
            picture = pictures.get(number, picture_of((truth, predicted)))
            both.append((truth, predicted, picture))
        elif truth is not None and truth.labelled:
            missing.append(truth)
        elif predicted is not None:
            unknown.append(predicted)
    if not both:
        others = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise InputError(
            "no prediction belongs to a labelled picture",
            path=found.path,
            found=f"none for {missing[0].id}{others}; the first prediction is of '{next(iter(found.entries), '')}'",
            expected=f"predictions for the pictures of {known.path}",
        )
    names = _apart([(truth.id, truth.name) for truth, _, _ in both])
    image_names = _apart([(p.name if p is not None else t.id, p.as_posix() if p else t.name) for t, _, p in both])
    pairs = [Pair(name, image, *row) for name, image, row in zip(names, image_names, both, strict=True)]
    return pairs, _apart([(e.id, e.name) for e in missing]), _apart([(e.id, e.name) for e in unknown])


def _apart(names: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The first of each pair of names where it is the only one, else the second."""
    counts = Counter(short for short, _ in names)
    return tuple(short if counts[short] == 1 else long for short, long in names)
