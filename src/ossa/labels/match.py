"""Which names mean the same picture, by their paths from the end: "ID001/hand" is "train/DCM/ID001/hand.png".

Data sets, predictions and folders of pictures each have folders of their own in front of a name, and some leave out its
ending. Two names fit when their base names do; of several that fit, those whose folders agree furthest from the end
belong together. Where that leaves a choice nobody chooses: the caller is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath

from ossa.safety.pictures import ENDINGS


def without_ending(name: str) -> str:
    """``name`` less the ending of a picture. Other dots stay: DICOM files are called "1.2.840.10008"."""
    path = PurePosixPath(name)
    return name[: -len(path.suffix)] if path.suffix.lower() in ENDINGS else name


@dataclass(frozen=True)
class Pairs:
    """``found``: index of a name -> index of the other name that means the same picture. ``unclear``: index of a name
    -> the other names that fit equally well. ``shared``: index of an other name -> the names that it fits equally well.
    """

    found: Mapping[int, int]
    unclear: Mapping[int, tuple[int, ...]]
    shared: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True)
class _Name:
    folders: tuple[str, ...]  # the innermost first
    base: str
    stem: str

    @classmethod
    def of(cls, name: str) -> _Name:
        *folders, base = name.strip("/").split("/")
        return cls(tuple(reversed(folders)), base, without_ending(base))

    def agreement(self, other: _Name) -> tuple[int, int] | None:
        """How well two names of one stem fit: folders in common, then base names; None when folders contradict."""
        common = len(list(takewhile(lambda p: p[0] == p[1], zip(self.folders, other.folders, strict=False))))
        if self.folders and other.folders and not common:
            return None
        silent = self.stem == self.base or other.stem == other.base
        return common, 2 if self.base == other.base else 1 if silent else 0


def pair(names: Sequence[str], others: Sequence[str]) -> Pairs:
    """Find for each of ``names`` (paths with "/") the one of ``others`` that means the same picture."""
    groups: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    mine, theirs = [_Name.of(name) for name in names], [_Name.of(name) for name in others]
    for i, name in enumerate(mine):
        groups[name.stem][0].append(i)
    for j, name in enumerate(theirs):
        if name.stem in groups:
            groups[name.stem][1].append(j)
    found: dict[int, int] = {}
    unclear: dict[int, tuple[int, ...]] = {}
    shared: dict[int, tuple[int, ...]] = {}
    for left, right in groups.values():
        if len(left) == len(right) == 1:
            found[left[0]] = right[0]
            continue
        claims: dict[int, list[tuple[tuple[int, int], int]]] = defaultdict(list)
        for i in left:
            fits = [(fit, j) for j in right if (fit := mine[i].agreement(theirs[j])) is not None]
            best = [j for fit, j in fits if fit == max(fits)[0]]
            if len(best) > 1:
                unclear[i] = tuple(best)
            elif best:
                claims[best[0]].append((max(fits)[0], i))
        for j, wanting in claims.items():
            first = [i for fit, i in wanting if fit == max(wanting)[0]]
            if len(first) > 1:
                shared[j] = tuple(first)
            else:
                found[first[0]] = j
    return Pairs(found, unclear, shared)
