"""SHA-256 of a bundle's files, two at a time, and perhaps begun while everything else is still being imported.

This module imports nothing heavy: a command calls ``ahead_of`` first and numpy, OpenCV and ONNX Runtime afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ossa.safety import sha256

#: The folder of the shipped bundle.
SHIPPED = Path(__file__).parent.parent / "models" / "default"

#: So many bytes are read and hashed at a time. After each block a thread waits for the interpreter's lock, which
#: another one keeps while it imports, so blocks are large; a whole file would take new memory, as costly as hashing.
_BLOCK = 4_000_000

#: What was begun for a file as it was then, and not asked for yet.
_begun: dict[tuple[object, ...], Future[str]] = {}


def ahead_of(model: Path | None) -> None:
    """Begin to hash the files of the bundle in the folder ``model``, or of the shipped one (None)."""
    folder = SHIPPED if model is None else model
    if folder.is_dir():
        ahead(path for kind in ("*.onnx", "*.safetensors") for path in sorted(folder.glob(kind)))


def ahead(paths: Iterable[Path]) -> None:
    """Begin to hash the files that are there and not begun, in threads; ``digest`` waits for them."""
    pool = ThreadPoolExecutor(2, "ossa-hash")
    for path in paths:
        key = _stamp(path)
        if key is not None and key not in _begun:
            _begun[key] = pool.submit(_hashed, path)
    pool.shutdown(wait=False)


def digest(path: Path) -> str:
    """The SHA-256 of a file as it is now, once from what was begun. Raises OSError."""
    key = _stamp(path)
    begun = None if key is None else _begun.pop(key, None)
    return sha256(path) if begun is None else begun.result()


def _hashed(path: Path) -> str:
    found, block = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(block):
            found.update(block[:count])
    return found.hexdigest()


def _stamp(path: Path) -> tuple[object, ...] | None:
    """What changes with a file's content, whichever way its path is written; None for no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return path.name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
