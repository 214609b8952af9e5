"""Label files that each speak of many pictures by name (COCO, CVAT): which pictures are meant, each once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ossa.labels.case import Case, LabelReader, Problem, Reading
from ossa.labels.names import BoneNames
from ossa.labels.pictures import below, case_of, find_named, pictures, subject_of


@dataclass(frozen=True)
class Mention:
    """A picture as a label file speaks of it: its ``name`` there, how it is found there again (``key``), and whether
    it has a label (``labelled``) or stands there bare.
    """

    name: str
    key: str
    labelled: bool


@dataclass
class Catalogue:
    """The pictures below ``root`` that files of one ``kind`` ("COCO file") name, gathered file by file with ``add``.

    ``reader`` reads the truth of a case.
    """

    root: Path
    kind: str
    names: BoneNames
    reader: LabelReader
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._there = pictures(self.root)
        self._cases: dict[Path, Case] = {}
        self._bare: list[Case] = []

    def add(self, path: Path, mentioned: Iterable[Mention], annotated: frozenset[str], split: str = "train") -> None:
        """What the file ``path`` mentions; ``annotated``: the bones that it is made to show.

        A picture that is not there, has no label, or was named before, becomes a problem.
        """
        listed: Sequence[Mention] = sorted(mentioned, key=lambda one: one.name)
        named = find_named(self.root, path, [one.name for one in listed], self._there)
        self.problems += named.problems
        again = 0
        for one in listed:
            image = named.found.get(one.name)
            if image in self._cases:
                again += 1
                continue
            if image is None and one.name not in named.missing:
                continue  # it fits two: told above
            place = image if image is not None else path.parent / Path(one.name).name
            where = one.name if "/" in one.name else below(self.root, place)
            subject = self.names.subject_of(place.stem) or subject_of(where)
            label = path if one.labelled else None
            case = case_of(self.root, place, label, subject, annotated, self.reader, split, one.key)
            if image is None:
                self.problems.append(Problem(path, f"names a picture that is not there: {one.name}"))
                self._bare += [case] if one.labelled else []
                continue
            if not one.labelled:
                self.problems.append(Problem(image, "a picture without annotations"))
            self._cases[image] = case
        if again:
            self.problems.append(
                Problem(path, f"{again} of its pictures are named before, here or in another {self.kind}")
            )

    def reading(self) -> Reading:
        """All of it; pictures that no file names are problems."""
        bare = [Problem(p, f"a picture that no {self.kind} names") for p in self._there if p not in self._cases]
        return Reading(tuple(self._cases.values()), (*self.problems, *bare), tuple(self._bare))
