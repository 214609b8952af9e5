"""What a long run has finished, line by line in one file, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ossa.errors import InputError, OutputError
from ossa.safety.reading import read_json
from ossa.safety.whole import write_json

#: In the folder of a run: its settings, and what is done.
NOTE, DONE = "run.json", "done.jsonl"


class Log:
    """The memory of a run in ``folder``, kept until the run is complete: key -> value (JSON values).

    One process appends to it, the one that leads the run, wherever the work is done; a later value of a key takes the
    place of an earlier one. A line that a kill cut short, or that somebody damaged, counts as absent. Values stay on
    the disk; a few hundred bytes per key are held in memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, tuple[int, int]] | None = None
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, folder: Path, settings: Mapping[str, Any]) -> Log:
        """The log in ``folder`` for a run with ``settings`` (JSON values); one of other settings is dropped."""
        log = cls(folder)
        if not log.agree(settings):
            shutil.rmtree(folder, ignore_errors=True)
            write_json(folder / NOTE, _plain(settings))
        return log

    def agree(self, settings: Mapping[str, Any]) -> bool:
        """Whether this is the log of a run with ``settings``."""
        note = self.folder / NOTE
        try:
            return note.is_file() and bool(read_json(note) == _plain(settings))
        except InputError:
            return False

    def keys(self) -> list[str]:
        """Every key, sorted."""
        return sorted(self._index())

    def get(self, key: str) -> dict[str, Any] | None:
        """The value of ``key``, None where there is none."""
        place = self._index().get(key)
        if place is None:
            return None
        try:
            with (self.folder / DONE).open("rb") as stream:
                stream.seek(place[0])
                entry = _entry(stream.read(place[1]))
        except OSError:
            return None
        return entry[1] if entry is not None and entry[0] == key else None

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Remember ``value``, at once or not at all; threads may do so together. Raises OutputError.

        It does not wait for the disk: of what a power cut takes, the work is done again.
        """
        line = json.dumps([key, dict(value)], ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._append(key, line)

    def _append(self, key: str, line: bytes) -> None:
        index = self._index()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Opened anew each time: the folder may be removed during the run.
            with (self.folder / DONE).open("ab+") as stream:
                start = stream.seek(0, os.SEEK_END)
                if start and (stream.seek(start - 1), stream.read(1))[1] != b"\n":
                    start += stream.write(b"\n")  # what a kill cut short ends here
                stream.write(line)
        except OSError as error:
            found, remedy = error.strerror or str(error), "Free some space, or give a folder that you may write to"
            raise OutputError("cannot be written", path=self.folder / DONE, found=found, remedy=remedy) from error
        index[key] = start, len(line)

    def remove(self) -> None:
        """Forget the run: its results are complete."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._places = None

    def _index(self) -> dict[str, tuple[int, int]]:
        """Key -> where its last whole line lies: (offset, length), in bytes."""
        if self._places is None:
            self._places, offset = {}, 0
            with suppress(OSError), (self.folder / DONE).open("rb") as stream:
                for line in stream:
                    entry = _entry(line)
                    if entry is not None:
                        self._places[entry[0]] = offset, len(line)
                    offset += len(line)
        return self._places


def _entry(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """(key, value) of a line; None for one that is cut short or damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = line.endswith(b"\n") and isinstance(entry, list) and len(entry) == 2
    return (entry[0], entry[1]) if whole and isinstance(entry[0], str) and isinstance(entry[1], dict) else None


def stamp(path: Path) -> list[Any]:
    """What tells whether a file is still the one that it was: path, size in bytes, time of change in ns."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def _plain(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(settings), sort_keys=True))
