"""Saved probabilities: a network's logits of many images on the disk, at the network's own grid.

    STORE/store.json            schema and what wrote it
    STORE/images/<name>.prob    one image, written at once or not at all, so a run can go on

Each bone is kept inside the box where it has any chance at all, one byte per pixel, deflated: some
30 kB per hand at a 256 x 256 grid. One file is

    8 bytes "OSSAPRB1", 4 bytes header length (little-endian), header (JSON), the bones' deflated bytes

The byte q of a logit l is ceil(256 sigmoid(l / 2)) - 1, read back as 2 logit((q + .5) / 256): steps of 1/32
near 0 where the outline is decided, larger ones up to +-12.5. The sign is always kept, and a logit of exactly 0, which
is no bone to decoding, is none when it is read back.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, InputError, SchemaError
from ossa.radiograph.prepare import Placement
from ossa.safety import MAX_PIXELS, inside, parse_json, read_json, write_bytes, write_json
from ossa.schema import BoneSchema

Float = NDArray[np.float32]

FORMAT = 1
MAGIC = b"OSSAPRB1"
SUFFIX = ".prob"

#: Outside a bone's box every logit is below this (probability .007) and reads as ``FLOOR``.
BOX_LOGIT = -5.0
FLOOR = -8.0

_MAX_HEADER = 1_000_000
#: Largest file of one image, in bytes, and most pixels of its logits: all bones of that many are half a gigabyte.
_MAX_BYTES = 200_000_000
_MAX_GRID_PIXELS = 1 << 22

_LEVELS = (np.arange(256) + 0.5) / 256
#: What each byte reads back as.
_VALUES = (2.0 * np.log(_LEVELS / (1.0 - _LEVELS))).astype(np.float32)
#: Logits between which a byte changes: floor(256 sigmoid(l / 2)) without an exponential per pixel.
_EDGES = (2.0 * np.log(np.arange(1, 256) / 256 / (1.0 - np.arange(1, 256) / 256))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Probabilities:
    """The saved logits of one image; bones are unpacked when asked for.

    ``shape`` (h, w) of the logits, which cover the grid of ``placement``.
    """

    placement: Placement
    shape: tuple[int, int]
    boxes: tuple[tuple[int, int, int, int] | None, ...]
    chunks: tuple[bytes, ...]
    path: Path

    def bone(self, index: int) -> Float:
        """The logits (h, w) of one bone."""
        out = np.full(self.shape, FLOOR, np.float32)
        box = self.boxes[index]
        if box is not None:
            top, left, height, width = box
            out[top : top + height, left : left + width] = self._unpack(index, height, width)
        return out

    def logits(self) -> Float:
        """All bones (C, h, w)."""
        return np.stack([self.bone(i) for i in range(len(self.boxes))])

    def _unpack(self, index: int, height: int, width: int) -> Float:
        # A limit on the output: a damaged or hostile chunk cannot grow beyond its box.
        machine = zlib.decompressobj()
        try:
            data = machine.decompress(self.chunks[index], height * width + 1)
        except zlib.error as error:
            raise _damaged(self.path, str(error)) from error
        if len(data) != height * width:
            raise _damaged(self.path, f"{len(data)} bytes for a box of {height}x{width}")
        steps = np.frombuffer(data, np.uint8).reshape(height, width)
        return _VALUES[np.cumsum(steps, axis=0, dtype=np.uint8)]


@dataclass(frozen=True, eq=False)
class Store:
    """A folder of saved probabilities; ``source`` tells what wrote it (models with hashes, views, windows)."""

    path: Path
    schema: BoneSchema
    source: Mapping[str, Any]

    @classmethod
    def create(cls, path: str | os.PathLike[str], schema: BoneSchema, source: Mapping[str, Any]) -> Store:
        """Start a store in ``path``, or go on with the one that the same ``source`` began there.

        Raises ConfigError when another source wrote the store.
        """
        folder = Path(path)
        if (folder / "store.json").exists():
            store = cls.open(folder, schema)
            if store.source != json.loads(json.dumps(dict(source))):
                raise ConfigError(
                    f"{folder}: another model or other settings wrote these probabilities",
                    found=_differing(store.source, source),
                    expected=_differing(source, store.source),
                    remedy="Give another folder, or delete this one",
                )
            return store
        bones = list(schema.names)
        write_json(
            folder / "store.json", {"format": FORMAT, "schema": schema.name, "bones": bones, "source": dict(source)}
        )
        return cls(folder, schema, json.loads(json.dumps(dict(source))))

    @classmethod
    def open(cls, path: str | os.PathLike[str], schema: BoneSchema) -> Store:
        """The store in ``path``. Raises InputError when there is none, SchemaError when its bones are others."""
        folder = Path(path)
        if not (folder / "store.json").is_file():
            raise InputError("is not a store of probabilities", path=folder, expected="a folder with store.json")
        value = read_json(folder / "store.json")
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            found = f"format {value.get('format')!r}" if isinstance(value, dict) else type(value).__name__
            raise InputError("has another format", path=folder / "store.json", found=found, expected=f"format {FORMAT}")
        bones = value.get("bones")
        if bones != list(schema.names):
            raise SchemaError(
                f"the store at {folder} holds other bones",
                found=f"schema '{value.get('schema')}' with {len(bones) if isinstance(bones, list) else 'no'} bones",
                expected=f"the {len(schema)} bones of '{schema.name}' in their order",
            )
        source = value.get("source")
        return cls(folder, schema, source if isinstance(source, dict) else {})

    def __contains__(self, image: str) -> bool:
        return self.file(image).is_file()

    def images(self) -> list[str]:
        """The names of the images in the store, sorted."""
        root = self.path / "images"
        return sorted(p.relative_to(root).as_posix().removesuffix(SUFFIX) for p in root.rglob(f"*{SUFFIX}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self.images())

    def write(self, image: str, logits: NDArray[np.floating[Any]], placement: Placement) -> int:
        """Save the logits (C, h, w) of ``image``, whole or not at all; the bytes written.

        Raises SchemaError when the channels do not fit, InputError for a name that leaves the
        store, OutputError when the disk refuses.
        """
        if logits.ndim != 3 or logits.shape[0] != len(self.schema):
            raise SchemaError(
                "logits do not fit the schema", found=logits.shape, expected=f"({len(self.schema)}, h, w)"
            )
        boxes: list[tuple[int, int, int, int] | None] = []
        chunks = []
        for plane in logits:
            box = _box(plane)
            boxes.append(box)
            if box is not None:
                top, left, height, width = box
                chunks.append(_pack(plane[top : top + height, left : left + width]))
        sizes = iter(chunks)
        header = {
            "image": image,
            "image_shape": list(placement.image_shape),
            "grid_shape": list(placement.grid_shape),
            "content_shape": list(placement.content_shape),
            "scale": [placement.scale_y, placement.scale_x],
            "shape": list(logits.shape[1:]),
            "bones": [None if box is None else [*box, len(next(sizes))] for box in boxes],
        }
        head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        data = b"".join([MAGIC, struct.pack("<I", len(head)), head, *chunks])
        write_bytes(self.file(image), data)
        return len(data)

    def read(self, image: str) -> Probabilities:
        """The saved logits of ``image``. Raises InputError when it is missing or its file is damaged."""
        path = self.file(image)
        try:
            if (found := path.stat().st_size) > _MAX_BYTES:
                raise _damaged(path, f"{found:,} bytes")
            data = path.read_bytes()
        except OSError as error:
            raise InputError("no probabilities of this image are saved", path=path, found=error.strerror) from error
        try:
            (size,) = struct.unpack_from("<I", data, len(MAGIC))
            start = len(MAGIC) + 4
            if not data.startswith(MAGIC) or size > _MAX_HEADER:
                raise ValueError("not a file of probabilities")
            header = parse_json(data[start : start + size].decode())
            return _parse(header, data[start + size :], len(self.schema), path)
        except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, struct.error) as error:
            raise _damaged(path, str(error) or type(error).__name__) from error

    def file(self, image: str) -> Path:
        """Where an image's probabilities lie. Raises InputError for a name that leads out of the store."""
        return inside(self.path / "images", f"{image}{SUFFIX}")


def _parse(header: Any, body: bytes, bones: int, path: Path) -> Probabilities:
    placement = _placement(header)
    height, width = _pair(header["shape"])
    grid = placement.grid_shape
    if height > grid[0] or width > grid[1] or height * width > _MAX_GRID_PIXELS or len(header["bones"]) != bones:
        raise ValueError(f"{len(header['bones'])} bones of {height}x{width} on a grid of {grid[0]}x{grid[1]}")
    boxes: list[tuple[int, int, int, int] | None] = []
    chunks = []
    offset = 0
    for entry in header["bones"]:
        if entry is None:
            boxes.append(None)
            chunks.append(b"")
            continue
        top, left, tall, wide, size = (int(n) for n in entry)
        if min(top, left, tall - 1, wide - 1, size) < 0 or top + tall > height or left + wide > width:
            raise ValueError("a box outside the grid")
        boxes.append((top, left, tall, wide))
        chunks.append(body[offset : offset + size])
        offset += size
    if offset != len(body):
        raise ValueError(f"{len(body)} bytes of data where {offset} are announced")
    return Probabilities(placement, (height, width), tuple(boxes), tuple(chunks), path)


def _placement(header: Any) -> Placement:
    image = _pair(header["image_shape"])
    scale_y, scale_x = (float(n) for n in header["scale"])
    if image[0] * image[1] > MAX_PIXELS or not (0.0 < scale_y < math.inf and 0.0 < scale_x < math.inf):
        raise ValueError(f"a picture of {image[0]}x{image[1]} scaled by {scale_y:g} and {scale_x:g}")
    return Placement(image, _pair(header["grid_shape"]), _pair(header["content_shape"]), scale_y, scale_x)


def _pair(value: Any) -> tuple[int, int]:
    """Two sides of a picture or a grid."""
    height, width = value
    if not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in (height, width)):
        raise ValueError(f"{value!r} as a size")
    return height, width


def _box(plane: NDArray[np.floating[Any]]) -> tuple[int, int, int, int] | None:
    rows = np.flatnonzero(plane.max(axis=1) > BOX_LOGIT)
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(plane[top:bottom].max(axis=0) > BOX_LOGIT)
    return top, int(columns[0]), bottom - top, int(columns[-1]) + 1 - int(columns[0])


def _pack(box: NDArray[np.floating[Any]]) -> bytes:
    levels = np.searchsorted(_EDGES, box.astype(np.float32), side="left").astype(np.uint8)
    # Differences between rows (modulo 256) deflate better than the levels themselves.
    return zlib.compress(np.diff(levels, axis=0, prepend=np.uint8(0)).tobytes(), 6)


def _damaged(path: Path, found: str) -> InputError:
    return InputError("is damaged", path=path, found=found, remedy="Delete the file and run again: only it is redone")


def _differing(source: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The entries of ``source`` that ``other`` has otherwise, shortened."""
    value: Mapping[str, Any] = json.loads(json.dumps(dict(source)))
    against = json.loads(json.dumps(dict(other)))
    entries = {key: entry for key, entry in value.items() if key not in against or against[key] != entry}
    return (
        "; ".join(f"{key} {json.dumps(entry, ensure_ascii=False)[:160]}" for key, entry in entries.items()) or "nothing"
    )
