"""The memory of a run of ``ossa predict``, and the table that is made of it.

An image's part is remembered after its other results are written, so these are complete or count as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import InputError
from ossa.labels.submission import COLUMNS, first_field
from ossa.pipeline.films import Film, read_film
from ossa.safety import inside, read_json, renewing, replacing
from ossa.safety.log import Log
from ossa.safety.whole import remove

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph

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
    """The finished images of a run in ``log``, kept until the run is complete.

    A part belongs to the settings of the run and to its image file (path, size, time of change):
    when either changes, the image is done again. ``image_name`` of a film is unique in the run.
    """

    log: Log

    @classmethod
    def begin(cls, folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> Parts:
        """The parts in ``folder`` for a run with ``settings`` (JSON values); parts of other settings are dropped."""
        return cls(Log.begin(Path(folder), settings))

    def agree(self, settings: Mapping[str, Any]) -> bool:
        """Whether these are parts of a run with ``settings``."""
        return self.log.agree(settings)

    def finished(self) -> Iterator[tuple[str, Part]]:
        """(image name of the film, part) of everything that is done, whatever the settings were, sorted by name."""
        for name in self.log.keys():  # noqa: SIM118 - a log is no dictionary
            part = _part(self.log.get(name))
            if part is not None:
                yield name, part

    def get(self, film: Film) -> Part | None:
        """The part of an image, or None when it is not done, or was done from another file."""
        value = self.log.get(film.image_name)
        return _part(value) if value is not None and value.get("stamp") == film.stamp() else None

    def starting(self, film: Film, files: Iterable[str]) -> None:
        """Note the ``files``, as the results' folder calls them, that are about to be written for an image, so that no
        part of them stays behind.
        """
        note = {"image": film.image_name, "files": list(files)}
        # Names may hold folders or be too long for a file name; a hash never is.
        name = hashlib.sha256(film.image_name.encode(errors="surrogateescape")).hexdigest()[:32]
        with renewing(self.log.folder / f"{name}{_BEGUN}") as temporary:
            temporary.write_text(json.dumps(note), encoding="utf-8")

    def drop_unfinished(self) -> None:
        """Remove what was written of images that were begun and are not done.

        A run was killed over them, or they could not be finished. No label stays without its overlay, none counts as
        somebody else's later.
        """
        for note in sorted(self.log.folder.glob(f"*{_BEGUN}")):
            with suppress(OSError, ValueError, TypeError, KeyError, RecursionError, InputError):
                begun = read_json(note)
                if self.log.get(begun["image"]) is None:
                    for name in begun["files"]:
                        remove(inside(self.log.folder.parent, name))
            note.unlink(missing_ok=True)

    def put(self, film: Film, part: Part) -> None:
        """Remember a finished image, at once or not at all. Raises OutputError, and OSError without its file."""
        self.log.put(film.image_name, {"stamp": film.stamp(), "facts": dict(part.facts), "text": part.text})

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
        self.log.remove()


class Keeper:
    """Remembers parts at once, in the process that leads the run.

    To a worker elsewhere it travels empty: there nothing is kept, and the leader does it when the part arrives.
    """

    def __init__(self, parts: Parts | None, early: dict[Film, Callable[[], Radiograph]] | None = None) -> None:
        self._parts, self._early = parts, early or {}

    def __reduce__(self) -> tuple[type[Keeper], tuple[None]]:
        return Keeper, (None,)

    def read(self, film: Film) -> Radiograph:
        """The radiograph of a film, which may have been read ``early``. Raises InputError."""
        return self._early.pop(film, partial(read_film, film))()

    def starting(self, film: Film, files: Iterable[str]) -> None:
        """See ``Parts.starting``; elsewhere nothing is noted: what a dead worker wrote is written again."""
        if self._parts is not None:
            self._parts.starting(film, files)

    def put(self, film: Film, part: Part) -> bool:
        """Whether the part is remembered now. Raises as ``Parts.put``."""
        if self._parts is None:
            return False
        self._parts.put(film, part)
        return True


def _part(value: Mapping[str, Any] | None) -> Part | None:
    if value is None or not isinstance(value.get("text"), str) or not isinstance(value.get("facts"), dict):
        return None
    return Part(value["text"], value["facts"])


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
