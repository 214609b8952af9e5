"""Decoded grey pictures at training size, kept on the disk so that a picture is decoded once and not every epoch.

A cache is a folder per training size. Each picture has an array ``<hash>.npy`` (h, w) uint8, named after the SHA-256
of the picture file and of the way it was prepared, and a note ``<name>.json`` that says which file it came from and
what the array's bytes add up to: a damaged file is noticed and made again.
Files are only ever moved into place whole, arrays before their notes: a process that is killed leaves nothing that
could be read by mistake, and two processes that build the same cache write the same files.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.errors import InputError, OutputError
from ossa.labels.case import Problem
from ossa.parallel import cores, in_processes
from ossa.progress import Track, silent
from ossa.radiograph.prepare import Placement, Preparation, place, resample
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.read import read_radiograph
from ossa.safety import clear_leftovers, read_json, sha256, write_bytes, write_json
from ossa.safety.whole import require_space
from ossa.segmentation.decode import scales

#: Raised whenever decoding or resampling changes what an array holds.
VERSION = 2

#: A note is a few hundred bytes; a larger file (bytes) is none.
_MAX_NOTE = 100_000

_log = logging.getLogger(__name__)

Grey = NDArray[np.uint8]


def grey8(radiograph: Radiograph) -> Grey:
    """The picture as uint8. 16 bits are spread linearly between their .05 and 99.95 percentiles."""
    pixels = radiograph.pixels
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    low, high = np.percentile(pixels, (0.05, 99.95))
    spread = (pixels.astype(np.float32) - low) * (255.0 / max(1.0, float(high - low)))
    grey: Grey = np.clip(np.rint(spread), 0, 255).astype(np.uint8)
    return grey


def read_grey(path: Path, preparation: Preparation) -> tuple[Grey, Placement]:
    """Read a picture and bring it to training size: content (h, w) uint8, not padded, and its placement."""
    radiograph = read_radiograph(path)
    placement = place(radiograph.shape, preparation, radiograph.sides)
    return np.ascontiguousarray(resample(grey8(radiograph), placement)), placement


@dataclass
class GreyCache:
    """Pictures at training size. ``folder`` None keeps nothing: every picture is decoded when it is asked for.

    ``problem`` says why pictures are not kept any more (no space, read-only folder); they are decoded each time then.
    """

    folder: Path | None
    preparation: Preparation
    problem: str | None = field(default=None, compare=False)
    _checked: dict[Path, tuple[Path, Placement]] = field(default_factory=dict, compare=False, repr=False)

    def get(self, path: Path) -> tuple[Grey, Placement]:
        """Content (h, w) uint8 and placement of a picture, from the cache or decoded and kept.

        A picture is compared with what is kept of it once in the life of this object, not every time it is asked for.
        Raises ImageError when the picture cannot be read. A cache that cannot be written is no error: it is logged
        once, and the picture is decoded each time.
        """
        if self.folder is None:
            return read_grey(path, self.preparation)
        if path in self._checked:
            array, placement = self._checked[path]
            kept = _load(array, placement)
            if kept is not None:
                return kept, placement
        note = self._note(path)
        found = self._stored(path, note)
        if found is not None:
            return found
        grey, placement = read_grey(path, self.preparation)
        if self.problem is None:
            try:
                self._keep(path, note, grey, placement)
            except OutputError as error:
                self.problem = str(error)
                _log.warning("pictures are decoded each time from now on: %s", error)
        return grey, placement

    def placement(self, path: Path) -> Placement:
        """How a picture lies on the grid; its array is not read where it was compared before. Raises as ``get``."""
        return self._checked[path][1] if path in self._checked else self.get(path)[1]

    def __contains__(self, path: Path) -> bool:
        """Whether ``path`` is kept and unchanged."""
        return self.folder is not None and self._stored(path, self._note(path)) is not None

    def build(self, paths: Sequence[Path], workers: int | None = None, track: Track = silent) -> tuple[Problem, ...]:
        """Decode what is not there yet, in ``workers`` processes (as many as cores, at most 8).

        Returns a problem per picture that cannot be read; those are left out. Raises OutputError when the disk has
        too little space or the folder cannot be written, before anything is decoded.
        """
        if self.folder is None:
            return ()
        self._make_room(len(paths))
        missing = [path for path in dict.fromkeys(paths) if path not in self]
        count = min(workers if workers is not None else min(8, cores()), max(1, len(missing)))
        jobs = [(self.folder, self.preparation, path) for path in missing]
        results = in_processes(_build_one, jobs, count, "Give fewer workers; what is done stays done")
        return _problems(missing, track(results, len(jobs), "caching pictures"))

    # --- files ----------------------------------------------------------------------------------------------------

    def _home(self) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.preparation.size}"

    def _note(self, path: Path) -> Path:
        name = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:24]
        return self._home() / f"{path.stem[:40]}-{name}.json"

    def _array(self, content: str) -> Path:
        text = f"{VERSION} {self.preparation.size} {content}"
        return self._home() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"

    def _stored(self, path: Path, note: Path) -> tuple[Grey, Placement] | None:
        """What is kept of ``path``; None when there is nothing, or nothing that can be trusted."""
        try:
            said = read_json(note, _MAX_NOTE)
            stat = path.stat()
            content = str(said["sha256"])
            if (said["bytes"], said["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
                # Copied or touched: the hash decides whether it is still the same picture.
                if said["bytes"] != stat.st_size or sha256(path) != content:
                    return None
                write_json(note, {**said, "mtime_ns": stat.st_mtime_ns})
            placement = _placement(said["placement"])
            grey = _load(self._array(content), placement)
            if grey is None or zlib.crc32(grey.tobytes()) != said["crc32"]:
                return None
        # A note may hold anything once it is damaged: whatever is wrong with it, the picture is read anew.
        except (InputError, OSError, OutputError, LookupError, TypeError, ValueError, ArithmeticError):
            return None
        self._checked[path] = (self._array(content), placement)
        return grey, placement

    def _keep(self, path: Path, note: Path, grey: Grey, placement: Placement) -> None:
        stat = path.stat()
        content = sha256(path)
        write_bytes(self._array(content), _header(grey.shape) + grey.tobytes())
        said = {
            "path": os.path.abspath(path),
            "bytes": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "sha256": content,
            "crc32": zlib.crc32(grey.tobytes()),
            "placement": [
                *placement.image_shape,
                *placement.grid_shape,
                *placement.content_shape,
                placement.scale_y,
                placement.scale_x,
            ],
        }
        write_json(note, said)

    def _make_room(self, count: int) -> None:
        """Clear what killed processes left, and refuse to start what cannot be finished."""
        home = self._home()
        try:
            home.mkdir(parents=True, exist_ok=True)
            clear_leftovers(home)
            kept = sum(1 for _ in home.glob("*.npy"))
            # What is not decoded yet may be as large as a square at full size.
            require_space(
                home,
                max(0, count - kept) * (self.preparation.size**2 + 8192),
                "the cache of decoded pictures",
                holds=f"{count} pictures at {self.preparation.size} px",
                remedy="give another cache folder, lower the size, or turn the cache off: "
                "pictures are then decoded each time",
            )
        except OSError as error:
            raise OutputError(
                "the cache of decoded pictures cannot be made",
                path=home,
                found=error.strerror or str(error),
                remedy="Give another cache folder, or turn the cache off: pictures are then decoded each time",
            ) from error


def _header(shape: tuple[int, ...]) -> bytes:
    """What a .npy file of uint8 of this shape begins with, to the byte."""
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _load(array: Path, placement: Placement) -> Grey | None:
    """An array of the cache; None when it is missing, damaged or not what its note says.

    The beginning of the file is compared, not parsed: a damaged one has nothing to say about sizes and types.
    """
    height, width = placement.content_shape
    head = _header((height, width))
    try:
        if array.stat().st_size != len(head) + height * width:
            return None
        data = array.read_bytes()
    except OSError:
        return None
    if not data.startswith(head) or len(data) != len(head) + height * width:
        return None
    return np.frombuffer(data, np.uint8, offset=len(head)).reshape(height, width).copy()


def _placement(values: Sequence[float]) -> Placement:
    """A note's placement. Raises ValueError, TypeError, ArithmeticError or InputError for one that is damaged."""
    ih, iw, gh, gw, ch, cw, scale_y, scale_x = values
    placement = Placement((int(ih), int(iw)), (int(gh), int(gw)), (int(ch), int(cw)), float(scale_y), float(scale_x))
    scales(placement.grid_shape, placement)
    if not 0 < placement.content_shape[0] <= placement.grid_shape[0]:
        raise ValueError("content beyond its grid")
    if not 0 < placement.content_shape[1] <= placement.grid_shape[1]:
        raise ValueError("content beyond its grid")
    return placement


def _build_one(job: tuple[Path, Preparation, Path]) -> str | None:
    """Keep one picture; the sentence that says why it cannot be read, or None. A full disk ends the build."""
    import cv2

    cv2.setNumThreads(1)
    folder, preparation, path = job
    cache = GreyCache(folder, preparation)
    note = cache._note(path)
    try:
        grey, placement = read_grey(path, preparation)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    cache._keep(path, note, grey, placement)
    return None


def _problems(paths: Sequence[Path], messages: Iterable[str | None]) -> tuple[Problem, ...]:
    told = zip(paths, messages, strict=True)
    return tuple(Problem(path, message) for path, message in told if message is not None)
