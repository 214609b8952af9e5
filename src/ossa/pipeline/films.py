"""Which radiographs a command line means, and what their results are called."""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ossa.errors import InputError
from ossa.places import fetch, head, in_store, is_url, listed
from ossa.radiograph.find import Found, find_pictures, may_be_picture
from ossa.radiograph.kinds import HEAD
from ossa.safety.log import stamp
from ossa.safety.pictures import ENDINGS, MASKS_SUFFIX, MEASURED_SUFFIX, OVERLAY_SUFFIX

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph

#: Longest name of a result, in bytes: 255 on usual file systems, less what a temporary file beside it adds.
LONGEST_NAME = 230

#: How names end below a URL that are no radiographs: what ossa wrote beside them.
LEFT_OUT = (OVERLAY_SUFFIX, MEASURED_SUFFIX, MASKS_SUFFIX)


@dataclass(frozen=True)
class Film:
    """One radiograph to be read and the name of its results.

    ``name`` has no ending and may hold folders ("ID001/hand"); ``image_name`` is what a submission calls the image.
    ``url``: of one in an object store, whose ``path`` is a name and no file; ``version`` tells it from a later one.
    """

    path: Path
    name: str
    image_name: str
    url: str | None = None
    version: str = ""

    @property
    def told(self) -> str:
        """What messages call it."""
        return self.url or str(self.path)

    @contextmanager
    def at_hand(self) -> Iterator[Path]:
        """A file of this machine to read the radiograph from. Raises InputError where it cannot be fetched."""
        if self.url is None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="ossa-") as work:
            path = Path(work) / self.path.name
            fetch(self.url, path)
            yield path

    def stamp(self) -> list[Any]:
        """What tells whether it is still the same file. Raises OSError when it is gone."""
        return stamp(self.path) if self.url is None else [self.url, self.version]


def find_films(
    paths: Iterable[str | Path], output: str | Path | None, tell: Callable[[str], None] = lambda _: None
) -> list[Film]:
    """Every radiograph that ``paths`` (files, folders, glob patterns) mean, as ``find_pictures`` has it, with its name.

    Of an object store a URL (text) means every picture below it. What lies in ``output`` is left out; ``tell`` hears in
    one sentence what was passed over. Raises InputError when there is nothing at all.
    """
    given = list(paths)
    found = find_pictures([path for path in given if not is_url(path)], None if is_url(output) else output)
    stored: dict[Path, tuple[str, str]] = {}
    for url in given:
        if is_url(url):
            stored |= _in_store(str(url).rstrip("/"), output, found)
    remark = found.remark()
    if not found.files:
        raise InputError(
            "no radiograph was found",
            path=", ".join(map(str, given)),
            found=remark,
            expected="files ending in " + ", ".join(sorted(ENDINGS)) + ", or DICOM files of any name",
            remedy="Name the files, or a folder that holds them",
        )
    if remark is not None:
        tell(remark)
    films = name_films(found.files)
    return [replace(film, url=at[0], version=at[1]) if (at := stored.get(film.path)) else film for film in films]


def _in_store(url: str, output: str | Path | None, found: Found) -> dict[Path, tuple[str, str]]:
    """Add the pictures below ``url`` to ``found``: name of a file -> (URL, version)."""
    own = f"{str(output).rstrip('/')}/" if is_url(output) else None
    stored: dict[Path, tuple[str, str]] = {}
    for name, version in listed(url):
        at = f"{url}/{name}" if name else url
        if own is not None and at.startswith(own):
            continue
        path = in_store(url) / name
        if name and any(part.startswith(".") or part.endswith(LEFT_OUT) for part in PurePosixPath(name).parts):
            continue
        if name and not may_be_picture(path, partial(head, at, HEAD)):  # a file that is named is taken as it is
            found.passed_over[path.suffix.lower() or path.name] += 1
        elif path not in stored:
            stored[path] = at, version
            found.files.append(path)
    return stored


class Beginnings:
    """Names, asked for those that begin as the results of one film's hands do (``pipeline.several``): NAME_..."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)

    def of(self, name: str) -> frozenset[str]:
        """Every name that is NAME_ and more."""
        start = f"{name}_"
        first = bisect_left(self._names, start)
        return frozenset(takewhile(lambda one: one.startswith(start), islice(self._names, first, None)))


def name_films(files: list[Path]) -> list[Film]:
    """Name results so that none overwrites another.

    Usually the stem ("hand"). Two files of one stem keep their endings ("hand.png", "hand.dcm"); two of one base name
    in different folders are told apart by their path below the folder that all files share ("left/hand",
    "right/hand"). Names that differ only in case count as the same, since some file systems cannot hold both.
    """
    common = os.path.commonpath([file.resolve().parent for file in files])
    relative = [file.resolve().relative_to(common) for file in files]
    short = [
        (_stem(f.name), f.name, r.with_name(_stem(f.name)).as_posix(), r.as_posix())
        for f, r in zip(files, relative, strict=True)
    ]
    images = [(f.name, r.as_posix()) for f, r in zip(files, relative, strict=True)]
    return [Film(*row) for row in zip(files, _apart(short), _apart(images), strict=True)]


def _stem(name: str) -> str:
    """A file's name less its ending; the last number of a UID ("1.2.840.10") is none."""
    stem, _, ending = name.rpartition(".")
    return stem if stem and not ending.isdigit() else name


def read_film(film: Film) -> Radiograph:
    """The radiograph of a film whose name may be that of results. Raises InputError."""
    from ossa.radiograph.read import read_radiograph

    check_name(film)
    try:
        with film.at_hand() as path:
            return read_radiograph(path)
    except InputError as error:
        if film.url is not None:
            error.args, error.path = (str(error).replace(str(error.path), film.url), *error.args[1:]), film.url
        raise


def check_name(film: Film) -> None:
    """Refuse with InputError, before any work, a file whose name cannot be that of results or stand in a CSV row."""
    text = film.image_name.encode("utf-8", "replace")
    longest = max(len(part) for part in f"{film.name}{OVERLAY_SUFFIX}".encode("utf-8", "replace").split(b"/"))
    if text.decode() != film.image_name:
        found = "bytes that are no UTF-8"
    elif not film.image_name.isprintable():
        found = "a line break or another unprintable character"
    elif longest > LONGEST_NAME:
        found = f"{longest} bytes for the name of the overlay"
    else:
        return
    raise InputError(
        "results cannot be named after this file",
        path=repr(film.told),
        found=found,
        expected=f"a printable name whose results have at most {LONGEST_NAME} bytes",
        remedy="Rename the file",
    )


def _apart(candidates: Sequence[tuple[str, ...]]) -> list[str]:
    """For each file the first of its candidates, or later ones where names would clash; the last ones are unique."""
    level = [0] * len(candidates)
    while True:
        names = [choice[n] for choice, n in zip(candidates, level, strict=True)]
        count = Counter(name.casefold() for name in names)
        clashing = [
            i for i, name in enumerate(names) if count[name.casefold()] > 1 and level[i] < len(candidates[i]) - 1
        ]
        if not clashing:
            return names
        for i in clashing:
            level[i] += 1
