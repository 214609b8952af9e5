"""Guards for everything that crosses the disk: sizes, atomic writes, containment, hashes.

Writers go through ``replacing`` so that a reader never sees half a file; readers check sizes
before they allocate.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it over ``path`` when the block succeeds.

    On any error the temporary file is removed and an existing ``path`` stays as it was.
    The parent folder is made when it is missing. Raises OutputError when the folder cannot be
    written or the disk is full.
    """
    final = Path(path)
    temporary: Path | None = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.name}.", suffix=".part", dir=final.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes the file private; give it the permissions a plain open() would have.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, final)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (final, temporary, final.parent):
            raise
        raise OutputError(
            "cannot be written",
            path=final,
            found=error.strerror or str(error),
            remedy=_remedy(error),
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


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


def read_json(path: str | os.PathLike[str], limit: int = MAX_JSON_BYTES) -> Any:
    """Read a JSON file of at most ``limit`` bytes. Raises InputError that names the file."""
    where = Path(path)
    try:
        size = where.stat().st_size
        if size > limit:
            raise InputError(
                "the file is too large", path=where, found=f"{size:,} bytes", expected=f"at most {limit:,}"
            )
        return json.loads(where.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError("cannot be read", path=where, found=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "is not valid JSON", path=where, found=str(error) or type(error).__name__, expected="a JSON file"
        ) from error


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
