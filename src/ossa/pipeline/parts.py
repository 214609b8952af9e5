"""The memory of a long run: one small file per finished image, so that a killed run goes on where it stopped.

An image's part is written after its other results, so these are complete or count as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ossa.errors import InputError
from ossa.labels.submission import COLUMNS, first_field
from ossa.pipeline.films import Film
from ossa.safety import inside, read_json, renewing, replacing, write_json, write_text
from ossa.safety.whole import remove

#: What the folder of a run calls its settings.
_NOTE = "run.json"

#: How the note of an image that was begun ends.
_BEGUN = ".begun"

CSV_NAME = "predictions.csv"

#: Inside the output folder: what a run has finished, until it is complete.
RUN_FOLDER = ".ossa-run"

HEADER = ",".join(COLUMNS) + "\n"


@dataclass(frozen=True, eq=False)
class Part:
    """What is remembered of a finished image: ``text`` (its CSV rows) and ``facts`` (bones found, notes)."""

    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Parts:
    """The finished images of a run in ``folder``, kept until the run is complete.

    A part belongs to the settings of the run and to its image file (path, size, time of change):
    when either changes, the image is done again. ``image_name`` of a film is unique in the run.
    """

    folder: Path

    @classmethod
    def begin(cls, folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> Parts:
        """The parts in ``folder`` for a run with ``settings`` (JSON values); parts of other settings are dropped."""
        parts = cls(Path(folder))
        if not parts.agree(settings):
            shutil.rmtree(parts.folder, ignore_errors=True)
            write_json(parts.folder / _NOTE, _plain(settings))
        return parts

    def agree(self, settings: Mapping[str, Any]) -> bool:
        """Whether these are parts of a run with ``settings``."""
        note = self.folder / _NOTE
        try:
            return note.is_file() and bool(read_json(note) == _plain(settings))
        except InputError:
            return False

    def finished(self) -> Iterator[tuple[str, Part]]:
        """(image name of the film, part) of everything that is done, whatever the settings were."""
        for path in sorted(self.folder.glob("*.part")):
            try:
                head, _, text = path.read_text(encoding="utf-8").partition("\n")
                value = json.loads(head)
                yield str(value["name"]), Part(text, dict(value["facts"]))
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                continue

    def get(self, film: Film) -> Part | None:
        """The part of an image, or None when it is not done, or was done from another file."""
        path = self._path(film)
        if not path.is_file():
            return None
        try:
            head, _, text = path.read_text(encoding="utf-8").partition("\n")
            value = json.loads(head)
            if value["stamp"] != _stamp(film.path) or not isinstance(value["facts"], dict):
                return None
            return Part(text, value["facts"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def starting(self, film: Film, files: Iterable[Path]) -> None:
        """Note the files that are about to be written for an image, so that no part of them stays behind."""
        names = [path.relative_to(self.folder.parent).as_posix() for path in files]
        with renewing(self._path(film).with_suffix(_BEGUN)) as temporary:
            temporary.write_text(json.dumps(names), encoding="utf-8")

    def drop_unfinished(self) -> None:
        """Remove what was written of images that were begun and are not done.

        A run was killed over them, or they could not be finished. No label stays without its overlay, none counts as
        somebody else's later.
        """
        for note in sorted(self.folder.glob(f"*{_BEGUN}")):
            if not note.with_suffix(".part").is_file():
                with suppress(OSError, ValueError, TypeError, RecursionError, InputError):
                    for name in json.loads(note.read_text(encoding="utf-8")):
                        remove(inside(self.folder.parent, name))
            note.unlink(missing_ok=True)

    def put(self, film: Film, part: Part) -> None:
        """Remember a finished image, at once or not at all."""
        head = json.dumps(
            {"name": film.image_name, "stamp": _stamp(film.path), "facts": dict(part.facts)}, ensure_ascii=False
        )
        write_text(self._path(film), f"{head}\n{part.text}")

    def write_csv(self, path: str | os.PathLike[str], films: Iterable[Film], kept: Iterable[str] = ()) -> None:
        """Write the submission of all finished ``films`` to ``path``; ``kept`` are rows that stand before theirs."""
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(HEADER)
            stream.writelines(kept)
            for film in films:
                part = self.get(film)
                if part is not None:
                    stream.write(part.text)

    def remove(self) -> None:
        """Forget the run: its results are complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, film: Film) -> Path:
        # Names may hold folders or be too long for a file name; a hash never is.
        # Names that are no text are turned away later, with their reason.
        digest = hashlib.sha256(film.image_name.encode(errors="surrogateescape")).hexdigest()
        return self.folder / f"{digest[:32]}.part"


def _plain(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(settings), sort_keys=True))


def _stamp(path: Path) -> list[Any]:
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def is_table(path: Path) -> bool:
    """Whether a file begins as the CSV that ``Parts.write_csv`` writes."""
    try:
        with path.open("rb") as stream:
            return stream.readline(len(HEADER) + 1) == HEADER.encode()
    except OSError:
        return False


def rows_by_image(path: Path) -> Iterator[tuple[str, str]]:
    """(image name, row with its line end) of a CSV that ``Parts.write_csv`` wrote; nothing of any other file."""
    if not is_table(path):
        return
    with path.open(encoding="utf-8", newline="") as stream:
        next(stream)
        yield from rows_of(stream)


def rows_of(lines: str | Iterable[str]) -> Iterator[tuple[str, str]]:
    """(image name, row with its line end) of a CSV's lines or text without header."""
    for line in lines.splitlines(keepends=True) if isinstance(lines, str) else lines:
        yield first_field(line), line
