"""Batch jobs on the disk: what is to be done and how far it is in SQLite, pictures and results as files beside it.

    FOLDER/jobs.sqlite            jobs and their items
    FOLDER/jobs/ID/in/N/NAME      the pictures
    FOLDER/jobs/ID/out/N/...      the results of picture N, whole or not there

The order of writing makes it safe to be killed: pictures lie there before their rows, a folder of results gets its name
only when all of it is written, and what a row says comes after that. ``recover`` puts right whatever was in between.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ossa.errors import OutputError
from ossa.pipeline.reply import Wanted
from ossa.safety import write_json
from ossa.safety.database import Database
from ossa.safety.whole import to_disk

#: States of a job and of an item; the last three are for good.
QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"

#: What names of jobs look like: nothing else is ever joined to a path.
ID = re.compile(r"[0-9a-f]{24}")

#: In a folder of results: what the item's row shall say.
FACTS = ".facts.json"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, number INTEGER UNIQUE NOT NULL, created TEXT NOT NULL, finished TEXT,
    cancelled INTEGER NOT NULL DEFAULT 0, wanted TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS items (
    job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, number INTEGER NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL, bones INTEGER, notes TEXT, files TEXT, error TEXT, PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_by_state ON items (state, job);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
"""


class KeyTaken(Exception):
    """A job was entered under this key before; ``digest`` tells what was asked for."""

    def __init__(self, job: str, digest: str) -> None:
        super().__init__(job)
        self.job, self.digest = job, digest


@dataclass(frozen=True)
class Item:
    """One picture of a job. ``files``: name and media type of each result; ``error`` as answers tell it."""

    job: str
    number: int
    name: str
    state: str
    bones: int | None = None
    notes: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """One batch: ``counts`` of its items by state; ``state`` follows from them. Times in UTC, ISO 8601."""

    id: str
    created: str
    finished: str | None
    state: str
    counts: Mapping[str, int]
    wanted: Wanted


class Store:
    """The jobs in ``folder``. For several threads of one process, which alone writes there.

    Raises OutputError where the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            (folder / "jobs").mkdir(parents=True, exist_ok=True)
            self._base = Database(folder / "jobs.sqlite", _SCHEMA)
        except (OutputError, OSError) as error:
            raise OutputError(
                "jobs cannot be kept here",
                path=folder,
                found=error.found if isinstance(error, OutputError) else error.strerror,
                expected="an empty folder, or one that an earlier server used",
                remedy="Give another folder (--data)",
            ) from error
        self.recover()

    def close(self) -> None:
        """Close the database."""
        self._base.close()

    def recover(self) -> None:
        """Put right what a killed server left: begun items wait again, unless their results are whole."""
        with self._base.change() as db:
            for job, number in db.execute("SELECT job, number FROM items WHERE state = ?", (RUNNING,)).fetchall():
                if not self._adopt(db, job, number):
                    db.execute("UPDATE items SET state = ? WHERE job = ? AND number = ?", (QUEUED, job, number))
            known = {row[0] for row in db.execute("SELECT id FROM jobs")}
            for job in known:
                self._settle(db, job)
        for path in (self.folder / "jobs").iterdir():
            if not ID.fullmatch(path.name):
                continue  # somebody else's
            if path.name not in known:  # its rows were never written, or are gone already
                shutil.rmtree(path, ignore_errors=True)
                continue
            for part in (path / "out").glob("*.part"):
                shutil.rmtree(part, ignore_errors=True)

    def _adopt(self, db: sqlite3.Connection, job: str, number: int) -> bool:
        """Whether the results of an item lie there whole; then its row says so."""
        try:
            facts = json.loads((self.results_of(job, number) / FACTS).read_text(encoding="utf-8"))
            db.execute(
                "UPDATE items SET state = ?, bones = ?, notes = ?, files = ? WHERE job = ? AND number = ?",
                (DONE, facts["bones"], json.dumps(facts["notes"]), json.dumps(facts["files"]), job, number),
            )
        except (OSError, ValueError, KeyError):
            return False
        return True

    # --- new jobs ---------------------------------------------------------------------------------------------------

    def room(self) -> tuple[str, Path]:
        """A name for a new job and the folder for its pictures, ``N/NAME`` in it."""
        job = secrets.token_hex(12)
        place = self.folder / "jobs" / job / "in"
        place.mkdir(parents=True)
        return job, place

    def add(self, job: str, names: Sequence[str], wanted: Wanted, key: tuple[str, str] | None = None) -> Job:
        """Enter a job whose pictures lie in its room: from now on it is kept.

        ``key``: what its sender calls the request, and a digest of what it asks for; both live as long as the job.
        Raises KeyTaken where a job has the key already, and enters nothing.
        """
        place = self.folder / "jobs" / job
        _sync(place)
        with self._base.change() as db:
            taken = None if key is None else self._keyed(db, key[0])
            if taken is not None:
                raise taken
            (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM jobs").fetchone()
            db.execute(
                "INSERT INTO jobs (id, number, created, wanted) VALUES (?, ?, ?, ?)",
                (job, number, _now(), json.dumps(asdict(wanted))),
            )
            rows = [(job, k, name, QUEUED) for k, name in enumerate(names, start=1)]
            db.executemany("INSERT INTO items (job, number, name, state) VALUES (?, ?, ?, ?)", rows)
            if key is not None:
                db.execute("INSERT INTO keys (key, digest, job) VALUES (?, ?, ?)", (*key, job))
        made = self.job(job)
        assert made is not None
        return made

    def keyed(self, key: str) -> KeyTaken | None:
        """The job that was entered under ``key``; None where there is none."""
        with self._base.change() as db:
            return self._keyed(db, key)

    @staticmethod
    def _keyed(db: sqlite3.Connection, key: str) -> KeyTaken | None:
        row = db.execute("SELECT job, digest FROM keys WHERE key = ?", (key,)).fetchone()
        return None if row is None else KeyTaken(str(row[0]), str(row[1]))

    def drop_room(self, job: str) -> None:
        """Forget a room in which no job was entered."""
        shutil.rmtree(self.folder / "jobs" / job, ignore_errors=True)

    # --- what is there ----------------------------------------------------------------------------------------------

    def jobs(self, offset: int = 0, limit: int = 100) -> tuple[int, list[Job]]:
        """How many there are, and some of them, the newest first."""
        [(total,)] = self._base.rows("SELECT count(*) FROM jobs")
        rows = self._base.rows("SELECT id FROM jobs ORDER BY number DESC LIMIT ? OFFSET ?", limit, offset)
        return total, [job for (name,) in rows if (job := self.job(name)) is not None]

    def job(self, job: str) -> Job | None:
        """One job; None where there is none of this name."""
        found = self._base.rows("SELECT created, finished, cancelled, wanted FROM jobs WHERE id = ?", job)
        if not found:
            return None
        [(created, finished, cancelled, wanted)] = found
        rows = self._base.rows("SELECT state, count(*) FROM items WHERE job = ? GROUP BY state", job)
        counts = {str(state): int(count) for state, count in rows}
        every = {state: counts.get(state, 0) for state in (QUEUED, RUNNING, DONE, FAILED, CANCELLED)}
        return Job(job, created, finished, _state(every, bool(cancelled)), every, _wanted(wanted))

    def items(self, job: str, offset: int = 0, limit: int = -1) -> list[Item]:
        """Items of a job in order, all of them where no ``limit`` is given."""
        rows = self._base.rows(
            "SELECT number, name, state, bones, notes, files, error FROM items WHERE job = ? "
            "ORDER BY number LIMIT ? OFFSET ?",
            job,
            limit,
            offset,
        )
        return [_item(job, *row) for row in rows]

    def item(self, job: str, number: int) -> Item | None:
        """One item; None where there is none."""
        found = self.items(job, number - 1, 1) if 0 < number < 1 << 31 else []
        return found[0] if found else None

    def unfinished(self) -> int:
        """How many jobs have something left to do."""
        [(count,)] = self._base.rows("SELECT count(DISTINCT job) FROM items WHERE state IN (?, ?)", QUEUED, RUNNING)
        return int(count)

    def states(self) -> dict[str, int]:
        """How many items there are in each state."""
        rows = self._base.rows("SELECT state, count(*) FROM items GROUP BY state")
        found = {str(state): int(count) for state, count in rows}
        return {state: found.get(state, 0) for state in (QUEUED, RUNNING, DONE, FAILED, CANCELLED)}

    def picture_of(self, item: Item) -> Path:
        """Where an item's picture lies."""
        return self.folder / "jobs" / item.job / "in" / str(item.number) / item.name

    def results_of(self, job: str, number: int) -> Path:
        """Where an item's results lie when they are whole."""
        return self.folder / "jobs" / job / "out" / str(number)

    # --- doing ------------------------------------------------------------------------------------------------------

    def begin(self) -> tuple[Item, Wanted, Path] | None:
        """The next item that waits, from now on running, with an empty folder for its results; None when none waits."""
        with self._base.change() as db:
            row = db.execute(
                "SELECT i.job, i.number, j.wanted FROM items i JOIN jobs j ON j.id = i.job WHERE i.state = ? "
                "ORDER BY j.number, i.number LIMIT 1",
                (QUEUED,),
            ).fetchone()
            if row is None:
                return None
            job, number, wanted = row
            db.execute("UPDATE items SET state = ? WHERE job = ? AND number = ?", (RUNNING, job, number))
        part = self._part(job, number)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        found = self.item(job, number)
        assert found is not None
        return found, _wanted(wanted), part

    def _part(self, job: str, number: int) -> Path:
        final = self.results_of(job, number)
        return final.with_name(f"{final.name}.part")

    def done(self, item: Item, bones: int, notes: Sequence[str], files: Sequence[tuple[str, str]]) -> None:
        """Results of ``item`` lie in its folder whole. Nothing happens where it was cancelled or deleted meanwhile."""
        part = self._part(item.job, item.number)
        if self._still_running(item):
            write_json(part / FACTS, {"bones": bones, "notes": list(notes), "files": [list(file) for file in files]})
            os.replace(part, self.results_of(item.job, item.number))
            to_disk(part.parent)
        self._close(item, DONE, bones, json.dumps(list(notes)), json.dumps([list(file) for file in files]), None)

    def failed(self, item: Item, error: Mapping[str, Any]) -> None:
        """``item`` cannot be done, for the reason that ``error`` tells."""
        self._close(item, FAILED, None, None, None, json.dumps(error))

    def back(self, item: Item) -> None:
        """``item`` was given up: it waits again."""
        with self._base.change() as db:
            query = "UPDATE items SET state = ? WHERE job = ? AND number = ? AND state = ?"
            db.execute(query, (QUEUED, item.job, item.number, RUNNING))

    def _still_running(self, item: Item) -> bool:
        now = self.item(item.job, item.number)
        return now is not None and now.state == RUNNING

    def _close(self, item: Item, state: str, *values: Any) -> None:
        with self._base.change() as db:
            db.execute(
                "UPDATE items SET state = ?, bones = ?, notes = ?, files = ?, error = ? "
                "WHERE job = ? AND number = ? AND state = ?",
                (state, *values, item.job, item.number, RUNNING),
            )
            self._settle(db, item.job)
        shutil.rmtree(self._part(item.job, item.number), ignore_errors=True)
        if self.job(item.job) is None:  # deleted meanwhile
            shutil.rmtree(self.folder / "jobs" / item.job, ignore_errors=True)

    def cancel(self, job: str) -> Job | None:
        """Take what is not done out of the queue; what is done stays. None where there is no such job."""
        with self._base.change() as db:
            query = "UPDATE items SET state = ? WHERE job = ? AND state IN (?, ?)"
            if db.execute(query, (CANCELLED, job, QUEUED, RUNNING)).rowcount:
                db.execute("UPDATE jobs SET cancelled = 1 WHERE id = ?", (job,))
            self._settle(db, job)
        return self.job(job)

    def delete(self, job: str) -> bool:
        """Remove a job with its pictures and results; False where there is none."""
        with self._base.change() as db:
            found = db.execute("DELETE FROM jobs WHERE id = ?", (job,)).rowcount
        if found:
            shutil.rmtree(self.folder / "jobs" / job, ignore_errors=True)
        return bool(found)

    def _settle(self, db: sqlite3.Connection, job: str) -> None:
        """Note when a job was finished."""
        db.execute(
            "UPDATE jobs SET finished = ? WHERE id = ? AND finished IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM items WHERE job = jobs.id AND state IN (?, ?))",
            (_now(), job, QUEUED, RUNNING),
        )


def _state(counts: Mapping[str, int], cancelled: bool) -> str:
    if cancelled:
        return CANCELLED
    if counts[RUNNING] or (counts[QUEUED] and (counts[DONE] or counts[FAILED])):
        return RUNNING
    if counts[QUEUED]:
        return QUEUED
    return DONE if counts[DONE] else FAILED


def _item(job: str, number: int, name: str, state: str, bones: int | None, *texts: str | None) -> Item:
    notes, files, error = (None if text is None else json.loads(text) for text in texts)
    return Item(job, number, name, state, bones, tuple(notes or ()), tuple((a, b) for a, b in files or ()), error)


def _wanted(text: str) -> Wanted:
    said = json.loads(text)
    spacing = said["spacing"]
    said["spacing"] = None if spacing is None else (float(spacing[0]), float(spacing[1]))
    return Wanted(**{**said, "formats": tuple(said["formats"])})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _sync(folder: Path) -> None:
    """Have a folder with all that is in it on the disk."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            to_disk(path)
