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

#: Files up to this size are read at once: a thread that hashes block by block would wait for the interpreter's lock
#: after each of them, which another thread keeps while it imports.
_AT_ONCE = 64_000_000

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
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size <= _AT_ONCE else sha256(path)


def _stamp(path: Path) -> tuple[object, ...] | None:
    """What changes with a file's content; None for no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
