"""Drawn films and hand-made files for the radiograph tests."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Mapping
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

_FINGERS = ((-62, -62, 58), (-28, -92, 74), (2, -100, 80), (30, -92, 74), (54, -70, 62))


def film(side: int = 384, seed: int = 0) -> NDArray[np.uint8]:
    """A hand of soft tissue with cortical bones on dark film, (side, side) uint8, with noise."""
    rng = np.random.default_rng(seed)
    scale = side / 384
    picture = np.full((side, side), 0.08, np.float32)

    def stroke(a: tuple[float, float], b: tuple[float, float], width: float, value: float) -> None:
        layer = np.zeros_like(picture)
        points = [(round(x * scale + side / 2), round(y * scale + side * 0.6)) for x, y in (a, b)]
        cv2.line(layer, points[0], points[1], value, max(1, round(width * scale)), cv2.LINE_AA)
        np.add(picture, cv2.GaussianBlur(layer, (0, 0), 1.2 * scale), out=picture)

    cv2.ellipse(picture, (side // 2, round(side * 0.62)), (round(64 * scale), round(60 * scale)), 0, 0, 360, 0.3, -1)
    cv2.rectangle(
        picture, (round(side / 2 - 40 * scale), round(side * 0.62)), (round(side / 2 + 40 * scale), side), 0.3, -1
    )
    for x, y, length in _FINGERS:
        tip = (x * 1.5, y - length)
        stroke((x, y + 20), tip, 30, 0.16)
        knuckles = [
            np.array((x * 0.6, y * 0.1 + 8)),
            np.array((x, y)),
            np.array(tip) * 0.5 + np.array((x, y)) * 0.5,
            np.array(tip),
        ]
        for start, stop in itertools.pairwise(knuckles):
            inset = (stop - start) * 0.08
            a, b = tuple(start + inset), tuple(stop - inset)
            stroke(a, b, 15, 0.35)
            stroke(a, b, 7, -0.12)
    for i in range(8):
        centre = (-28 + 19 * (i % 4), 22 + 20 * (i // 4))
        stroke(centre, (centre[0] + 1, centre[1] + 1), 17, 0.35)
    for x, width in ((-16, 34), (22, 22)):
        stroke((x, 68), (x, 160), width, 0.35)
        stroke((x, 80), (x, 160), width * 0.5, -0.12)
    picture += rng.normal(0, 0.01, picture.shape).astype(np.float32)
    return np.clip(picture * 230, 0, 255).astype(np.uint8)


def collimated(picture: NDArray[np.uint8], value: int) -> NDArray[np.uint8]:
    """``picture`` behind a shutter of one grey value on all four sides."""
    out = np.full_like(picture, value)
    h, w = picture.shape
    inner = np.s_[h // 20 : h - h // 25, w // 8 : w - w // 7]
    out[inner] = picture[inner]
    return out


def png_file(
    width: int,
    height: int,
    depth: int,
    colour: int,
    stream: bytes,
    *,
    before: tuple[bytes, ...] = (),
    interlace: int = 0,
) -> bytes:
    """A PNG around a zlib ``stream`` of rows; ``before``: kinds and bodies of chunks in front of it, in turn."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    palette = chunk(b"PLTE", bytes(3)) if colour == 3 else b""
    more = b"".join(map(chunk, before[::2], before[1::2]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + palette + more + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def png_header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG that claims a size and holds almost nothing."""
    return png_file(width, height, depth, colour, zlib.compress(b"\0" * 64))


def tiff_file(tags: Mapping[int, tuple[int, ...]], data: bytes = b"") -> bytes:
    """A TIFF of one directory behind ``data``, which begins at byte 8; every value is stored with 32 bits."""
    first = 8 + len(data)
    at = first + 2 + 12 * len(tags) + 4
    entries, tables = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        place = packed if len(values) == 1 else struct.pack("<I", at + len(tables))
        tables += b"" if len(values) == 1 else packed
        entries += struct.pack("<HHI", tag, 4, len(values)) + place
    return b"II*\0" + struct.pack("<I", first) + data + struct.pack("<H", len(tags)) + entries + bytes(4) + tables


def tiff(
    picture: NDArray[np.generic],
    *,
    photometric: int = 1,
    bits: int = 8,
    order: Literal["<", ">"] = "<",
    big: bool = False,
    pages: int = 1,
) -> bytes:
    """An uncompressed one-strip TIFF or BigTIFF of one or several equal pages."""
    height, width = picture.shape
    if bits == 1:
        data = np.packbits(picture != 0, axis=1).tobytes()
    else:
        data = picture.astype(np.dtype(f"u{bits // 8}").newbyteorder(order)).tobytes()
    start = 16 if big else 8
    word, inline = ("Q", 8) if big else ("I", 4)
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    first = start + len(data)
    out += struct.pack(order + "HHQ", 8, 0, first) if big else struct.pack(order + "I", first)
    out += data
    tags = [
        (256, width),
        (257, height),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, start),
        (277, 1),
        (278, height),
        (279, len(data)),
    ]
    size = (8 if big else 2) + len(tags) * (20 if big else 12) + inline
    for page in range(pages):
        out += struct.pack(order + ("Q" if big else "H"), len(tags))
        for tag, value in tags:
            out += struct.pack(order + "HH" + word, tag, 4, 1)
            out += struct.pack(order + "I", value).ljust(inline, b"\0")
        out += struct.pack(order + word, first + (page + 1) * size if page + 1 < pages else 0)
    return out
