"""Which radiographs a command line means, and what their results are called."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ossa.errors import InputError

#: Endings that a folder is searched for. A DICOM file often has no ending at all: those are known by their content.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})

#: What ``ossa predict`` adds to a name; such pictures are results, not radiographs.
OVERLAY_SUFFIX = "_overlay.png"

#: Longest name of a result, in bytes: 255 on usual file systems, less what a temporary file beside it adds.
LONGEST_NAME = 230


@dataclass(frozen=True)
class Source:
    """One radiograph to be read and the name of its results.

    ``name`` has no ending and may hold folders ("ID001/hand"); ``image_name`` is what a submission calls the image.
    """

    path: Path
    name: str
    image_name: str


def find_sources(paths: Iterable[str | Path], output: str | Path) -> list[Source]:
    """Every radiograph that ``paths`` (files, folders, glob patterns) mean, once each, in the order given.

    Folders are searched to any depth in sorted order; what lies in ``output``, hidden files and links to folders are
    left out. A named file is taken as it is, present or not: reading it tells what is wrong with it. Raises InputError
    when there is nothing at all.
    """
    given = [Path(path) for path in paths]
    result = Path(output).resolve()
    found: dict[Path, Path] = {}
    for path in given:
        for file in _expand(path, result):
            found.setdefault(file.resolve(), file)
    if not found:
        raise InputError(
            "no radiograph was found",
            path=", ".join(map(str, given)),
            expected="files ending in " + ", ".join(sorted(SUFFIXES)) + ", or DICOM files without an ending",
            remedy="Name the files, or a folder that holds them",
        )
    return name_sources(list(found.values()))


def _expand(path: Path, output: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from _search(path, output)
    elif not path.exists() and glob.has_magic(str(path)):
        for match in sorted(glob.glob(str(path), recursive=True)):
            inner = Path(match)
            if inner.is_dir():
                yield from _search(inner, output)
            elif _is_radiograph(inner):
                yield inner
    else:
        yield path


def _search(folder: Path, output: Path) -> Iterator[Path]:
    # A folder that is itself the output is searched: predict refuses it with a reason.
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).resolve() != output)
        for name in sorted(files):
            if not name.startswith(".") and _is_radiograph(here / name):
                yield here / name


def _is_radiograph(path: Path) -> bool:
    if path.name.endswith(OVERLAY_SUFFIX):
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix:
        return False
    try:
        with path.open("rb") as stream:
            stream.seek(128)  # a DICOM file begins with 128 free bytes and "DICM" (DICOM PS3.10, 7.1)
            return stream.read(4) == b"DICM"
    except OSError:
        return False


def name_sources(files: list[Path]) -> list[Source]:
    """Name results so that none overwrites another.

    Usually the stem ("hand"). Two files of one stem keep their endings ("hand.png", "hand.dcm"); two of one base name
    in different folders are told apart by their path below the folder that all files share ("left/hand",
    "right/hand"). Names that differ only in case count as the same, since some file systems cannot hold both.
    """
    common = os.path.commonpath([file.resolve().parent for file in files])
    relative = [file.resolve().relative_to(common) for file in files]
    short = [(f.stem, f.name, r.with_suffix("").as_posix(), r.as_posix()) for f, r in zip(files, relative, strict=True)]
    images = [(f.name, r.as_posix()) for f, r in zip(files, relative, strict=True)]
    return [Source(*row) for row in zip(files, _apart(short), _apart(images), strict=True)]


def check_name(source: Source) -> None:
    """Refuse with InputError, before any work, a file whose name cannot be that of results or stand in a CSV row."""
    text = source.image_name.encode("utf-8", "replace")
    longest = max(len(part) for part in f"{source.name}{OVERLAY_SUFFIX}".encode("utf-8", "replace").split(b"/"))
    if text.decode() != source.image_name:
        found = "bytes that are no UTF-8"
    elif not source.image_name.isprintable():
        found = "a line break or another unprintable character"
    elif longest > LONGEST_NAME:
        found = f"{longest} bytes for the name of the overlay"
    else:
        return
    raise InputError(
        "results cannot be named after this file",
        path=repr(str(source.path)),
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
