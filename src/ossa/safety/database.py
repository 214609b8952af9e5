"""Databases of services: what they must not forget, whatever ends them.

SQLite in WAL mode, every change on the disk before it is answered. A folder that is ``Held`` says in its table
``about`` what it is for, and for whom, so that no service works on another one's folder.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ossa.errors import InputError, OutputError
from ossa.safety.lock import LOCK_NAME, hold

#: Seconds to wait for another thread's or a reader's moment with the database.
_PATIENCE = 30.0

_ABOUT = "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)"


class Database:
    """The database at ``path``, which threads of this process share.

    ``tables``: the SQL that makes what is not there yet, statement by statement. Raises OutputError where the database
    is damaged or cannot be written.
    """

    def __init__(self, path: Path, tables: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._base: sqlite3.Connection | None = None
        try:
            with _told(path):
                self._base = base = sqlite3.connect(
                    path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None
                )
                base.row_factory = sqlite3.Row
                base.execute("PRAGMA journal_mode = WAL")
                base.execute("PRAGMA synchronous = FULL")  # what was acknowledged outlives a power cut
                base.execute("PRAGMA foreign_keys = ON")
            with self.change() as change:
                for statement in filter(str.strip, tables.split(";")):
                    change.execute(statement)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """All that is done inside is on the disk when this ends, or nothing of it. Raises OutputError."""
        with self._lock, _told(self.path):
            assert self._base is not None
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk may have rolled it back already
                    self._base.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """The answer to a question. Raises OutputError for a damaged database."""
        with self._lock, _told(self.path):
            assert self._base is not None
            return self._base.execute(query, values).fetchall()

    def close(self) -> None:
        """Close it."""
        with self._lock:
            if self._base is not None:
                self._base.close()
                self._base = None


class Held(Database):
    """The database ``folder``/``name``, and the folder with it, held by this process until ``close``.

    ``about``: what the folder must be ({"kind": "node queue", "format": "1", "of": "OSSA"}); written into a new one,
    compared with that of an old one, entry by entry in this order. The folder is made where it is missing, for this
    user alone. Raises OutputError as ``Database``, when another process holds it, and when it is somebody else's or
    holds other things.
    """

    def __init__(self, folder: Path, name: str, about: Mapping[str, str], tables: str) -> None:
        self.folder = folder
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            others = [one.name for one in folder.iterdir() if one.name != LOCK_NAME]
        except OSError as error:
            found = error.strerror or str(error)
            raise OutputError("cannot be used as a folder", path=folder, found=found) from error
        if others and not path.exists():
            raise OutputError(
                f"holds other things than a {about['kind']}",
                path=folder,
                found=min(others),
                expected="an empty folder, or one that is not there yet",
            )
        self._handle: int | None = hold(folder)
        try:
            super().__init__(path, f"{_ABOUT};{tables}")
            with self.change() as change:
                told = {row["name"]: row["value"] for row in change.execute("SELECT name, value FROM about")}
                if told:
                    _compare(folder, told, about)
                else:
                    change.executemany("INSERT INTO about VALUES (?, ?)", list(about.items()))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it, and give the folder back."""
        super().close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_only(path: Path, kind: str) -> sqlite3.Connection:
    """The database at ``path`` to be looked at, also while a service holds it; close it. Raises InputError."""
    if not path.is_file():
        raise InputError(f"is no {kind}", path=path.parent, found=f"no {path.name}", expected=f"the folder of a {kind}")
    try:
        base = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
        base.row_factory = sqlite3.Row
        told = dict(base.execute("SELECT name, value FROM about").fetchall())
    except sqlite3.Error as error:
        raise InputError("is a damaged database", path=path, found=error) from error
    if told.get("kind") != kind:
        base.close()
        raise InputError(f"is no {kind}", path=path.parent, found=told.get("kind", "nothing that says what it is"))
    return base


def _compare(folder: Path, told: Mapping[str, str], about: Mapping[str, str]) -> None:
    for name, value in about.items():
        if told.get(name) != value:
            raise OutputError(
                f"this folder belongs to another {about['kind']}",
                path=folder,
                found=f"{name} {told.get(name, 'nothing')}",
                expected=f"{name} {value}",
                remedy="Give another folder",
            )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        full = "full" in str(error)
        raise OutputError(
            "the database cannot be written" if full else "the database cannot be used",
            path=path,
            found=error,
            remedy="Free some space" if full else "If it is damaged, move the folder away and begin with another",
        ) from error
