"""Corrected labels with their history: what somebody saved is never lost.

    FOLDER/corrections/<picture>.json        the current label, in the competition's format: a folder of labels
    FOLDER/history/<picture>/0001.json       every revision, the current one too, whole
    FOLDER/history/<picture>/journal.json    who saved which, when, why, and which bones changed

A revision's own file is written first and never again: it is what counts, and holds all that the journal says of it.
The current label and the journal follow from the files and are made again where a killed program left them behind. A
current label that another program changed becomes a revision. Saving names the revision that was changed; where another
one was saved meanwhile, nothing is written (``Conflict``).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ossa.errors import InputError, LabelError, OssaError
from ossa.labels.case import Truth
from ossa.labels.competition import parse_label, write_outlines
from ossa.labels.names import bone_names
from ossa.labels.texts import read_label_json
from ossa.safety import inside, read_json, renewing, replacing, write_json
from ossa.schema import BoneSchema
from ossa.studio.bones import changed_bones

CORRECTIONS, HISTORY, JOURNAL = "corrections", "history", "journal.json"

#: Under this key of a label's attributes stands what the journal says of it.
KEY = "studio"

#: What is noted of a label that another program wrote over the current one.
OUTSIDE = "changed outside of the studio"

#: Longest author and note that are kept, in characters.
MOST_AUTHOR, MOST_NOTE = 200, 4000

_NUMBERED = re.compile(r"(\d{4,})\.json")


@dataclass(frozen=True)
class Revision:
    """One state of a label: ``revision`` counts from 1; ``saved`` is ISO 8601 in UTC; ``changed`` names bones."""

    revision: int
    author: str
    saved: str
    note: str = ""
    changed: Sequence[str] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As the journal holds it."""
        return {**asdict(self), "changed": list(self.changed)}


class Missing(InputError):
    """What was asked for is not there: a picture, a source, a revision, a job."""


class Conflict(OssaError):
    """Somebody else saved this label meanwhile; ``theirs`` is what they saved."""

    def __init__(self, picture: str, mine: int, theirs: Revision) -> None:
        self.theirs = theirs
        super().__init__(
            f"'{picture}' was changed meanwhile",
            found=f"revision {theirs.revision}, saved by {theirs.author or 'somebody'} at {theirs.saved}",
            expected=f"revision {mine}, the one that was opened",
            remedy="Look at what they saved, then save on top of it or drop your changes",
        )


class Corrections:
    """The corrected labels in ``folder``; pictures are known by their path below the data set's root.

    One process at a time writes there: the lock of the folder is the caller's.
    """

    def __init__(self, folder: Path, schema: BoneSchema) -> None:
        self.folder = folder
        self.schema = schema
        self._names = bone_names(schema)
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def revision(self, picture: str) -> int:
        """The number of the current revision of ``picture``, 0 where it was never corrected."""
        if picture not in self._numbers:
            with self._lock:
                self._numbers[picture] = self._mended(picture)
        return self._numbers[picture]

    def latest(self, picture: str) -> Revision | None:
        """Who saved the current revision, and when; None where there is none."""
        number = self.revision(picture)
        return self._journal_entry(picture, number) if number else None

    def history(self, picture: str) -> list[Revision]:
        """All revisions, the first one first."""
        count = self.revision(picture)
        return self._journal(picture) if count else []

    def read(self, picture: str, revision: int | None = None) -> Truth:
        """The label of a revision, the current one by default. Raises Missing where there is no such revision."""
        number = self.revision(picture) if revision is None else revision
        if not 1 <= number <= self.revision(picture) or not self._file(picture, number).is_file():
            raise Missing(f"'{picture}' has no revision {number}", found=f"{self.revision(picture)} revisions")
        return self._read_file(picture, number)

    def label(self, picture: str) -> Path:
        """Where the current label of ``picture`` lies, or would."""
        place = self._place(picture)
        return inside(self.folder / CORRECTIONS, place.with_name(f"{place.name}.json"))

    def save(
        self, picture: str, truth: Truth, shape: tuple[int, int], *, opened: int, former: Truth | None, author: str,
        note: str,
    ) -> Revision:  # fmt: skip
        """Save ``truth`` as the next revision of ``picture``, which was ``opened`` at a revision.

        ``former`` is what stood before the first revision. Raises Conflict when ``opened`` is not the current one,
        OutputError when it cannot be written: everything is then as it was.
        """
        with self._lock:
            number = self._mended(picture)
            if number != opened:
                theirs = self._journal_entry(picture, number) if number else Revision(0, "", "")
                raise Conflict(picture, opened, theirs)
            before = self._read_file(picture, number) if number else former
            entry = Revision(
                number + 1,
                _line(author, MOST_AUTHOR),
                _now(),
                note.encode("utf-8", "replace").decode()[:MOST_NOTE],
                changed_bones(before, truth, self.schema),
            )
            self._write(picture, truth, shape, entry)
            self._numbers[picture] = entry.revision
            return entry

    def _read_file(self, picture: str, number: int) -> Truth:
        """A revision's label from its file."""
        path = self._file(picture, number)
        return parse_label(read_label_json(path), path, self._names)

    # --- files ----------------------------------------------------------------------------------------------------

    def _place(self, picture: str) -> Path:
        """The picture's path below a folder; "elsewhere/..." for one that lies outside of the data set."""
        parts = [part for part in PurePosixPath(picture).parts if part not in ("/", ".", "..")]
        if len(parts) < len(PurePosixPath(picture).parts):
            parts = ["elsewhere", hashlib.sha256(picture.encode()).hexdigest()[:8], *parts]
        return Path(*parts)

    def _history(self, picture: str) -> Path:
        return inside(self.folder / HISTORY, self._place(picture))

    def _file(self, picture: str, number: int) -> Path:
        return self._history(picture) / f"{number:04d}.json"

    def _write(self, picture: str, truth: Truth, shape: tuple[int, int], entry: Revision) -> None:
        own = self._file(picture, entry.revision)
        said = {"judged": [n for n in self.schema.names if n in truth.annotated], KEY: entry.to_json()}
        write_outlines(own, truth.outlines, shape, PurePosixPath(picture).name, said)
        try:
            self._follow(picture, entry)
        except BaseException:
            # Nobody was told that it is saved: a full disk leaves everything as it was.
            own.unlink(missing_ok=True)
            self._restore(picture, entry.revision - 1)
            raise

    def _follow(self, picture: str, entry: Revision) -> None:
        """Make the current label and the journal say what the newest revision says; the journal comes last."""
        self._copy(picture, entry.revision)
        before = [one for one in self._journal(picture) if one.revision < entry.revision]
        self._write_journal(picture, [*before, entry])

    def _copy(self, picture: str, number: int) -> None:
        with renewing(self.label(picture)) as temporary:
            temporary.write_bytes(self._file(picture, number).read_bytes())

    def _restore(self, picture: str, number: int) -> None:
        """The current label as it was; on a full disk the next start mends it from the revision's own file."""
        try:
            if number:
                self._copy(picture, number)
            else:
                self.label(picture).unlink(missing_ok=True)
        except (OSError, OssaError):
            pass

    def _write_journal(self, picture: str, entries: Sequence[Revision]) -> None:
        write_json(self._history(picture) / JOURNAL, [entry.to_json() for entry in entries])

    def _journal(self, picture: str) -> list[Revision]:
        path = self._history(picture) / JOURNAL
        if not path.is_file():
            return []
        try:
            return [_revision(entry) for entry in read_json(path)]
        except (InputError, TypeError, KeyError, ValueError):
            return []  # damaged: made again from the revisions

    def _journal_entry(self, picture: str, number: int) -> Revision:
        for entry in reversed(self._journal(picture)):
            if entry.revision == number:
                return entry
        return self._told_by_file(picture, number)

    def _told_by_file(self, picture: str, number: int) -> Revision:
        data = read_label_json(self._file(picture, number))
        try:
            told = _revision(data["attributes"][KEY])
        except (TypeError, KeyError, ValueError):
            told = None
        # One that was made of a file of somebody else's says what that file was made of.
        return told if told is not None and told.revision == number else Revision(number, "", "", OUTSIDE)

    def _mended(self, picture: str) -> int:
        """The number of the newest revision; label and journal are made again where they do not tell of it."""
        folder = self._history(picture)
        if not folder.is_dir():
            return 0
        numbers = sorted(int(m[1]) for path in folder.iterdir() if (m := _NUMBERED.fullmatch(path.name)))
        if not numbers:
            return 0
        told = self._journal(picture)
        if [entry.revision for entry in told] != numbers or not self.label(picture).is_file():
            known = {entry.revision: entry for entry in told}
            entries = [known.get(number) or self._told_by_file(picture, number) for number in numbers]
            if not self._adopted(picture, numbers, entries):
                self._copy(picture, numbers[-1])
            self._write_journal(picture, entries)
        elif self._adopted(picture, numbers, told):
            self._write_journal(picture, told)
        return numbers[-1]

    def _adopted(self, picture: str, numbers: list[int], entries: list[Revision]) -> bool:
        """Whether the current label is no revision's: another program wrote it, and it becomes the newest revision."""
        label = self.label(picture)
        if not label.is_file():
            return False
        data = label.read_bytes()
        if any(self._file(picture, number).read_bytes() == data for number in reversed(numbers)):
            return False
        try:
            after = parse_label(read_label_json(label), label, self._names)
        except LabelError:
            return False  # no label: what it stood for is in the newest revision
        number = numbers[-1] + 1
        changed = changed_bones(self._read_file(picture, numbers[-1]), after, self.schema)
        with replacing(self._file(picture, number)) as temporary:
            temporary.write_bytes(data)
        numbers.append(number)
        entries.append(Revision(number, "", _now(), OUTSIDE, tuple(changed)))
        return True


def _revision(entry: Mapping[str, Any]) -> Revision:
    return Revision(
        int(entry["revision"]),
        str(entry["author"]),
        str(entry["saved"]),
        str(entry.get("note", "")),
        tuple(str(name) for name in entry.get("changed", ())),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _line(text: str, most: int) -> str:
    """A text in one line of printable characters."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:most]


def checked_revision(value: object) -> int:
    """A revision's number as it was sent. Raises LabelError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise LabelError("the revision is no number", found=repr(value)[:40], expected="the one that was opened")
    return value
