"""Pages of the list of pictures: filtered, sorted and cut from the index's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.studio.collection import TRUTH, Picture
from ossa.studio.index import Float, Index

SORTS = ("name", "score", "confidence", "area")

#: Most rows of one answer.
MOST = 1000


@dataclass(frozen=True)
class Query:
    """What is asked. Empty filters let everything through; ``corrected`` None as well.

    ``source`` is scored against ``against``; without ``bone`` scores are means over the bones that both judged.
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
    """The list over an ``index``; ``corrected`` tells which pictures somebody corrected (by name)."""

    index: Index
    pairs: Mapping[str, str]
    corrected: Mapping[str, int]
    _names: list[str] = field(default_factory=list)
    _order: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def select(self, query: Query) -> tuple[int, list[dict[str, Any]]]:
        """(how many pictures fit in all, the rows asked for). Raises SchemaError for an unknown bone."""
        with self.index.lock:
            score, sure, area = self._numbers(query)
            fits = np.flatnonzero(self._fits(query))
            order = self._sorted(fits, query, {"score": score, "confidence": sure, "area": area})
            page = order[query.offset : query.offset + query.limit]
            rows = [self._row(int(i), query.source, float(score[i]), float(sure[i])) for i in page]
        return len(fits), rows

    def one(self, picture: Picture, query: Query) -> dict[str, Any]:
        """The row of one picture."""
        with self.index.lock:
            score, sure, _ = self._numbers(query)
            at = self.index.row[picture.id]
            return self._row(at, query.source, float(score[at]), float(sure[at]))

    def _numbers(self, query: Query) -> tuple[Float, Float, Float]:
        """(N,) score, confidence and area of every picture, of the bone asked for or over all of them."""
        index, count = self.index, len(self.index.pictures)
        bone = None if not query.bone else index.schema.index(query.bone)
        said = index.said.get(query.source)
        values = index.scores(query.source, query.against)
        none = np.full(count, np.nan, np.float32)
        score = none if values is None else _over(values, bone)
        sure = none if said is None else _over(said.confidence, bone)
        area = none
        if said is not None:
            pixels = np.maximum(1, index.facts.height.astype(np.float32) * index.facts.width)
            whole = _over(said.area, bone) if bone is not None else np.nansum(said.area, axis=1)
            area = (whole / pixels).astype(np.float32)
            if bone is None:
                area[np.isnan(said.area).all(axis=1)] = np.nan
        return score, sure, area

    def _fits(self, query: Query) -> NDArray[np.bool_]:
        """(N,) bool."""
        keep = np.ones(len(self.index.pictures), bool)
        said = self.index.said.get(query.source)
        search = query.search.casefold()
        if not any((query.side, query.fold, query.flag, query.subject, search)) and query.corrected is None:
            return keep
        for i, one in enumerate(self.index.pictures):
            keep[i] = (
                (not query.side or (one.side or "") == query.side)
                and (not query.fold or (one.fold or "") == query.fold)
                and (not query.subject or one.subject == query.subject)
                and (not search or search in one.name.casefold())
                and (not query.flag or (said is not None and query.flag in said.flags[i]))
                and (query.corrected is None or (one.name in self.corrected) == query.corrected)
            )
        return keep

    def _sorted(self, fits: NDArray[np.int64], query: Query, keys: Mapping[str, Float]) -> NDArray[np.int64]:
        """Rows in the order asked for; those without a number come last, those with equal ones by name."""
        if len(self._names) != len(self.index.pictures):
            self._names = [one.name.casefold() for one in self.index.pictures]
            self._order = np.argsort(np.array(self._names, dtype=np.str_), kind="stable").astype(np.int64)
        chosen = np.zeros(len(self._names), bool)
        chosen[fits] = True
        by_name = self._order[chosen[self._order]]
        if query.sort == "name":
            return by_name[::-1] if query.descending else by_name
        values = keys[query.sort][by_name]
        order = np.argsort(-values if query.descending else values, kind="stable")  # NaN last, either way
        return by_name[order]

    def _row(self, at: int, source: str, score: float, sure: float) -> dict[str, Any]:
        picture, facts = self.index.pictures[at], self.index.facts
        said = self.index.said.get(source)
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
            "score": _rounded(score),
            "confidence": _rounded(sure),
            "flags": list(said.flags[at]) if said is not None else [],
            "corrected": picture.name in self.corrected,
            "pair": self.pairs.get(picture.id),
        }


def _over(values: Float, bone: int | None) -> Float:
    """(N,) one column, or the mean over those that are numbers."""
    if bone is not None:
        return values[:, bone]
    there = np.isfinite(values)
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

    Without ``after`` the most doubtful of all; None at the end, and where the source gave no confidences.
    """
    with index.lock:
        doubt = doubts(index, source)
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
