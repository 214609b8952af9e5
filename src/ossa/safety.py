"""Guards for everything that crosses the disk: sizes, whole files, outputs apart from inputs, locks, hashes.

Writers go through ``replacing`` so that a reader never sees half a file; a trip that writes a folder goes through
``output_folder``, which keeps it apart from what is read and from other runs. Readers check sizes before they allocate.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from ossa.errors import InputError, OutputError

#: Largest accepted picture, in pixels. A 6000x8000 mammography plate is 48 Mpx; a 30000x30000
#: decompression bomb (900 Mpx) is refused from its header.
MAX_PIXELS = 150_000_000

#: Largest accepted picture file, in bytes: MAX_PIXELS at 16 bits and four channels fit.
MAX_IMAGE_BYTES = 1_500_000_000

#: Largest accepted text file (labels, submissions, configuration), in bytes. A submission of
#: 288 images x 29 bones is about 25 MB.
MAX_TEXT_BYTES = 2_000_000_000

#: Largest accepted JSON label or card, in bytes.
MAX_JSON_BYTES = 1_000_000_000

#: Present in an output folder while a run writes into it.
LOCK_NAME = ".ossa-lock"

#: What follows a file's name while it is being written; the file is hidden until it is whole.
_PART = ".ossa-part"

#: Temporary files of this version and (eight random characters) of versions before 0.2.
_TEMPORARY = re.compile(r"\..+(\.ossa-part|\.[a-z0-9_]{8}\.part)")

#: Endings of files that a search for radiographs would take for one.
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm"})


# --- whole files -------------------------------------------------------------------------------------


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it over ``path`` when the block succeeds.

    On any error the temporary file is removed and an existing ``path`` stays as it was. What was written has reached
    the disk before it is moved, so that not even a power cut leaves half a file. The parent folder is made when it is
    missing; an existing file keeps its permissions, a link stays a link. What a killed run left of its temporary file
    is used up. Raises OutputError when the folder cannot be written, the disk is full, or ``path`` is read-only or
    no regular file (a device, a pipe, a folder).
    """
    with renewing(path) as temporary:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())


@contextmanager
def renewing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """``replacing`` for what can be made again (pictures of a page, a cache): it does not wait for the disk."""
    final = Path(path)
    temporary: Path | None = None
    handle: int | None = None
    try:
        if final.is_symlink():
            final = final.resolve()
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
        if error.filename is not None and Path(error.filename) not in (final, temporary, *final.parents):
            raise
        raise OutputError(
            "cannot be written",
            path=path,
            found=error.strerror or str(error),
            remedy=_remedy(error),
        ) from error
    finally:
        # The handle is closed last: as long as it is open, no other writer takes the name for a dead one's.
        if temporary is not None:
            with suppress(OSError):  # the folder itself may be gone
                temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _replaceable(path: Path) -> int | None:
    """The permissions of an existing file, None when there is none; OutputError for what must not be replaced."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
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
        path = final.with_name(f".{final.name}{f'.{number}' if number else ''}{_PART}")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        if _lock(handle) and _is_at(handle, path):
            os.ftruncate(handle, 0)
            return path, handle
        os.close(handle)
        number += 1


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """``replacing`` for a whole folder: give an empty one beside ``path``; put it in ``path``'s place on success.

    A folder that is at ``path`` is removed when the new one stands there. Raises OutputError as ``replacing`` does.
    """
    final = Path(path)
    work, old = final.with_name(f".{final.name}{_PART}"), final.with_name(f".{final.name}.old{_PART}")
    handle: int | None = None
    held = False
    try:
        if final.exists() and not final.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(final))
        work.mkdir(parents=True, exist_ok=True)
        handle = _hold(work)
        held = True
        for rest in work.iterdir():
            if rest.name != LOCK_NAME:
                _remove(rest)
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
            _remove(work)
        if handle is not None:
            os.close(handle)


def _exchange(new: Path, final: Path, old: Path) -> None:
    """Put ``new`` in the place of ``final``, which is kept as ``old`` until that is done."""
    _remove(old)
    there = final.exists()
    if there:
        os.rename(final, old)
    try:
        os.rename(new, final)
    except OSError:
        if there:
            os.rename(old, final)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space, or write to another disk"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Give a folder that you may write to"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "A file stands where a folder is needed; give another output folder"
    return "Check the output folder"


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` at once or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` at once or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as JSON to ``path`` at once or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


# --- outputs apart from inputs and from other runs ---------------------------------------------------


@contextmanager
def output_folder(
    path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = (), marks: Iterable[str] = ()
) -> Iterator[Path]:
    """A folder that this run alone writes into: apart from ``inputs``, there, writable, free of a killed run's rests.

    ``marks`` are names by which the result of an earlier run is known; see ``refuse_inputs``. Raises OutputError when
    an input lies there, when another run is at work there, or when nothing can be written.
    """
    folder = Path(path)
    refuse_inputs(folder, inputs, marks)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _hold(folder)
    except OSError as error:
        raise OutputError(
            "the output folder cannot be written",
            path=folder,
            found=error.strerror or str(error),
            remedy="Give a folder that you may write to",
        ) from error
    try:
        clear_leftovers(folder)
        yield folder
    finally:
        if _is_at(handle, folder / LOCK_NAME):  # else the folder was removed, and the lock there is another run's
            with suppress(OSError):
                (folder / LOCK_NAME).unlink()
        os.close(handle)


def refuse_inputs(
    output: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]], marks: Iterable[str] = ()
) -> None:
    """Raise OutputError where writing ``output`` (a file or a folder) could replace one of ``inputs``, or become one.

    Files and folders are told by what they are on the disk, so links, hard links and another spelling do not hide
    them. Refused are: an input itself; a folder that holds an input; what exists below an input folder, since it
    counts as a part of it, except a folder in which one of ``marks`` shows that an earlier run made it; and a new
    picture below an input folder, which the next run would read.
    """
    target = Path(output)
    here = _identity(target)
    above = _identities(_resolved(target).parents)
    for given in inputs:
        source = Path(given)
        known = _identity(source)
        if known is None:
            continue
        if known == here:
            _refuse(target, source, "it is what is read")
        if here is not None and here in _identities(_resolved(source).parents):
            _refuse(target, source, f"what is read lies in it: {source}")
        if known not in above:
            continue
        if here is None:
            if target.suffix.lower() in _PICTURES:
                _refuse(target, source, f"a picture in the folder that is read, {source}")
        elif not target.is_dir() or (contents(target) and not any((target / m).exists() for m in marks)):
            _refuse(target, source, f"a part of what is read, {source}")


def _refuse(output: Path, source: Path, found: str) -> NoReturn:
    beside = _resolved(source).parent / "results"
    raise OutputError(
        "an output would be one of the inputs",
        path=output,
        found=found,
        expected="a place of its own for results",
        remedy=f"Give another output, for instance {beside if output.suffix == '' else beside / output.name}",
    )


def contents(folder: str | os.PathLike[str]) -> list[str]:
    """The sorted names of what a folder holds, without the lock and what killed runs left half-written."""
    names = sorted(path.name for path in Path(folder).iterdir())
    return [name for name in names if not _TEMPORARY.fullmatch(name) and name != LOCK_NAME]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    return {known for path in paths if (known := _identity(path)) is not None}


def clear_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what killed runs left of the files and folders that they were writing directly in ``folder``."""
    with suppress(OSError):
        for path in [p for p in Path(folder).iterdir() if _TEMPORARY.fullmatch(p.name)]:
            with suppress(OSError, OutputError):  # OutputError: its writer lives
                handle = _hold(path) if path.is_dir() else os.open(path, os.O_RDWR)
                try:
                    if path.is_dir() or _lock(handle):
                        _remove(path)
                finally:
                    os.close(handle)


def _hold(folder: Path) -> int:
    """Lock a folder for this process; the handle that holds the lock.

    The lock is the kernel's and ends with the process, however that ends: no rest of a killed run blocks the next, and
    no process that got its number by chance is taken for it. Raises OutputError when another process has it.
    """
    path = folder / LOCK_NAME
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(handle):
            with open(handle, "rb") as stream:
                holder = stream.read(20).decode("ascii", "replace").strip()
            raise OutputError(
                "another run is writing into this folder",
                path=folder,
                found=f"process {holder}" if holder else "a process that holds its lock",
                remedy="Wait until it has ended, or give another output folder",
            )
        if _is_at(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
            return handle
        os.close(handle)  # the former holder removed the file between our two steps


def _is_at(handle: int, path: Path) -> bool:
    mine = os.fstat(handle)
    return _identity(path) == (mine.st_dev, mine.st_ino)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
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

    def _lock(handle: int) -> bool:
        """Take the lock of an open file for as long as it is open; False when another handle has it.

        A file system without locks gives it to everybody: better than no results at all.
        """
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
        return True


# --- reading -----------------------------------------------------------------------------------------


def read_json(path: str | os.PathLike[str], limit: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file of at most ``limit`` bytes. Raises InputError that names the file; NaN and Infinity are none."""
    where = Path(path)
    try:
        size = where.stat().st_size
        if size > limit:
            raise InputError(
                "the file is too large", path=where, found=f"{size:,} bytes", expected=f"at most {limit:,}"
            )
        return json.loads(where.read_text(encoding="utf-8-sig"), parse_constant=_no_number)
    except OSError as error:
        raise InputError("cannot be read", path=where, found=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "is not valid JSON", path=where, found=str(error) or type(error).__name__, expected="a JSON file"
        ) from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have")


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in lower-case hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def inside(root: str | os.PathLike[str], name: str | os.PathLike[str]) -> Path:
    """``root / name``, refused with InputError when it would lie outside ``root``."""
    base = Path(root).resolve()
    target = (base / name).resolve()
    if not target.is_relative_to(base):
        raise InputError(
            "a name that leaves its folder", path=root, found=repr(str(name)), expected="a plain relative name"
        )
    return target
