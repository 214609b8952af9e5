"""How long the studio's server takes for a page of 200 of 10,000 pictures, against sorting rows as they come.

    python benchmarks/bench_studio_list.py [--pictures 10000] [--record]

The index is filled with numbers drawn at random: 29 bones, three sources, warnings. Asked are twelve queries with every
kind of sort and filter. The slow way makes all rows, keeps those that fit, sorts them and cuts out the page.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _record import record
from ossa.schema import load_schema
from ossa.studio.collection import Picture
from ossa.studio.corrections import Corrections
from ossa.studio.index import Index
from ossa.studio.listing import MOST, Listing, Query
from ossa.studio.reading import Reader
from ossa.studio.words import Lexicon

SOURCES = ["truth", "model", "other"]


def made(count: int, folder: Path) -> Listing:
    """A list of ``count`` pictures with numbers."""
    schema, generator = load_schema(), np.random.default_rng(1)
    pictures = [
        Picture(f"{k:016x}", f"ID{k // 2:05d}/image{k * 7919 % count}.png", Path("x"), f"ID{k // 2:05d}", "LR"[k % 2])
        for k in range(count)
    ]
    index = Index(schema, Reader(schema, Corrections(folder, schema), folder), pictures, SOURCES, Lexicon(schema).codes)
    shape = (count, len(schema))
    for source in SOURCES:
        said = index.said[source]
        said.confidence[:], said.area[:] = generator.random(shape), generator.integers(100, 9000, shape)
        said.flags[:] = [("doubtful",) if k % 3 else () for k in range(count)]
    for pair in (("truth", "model"), ("truth", "other"), ("model", "other")):
        index.dice[pair] = generator.random(shape).astype(np.float32)
        index.dice[pair][generator.random(shape) < 0.03] = np.nan
    index.facts.height[:], index.facts.width[:] = 2048, 2048
    return Listing(index, {}, {one.name: 1 for one in pictures[::11]})


def queries() -> list[Query]:
    """Every sort, with and without a bone and filters, at the beginning and far down."""
    out = []
    for sort in ("name", "score", "confidence", "area"):
        out.append(Query(sort=sort, source="model"))
        out.append(Query(sort=sort, source="model", bone="Lunate", descending=True, offset=4000))
        out.append(Query(sort=sort, source="model", side="L", flag="doubtful", search="image1", corrected=False))
    return out


def slowly(listing: Listing, query: Query) -> list[dict[str, object]]:
    """All rows, then what fits, in order."""
    plain = replace(query, sort="name", descending=False, side="", flag="", search="", corrected=None)
    rows: list[dict[str, object]] = []
    for offset in range(0, len(listing.index.pictures), MOST):
        rows += listing.select(replace(plain, offset=offset, limit=MOST))[1]
    rows = [
        row
        for row in rows
        if (not query.side or row["side"] == query.side)
        and (not query.flag or query.flag in row["flags"])  # type: ignore[operator]
        and query.search in str(row["name"])
        and (query.corrected is None or row["corrected"] == query.corrected)
    ]
    if query.sort in ("score", "confidence"):
        rows.sort(key=lambda row: (row[query.sort] is None, (-1 if query.descending else 1) * (row[query.sort] or 0.0)))  # type: ignore[operator]
    return rows[query.offset : query.offset + query.limit]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        listing = made(given.pictures, Path(folder))
        listing.select(Query())  # names are put in order once
        quick, slow, first = [], [], []
        for query in queries():
            times = []
            for _ in range(7):
                begin = time.process_time()
                listing.select(query)
                times.append(1000 * (time.process_time() - begin))
            quick.append(statistics.median(times))
            listing.index.version += 1
            begin = time.process_time()
            listing.select(query)
            first.append(1000 * (time.process_time() - begin))
            begin = time.process_time()
            slowly(listing, query)
            slow.append(1000 * (time.process_time() - begin))
    lines = [
        "Processor time, median of seven, of 12 queries with every kind of sort and filter; rows come from an index in",
        "memory, and the first query after a correction makes its columns anew.",
        "",
        f"| a page of 200 of {given.pictures:,} pictures | ms |",
        "|---|---|",
        f"| median query | {statistics.median(quick):.1f} |",
        f"| slowest query | {max(quick):.1f} |",
        f"| slowest first query after a correction | {max(first):.1f} |",
        f"| rows made and sorted as they come, median | {statistics.median(slow):.0f} |",
        f"| ratio | {sum(slow) / sum(quick):.0f}x |",
    ]
    if given.record:
        record("The studio's list (bench_studio_list.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
