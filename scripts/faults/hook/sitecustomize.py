"""What a command under test has inside it: it counts its steps on the disk, and dies or finds the disk full at one.

Python imports this file by itself where its folder stands in PYTHONPATH, so that processes that a command starts have
it too. Nothing happens unless OSSA_FAULT says so, in JSON:

    {"under": FOLDER, "count": FILE, "at": 7, "do": "kill" | "full" | "log"}

A step is a file opened to be written, a fsync, a renaming, a removal, a folder made or removed, a COMMIT of SQLite:
whatever a reader of FOLDER could see. FILE holds a byte for each step of all processes together. "kill" ends the whole
session of the command before step ``at``; "full" refuses it and all that follow as a full disk does; "log" writes a
line for each step to FILE.log.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from typing import Any

#: Steps that a full disk refuses; what frees room goes well.
_TAKES_ROOM = ("open", "fsync", "mkdir", "rename")

#: Audit event -> (kind of step, where among its arguments the folder's handle stands that the path is relative to).
_PATHS = {
    "os.rename": ("rename", 2),
    "os.remove": ("remove", 1),
    "os.mkdir": ("mkdir", 2),
    "os.rmdir": ("rmdir", 1),
    "os.link": ("link", 2),
    "os.symlink": ("symlink", 0),
    "os.truncate": ("truncate", 0),
}

# What a step itself uses, before anybody replaces it.
_write, _fsync, _seek = os.write, os.fsync, os.lseek


class Watch:
    """Counts the steps of this process below a folder and acts at one; see above."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.under = os.path.realpath(plan["under"])
        self.at, self.do = int(plan["at"]), str(plan["do"])
        self.count = os.open(plan["count"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.log = os.open(f"{plan['count']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND) if self.do == "log" else -1

    def step(self, kind: str, path: str) -> None:
        """One step, if it concerns the folder."""
        if path != self.under and not path.startswith(self.under + os.sep):
            return
        _write(self.count, b".")
        number = _seek(self.count, 0, os.SEEK_CUR)  # with O_APPEND: where this byte ended, whoever else writes
        if self.log >= 0:
            _write(self.log, f"{number} {kind} {os.path.relpath(path, self.under)}\n".encode())
        if self.do == "kill" and number == self.at:
            os.killpg(0, signal.SIGKILL)
        if self.do == "full" and number >= self.at and kind in _TAKES_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def fsync(self, handle: Any) -> None:
        """``os.fsync``, which has no audit event."""
        self.step("fsync", _path_of(handle if isinstance(handle, int) else handle.fileno()))
        _fsync(handle)

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit event of the interpreter, before what it tells."""
        if event == "open":
            if isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.step("open", _absolute(arguments[0], -1))
        elif event in _PATHS:
            kind, place = _PATHS[event]
            if not isinstance(arguments[0], int):
                self.step(kind, _absolute(arguments[0], arguments[place] if place else -1))

    def listen(self) -> None:
        """Hear what SQLite is told: a connection cannot be listened to before it is made, as its audit event comes."""
        import sqlite3

        connect = sqlite3.connect

        def connected(path: Any, *more: Any, **settings: Any) -> Any:
            made = connect(path, *more, **settings)
            base = _absolute(path, -1)
            made.set_trace_callback(lambda statement: self.told(statement, base))
            return made

        sqlite3.connect = connected

    def told(self, statement: str, base: str) -> None:
        """A statement of SQLite."""
        if statement.lstrip().upper().startswith("COMMIT"):
            self.step("commit", base)


def install(text: str | None) -> None:
    """Watch this process as ``text`` (the value of OSSA_FAULT) says."""
    if text:
        watch = Watch(json.loads(text))
        os.fsync = watch.fsync
        watch.listen()
        sys.addaudithook(watch.heard)


def _absolute(path: Any, folder: int) -> str:
    """The whole path, links above its last part followed."""
    text = os.fsdecode(path)
    if not os.path.isabs(text) and folder >= 0:
        return os.path.join(_path_of(folder), text)
    return os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(text))), os.path.basename(text))


def _path_of(handle: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return ""


install(os.environ.get("OSSA_FAULT"))
