"""What a DICOM node has received and has to answer, on the disk: nothing of it is lost, whatever ends the node.

FOLDER/node.sqlite            pictures, their states, and who still waits for which answer; identifiers, no names
FOLDER/received/<uid>.dcm     a picture that waits, whole before it is acknowledged
FOLDER/answers/<n>_<kind>.dcm an answer that somebody still waits for

A picture waits, is worked on, and is answered, or has no answer and a reason. Each answer waits for each peer alone.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ossa.errors import InputError
from ossa.safety import clear_leftovers
from ossa.safety.database import Held, read_only
from ossa.safety.whole import to_disk, write_bytes

KIND, NAME = "node queue", "node.sqlite"

#: A picture at which the node itself ended this often, is left alone.
DEADLY = 3

#: Seconds until what failed is tried again: doubled each time, from the first to the second.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0

#: The same for what a peer refused; it may learn to take it (another setting, more room).
LONGEST_REFUSAL = 3600.0

#: What can be tried now. A time further away than any pause was noted before the clock was set back: it has come.
_DUE = "(due <= ? OR due > ?)"

_TABLES = """
CREATE TABLE IF NOT EXISTS pictures (
    number INTEGER PRIMARY KEY, uid TEXT NOT NULL, study TEXT NOT NULL, kind TEXT NOT NULL, caller TEXT NOT NULL,
    maker TEXT NOT NULL, received REAL NOT NULL, state TEXT NOT NULL, deaths INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, ended REAL, reason TEXT, notes TEXT
);
CREATE INDEX IF NOT EXISTS by_uid ON pictures (uid);
CREATE INDEX IF NOT EXISTS by_state ON pictures (state, due);
CREATE TABLE IF NOT EXISTS answers (
    picture INTEGER NOT NULL REFERENCES pictures, kind TEXT NOT NULL, uid TEXT NOT NULL, peer TEXT NOT NULL,
    state TEXT NOT NULL, refused INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0, ended REAL, reason TEXT,
    PRIMARY KEY (picture, kind, peer)
);
CREATE INDEX IF NOT EXISTS by_peer ON answers (peer, state, due)
"""


@dataclass(frozen=True)
class Received:
    """A picture of the queue. ``uid``: its SOP Instance UID; ``caller``: the title of who sent it."""

    number: int
    uid: str
    tries: int
    path: Path


@dataclass(frozen=True)
class Waiting:
    """An answer that a peer waits for; ``uid`` is that of the answer itself."""

    picture: int
    kind: str
    uid: str
    tries: int
    path: Path


def pause(tries: int, longest: float = LONGEST_PAUSE) -> float:
    """Seconds to wait after ``tries`` failures.

    >>> pause(1), pause(3), pause(99)
    (2.0, 8.0, 60.0)
    """
    return min(FIRST_PAUSE * 2.0 ** min(max(tries, 1) - 1, 30), longest)


def _now() -> tuple[float, float]:
    """The values of ``_DUE``."""
    now = time.time()
    return now, now + max(LONGEST_PAUSE, LONGEST_REFUSAL)


class NodeQueue:
    """The queue in ``folder``, of the node with the title ``entity``, held until ``close``; threads may share it.

    ``keep``: files of pictures and answers stay when all is done. Raises OutputError as ``safety.database.Held`` does.
    """

    def __init__(self, folder: str | Path, entity: str, *, keep: bool = False) -> None:
        self.folder, self.keep = Path(folder), keep
        self._base = Held(self.folder, NAME, {"kind": KIND, "format": "1", "AE title": entity}, _TABLES)
        self._recover()

    def close(self) -> None:
        """Give the folder back."""
        self._base.close()

    # Pictures ------------------------------------------------------------------------------------

    def known(self, uid: str, maker: str) -> str | None:
        """The study of a picture that waits, or was seen by this ``maker``; None for one that is new, or failed."""
        rows = self._base.rows(
            "SELECT study FROM pictures WHERE uid = ? AND state != 'failed' "
            "AND (maker = ? OR state IN ('waiting', 'working'))",
            uid,
            maker,
        )
        return str(rows[0]["study"]) if rows else None

    def receive(self, data: bytes, *, uid: str, study: str, kind: str, caller: str, maker: str) -> int:
        """Keep a picture, a whole DICOM file; when this returns, it is on the disk. Raises OutputError."""
        path = self._received(uid)
        write_bytes(path, data)
        to_disk(path.parent)
        with self._base.change() as change:
            return int(
                change.execute(
                    "INSERT INTO pictures (uid, study, kind, caller, maker, received, state) "
                    "VALUES (?, ?, ?, ?, ?, ?, 'waiting')",
                    (uid, study, kind, caller, maker, time.time()),
                ).lastrowid
                or 0
            )

    def next_picture(self) -> Received | None:
        """The picture to work on now; it counts as worked on until ``answered``, ``unanswered`` or ``postpone``."""
        with self._base.change() as change:
            row = change.execute(
                f"SELECT number, uid, tries FROM pictures WHERE state = 'waiting' AND {_DUE} "
                "ORDER BY due, number LIMIT 1",
                _now(),
            ).fetchone()
            if row is None:
                return None
            change.execute("UPDATE pictures SET state = 'working' WHERE number = ?", (row["number"],))
        return Received(int(row["number"]), str(row["uid"]), int(row["tries"]), self._received(row["uid"]))

    def answered(
        self, picture: Received, answers: Mapping[str, str], peers: Sequence[str], maker: str, notes: Sequence[str]
    ) -> None:
        """A picture has ``answers`` (kind -> SOP Instance UID), whose files are written; every peer shall have them."""
        to_disk(self.folder / "answers")
        with self._base.change() as change:
            _end(change, picture.number, "answered", maker, None, notes)
            change.executemany(
                "INSERT OR REPLACE INTO answers (picture, kind, uid, peer, state) VALUES (?, ?, ?, ?, 'waiting')",
                [(picture.number, kind, uid, peer) for kind, uid in answers.items() for peer in peers],
            )
        self._tidy(picture)

    def unanswered(self, picture: Received, state: str, maker: str, reason: str, notes: Sequence[str] = ()) -> None:
        """A picture has no answer; ``state`` is "no hand" or "failed". Its reason is kept."""
        with self._base.change() as change:
            _end(change, picture.number, state, maker, reason, notes)
        self._tidy(picture)

    def postpone(self, picture: Received, reason: str) -> float:
        """Try a picture again later; in how many seconds."""
        wait = pause(picture.tries + 1)
        with self._base.change() as change:
            change.execute(
                "UPDATE pictures SET state = 'waiting', tries = tries + 1, due = ?, reason = ? WHERE number = ?",
                (time.time() + wait, reason, picture.number),
            )
        return wait

    def begin_again(self) -> None:
        """Pictures whose work ended in an error of the queue itself wait again; call it from who works on them."""
        with self._base.change() as change:
            change.execute("UPDATE pictures SET state = 'waiting' WHERE state = 'working'")

    def answer_file(self, picture: int, kind: str) -> Path:
        """Where an answer lies, or shall lie."""
        return self.folder / "answers" / f"{picture}_{kind}.dcm"

    # Answers -------------------------------------------------------------------------------------

    def due_answers(self, peer: str, most: int = 20) -> list[Waiting]:
        """The answers that ``peer`` can be sent now, in the order of their pictures, Segmentation before report."""
        rows = self._base.rows(
            f"SELECT picture, kind, uid, tries FROM answers WHERE peer = ? AND state = 'waiting' AND {_DUE} "
            "ORDER BY picture, kind LIMIT ?",
            peer,
            *_now(),
            most,
        )
        return [
            Waiting(
                row["picture"], row["kind"], row["uid"], row["tries"], self.answer_file(row["picture"], row["kind"])
            )
            for row in rows
        ]

    def sent(self, answer: Waiting, peer: str) -> None:
        """``peer`` has taken an answer; its file goes when nobody else waits for it."""
        self._ended(answer, peer, "sent", None)

    def lost(self, answer: Waiting, peer: str) -> None:
        """An answer cannot be sent: somebody took its file out of the queue."""
        self._ended(answer, peer, "lost", "its file is not in the queue any more")

    def _ended(self, answer: Waiting, peer: str, state: str, reason: str | None) -> None:
        with self._base.change() as change:
            change.execute(
                "UPDATE answers SET state = ?, tries = tries + 1, ended = ?, reason = ? "
                "WHERE picture = ? AND kind = ? AND peer = ?",
                (state, time.time(), reason, answer.picture, answer.kind, peer),
            )
            left = change.execute(
                "SELECT count(*) FROM answers WHERE picture = ? AND kind = ? AND state = 'waiting'",
                (answer.picture, answer.kind),
            ).fetchone()[0]
        if not left and not self.keep:
            answer.path.unlink(missing_ok=True)

    def unsent(self, answers: Sequence[Waiting], peer: str, reason: str, *, refused: bool) -> float:
        """``peer`` did not take these; they are tried again later. In how many seconds, the first of them.

        ``refused``: it could be reached, and did not want them.
        """
        waits = [pause(answer.tries + 1, LONGEST_REFUSAL if refused else LONGEST_PAUSE) for answer in answers]
        now = time.time()
        with self._base.change() as change:
            change.executemany(
                "UPDATE answers SET tries = tries + 1, due = ?, reason = ?, refused = ? "
                "WHERE picture = ? AND kind = ? AND peer = ?",
                [
                    (now + wait, reason, refused, one.picture, one.kind, peer)
                    for one, wait in zip(answers, waits, strict=True)
                ],
            )
        return min(waits, default=0.0)

    def reached(self, peer: str) -> None:
        """``peer`` can be reached: what it did not refuse is sent at once."""
        with self._base.change() as change:
            change.execute(
                "UPDATE answers SET due = 0 WHERE peer = ? AND state = 'waiting' AND NOT refused AND due > 0", (peer,)
            )

    def waiting_peers(self) -> dict[str, int]:
        """How many answers each peer waits for."""
        rows = self._base.rows("SELECT peer, count(*) AS n FROM answers WHERE state = 'waiting' GROUP BY peer")
        return {str(row["peer"]): int(row["n"]) for row in rows}

    # Files ---------------------------------------------------------------------------------------

    def _received(self, uid: str) -> Path:
        return self.folder / "received" / f"{uid}.dcm"

    def _tidy(self, picture: Received) -> None:
        """Drop the file of a picture that is done."""
        if not self.keep:
            picture.path.unlink(missing_ok=True)

    def _recover(self) -> None:
        """Put right what an end in the middle left: work begun, files that nobody was told of, files that are done."""
        with self._base.change() as change:
            change.execute(
                "UPDATE pictures SET deaths = deaths + 1, state = 'waiting', due = 0 WHERE state = 'working'"
            )
            change.execute(
                "UPDATE pictures SET state = 'failed', ended = ?, reason = ? WHERE state = 'waiting' AND deaths >= ?",
                (time.time(), f"the node ended {DEADLY} times while it worked on this picture", DEADLY),
            )
        for folder in ("received", "answers"):
            (self.folder / folder).mkdir(exist_ok=True)
            clear_leftovers(self.folder / folder)
        if self.keep:
            return
        waiting = {f"{row['uid']}.dcm" for row in self._base.rows("SELECT uid FROM pictures WHERE state = 'waiting'")}
        answers = {
            f"{row['picture']}_{row['kind']}.dcm"
            for row in self._base.rows("SELECT picture, kind FROM answers WHERE state = 'waiting'")
        }
        for folder, kept in (("received", waiting), ("answers", answers)):
            for path in (self.folder / folder).iterdir():
                if path.name not in kept:
                    path.unlink(missing_ok=True)


def _end(
    change: sqlite3.Connection, number: int, state: str, maker: str, reason: str | None, notes: Sequence[str]
) -> None:
    change.execute(
        "UPDATE pictures SET state = ?, maker = ?, ended = ?, reason = ?, notes = ? WHERE number = ?",
        (state, maker, time.time(), reason, json.dumps(list(notes)), number),
    )


def status_of(folder: str | Path, last: int = 10) -> dict[str, Any]:
    """What a queue holds, as JSON values, also while its node is running. Raises InputError for another folder.

    "pictures": how many in each state; "peers": who waits for how many answers, after how many tries, why, and in how
    many seconds the next one is; "last": the last pictures that have no answer, with their reasons.
    """
    base = read_only(Path(folder) / NAME, KIND)
    try:
        about = dict(base.execute("SELECT name, value FROM about").fetchall())
        pictures = dict(base.execute("SELECT state, count(*) FROM pictures GROUP BY state").fetchall())
        peers = [
            {
                "peer": row["peer"],
                "waiting": row["waiting"],
                "sent": row["sent"],
                "tries": row["tries"] or 0,
                "next try in s": None if row["due"] is None else round(max(0.0, row["due"] - time.time()), 1),
                "reason": row["reason"],
            }
            for row in base.execute(
                "SELECT peer, sum(state = 'waiting') AS waiting, sum(state = 'sent') AS sent, "
                "max(CASE state WHEN 'waiting' THEN tries END) AS tries, "
                "min(CASE state WHEN 'waiting' THEN due END) AS due, "
                "max(CASE state WHEN 'waiting' THEN reason END) AS reason FROM answers GROUP BY peer ORDER BY peer"
            )
        ]
        unanswered = [
            {"uid": row["uid"], "state": row["state"], "reason": row["reason"]}
            for row in base.execute(
                "SELECT uid, state, reason FROM pictures WHERE reason IS NOT NULL ORDER BY number DESC LIMIT ?", (last,)
            )
        ]
    except sqlite3.Error as error:
        raise InputError("is a damaged database", path=Path(folder) / NAME, found=error) from error
    finally:
        base.close()
    return {"AE title": about.get("AE title", ""), "pictures": pictures, "peers": peers, "last": unanswered}


def told(status: Mapping[str, Any]) -> list[str]:
    """``status_of`` in lines for a person."""
    pictures = status["pictures"]
    lines = [f"{status['AE title']}: {sum(pictures.values())} pictures"]
    lines += [f"  {state}: {number}" for state, number in sorted(pictures.items())]
    for peer in status["peers"]:
        line = f"{peer['peer']}: {peer['sent']} answers sent, {peer['waiting']} wait"
        if peer["waiting"] and peer["tries"]:
            line += f" (tried {peer['tries']} times, again in {peer['next try in s']:.0f} s: {peer['reason']})"
        lines.append(line)
    lines += [f"{one['uid']} {one['state']}: {one['reason']}" for one in status["last"]]
    return lines
