"""What is asked before a file is read: its size, its place, whether it is what it was."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ossa.errors import InputError

#: Largest accepted picture, in pixels. A 6000x8000 mammography plate is 48 Mpx; a 30000x30000
#: decompression bomb (900 Mpx) is refused from its header.
MAX_PIXELS = 150_000_000

#: Largest accepted picture file, in bytes: MAX_PIXELS at 16 bits and four channels fit.
MAX_IMAGE_BYTES = 1_500_000_000

#: Largest accepted text file (labels, submissions, configuration), in bytes. A submission of
#: 288 images x 29 bones is about 25 MB.
MAX_TEXT_BYTES = 2_000_000_000

#: Largest accepted JSON file, in bytes, where nothing else is said: reading takes up to ten times that in memory.
MAX_JSON_BYTES = 100_000_000

#: Numbers that may be too large for a float: only a text that has one is read with every number looked at.
#: Where it ends matters: labels are full of ids such as "4a3121b1e636", which are texts.
_LARGE = re.compile(r"[\d.][eE]\+?\d{3}\d*(?:[\s,\]}]|$)|\d{300}")


def read_json(
    path: str | os.PathLike[str],
    limit: int = MAX_JSON_BYTES,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """Read a JSON file of at most ``limit`` bytes. Raises InputError that names the file; NaN and Infinity are none.

    ``pairs`` makes an object of its (key, value) pairs (``json.loads``'s object_pairs_hook).

    >>> from ossa.safety import read_json
    >>> read_json("hand.png")
    Traceback (most recent call last):
    ossa.errors.InputError: hand.png: is not valid JSON; ...
    """
    where = Path(path)
    try:
        size = where.stat().st_size
        if size > limit:
            raise InputError(
                "the file is too large", path=where, found=f"{size:,} bytes", expected=f"at most {limit:,}"
            )
        return parse_json(where.read_text(encoding="utf-8-sig"), pairs)
    except OSError as error:
        raise InputError("cannot be read", path=where, found=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "is not valid JSON", path=where, found=str(error) or type(error).__name__, expected="a JSON file"
        ) from error


def parse_json(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """JSON as ``json.loads`` reads it, without NaN, Infinity and numbers larger than any float.

    Raises ValueError for what is none, RecursionError for nesting without end.

    >>> from ossa.safety import parse_json
    >>> parse_json('{"dice": NaN}')
    Traceback (most recent call last):
    ValueError: NaN, which JSON does not have
    """
    check = _finite if _LARGE.search(text) else None
    return json.loads(text, object_pairs_hook=pairs, parse_constant=_no_number, parse_float=check)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]}, a number larger than any")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have")


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in lower-case hexadecimal.

    >>> from ossa.safety import sha256, write_text
    >>> write_text("empty.txt", "")
    >>> sha256("empty.txt")[:16]
    'e3b0c44298fc1c14'
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def inside(root: str | os.PathLike[str], name: str | os.PathLike[str]) -> Path:
    """``root / name``, refused with InputError when it would lie outside ``root``.

    >>> from ossa.safety import inside
    >>> inside("results", "../labels/hand.json")
    Traceback (most recent call last):
    ossa.errors.InputError: results: a name that leaves its folder; found '../labels/hand.json'; ...
    """
    base = Path(root).resolve()
    target = (base / name).resolve()
    if not target.is_relative_to(base):
        raise InputError(
            "a name that leaves its folder", path=root, found=repr(str(name)), expected="a plain relative name"
        )
    return target
