"""Which schema the bones of labels are of, where nobody says: told by the names that stand in the files themselves."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ossa.schema import BoneSchema, load_schema, shipped_schemas

#: No more is read of a file, and no more files of a folder: what all labels of a set have in common shows in the first.
_MOST_BYTES, _MOST_FILES = 1_000_000, 8

#: How labels of the competition's and labelme's form, and tables of run lengths, name a bone.
_NAMED = re.compile(r'"label"\s*:\s*("(?:[^"\\]|\\.)*")')


def schema_of(path: str | Path) -> BoneSchema:
    """The shipped schema whose bones a label file, a table of run lengths or a folder of such names; the first schema
    where they name bones of it, of none, or cannot be read (their reader says why).

    >>> schema_of("no such folder").name
    'hand29'
    """
    first = load_schema()
    for file in _files(Path(path)):
        names = _names(file)
        if names & set(first.names):
            return first
        for other in map(load_schema, shipped_schemas()):
            if names and names <= set(other.names):
                return other
    return first


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    yield from islice(sorted(path.glob("*.csv")), _MOST_FILES)
    yield from islice(_labels(path), _MOST_FILES)


def _labels(root: Path) -> Iterator[Path]:
    """Label files below a folder, found one by one: a large set is not listed for the first few."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(names) if name.lower().endswith(".json"))


def _names(file: Path) -> set[str]:
    """The bones that the beginning of a file names."""
    if not file.is_file():
        return set()
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST_BYTES)
        text = data.decode("utf-8", "replace")
        if file.suffix.lower() == ".csv":
            lines = text.splitlines()
            rows = csv.DictReader(lines[:-1] if len(data) == _MOST_BYTES else lines)  # the last one may be cut
            return {row["class"] for row in islice(rows, 200) if row.get("class")}
        return {str(json.loads(found)) for found in _NAMED.findall(text)}
    except (OSError, ValueError, csv.Error):
        return set()
