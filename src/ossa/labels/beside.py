"""Folders of pictures with one label file for each: of labelme's form or the competition's, known by what is in it.

    ROOT/**/name.png   ROOT/**/name.json, or a .json elsewhere that names the picture

Labels whose picture lies elsewhere are folders of results: ``ossa predict`` writes such.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ossa.errors import LabelError
from ossa.labels import competition, labelme
from ossa.labels.case import Case, Problem, Reading, Truth
from ossa.labels.format import LabelFormat
from ossa.labels.names import BoneNames
from ossa.labels.pictures import (
    below,
    case_of,
    find_named,
    labels_beside,
    pictures,
    subject_of,
    unclear_problem,
    visible_files,
)
from ossa.labels.polygons import Size
from ossa.labels.texts import mentions, read_label_json
from ossa.schema import BoneSchema

LAYOUT = "pictures, each with its label .json beside it or none"


def detect(root: Path) -> bool:
    """Whether there is any picture under ``root``, or a label."""
    return bool(pictures(root)) or any(_is_label(path) for path in visible_files(root))


def _is_label(path: Path) -> bool:
    return path.suffix.lower() == ".json" and (mentions(path, "shapes") or mentions(path, "annotations", "label"))


def read_truth(path: Path, names: BoneNames) -> Truth:
    """The truth in a label file of either form. Raises LabelError that names the file."""
    data = read_label_json(path)
    parse = labelme.parse_labelme if isinstance(data, dict) and "shapes" in data else competition.parse_label
    return parse(data, path, names)


def stated_size(data: object, path: Path) -> Size | None:
    """The (H, W) that the JSON of a label file says of its picture, where it can be believed; None elsewhere."""
    if not isinstance(data, dict):
        return None
    if "shapes" in data:
        return labelme.stated_size(data, path)
    return competition.stated_size(data, path)


def read_case(case: Case, schema: BoneSchema, names: BoneNames) -> Truth:
    """The truth of a case."""
    del schema  # the names know it
    assert case.label is not None  # Case.truth checked it
    return read_truth(case.label, names)


def read(root: Path, names: BoneNames) -> Reading:
    """All pictures under ``root``; a label without a picture, and one that fits two, are problems."""
    images = pictures(root)
    labels = [path for path in visible_files(root) if path.suffix.lower() == ".json"]
    found, left, unclear = labels_beside(images, labels)
    left = [path for path in left if _is_label(path)]
    free = [image for image in images if image not in found]
    # labelme's files say where their picture lies, even out of this folder; the competition's only what it is called.
    naming = [path for path in (*left, *unclear) if free or mentions(path, "shapes")]
    named, problems = _named_pictures(root, naming, free)
    found |= named
    used = set(found.values())
    problems += [unclear_problem(label, several) for label, several in unclear.items() if label not in used]
    reader = partial(read_case, names=names)
    everything = frozenset(names.schema.names)

    def case(image: Path, label: Path | None, seen: Path) -> Case:
        return case_of(root, image, label, subject_of(below(root, seen)), everything, reader)

    cases = [case(image, found.get(image), image) for image in images]
    here = set(images)
    cases += [case(image, label, label) for image, label in named.items() if image not in here]
    bare = [path for path in left if path not in used]
    problems += [Problem(label, "a label without a picture") for label in bare]
    return Reading(tuple(cases), tuple(problems), tuple(case(label.with_suffix(""), label, label) for label in bare))


def read_one(path: Path, names: BoneNames) -> Case | None:
    """The case of one label file, with the picture of its name beside it where that is there; None for another file."""
    if not _is_label(path):
        return None
    images = [image for image in pictures(path.parent) if image.parent == path.parent]
    image = next(iter(labels_beside(images, [path])[0]), path.with_suffix(""))
    everything = frozenset(names.schema.names)
    return case_of(path.parent, image, path, path.stem, everything, partial(read_case, names=names))


def _named_pictures(
    root: Path, labels: Sequence[Path], images: Sequence[Path]
) -> tuple[dict[Path, Path], list[Problem]]:
    """Picture -> the label that names it, for labels that do not lie beside their picture."""
    found: dict[Path, Path] = {}
    problems: list[Problem] = []
    for label in labels:
        try:
            data = read_label_json(label)
        except LabelError:
            continue  # told when it is read
        name = data.get("imagePath", data.get("filename")) if isinstance(data, dict) else None
        if not isinstance(name, str):
            continue
        named = find_named(root, label, [name], images)
        problems += named.problems
        for image in named.found.values():
            if image in found:
                problems.append(Problem(label, f"names the picture that {found[image].name} names: left out"))
            else:
                found[image] = label
    return found, problems


FORMATS = (
    LabelFormat("labelme", labelme.LAYOUT, 40, labelme.detect, read, labelme.write),
    LabelFormat("flat", LAYOUT, 90, detect, read),
)
