"""Which case is validated in which fold: by subject, evenly over wrist angles and sides, written once.

No subject is ever on both sides. Subjects are dealt out so that every fold has its share of bent wrists and of left
and right hands. The file carries a hash of its content and is never overwritten by another split: figures of runs
that used it stay comparable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from ossa.errors import ConfigError, DatasetError, InputError, LabelError
from ossa.hand.geometry import geometry_of_outlines
from ossa.hand.sides import side_of
from ossa.hand.wrist import BENT, wrist_angle
from ossa.labels.case import Case
from ossa.progress import Track, silent
from ossa.safety import read_json, write_json
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outlines

VERSION = 1

#: Largest accepted file of folds (bytes): some million subjects.
MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class Stratum:
    """What a case counts as: ``bent`` wrist or not, ``side`` "L", "R" or "?"; ``angle`` in degrees or None."""

    bent: bool
    side: str
    angle: float | None = None

    @property
    def name(self) -> str:
        """For tables: "bent L"."""
        return f"{'bent' if self.bent else 'straight'} {self.side}"


def stratum_of(case: Case, schema: BoneSchema) -> Stratum:
    """Wrist and side of a case from its outlines. A label that cannot be read counts as straight, side unknown."""
    try:
        outlines = case.outlines(schema) if case.label is not None else {}
    except LabelError:
        outlines = {}
    return stratum_from(case, outlines, schema)


def stratum_from(case: Case, outlines: Outlines, schema: BoneSchema) -> Stratum:
    """Wrist and side of a case whose ``outlines`` have been read."""
    angle = wrist_angle(outlines, schema)
    side = case.side or side_of(geometry_of_outlines(outlines, schema)) or "?"
    return Stratum(angle is not None and abs(angle) >= BENT, side, angle)


@dataclass(frozen=True)
class Folds:
    """``fold_of``: subject -> number of the fold in which it is validated, 0 to ``count`` - 1."""

    count: int
    seed: int
    fold_of: Mapping[str, int]

    def split(self, cases: Sequence[Case], fold: int) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
        """(training, validation) cases of one fold, checked for leaks.

        Raises ConfigError for a fold that does not exist, DatasetError for a subject that no fold knows.
        """
        if not 0 <= fold < self.count:
            raise ConfigError("there is no such fold", found=fold, expected=f"0 to {self.count - 1}")
        strangers = sorted({case.subject for case in cases} - set(self.fold_of))
        if strangers:
            if not any(case.subject in self.fold_of for case in cases):
                raise DatasetError(
                    "the folds are of another data set",
                    found=f"they hold {', '.join(sorted(self.fold_of)[:3])}, ...; the data set {strangers[0]}, ...",
                    remedy="Give the folds of this data set, or let new ones be made (without folds.file)",
                )
            raise DatasetError(
                "subjects are in the data set but in no fold",
                found=", ".join(strangers[:5]) + (f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""),
                remedy="Make new folds: results are then not comparable with those of the old ones",
            )
        training = tuple(case for case in cases if self.fold_of[case.subject] != fold)
        validation = tuple(case for case in cases if self.fold_of[case.subject] == fold)
        refuse_leak(training, validation)
        return training, validation

    @property
    def hash(self) -> str:
        """SHA-256 of the split, in hexadecimal."""
        text = json.dumps([VERSION, self.count, sorted(self.fold_of.items())], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def refuse_leak(training: Sequence[Case], validation: Sequence[Case]) -> None:
    """Raise DatasetError when a subject, or one and the same picture file, is on both sides."""
    shared = sorted({case.subject for case in training} & {case.subject for case in validation})
    if shared:
        raise DatasetError(
            "subjects are in the training and in the validation set",
            found=", ".join(shared[:5]) + (f" and {len(shared) - 5} more" if len(shared) > 5 else ""),
            expected="every subject on one side only",
            remedy="Take them out of one side; scores would be too good otherwise",
        )
    files = {case.image.resolve() for case in training} & {case.image.resolve() for case in validation}
    if files:
        raise DatasetError(
            "a picture is in the training and in the validation set",
            found=", ".join(sorted(path.name for path in files)[:5]),
            expected="every picture on one side only",
        )


def make_folds(strata: Sequence[tuple[str, Stratum]], count: int, seed: int = 0) -> Folds:
    """Deal subjects out to ``count`` folds; ``strata`` holds (subject, stratum) of every case.

    Subjects with rare strata go first, each to the fold in which its strata are furthest below their share; ties
    fall to the fold with fewest cases. The order among equals comes from ``seed``. Raises ConfigError for fewer
    than two folds, DatasetError for fewer subjects than folds.
    """
    subjects = sorted({subject for subject, _ in strata})
    if count < 2:
        raise ConfigError("too few folds", found=count, expected="at least 2")
    if len(subjects) < count:
        raise DatasetError("there are fewer subjects than folds", found=len(subjects), expected=f"at least {count}")
    kinds = sorted({stratum.name for _, stratum in strata})
    row = {subject: i for i, subject in enumerate(subjects)}
    column = {kind: j for j, kind in enumerate(kinds)}
    table = np.zeros((len(subjects), len(kinds)))
    for subject, stratum in strata:
        table[row[subject], column[stratum.name]] += 1
    share = table.sum(axis=0) / count
    rarity = (table / np.maximum(share, 1e-9)).sum(axis=1)
    shuffled = np.random.default_rng(seed).permutation(len(subjects))
    held = np.zeros((count, len(kinds)))
    fold_of = {}
    for i in sorted(shuffled, key=lambda i: -rarity[i]):
        # The squared distance from the share of every kind and of all cases, if the fold took this subject.
        after = (held + table[i]) / np.maximum(share, 1e-9)
        before = held / np.maximum(share, 1e-9)
        cost = ((after - 1) ** 2 - (before - 1) ** 2).sum(axis=1)
        whole = max(1e-9, float(share.sum()))
        cost += ((held.sum(axis=1) + table[i].sum()) / whole - 1) ** 2 - (held.sum(axis=1) / whole - 1) ** 2
        fold = int(np.argmin(cost + 1e-9 * held.sum(axis=1)))
        held[fold] += table[i]
        fold_of[subjects[i]] = fold
    return Folds(count, seed, {subject: fold_of[subject] for subject in subjects})


def strata_of(
    cases: Sequence[Case], schema: BoneSchema, track: Track = silent, known: Mapping[Path, Stratum] | None = None
) -> list[tuple[str, Stratum]]:
    """(subject, stratum) of every case; ``known``: by the path of the picture, where it has been found before."""
    found = dict(known or {})
    unknown = [case for case in cases if case.image not in found]
    for case in track(unknown, len(unknown), "measuring wrists"):
        found[case.image] = stratum_of(case, schema)
    return [(case.subject, found[case.image]) for case in cases]


def write_folds(path: str | Path, folds: Folds) -> None:
    """Write a split once. Raises DatasetError when ``path`` holds another one; the same one again is no error."""
    where = Path(path)
    if where.exists():
        if read_folds(where).hash == folds.hash:
            return
        raise DatasetError(
            "holds another split already",
            path=where,
            expected=f"hash {folds.hash[:12]}",
            remedy="Give another file, or delete this one if no result that used it matters any more",
        )
    value = {
        "version": VERSION,
        "hash": folds.hash,
        "count": folds.count,
        "seed": folds.seed,
        "subjects": folds.fold_of,
    }
    write_json(where, value)


def read_folds(path: str | Path) -> Folds:
    """Read a split. Raises DatasetError when the file is no split, was edited, or has a subject in two folds."""
    where = Path(path)
    try:
        data = read_json(where, MAX_BYTES, pairs=_no_twins)
    except DatasetError as error:
        raise DatasetError(error.what, path=where, expected=error.expected) from error
    except InputError as error:
        raise DatasetError(error.what, path=where, found=error.found, expected="a file of folds") from error
    folds, said = _folds_of(data, where)
    if folds.hash != said:
        raise DatasetError(
            "was edited after it was written",
            path=where,
            found=f"hash {folds.hash[:12]}",
            expected=said[:12],
            remedy="Make new folds instead: runs that share a split must share it exactly",
        )
    return folds


def _folds_of(data: Any, where: Path) -> tuple[Folds, str]:
    """The split that a file holds, and the hash that it says; DatasetError for anything but whole numbers and names."""
    known = data if isinstance(data, dict) else {}
    count, seed, subjects, said = (known.get(key) for key in ("count", "seed", "subjects", "hash"))
    if not (_whole(count) and _whole(seed) and isinstance(subjects, dict) and isinstance(said, str)):
        kinds = {key: type(value).__name__ for key, value in known.items()} or type(data).__name__
        raise DatasetError(
            "is not a file of folds", path=where, found=str(kinds)[:200], expected="count, seed, subjects and hash"
        )
    wrong = sorted(subject for subject, fold in subjects.items() if not (_whole(fold) and 0 <= fold < count))
    if wrong:
        raise DatasetError(f"'{wrong[0]}' is in a fold that does not exist", path=where, expected=f"0..{count - 1}")
    if not 2 <= count <= max(2, len(subjects)):
        raise DatasetError("has a number of folds that no split has", path=where, found=count, expected="2 or more")
    return Folds(count, seed, subjects), said


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys must differ: a subject listed twice would be in two folds."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DatasetError(f"'{key}' is listed twice", expected="every subject in one fold")
        found[key] = value
    return found


def table(strata: Sequence[tuple[str, Stratum]], folds: Folds) -> dict[str, list[int]]:
    """Stratum name -> cases per fold, and "all"."""
    counts: dict[str, list[int]] = {}
    for subject, stratum in strata:
        for name in (stratum.name, "all"):
            counts.setdefault(name, [0] * folds.count)[folds.fold_of[subject]] += 1
    return dict(sorted(counts.items()))
