"""Label files as text: which keys one has, what JSON it holds, whatever program on whatever computer wrote it.

JSON is UTF-8, but labels drawn in Korea, China or Japan come as their systems write: the text of a path or of a note is
then in an older code, or everything is UTF-16. Bounds are asked before a file is read, numbers that are none are
refused.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

from ossa.errors import LabelError
from ossa.safety import parse_json

#: Largest label of one picture, in bytes. labelme puts the picture itself into its file.
MAX_LABEL_BYTES = 100_000_000

#: Codes that are tried in turn after UTF-8. The last one takes any bytes, and gives ASCII, which all bones' names are.
_CODES = ("cp949", "gb18030", "shift_jis", "latin-1")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_label_json(path: Path, limit: int = MAX_LABEL_BYTES) -> Any:
    """The JSON of a label file; LabelError when it is missing, larger than ``limit`` bytes or not JSON."""
    try:
        return parse_json(_decoded(_bytes(path, limit)))
    except (ValueError, RecursionError) as error:
        raise LabelError(
            "is not valid JSON", path=path, found=str(error) or type(error).__name__, expected="a JSON label file"
        ) from error


def mentions(path: Path, *keys: str) -> bool:
    """Whether the text of a file has all ``keys`` as keys of JSON, wherever they stand.

    False for what cannot be read or is larger than a label. The file is not parsed: this is asked of many.
    """
    try:
        data = _bytes(path, 4 * MAX_LABEL_BYTES).replace(b"\0", b"")  # UTF-16 becomes plain enough for keys
    except LabelError:
        return False
    return all(re.search(rb'"%s"\s*:' % key.encode(), data) for key in keys)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        if not path.is_file():
            raise LabelError("cannot be read", path=path, found="no file", expected="a label file")
        size = path.stat().st_size
        if size > limit:
            raise LabelError(
                "the file is too large", path=path, found=f"{size:,} bytes", expected=f"a JSON label file of {limit:,}"
            )
        return path.read_bytes()
    except OSError as error:
        raise LabelError("cannot be read", path=path, found=error.strerror or str(error)) from error


def _decoded(data: bytes) -> str:
    for mark, code in _MARKS:
        if data.startswith(mark):
            return data.decode(code, "replace")
    if b"\0" in data[:4]:
        return data.decode(json.detect_encoding(data), "replace")
    for code in ("utf-8", *_CODES):
        try:
            return data.decode(code)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 takes any bytes")
