"""What a picture file says of itself before a pixel is decoded: kind, size, depth, completeness.

An open file goes in, a ``Header`` comes out. Sizes are read here so that a decompression bomb is
refused before anything is allocated, and ends of streams are checked so that a truncated file is
never handed to a forgiving decoder.
Sources: PNG (W3C REC-PNG-3), JPEG (ITU-T T.81 Annex B), TIFF 6.0 and BigTIFF, BMP (BITMAPINFOHEADER).
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from ossa.errors import ImageError


@dataclass(frozen=True, slots=True)
class Header:
    """``width`` and ``height`` in pixels as stored (before any EXIF turn).

    ``alpha``: the file carries transparency. ``turned``: it carries an orientation (EXIF,
    TIFF tag 274) that may be other than upright. ``white_is_zero``: TIFF PhotometricInterpretation 0.
    ``pages``: pictures in the file. ``missing``: what a complete file would have and this one has not, or None.
    """

    format: str
    width: int
    height: int
    alpha: bool = False
    turned: bool = False
    white_is_zero: bool = False
    pages: int = 1
    missing: str | None = None


class _Malformed(Exception):
    """The header does not follow its format; the message says how."""


_PNG = b"\x89PNG\r\n\x1a\n"

#: Leading bytes of files that people give by mistake, to name them in the error.
_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 code stream"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x89HDF", "an HDF5 file"),
)


def sniff(head: bytes) -> str | None:
    """The format of a file from its first 132 bytes: "PNG", "JPEG", "TIFF", "BMP", "DICOM" or None."""
    if head.startswith(_PNG):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "TIFF"
    if head[128:132] == b"DICM":
        return "DICOM"
    if head.startswith(b"BM"):
        return "BMP"
    # DICOM without its preamble (older exports) begins with a short element of group 0002 or 0008:
    # group, element, then two letters (explicit VR) or a 32-bit length (implicit).
    if len(head) >= 8 and head[:2] in (b"\x02\x00", b"\x08\x00") and head[3] == 0:
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        if explicit or int.from_bytes(head[4:8], "little") <= 1024:
            return "DICOM"
    return None


def describe(head: bytes) -> str:
    """A phrase for a file that is none of the accepted formats, from its first bytes."""
    for magic, phrase in _OTHERS:
        if head.startswith(magic):
            return phrase
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture"
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "text that begins " + repr(head[:24].decode("utf-8", "replace"))
    return "bytes that begin " + head[:8].hex(" ")


def read_header(stream: BinaryIO, kind: str, path: str) -> Header:
    """The header of a PNG, JPEG, TIFF or BMP file. Raises ImageError when it is damaged."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        return _PARSERS[kind](stream, size)
    except (_Malformed, struct.error) as error:
        found = str(error) if isinstance(error, _Malformed) else f"the header stops after {size:,} bytes"
        raise ImageError(
            f"is a damaged or truncated {kind} file",
            path=path,
            found=found,
            remedy="Copy or export the picture again",
        ) from error


#: More chunks than this in a PNG are not walked; 150 million pixels in usual blocks need fewer.
_MAX_CHUNKS = 1_000_000


def _png(stream: BinaryIO, size: int) -> Header:
    stream.seek(8)
    length, kind, width, height, _depth, colour = struct.unpack(">I4sIIBB", stream.read(18))
    if kind != b"IHDR" or length != 13:
        raise _Malformed("no IHDR chunk at its start")
    alpha = colour in (4, 6)
    turned = False
    missing: str | None = "the IEND chunk"
    at = 8
    for _ in range(_MAX_CHUNKS):
        if at + 12 > size:
            break
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if at + 12 + length > size:
            missing = f"{at + 12 + length - size:,} bytes of its {kind.decode('latin-1')} chunk"
            break
        alpha |= kind == b"tRNS"
        turned |= kind == b"eXIf"
        if kind == b"IEND":
            missing = None
            break
        at += 12 + length
    return Header("PNG", width, height, alpha=alpha, turned=turned, missing=missing)


def _jpeg(stream: BinaryIO, size: int) -> Header:
    """Markers up to the frame header; ``missing`` is found later by ``check_jpeg_end``."""
    at, turned = 2, False
    while at + 4 <= size:
        stream.seek(at)
        lead, marker = struct.unpack(">BB", stream.read(2))
        if lead != 0xFF:
            raise _Malformed(f"no marker at byte {at}")
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xD0 <= marker <= 0xD8 or marker == 0x01:  # markers without a length
            at += 2
            continue
        if marker in (0xD9, 0xDA):
            raise _Malformed("picture data before the frame header")
        length = struct.unpack(">H", stream.read(2))[0]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:  # F7: JPEG-LS
            _precision, height, width = struct.unpack(">BHH", stream.read(5))
            return Header("JPEG", width, height, turned=turned)
        turned |= marker == 0xE1 and stream.read(4) == b"Exif"
        at += 2 + length
    raise _Malformed(f"no frame header in {size:,} bytes")


#: Any marker that is not stuffing (FF00), a restart (FFD0-FFD7) or fill (FFFF).
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def check_stream(kind: str, data: bytes) -> str | None:
    """What is wrong inside the compressed stream of a whole file, or None.

    PNG: the checksum of every chunk. JPEG: a scan must be followed by the end-of-image marker
    (thumbnails inside EXIF have one of their own, so the markers are walked).
    """
    if kind == "PNG":
        return _check_png(data)
    if kind == "JPEG":
        return _check_jpeg(data)
    return None


def _check_png(data: bytes) -> str | None:
    view = memoryview(data)
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        stop = at + 8 + length
        if zlib.crc32(view[at + 4 : stop]) != struct.unpack_from(">I", data, stop)[0]:
            return f"a wrong checksum in its {kind.decode('latin-1')} chunk at byte {at:,}"
        if kind == b"IEND":
            return None
        at = stop + 4
    return "no IEND chunk"


def _check_jpeg(data: bytes) -> str | None:
    at = 2
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            return "no end-of-image marker: the picture data stop early"
        marker = data[found.end() - 1]
        if marker == 0xD9:
            return None
        at = found.end()
        if marker not in (0x01, 0xD8):
            if at + 2 > len(data):
                return "no end-of-image marker: the file stops inside a segment"
            at += struct.unpack_from(">H", data, at)[0]


def _bmp(stream: BinaryIO, size: int) -> Header:
    head = stream.read(54)
    offset, info = struct.unpack_from("<II", head, 10)
    if info == 12:  # OS/2 header
        width, height, _planes, bits = struct.unpack_from("<HHHH", head, 18)
        compression = 0
    else:
        width, height, _planes, bits, compression = struct.unpack_from("<iiHHI", head, 18)
    if width <= 0 or height == 0 or bits not in (1, 2, 4, 8, 16, 24, 32):
        raise _Malformed(f"a size of {width}x{height} at {bits} bits")
    height = abs(height)  # negative: rows from the top
    missing = None
    if compression in (0, 3):  # uncompressed: the size is known; rows are padded to 4 bytes
        needed = offset + (width * bits + 31) // 32 * 4 * height
        if size < needed and width * height <= 1 << 40:
            missing = f"{needed - size:,} bytes of its pixels"
    return Header("BMP", width, height, missing=missing)


_TIFF_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 16: "Q", 17: "q", 13: "I", 18: "Q"}

#: More pages than this are not counted; a page list may be a loop.
_MAX_PAGES = 10_000


def _tiff(stream: BinaryIO, size: int) -> Header:
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    first = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
    tags, following = _tiff_directory(stream, size, order, big, first)
    if 256 not in tags or 257 not in tags:
        raise _Malformed("no width and height in its first directory")
    pages, seen = 1, {first}
    while following and following not in seen and pages < _MAX_PAGES:
        seen.add(following)
        try:
            _, following = _tiff_directory(stream, size, order, big, following)
        except (_Malformed, struct.error):
            break  # later pages are not read; a damaged one does not spoil the first
        pages += 1
    missing = None
    for offsets, counts in ((273, 279), (324, 325)):  # strips, tiles
        ends = [o + c for o, c in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)]
        if ends and max(ends) > size:
            missing = f"{max(ends) - size:,} bytes of its pixels"
    if 273 not in tags and 324 not in tags:
        missing = "any pixels"
    return Header(
        "TIFF",
        tags[256][0],
        tags[257][0],
        alpha=338 in tags,
        turned=tags.get(274, (1,))[0] != 1,
        white_is_zero=tags.get(262, (1,))[0] == 0,
        pages=pages,
        missing=missing,
    )


def _tiff_directory(
    stream: BinaryIO, size: int, order: str, big: bool, at: int
) -> tuple[dict[int, tuple[int, ...]], int]:
    """Integer tags of one directory and the place of the next (0: none)."""
    if not 8 <= at < size:
        raise _Malformed(f"a directory at byte {at:,} of {size:,}")
    stream.seek(at)
    entry, inline = (20, 8) if big else (12, 4)
    count = struct.unpack(order + "Q", stream.read(8))[0] if big else struct.unpack(order + "H", stream.read(2))[0]
    if count > 10_000:
        raise _Malformed(f"a directory of {count:,} entries")
    block = stream.read(count * entry)
    following = struct.unpack(order + ("Q" if big else "I"), stream.read(8 if big else 4))[0]
    tags: dict[int, tuple[int, ...]] = {}
    for start in range(0, count * entry, entry):
        tag, kind = struct.unpack_from(order + "HH", block, start)
        number = struct.unpack_from(order + ("Q" if big else "I"), block, start + 4)[0]
        code = _TIFF_TYPES.get(kind)
        if code is None or number == 0:
            continue
        length = number * struct.calcsize(code)
        value = block[start + entry - inline : start + entry]
        if length > inline:
            where = struct.unpack(order + ("Q" if big else "I"), value)[0]
            if where + length > size:
                if tag in (273, 279, 324, 325):
                    raise _Malformed(f"a table of pixel blocks beyond the end, at byte {where:,} of {size:,}")
                continue
            stream.seek(where)
            value = stream.read(length)
        tags[tag] = struct.unpack_from(f"{order}{number}{code}", value)
    return tags, following


_PARSERS: dict[str, Callable[[BinaryIO, int], Header]] = {"PNG": _png, "JPEG": _jpeg, "BMP": _bmp, "TIFF": _tiff}
