"""Numbers of every picture, so that ten thousand are sorted and filtered at once: sizes, areas, confidences, Dice.

A thread reads every source once; what it finds is kept in arrays, and in a database beside them for the next start.
An entry of the database is known by what it was made from (size and time of the files), so nothing stale is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.errors import OssaError
from ossa.radiograph.kinds import HEAD, sniff
from ossa.radiograph.read import read_radiograph
from ossa.schema import BoneSchema
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Segmentation
from ossa.studio.collection import Picture
from ossa.studio.reading import Reader, stamp

Float = NDArray[np.float32]

#: Changes when what is kept means something else.
_VERSION = "1"

#: What could not be read is flagged so.
UNREADABLE = "unreadable"

#: After so many pictures what was found is written to the disk.
_COMMIT = 50


@dataclass(eq=False)
class Said:
    """What one source says of all pictures: (N, C) arrays, NaN where nothing is said or the bone is not there.

    ``area`` in px, ``confidence`` 0 to 1, ``judged`` bool; ``flags``: codes of the warnings, one tuple per picture.
    """

    area: Float
    confidence: Float
    judged: NDArray[np.bool_]
    flags: list[tuple[str, ...]]

    @classmethod
    def nothing(cls, count: int, bones: int) -> Said:
        """Of ``count`` pictures nothing is known."""
        empty = np.full((count, bones), np.nan, np.float32)
        return cls(empty, empty.copy(), np.zeros((count, bones), bool), [()] * count)


@dataclass(eq=False)
class Facts:
    """Of all pictures: (N,) height and width in px (0: not known yet), spacing in mm per px (NaN: not known)."""

    height: NDArray[np.int32]
    width: NDArray[np.int32]
    spacing: Float


#: Codes of the warnings in a result's notes.
Coder = Callable[[Sequence[str]], tuple[str, ...]]


@dataclass(eq=False)
class Index:
    """The numbers of ``pictures`` (rows in their order) from ``sources``; fill it with ``build`` and ``update``.

    ``version`` grows with every change.
    """

    schema: BoneSchema
    reader: Reader
    pictures: list[Picture]
    sources: list[str]
    code: Coder
    database: Path | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    done: int = 0
    version: int = 0

    def __post_init__(self) -> None:
        count, bones = len(self.pictures), len(self.schema)
        self.row = {one.id: i for i, one in enumerate(self.pictures)}
        self.facts = Facts(np.zeros(count, np.int32), np.zeros(count, np.int32), np.full(count, np.nan, np.float32))
        self.said = {source: Said.nothing(count, bones) for source in self.sources}
        self.dice: dict[tuple[str, str], Float] = {}
        self._kept = _Kept(self.database)

    def build(self, stop: threading.Event | None = None) -> None:
        """Fill every row; ``done`` tells how far. What cannot be read is flagged and passed over."""
        for number, picture in enumerate(list(self.pictures)):
            if stop is not None and stop.is_set():
                break
            self.update(picture)
            self.done = number + 1
            if self.done % _COMMIT == 0:
                self._kept.commit()
        else:
            self._kept.drop_unused()
        self._kept.commit()

    def close(self) -> None:
        """Write what was found, close the database."""
        self._kept.close()

    def update(self, picture: Picture) -> None:
        """Read what is new of one picture and set its row."""
        fresh = _Fresh(self, picture)
        height, width, spacing = fresh.facts()
        told = {source: fresh.said(source) for source in list(self.sources)}
        agreed = {
            (a, b): fresh.agreement(a, b)
            for a, b in combinations(told, 2)
            if told[a] is not None and told[b] is not None
        }
        with self.lock:
            self.version += 1
            at = self.row[picture.id]
            self.facts.height[at], self.facts.width[at], self.facts.spacing[at] = height, width, spacing
            for source, found in told.items():
                one = self.said[source]
                numbers, flags = found if found is not None else (_nothing(len(self.schema)), ())
                one.area[at], one.confidence[at] = numbers[0], numbers[1]
                one.judged[at], one.flags[at] = numbers[2] > 0, flags
            for pair in combinations(self.sources, 2):
                values = agreed.get(pair)
                if values is None and pair not in self.dice:
                    continue
                if pair not in self.dice:
                    self.dice[pair] = np.full((len(self.pictures), len(self.schema)), np.nan, np.float32)
                self.dice[pair][at] = np.nan if values is None else values

    def add(self, picture: Picture) -> None:
        """One more picture, at the end."""
        with self.lock:
            self.version += 1
            self.row[picture.id] = len(self.pictures)
            self.pictures.append(picture)
            facts = self.facts
            self.facts = Facts(np.append(facts.height, 0), np.append(facts.width, 0), np.append(facts.spacing, np.nan))
            blank = np.full((1, len(self.schema)), np.nan, np.float32)
            for one in self.said.values():
                one.area, one.confidence = np.vstack([one.area, blank]), np.vstack([one.confidence, blank])
                one.judged = np.vstack([one.judged, np.zeros((1, len(self.schema)), bool)])
                one.flags.append(())
            self.dice = {pair: np.vstack([values, blank]) for pair, values in self.dice.items()}
            self.done += 1
        self.update(picture)

    def add_source(self, source: str) -> None:
        """One more source, of which nothing is known yet (``update`` the pictures that it knows)."""
        with self.lock:
            if source not in self.said:
                self.said[source] = Said.nothing(len(self.pictures), len(self.schema))
                self.sources.append(source)

    def scores(self, source: str, against: str) -> Float | None:
        """(N, C) Dice of a source against another; None where there is nothing to compare."""
        if source == against:
            return None
        found = self.dice.get((source, against))
        return found if found is not None else self.dice.get((against, source))


class _Fresh:
    """What is known of one picture now: from the database where it has it, else read."""

    def __init__(self, index: Index, picture: Picture) -> None:
        self._index, self._picture = index, picture
        self._read: dict[str, tuple[Segmentation, frozenset[str]]] = {}
        self._own = f"{_VERSION} {index.schema.name} {picture.path} {stamp(picture.path)}"

    def facts(self) -> tuple[int, int, float]:
        """(height, width, spacing); zeros where the picture cannot be read."""
        known = self._index._kept.get(self._key("facts"))
        if known is None:
            try:
                height, width = self._index.reader.shape(self._picture)
                known = json.dumps([height, width, _spacing(self._picture.path)])
                self._index._kept.put(self._key("facts"), known)
            except (OssaError, OSError):
                return 0, 0, math.nan
        height, width, spacing = json.loads(known)
        return height, width, math.nan if spacing is None else spacing

    def said(self, source: str) -> tuple[Float, tuple[str, ...]] | None:
        """((3, C): area, confidence, judged; codes of warnings), None where the source says nothing."""
        mark = self._index.reader.stamp(self._picture, source)
        if mark is None:
            return None
        key = self._key("said", source, mark)
        known = self._index._kept.get(key)
        if known is None:
            try:
                found, judged = self._segmentation(source)
            except (OssaError, OSError):
                return _nothing(len(self._index.schema)), (UNREADABLE,)
            numbers = _numbers(found, judged)
            flags = self._index.code(found.notes)
            self._index._kept.put(key, json.dumps([_hex(numbers), flags]))
            return numbers, flags
        packed, codes = json.loads(known)
        return _unhex(packed).reshape(3, -1), tuple(codes)

    def agreement(self, a: str, b: str) -> Float | None:
        """(C,) Dice of two sources, NaN for bones that either did not judge."""
        marks = [self._index.reader.stamp(self._picture, source) for source in (a, b)]
        key = self._key("dice", a, str(marks[0]), b, str(marks[1]))
        known = self._index._kept.get(key)
        if known is not None:
            return _unhex(known)
        try:
            (one, first), (other, second) = self._segmentation(a), self._segmentation(b)
        except (OssaError, OSError):
            return None
        values = scores_of(one, other, first & second)
        self._index._kept.put(key, _hex(values))
        return values

    def _segmentation(self, source: str) -> tuple[Segmentation, frozenset[str]]:
        if source not in self._read:
            self._read[source] = self._index.reader.segmentation(self._picture, source)
        return self._read[source]

    def _key(self, *parts: str) -> str:
        return hashlib.sha256("\n".join((self._own, *parts)).encode("utf-8", "surrogatepass")).hexdigest()


def scores_of(one: Segmentation, other: Segmentation, judged: frozenset[str]) -> Float:
    """(C,) Dice of every bone of the schema, NaN for those that nobody judged."""
    names = one.schema.names
    return np.array([dice(one.get(n), other.get(n)) if n in judged else np.nan for n in names], np.float32)


def _numbers(found: Segmentation, judged: frozenset[str]) -> Float:
    names = found.schema.names
    area = [region.area if (region := found.get(name)) is not None else np.nan for name in names]
    sure = [found.confidence.get(name, np.nan) for name in names]
    return np.array([area, sure, [name in judged for name in names]], np.float32)


def _nothing(bones: int) -> Float:
    empty = np.full((3, bones), np.nan, np.float32)
    empty[2] = 0
    return empty


def _spacing(path: Path) -> float | None:
    """Millimetres from row to row; only DICOM files say any, and only a whole reading tells which can be believed."""
    with path.open("rb") as stream:
        if sniff(stream.read(HEAD)) != "DICOM":
            return None
    spacing = read_radiograph(path).spacing
    return None if spacing is None else spacing.row


def _hex(values: Float) -> str:
    return np.ascontiguousarray(values, np.float32).tobytes().hex()


def _unhex(text: str) -> Float:
    return np.frombuffer(bytes.fromhex(text), np.float32).copy()


class _Kept:
    """Keys and values in a database file that may be lost at any time; without a file in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._used: set[str] = set()
        try:
            self._base: sqlite3.Connection | None = self._open(path)
        except (sqlite3.Error, OSError):  # damaged: what it held is found again
            if path is not None:
                with suppress(OSError):
                    path.unlink()
            try:
                self._base = self._open(path)
            except (sqlite3.Error, OSError):
                self._base = self._open(None)

    def _open(self, path: Path | None) -> sqlite3.Connection:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False)
        base.execute("create table if not exists kept (key text primary key, value text) without rowid")
        return base

    def get(self, key: str) -> str | None:
        with self._lock:
            self._used.add(key)
            if self._base is None:
                return None
            try:
                row = self._base.execute("select value from kept where key = ?", (key,)).fetchone()
            except sqlite3.Error:
                return None
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        with self._lock, suppress(sqlite3.Error):  # a full disk: the next start finds it again
            if self._base is not None:
                self._base.execute("insert or replace into kept values (?, ?)", (key, value))

    def drop_unused(self) -> None:
        """Forget what nothing asked for: entries of pictures and labels that have changed or gone."""
        with self._lock, suppress(sqlite3.Error):
            if self._base is not None:
                known = {str(key) for (key,) in self._base.execute("select key from kept")}
                self._base.executemany("delete from kept where key = ?", [(key,) for key in known - self._used])
                self._base.commit()

    def commit(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            if self._base is not None:
                self._base.commit()

    def close(self) -> None:
        self.commit()
        with self._lock:
            if self._base is not None:
                self._base.close()
                self._base = None


def flags_of(said: Mapping[str, Said]) -> list[str]:
    """Every code that any source's warnings have, sorted."""
    return sorted({code for one in said.values() for flags in one.flags for code in flags})
