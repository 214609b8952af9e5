"""Which files of a folder are radiographs: pictures by their name, and DICOM, PNG and JPEG files by their content."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ossa.radiograph.kinds import HEAD, is_hidden, is_picture_name, sniff
from ossa.safety.pictures import MASKS_SUFFIX, MEASURED_SUFFIX, OVERLAY_SUFFIX

#: What an ordinary file begins with as little as its name says it: DICOM exports are called "1.2.840.1", "IM0001" or
#: "IMG.IMA". TIFF and BMP are known by their name alone: their first bytes are those of other files too.
_BY_CONTENT = frozenset({"DICOM", "PNG", "JPEG"})

#: The index of a DICOM disc, which is a DICOM file itself (PS3.10, 8.6).
_DICOMDIR = "DICOMDIR"


@dataclass
class Found:
    """``files`` in the order found, once each; ``passed_over``: ending, or name without one -> how many files."""

    files: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)

    def remark(self) -> str | None:
        """One sentence about what a search passed over, None when there is nothing to say."""
        if not self.passed_over:
            return None
        kinds = [f"{name} {count}" for name, count in self.passed_over.most_common(5)]
        more = len(self.passed_over) - len(kinds)
        listed = ", ".join(kinds) + (f" and {more} other kinds" if more else "")
        total = sum(self.passed_over.values())
        return (
            f"passed over {total} {'file that is no picture' if total == 1 else 'files that are no pictures'}: {listed}"
        )


def find_pictures(paths: Iterable[str | Path], leave_out: str | Path | None = None) -> Found:
    """Every radiograph that ``paths`` (files, folders, glob patterns) mean, once each, in the order given.

    Folders are searched to any depth in sorted order; what lies in ``leave_out``, hidden files, overlays that ossa
    wrote, folders of masks (NAME_masks) and links to folders are left out. A named file is taken as it is, present or
    not: reading it tells what is wrong with it.
    """
    out = Path(leave_out).resolve() if leave_out is not None else None
    found, seen = Found(), set()
    for path in paths:
        for file in _expand(Path(path), out, found.passed_over):
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                found.files.append(file)
    return found


def _expand(path: Path, out: Path | None, passed_over: Counter[str]) -> Iterator[Path]:
    if path.is_dir():
        yield from _search(path, out, passed_over)
    elif not path.exists() and glob.has_magic(str(path)):
        for match in sorted(glob.glob(str(path), recursive=True)):
            inner = Path(match)
            yield from _search(inner, out, passed_over) if inner.is_dir() else _chosen(inner, passed_over)
    else:
        yield path


def _search(folder: Path, out: Path | None, passed_over: Counter[str]) -> Iterator[Path]:
    # A folder that is itself to be left out is searched: who writes there refuses it with a reason.
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        kept = (f for f in folders if not f.startswith(".") and not f.endswith(MASKS_SUFFIX))
        folders[:] = sorted(f for f in kept if (here / f).resolve() != out)
        for name in sorted(files):
            yield from _chosen(here / name, passed_over)


def _chosen(path: Path, passed_over: Counter[str]) -> Iterator[Path]:
    if is_hidden(path) or path.name.endswith((OVERLAY_SUFFIX, MEASURED_SUFFIX)):
        return
    if may_be_picture(path, lambda: _head(path)):
        yield path
    else:
        passed_over[path.suffix.lower() or path.name] += 1


def may_be_picture(path: Path, head: Callable[[], bytes]) -> bool:
    """Whether a file is a picture by its name, or else by its first HEAD bytes, which ``head`` gives."""
    return is_picture_name(path) or (path.name.upper() != _DICOMDIR and sniff(head()) in _BY_CONTENT)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD)
    except OSError:
        return b""
