"""Files and folders that are written at once or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ossa.errors import OssaError, OutputError
from ossa.safety.lock import LOCK_NAME, hold, is_at, lock

#: What follows a file's name while it is being written; the file is hidden until it is whole.
PART = ".ossa-part"

#: Temporary files of this version and (eight random characters) of versions before 0.2.
TEMPORARY = re.compile(r"\..+(\.ossa-part|\.[a-z0-9_]{8}\.part)")

#: A folder that gives way to a new one, until that has its name.
OLD = re.compile(r"\.(.+)\.old\.ossa-part")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it over ``path`` when the block succeeds.

    On any error the temporary file is removed and an existing ``path`` stays as it was. What was written has reached
    the disk before it is moved, so that not even a power cut leaves half a file. The parent folder is made when it is
    missing; an existing file keeps its permissions. A link is replaced itself, since what it leads to may be
    somebody's input. What a killed run left of its temporary file is used up. Raises OutputError when the folder
    cannot be written, the disk is full, or ``path`` is read-only or no regular file (a device, a pipe, a folder).

    >>> from ossa.safety import replacing
    >>> with replacing("figures.csv") as temporary:
    ...     _ = temporary.write_text("bone,dice")
    >>> Path("figures.csv").read_text()
    'bone,dice'
    """
    with renewing(path) as temporary:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())


@contextmanager
def renewing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """``replacing`` for what can be made again (pictures of a page, a cache): it does not wait for the disk.

    >>> from ossa.safety import renewing
    >>> with renewing("thumbnail.txt") as temporary:
    ...     _ = temporary.write_text("made again at any time")
    >>> Path("thumbnail.txt").exists()
    True
    """
    final = Path(path)
    temporary: Path | None = None
    handle: int | None = None
    try:
        mode = _replaceable(final)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary, handle = _temporary(final)
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(handle, mode)
        yield temporary
        if sys.platform == "win32":  # which does not rename an open file
            os.close(handle)
            handle = None
        os.replace(temporary, final)
        temporary = None
    except OSError as error:
        if error.filename is not None and not _concerns(Path(os.fsdecode(error.filename)), final, temporary):
            raise
        raise OutputError(
            "cannot be written",
            path=path,
            found=error.strerror or str(error),
            remedy=_remedy(error),
        ) from error
    except Exception as error:
        # Writers in other languages (torch, safetensors) say in words of their own that the disk is full.
        if isinstance(error, OssaError) or temporary is None or not (_says_full(error) or _is_full(final.parent)):
            raise
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise OutputError("cannot be written", path=path, found=full.strerror, remedy=_remedy(full)) from error
    finally:
        # The handle is closed last: as long as it is open, no other writer takes the name for a dead one's.
        if temporary is not None:
            with suppress(OSError):  # the folder itself may be gone
                temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _concerns(path: Path, final: Path, temporary: Path | None) -> bool:
    """Whether an error about ``path`` is one about writing ``final``, and not about something else that was opened."""
    if path in (final, temporary, *final.parents):
        return True
    # The hidden file that could not even be made: a read-only disk, or one that is full.
    return path.parent == final.parent and path.name.startswith(f".{final.name}.") and path.name.endswith(PART)


def require_space(folder: Path, needed: float, what: str, *, holds: str, remedy: str) -> None:
    """Raise OutputError where the disk of ``folder`` has less than ``needed`` bytes free, before work is begun.

    ``what`` the space is for and what it ``holds``, in words.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"there is too little space for {what}",
            path=folder,
            found=f"{free / 1e6:,.0f} MB free",
            expected=f"about {needed / 1e6:,.0f} MB for {holds}",
            remedy=f"Free some space, {remedy}",
        )


def _says_full(error: Exception) -> bool:
    """Whether an error quotes the system's words for a full disk: one that took all of a file's room at once, as
    safetensors does, leaves room on the disk where it got none."""
    return any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT))


def _is_full(folder: Path) -> bool:
    """Whether the disk has no room left for as much as a block."""
    try:
        return shutil.disk_usage(folder).free < 4096
    except OSError:
        return False


def _replaceable(path: Path) -> int | None:
    """The permissions of an existing file, None when there is none; OutputError for what must not be replaced."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode) or path.parent == Path("/dev"):  # /dev/stdout may lead to a file
        raise OutputError(
            "cannot be written",
            path=path,
            found=_kind(found.st_mode),
            expected="a file, or a name that is free",
            remedy="Give another name",
        )
    if not found.st_mode & 0o222:
        raise OutputError(
            "cannot be written",
            path=path,
            found="a file that is read-only",
            remedy="Make it writable, or give another name",
        )
    return stat.S_IMODE(found.st_mode)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _temporary(final: Path) -> tuple[Path, int]:
    """A hidden file beside ``final``, made with usual permissions, and its handle, which holds a lock on it.

    Its name follows from the file's, so that a later run uses up what a killed one has left; only where a living
    writer of the same file is at work another name is taken.
    """
    number = 0
    while True:
        path = final.with_name(f".{final.name}{f'.{number}' if number else ''}{PART}")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        if lock(handle) and is_at(handle, path):
            os.ftruncate(handle, 0)
            return path, handle
        os.close(handle)
        number += 1


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """``replacing`` for a whole folder: give an empty one beside ``path``; put it in ``path``'s place on success.

    A folder that is at ``path`` is removed when the new one stands there. Raises OutputError as ``replacing`` does.

    >>> from ossa.safety import replacing_folder
    >>> with replacing_folder("model") as folder:
    ...     _ = (folder / "card.json").write_text("{}")
    >>> [path.name for path in Path("model").iterdir()]
    ['card.json']
    """
    final = Path(path)
    work, old = final.with_name(f".{final.name}{PART}"), final.with_name(f".{final.name}.old{PART}")
    handle: int | None = None
    held = False
    try:
        if final.exists() and not final.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(final))
        work.mkdir(parents=True, exist_ok=True)
        handle = hold(work)
        held = True
        put_back(old)
        for rest in work.iterdir():
            if rest.name != LOCK_NAME:
                remove(rest)
        yield work
        os.close(handle)
        handle = None
        (work / LOCK_NAME).unlink()
        _exchange(work, final, old)
    except OSError as error:
        raise OutputError(
            "cannot be written", path=path, found=error.strerror or str(error), remedy=_remedy(error)
        ) from error
    finally:
        if held:
            remove(work)
        if handle is not None:
            os.close(handle)


def _exchange(new: Path, final: Path, old: Path) -> None:
    """Put ``new`` in the place of ``final``, which is kept as ``old`` until that is done."""
    remove(old)
    there = final.exists()
    if there:
        os.rename(final, old)
    try:
        os.rename(new, final)
    except OSError:
        if there:
            os.rename(old, final)
        raise
    remove(old)


def put_back(old: Path) -> None:
    """Give a folder its name again that a process took away to put a new one in its place, killed before it could.

    ``old`` is what ``replacing_folder`` calls such a folder; any other path is left alone.
    """
    name = OLD.fullmatch(old.name)
    if name is None or not old.is_dir():
        return
    final = old.with_name(name[1])
    if not os.path.lexists(final):
        os.rename(old, final)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, where it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def to_disk(folder: Path) -> None:
    """Have the names of a folder's new files on the disk as well as the files: a power cut takes neither then."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space, or write to another disk"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Give a folder that you may write to"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "A file stands where a folder is needed; give another output folder"
    return "Check the output folder"


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` at once or not at all.

    >>> from ossa.safety import write_bytes
    >>> write_bytes("marks.bin", bytes(4))
    >>> Path("marks.bin").stat().st_size
    4
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` at once or not at all.

    >>> from ossa.safety import write_text
    >>> write_text("notes.txt", "seen by two readers")
    >>> Path("notes.txt").read_text()
    'seen by two readers'
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as JSON to ``path`` at once or not at all; NaN and infinity are refused.

    >>> from ossa.safety import read_json, write_json
    >>> write_json("figures.json", {"dice": 0.95})
    >>> read_json("figures.json")
    {'dice': 0.95}
    """
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
