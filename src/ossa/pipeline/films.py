"""Which radiographs a command line means, and what their results are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ossa.errors import InputError
from ossa.radiograph.find import find_pictures
from ossa.safety.pictures import ENDINGS, OVERLAY_SUFFIX

#: Longest name of a result, in bytes: 255 on usual file systems, less what a temporary file beside it adds.
LONGEST_NAME = 230


@dataclass(frozen=True)
class Film:
    """One radiograph to be read and the name of its results.

    ``name`` has no ending and may hold folders ("ID001/hand"); ``image_name`` is what a submission calls the image.
    """

    path: Path
    name: str
    image_name: str


def find_films(
    paths: Iterable[str | Path], output: str | Path | None, tell: Callable[[str], None] = lambda _: None
) -> list[Film]:
    """Every radiograph that ``paths`` (files, folders, glob patterns) mean, as ``find_pictures`` has it, with its name.

    What lies in ``output`` is left out; ``tell`` hears in one sentence what was passed over. Raises InputError when
    there is nothing at all.
    """
    given = [Path(path) for path in paths]
    found = find_pictures(given, output)
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
    return name_films(found.files)


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
        path=repr(str(film.path)),
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
