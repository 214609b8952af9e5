"""One writer at a time: locks that the kernel keeps, and what a file is on the disk."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from ossa.errors import OutputError

#: Present in an output folder while a run writes into it.
LOCK_NAME = ".ossa-lock"


def identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def hold(folder: Path) -> int:
    """Lock a folder for this process; the handle that holds the lock.

    The lock is the kernel's and ends with the process, however that ends: no rest of a killed run blocks the next, and
    no process that got its number by chance is taken for it. Raises OutputError when another process has it.
    """
    path = folder / LOCK_NAME
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not lock(handle):
            with open(handle, "rb") as stream:
                holder = stream.read(20).decode("ascii", "replace").strip()
            raise OutputError(
                "another run is writing into this folder",
                path=folder,
                found=f"process {holder}" if holder else "a process that holds its lock",
                remedy="Wait until it has ended, or give another output folder",
            )
        if is_at(handle, path):
            with suppress(OSError):  # a full disk: the number is for people, the lock is held without it
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
            return handle
        os.close(handle)  # the former holder removed the file between our two steps


def is_at(handle: int, path: Path) -> bool:
    mine = os.fstat(handle)
    return identity(path) == (mine.st_dev, mine.st_ino)


if sys.platform == "win32":
    import msvcrt

    def lock(handle: int) -> bool:
        """Take the lock of an open file for as long as it is open; False when another handle has it."""
        try:
            # One byte far behind the content: on Windows a locked byte cannot be read by others.
            os.lseek(handle, 1 << 30, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def lock(handle: int) -> bool:
        """Take the lock of an open file for as long as it is open; False when another handle has it.

        A file system without locks gives it to everybody: better than no results at all.
        """
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
        return True
