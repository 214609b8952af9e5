"""Pictures as a browser shows them: small ones for the grid, whole ones in 8 bits; made when asked for, then kept."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import OutputError
from ossa.radiograph.display import for_the_eye, jpeg, png
from ossa.radiograph.read import read_radiograph
from ossa.safety import renewing
from ossa.studio.collection import Picture
from ossa.studio.reading import stamp

#: Longest side of a small picture, px.
THUMB = 256

#: Changes when the same file gives another picture.
_VERSION = "1"

#: What is kept of whole pictures in memory, and of small ones on the disk, in bytes.
MOST_MEMORY, MOST_DISK = 128_000_000, 500_000_000


def etag(picture: Picture, what: str) -> str:
    """What names this state of the picture in HTTP (RFC 9110, 8.8.3), without quotes."""
    part = picture.film.box if picture.film is not None and what == "thumb" else ""
    text = f"{_VERSION} {what} {picture.path} {stamp(picture.path)} {part}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Views:
    """Makes and keeps pictures; small ones below ``folder``, or in memory too where there is none."""

    def __init__(self, folder: Path | None, memory: int = MOST_MEMORY, disk: int = MOST_DISK) -> None:
        self._folder = folder
        self._memory = Bounded(memory)
        self._disk = disk
        self._lock = threading.Lock()
        self._written = 0

    def thumb(self, picture: Picture) -> bytes:
        """A JPEG whose longest side is at most THUMB px. Raises ImageError."""
        tag = etag(picture, "thumb")
        if self._folder is None:
            return self._memory.get(tag, lambda: _thumb(picture))
        path = self._folder / tag[:2] / f"{tag}.jpg"
        try:
            return path.read_bytes()
        except OSError:
            pass
        data = _thumb(picture)
        try:
            with renewing(path) as temporary:
                temporary.write_bytes(data)
        except OutputError:
            return data  # a full disk: it is made again
        self._forget(len(data))
        return data

    def image(self, picture: Picture) -> bytes:
        """The whole picture as an 8-bit grey PNG; other than 8 bit is windowed as overlays are. Raises ImageError."""
        return self._memory.get(etag(picture, "image"), lambda: _image(picture))

    def _forget(self, size: int) -> None:
        """Now and then the oldest small pictures go, where there are more than fit."""
        with self._lock:
            self._written += size
            if self._written < self._disk // 10 or self._folder is None:
                return
            self._written = 0
            files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in self._folder.glob("*/*.jpg"))
            over = sum(size for _, size, _ in files) - self._disk
            for _, size, path in files:
                if over <= 0:
                    return
                path.unlink(missing_ok=True)
                over -= size


class Bounded:
    """Bytes by key, the longest unused ones forgotten where they are more than ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What is held under ``key``, made where nothing is."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        data = make()
        with self._lock:
            if key not in self._held and len(data) <= self._most:
                self._held[key] = data
                self.size += len(data)
                while self.size > self._most:
                    _, gone = self._held.popitem(last=False)
                    self.size -= len(gone)
        return data


def _thumb(picture: Picture) -> bytes:
    import cv2

    pixels: NDArray[Any] = read_radiograph(picture.path).pixels
    if picture.film is not None:  # one hand of several: itself
        left, top, right, bottom = picture.film.window(None, (pixels.shape[0], pixels.shape[1]))
        pixels = pixels[top:bottom, left:right]
    scale = THUMB / max(pixels.shape)
    if scale < 1:
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return jpeg(for_the_eye(pixels), 82)


def _image(picture: Picture) -> bytes:
    pixels = read_radiograph(picture.path).pixels
    shown: NDArray[np.uint8] = for_the_eye(pixels) if pixels.dtype != np.uint8 else pixels.astype(np.uint8, copy=False)
    return png(shown)
