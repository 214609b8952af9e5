"""Folders in which each label lies beside its picture, under the same stem."""

from __future__ import annotations

import re
from pathlib import Path

from ossa.dataset.dataset import Problem
from ossa.labels._cases import case_of
from ossa.labels.case import Case, LabelReader
from ossa.labels.competition import IMAGE_SUFFIXES
from ossa.schema import BoneSchema


def pictures(root: Path) -> list[Path]:
    """Every picture file under ``root``, sorted."""
    found = (p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return sorted(p for p in found if p.is_file())


def pictures_with_labels(
    root: Path, schema: BoneSchema, reader: LabelReader
) -> tuple[tuple[Case, ...], tuple[Problem, ...]]:
    """Cases of every picture under ``root``; the subject is its folder, in ``root`` itself its stem less the side."""
    labels = {p.with_suffix(""): p for p in sorted(root.rglob("*.json"))}
    cases = []
    for image in pictures(root):
        label = labels.pop(image.with_suffix(""), None)
        folder = image.parent.relative_to(root).as_posix()
        subject = re.sub(r"_[LR]$", "", image.stem) if folder == "." else folder
        cases.append(case_of(image, label, subject, frozenset(schema.names), reader))
    problems = tuple(Problem(path, "a label without a picture") for path in labels.values())
    return tuple(cases), problems
