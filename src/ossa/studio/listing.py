"""Pages of the list of pictures: filtered, sorted and cut from the index's arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.studio.collection import TRUTH, Picture
from ossa.studio.index import Float, Index

NUMBERS = ("score", "confidence", "area")
TEXTS = ("subject", "side", "fold")
SORTS = ("name", *NUMBERS, *TEXTS, "flags")

#: In place of a bone: each picture's lowest one.
WORST = "worst"

#: In place of a warning: any at all, none.
FLAGGED, UNFLAGGED = "+", "-"

#: Most rows of one answer.
MOST = 1000

#: How many columns are kept.
_MOST_COLUMNS = 200


@dataclass(frozen=True)
class Query:
    """What is asked. Empty filters let everything through; ``corrected`` None as well.

    ``source`` is scored against ``against``; without ``bone`` scores are means over the bones that both judged, with
    "worst" the lowest of them. ``flag`` "+" asks for pictures with any warning, "-" for those without. ``search`` looks
    into names and subjects.
    """

    sort: str = "name"
    descending: bool = False
    bone: str = ""
    source: str = ""
    against: str = TRUTH
    side: str = ""
    fold: str = ""
    flag: str = ""
    subject: str = ""
    search: str = ""
    corrected: bool | None = None
    offset: int = 0
    limit: int = 200

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise ConfigError("pictures cannot be sorted so", found=repr(self.sort)[:60], expected=", ".join(SORTS))
        if not 0 <= self.offset <= 1 << 40 or not 1 <= self.limit <= MOST:
            found = f"offset {self.offset}, limit {self.limit}"
            raise ConfigError("no such part of the list", found=found, expected=f"offset from 0, limit 1 to {MOST}")


@dataclass(eq=False)
class Listing:
    """The list over an ``index``; ``corrected`` tells which pictures somebody corrected (by name).

    Columns that were asked for are kept until the index changes.
    """

    index: Index
    pairs: Mapping[str, str]
    corrected: Mapping[str, int]
    _columns: dict[tuple[str, ...], NDArray[Any]] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _version: int = -1

    def select(self, query: Query) -> tuple[int, list[dict[str, Any]]]:
        """(how many pictures fit in all, the rows asked for). Raises SchemaError for an unknown bone."""
        with self.index.lock:
            self._renew()
            order = self._sorted(self._fits(query), query)
            page = order[query.offset : query.offset + query.limit].tolist()
            return len(order), [self._row(at, query) for at in page]

    def one(self, picture: Picture, query: Query) -> dict[str, Any]:
        """The row of one picture."""
        with self.index.lock:
            self._renew()
            return self._row(self.index.row[picture.id], query)

    def _renew(self) -> None:
        """Forget what was made of an index that has changed."""
        if self._version != self.index.version or len(self._names) != len(self.index.pictures):
            self._columns.clear()
            self._version = self.index.version
        if len(self._names) != len(self.index.pictures):
            self._names = [one.name.casefold() for one in self.index.pictures]

    def _column(self, key: tuple[str, ...], make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        if key not in self._columns:
            if len(self._columns) >= _MOST_COLUMNS:
                self._columns.clear()
            self._columns[key] = make()
        return self._columns[key]

    def _numbers(self, what: str, query: Query) -> Float:
        """(N,) score, confidence or area of every picture, of the bone asked for or over all of them."""
        bone = query.bone if query.bone in ("", WORST) else self.index.schema.index(query.bone)
        against = query.against if what == "score" else ""
        return self._column((what, query.source, against, query.bone), lambda: self._made(what, query, bone))

    def _made(self, what: str, query: Query, bone: str | int) -> Float:
        index = self.index
        said, nothing = index.said.get(query.source), np.full(len(index.pictures), np.nan, np.float32)
        if what == "score":
            values = index.scores(query.source, query.against)
            return nothing if values is None else _over(values, bone)
        if said is None:
            return nothing
        if what == "confidence":
            return _over(said.confidence, bone)
        there = np.isfinite(said.area).any(axis=1)
        whole = _over(said.area, bone) if bone != "" else np.where(there, np.nansum(said.area, axis=1), np.nan)
        pixels = np.maximum(1, index.facts.height.astype(np.float32) * index.facts.width)
        return np.asarray(whole / pixels, np.float32)

    def _texts(self, what: str) -> NDArray[np.str_]:
        """(N,) side, fold or subject of every picture."""
        return self._column(
            (what,), lambda: np.array([getattr(one, what) or "" for one in self.index.pictures], np.str_)
        )

    def _flagged(self, source: str, flag: str) -> NDArray[np.bool_]:
        """(N,) which pictures the source warns of."""
        warned = self._warnings(source)
        if flag in (FLAGGED, UNFLAGGED):
            return np.asarray((warned > 0) == (flag == FLAGGED), bool)
        said = self.index.said.get(source)
        flags = [()] * len(warned) if said is None else said.flags
        return self._column(("flag", source, flag), lambda: np.array([flag in one for one in flags], bool))

    def _warnings(self, source: str) -> NDArray[np.int64]:
        """(N,) how many kinds of warnings the source gives of every picture."""
        said = self.index.said.get(source)
        flags = [()] * len(self.index.pictures) if said is None else said.flags
        return self._column(("flags", source), lambda: np.array([len(one) for one in flags], np.int64))

    def _fits(self, query: Query) -> NDArray[np.bool_]:
        """(N,) bool."""
        keep = np.ones(len(self.index.pictures), bool)
        for what in ("side", "fold", "subject"):
            if wanted := getattr(query, what):
                keep &= self._texts(what) == wanted
        if query.flag:
            keep &= self._flagged(query.source, query.flag)
        if query.search:
            search = query.search.casefold()
            keep &= np.array([search in name for name in self._names], bool) | np.array(
                [search in (one.subject or "").casefold() for one in self.index.pictures], bool
            )
        if query.corrected is not None:
            keep &= np.array([one.name in self.corrected for one in self.index.pictures], bool) == query.corrected
        return keep

    def _sorted(self, fits: NDArray[np.bool_], query: Query) -> NDArray[np.int64]:
        """Rows in the order asked for; those without a number or a text come last, those with equal ones by name."""
        by_name = self._column(("by name",), lambda: np.argsort(np.array(self._names, np.str_), kind="stable"))
        kept: NDArray[np.int64] = by_name[fits[by_name]]
        if query.sort == "name":
            return np.asarray(kept[::-1], np.int64) if query.descending else kept
        values = self._values(query)[kept]
        order: NDArray[np.int64] = np.argsort(-values if query.descending else values, kind="stable")  # NaN last
        return np.asarray(kept[order], np.int64)

    def _values(self, query: Query) -> Float | NDArray[np.float64]:
        """(N,) what is sorted by: texts by their place in the alphabet, NaN where there is none."""
        if query.sort in NUMBERS:
            return self._numbers(query.sort, query)
        if query.sort == "flags":
            return self._warnings(query.source).astype(np.float64)
        texts = self._texts(query.sort)
        return np.where(texts == "", np.nan, np.unique(texts, return_inverse=True)[1])

    def _row(self, at: int, query: Query) -> dict[str, Any]:
        picture, facts = self.index.pictures[at], self.index.facts
        said = self.index.said.get(query.source)
        known = bool(facts.height[at])
        return {
            "id": picture.id,
            "name": picture.name,
            "subject": picture.subject,
            "side": picture.side,
            "fold": picture.fold,
            "width": int(facts.width[at]) if known else None,
            "height": int(facts.height[at]) if known else None,
            "spacing_mm": _rounded(float(facts.spacing[at]), 6),
            "score": _rounded(float(self._numbers("score", query)[at])),
            "confidence": _rounded(float(self._numbers("confidence", query)[at])),
            "flags": list(said.flags[at]) if said is not None else [],
            "corrected": picture.name in self.corrected,
            "pair": self.pairs.get(picture.id),
        }


def _over(values: Float, bone: str | int) -> Float:
    """(N,) one column, or over those that are numbers the mean or (WORST) the lowest."""
    if isinstance(bone, int):
        return values[:, bone]
    there = np.isfinite(values)
    if bone == WORST:
        lowest = np.where(there, values, np.inf).min(axis=1, initial=np.inf)
        return np.where(np.isinf(lowest), np.nan, lowest).astype(np.float32)
    count = there.sum(axis=1)
    total = np.where(there, values, 0).sum(axis=1, dtype=np.float32)
    out = np.full(len(values), np.nan, np.float32)
    np.divide(total, count, out=out, where=count > 0)
    return out


def _rounded(value: float, digits: int = 4) -> float | None:
    return None if value != value else round(value, digits)


def doubts(index: Index, source: str) -> NDArray[np.float64]:
    """(N,) how many bones of each picture are expected to be wrong by the judge: the sum of 1 - confidence over the
    bones found, and one for each of its notes on bones that are missing; NaN where nobody judged.
    """
    said = index.said.get(source)
    if said is None:
        return np.full(len(index.pictures), np.nan)
    told = np.isfinite(said.confidence)
    doubt: NDArray[np.float64] = np.where(told, 1.0 - said.confidence.astype(np.float64), 0.0).sum(axis=1)
    doubt += np.array(["missing" in flags for flags in said.flags], np.float64) if said.flags else 0.0
    doubt[~told.any(axis=1) & np.array([not flags for flags in said.flags], bool)] = np.nan
    return doubt


def next_doubtful(index: Index, source: str, after: str, corrected: Mapping[str, int]) -> str | None:
    """The picture after ``after`` in the order of doubt, the most doubtful first, without the corrected ones.

    Of pictures that ``source`` gave no confidences for, the other sources' doubts count. Without ``after`` the most
    doubtful of all; None at the end, and where nobody gave confidences.
    """
    with index.lock:
        doubt = doubts(index, source)
        for other in index.sources:
            doubt = np.where(np.isnan(doubt), doubts(index, other), doubt)
        names = np.array([one.name.casefold() for one in index.pictures], dtype=np.str_)
        order = np.lexsort((names, -doubt)) if len(names) else np.zeros(0, np.int64)
        order = order[~np.isnan(doubt[order])]
        begun = after not in {index.pictures[int(at)].id for at in order}
        for at in order:
            one = index.pictures[int(at)]
            if begun and one.name not in corrected and one.id != after:
                return one.id
            begun = begun or one.id == after
    return None
