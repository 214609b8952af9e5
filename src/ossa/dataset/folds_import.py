"""Folds that somebody else made: lists in JSON, tables in CSV, scikit-learn's GroupKFold by name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ossa.dataset.folds import MAX_BYTES, Folds, read_folds
from ossa.errors import ConfigError, DatasetError, InputError
from ossa.labels.case import Case
from ossa.safety import read_json

#: What tables call the column of who is split, and that of the fold.
_WHO = ("subject", "id", "patient", "patient_id", "group", "case", "image", "image_name", "file", "filename", "name")
_FOLD = ("fold", "kfold", "fold_id", "split")

_EXPECTED = (
    "{subject: fold}, {fold: [subjects]}, [[subjects], ...], [{train: [...], val: [...]}, ...], "
    "or a CSV with the columns subject and fold"
)


def import_folds(source: str | Path, cases: Sequence[Case]) -> tuple[Folds, tuple[str, ...]]:
    """The folds that ``source`` says for the subjects of ``cases``, and its names that fit nothing here.

    ``source``: a .json or .csv file, or "GroupKFold(5)" as scikit-learn deals groups out. Subjects may be named
    themselves or by their pictures; folds are counted from 0 or 1. Raises DatasetError where a subject is in two folds
    or in none, or when the split is of another data set; ConfigError for what is no split.
    """
    spelled = re.fullmatch(r"GroupKFold\(\s*(?:n_splits\s*=\s*)?(\d+)\s*\)", str(source).strip())
    if spelled:
        return group_k_fold([case.subject for case in cases], int(spelled[1])), ()
    path = Path(source)
    if path.suffix.lower() not in (".json", ".csv", ".tsv"):
        raise ConfigError("is no split", found=str(source), expected="a .json or .csv file, or GroupKFold(5)")
    said = _counted(_of_json(path) if path.suffix.lower() == ".json" else _of_table(path), path)
    return _for(said, cases, path)


def group_k_fold(groups: Sequence[str], count: int) -> Folds:
    """What sklearn.model_selection.GroupKFold(count) gives for samples of ``groups`` (no shuffling).

    The groups from the largest to the smallest, of equals the last in the order of names first, each to the fold that
    has fewest samples. Source: scikit-learn 1.9.1, model_selection/_split.py, GroupKFold. Versions that sort groups of
    one size by an unstable sort leave them as their numpy and processor do: such a split is imported from a file.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=np.str_), return_counts=True)
    if count < 2 or len(names) < count:
        raise ConfigError("GroupKFold cannot deal out so", found=f"{count} folds, {len(names)} subjects")
    held = np.zeros(count)
    fold_of: dict[str, int] = {}
    for i in np.argsort(sizes, kind="stable")[::-1]:
        fold = int(np.argmin(held))
        held[fold] += sizes[i]
        fold_of[str(names[i])] = fold
    return Folds(count, 0, {name: fold_of[name] for name in sorted(fold_of)})


def _of_json(path: Path) -> list[tuple[str, Any]]:
    data = read_json(path, MAX_BYTES)
    if isinstance(data, dict) and {"hash", "subjects", "count"} <= data.keys():
        return list(read_folds(path).fold_of.items())
    rows: list[tuple[str, Any]] = []
    if isinstance(data, list):
        for number, part in enumerate(data):
            held = part.get("val", part.get("valid", part.get("test"))) if isinstance(part, dict) else part
            if held is None or not _names(held):
                raise DatasetError(
                    "is no split", path=path, found=f"entry {number}: {part!r}"[:200], expected=_EXPECTED
                )
            rows += [(name, number) for name in held]
    elif isinstance(data, dict) and all(_names(value) for value in data.values()):
        rows = [(name, fold) for fold, members in data.items() for name in members]
    elif isinstance(data, dict):
        rows = list(data.items())
    if not rows:
        raise DatasetError("is no split", path=path, found=repr(data)[:200], expected=_EXPECTED)
    return rows


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _of_table(path: Path) -> list[tuple[str, Any]]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                "the file is too large", path=path, found=f"{size:,} bytes", expected=f"at most {MAX_BYTES:,}"
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot be read", path=path, found=str(error)[:200], expected="a CSV in UTF-8") from error
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    try:
        return _told(csv.DictReader(text.splitlines(), delimiter=mark), head, path)
    except csv.Error as error:  # a field of more than 128 kB
        raise DatasetError("is no split", path=path, found=str(error), expected=_EXPECTED) from error


def _told(rows: csv.DictReader[str], head: str, path: Path) -> list[tuple[str, Any]]:
    columns = {(name or "").strip().casefold(): name for name in rows.fieldnames or ()}
    who, fold = (next((columns[n] for n in known if n in columns), None) for known in (_WHO, _FOLD))
    if who is None or fold is None:
        raise DatasetError("is no split", path=path, found=f"the columns {head[:200]}", expected="subject and fold")
    return [((row[who] or "").strip(), (row[fold] or "").strip()) for row in rows]


def _counted(rows: Iterable[tuple[str, Any]], path: Path) -> dict[str, int]:
    """Name -> fold from 0; each name in one fold."""
    found: dict[str, int] = {}
    for name, value in rows:
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
        digits = re.fullmatch(r"(?:fold[ _-]?)?(\d+)(?:\.0)?", text, re.IGNORECASE)
        if isinstance(value, bool) or digits is None:
            raise DatasetError(f"the fold of '{name}' is no number", path=path, found=repr(value), expected=_EXPECTED)
        fold = int(digits[1])
        if found.setdefault(name, fold) != fold:
            raise DatasetError(f"'{name}' is in two folds", path=path, found=f"{found[name]} and {fold}")
    numbers = sorted(set(found.values()))
    first = numbers[0] if numbers else 0
    if len(numbers) < 2 or first not in (0, 1) or numbers != list(range(first, first + len(numbers))):
        raise DatasetError("has folds that are not numbered one after the other", path=path, found=numbers[:20])
    return {name: fold - first for name, fold in found.items()}


def _for(said: Mapping[str, int], cases: Sequence[Case], path: Path) -> tuple[Folds, tuple[str, ...]]:
    """The folds of the subjects of ``cases``."""
    fold_of: dict[str, int] = {}
    by: dict[str, str] = {}
    without: dict[str, None] = {}
    used: set[str] = set()
    for case in cases:
        called = (case.subject, case.name, case.id, Path(case.id).stem, str(Path(case.name).with_suffix("")))
        name = next((name for name in called if name in said), None)
        if name is None:
            without[case.subject] = None
            continue
        used.add(name)
        if fold_of.setdefault(case.subject, said[name]) != said[name]:
            raise DatasetError(
                f"subject '{case.subject}' is in two folds",
                path=path,
                found=f"{by[case.subject]} in fold {fold_of[case.subject]}, {name} in fold {said[name]}",
                expected="all pictures of a person in one fold: scores would be too good otherwise",
            )
        by.setdefault(case.subject, name)
    missing = sorted(subject for subject in without if subject not in fold_of)
    if missing:
        some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        named = ", ".join(list(said)[:5])
        what = "subjects of the data set are in no fold" if fold_of else "the split is of another data set"
        raise DatasetError(what, path=path, found=f"no fold for {some}; the file names {named}, ...")
    strangers = tuple(name for name in said if name not in used)
    count = max(said.values()) + 1
    return Folds(count, 0, {subject: fold_of[subject] for subject in sorted(fold_of)}), strangers
