"""PNG (W3C REC-PNG-3): its header and its pixels.

kornia-rs decodes the usual forms: measured 3 to 8 times as fast as OpenCV with equal pixels, and it refuses a wrong
checksum, a missing end and data that stop early. Palettes, transparency of two channels and less than 8 bits go
through libpng (imagecodecs), which refuses the same.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.raster.header import Damaged, Header, orientation_of
from ossa.radiograph.raster.tiff import read_directory

#: More chunks than this are refused; 150 million pixels in usual blocks need fewer.
_MAX_CHUNKS = 200_000

#: PNG colour type -> channels as stored.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

#: Channels -> what kornia-rs calls them.
_MODES = {1: "mono", 3: "rgb", 4: "rgba"}


@dataclass(frozen=True, slots=True)
class PngHeader(Header):
    """``colour`` as the PNG has it, ``clear``: the grey or RGB value that a tRNS chunk makes transparent."""

    bits: int = 8
    colour: int = 0
    clear: tuple[int, ...] = ()


def read_header(stream: BinaryIO, size: int) -> PngHeader:
    """The header from the chunks of an open file of ``size`` bytes. Raises Damaged, struct.error when it is cut."""
    stream.seek(8)
    length, kind, width, height, bits, colour = struct.unpack(">I4sIIBB", stream.read(18))
    if kind != b"IHDR" or length != 13:
        raise Damaged("no IHDR chunk at its start")
    if colour not in _CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise Damaged(f"colour type {colour} at {bits} bits")
    orientation, clear = 1, ()
    at = 8
    for _ in range(_MAX_CHUNKS):
        if at + 12 > size:
            raise Damaged("it lacks the IEND chunk")
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if at + 12 + length > size:
            raise Damaged(f"it lacks {at + 12 + length - size:,} bytes of its {kind.decode('latin-1')} chunk")
        if kind == b"IEND":
            break
        if kind == b"tRNS" and colour in (0, 2) and length == 2 * _CHANNELS[colour]:
            clear = struct.unpack(f">{length // 2}H", stream.read(length))
        if kind == b"eXIf":
            orientation = exif_orientation(stream.read(min(length, 1 << 16)))
        at += 12 + length
    else:
        raise Damaged(f"more than {_MAX_CHUNKS:,} chunks")
    # A palette becomes RGBA; luma needs one more plane of grey.
    planes = 5 if colour == 3 else _CHANNELS[colour] + (colour != 0)
    unpacked = width * height * planes * (2 if bits == 16 else 1)
    return PngHeader("PNG", width, height, unpacked, orientation, bits=bits, colour=colour, clear=clear)


def exif_orientation(exif: bytes) -> int:
    """The orientation in a block of EXIF, which is a small TIFF; 1 when there is none or it is damaged."""
    try:
        return orientation_of(read_directory(BytesIO(exif), len(exif)))
    except (Damaged, struct.error):
        return 1


def decode(stream: BinaryIO, header: PngHeader) -> NDArray[Any]:
    """(H, W) or (H, W, 2 to 4) uint8 or uint16; the last of 2 or 4 channels is opacity. Raises Damaged."""
    stream.seek(0)
    data = stream.read()
    if header.bits < 8 or header.colour in (3, 4):
        return _decode_rare(data)
    import kornia_rs

    channels = _CHANNELS[header.colour]
    read = kornia_rs.io.decode_image_png_u16 if header.bits == 16 else kornia_rs.io.decode_image_png_u8
    try:
        pixels: NDArray[Any] = read(data, (header.height, header.width), _MODES[channels])
    except Exception as error:  # kornia-rs raises nothing narrower
        raise Damaged(_told(str(error))) from error
    pixels = pixels[..., 0] if channels == 1 else pixels
    return _with_opacity(pixels, header.clear) if header.clear else pixels


def _told(text: str) -> str:
    chunk = re.search(r"type: (\w+)", text)
    if "CRC" in text:
        return f"a wrong checksum in its {chunk.group(1) if chunk else 'data'} chunk"
    return text.removeprefix("Failed to decode the png image. ").splitlines()[0][:200]


def _decode_rare(data: bytes) -> NDArray[Any]:
    import imagecodecs

    try:
        pixels: NDArray[Any] = imagecodecs.png_decode(data)
    except (RuntimeError, ValueError) as error:
        raise Damaged(str(error)) from error
    return pixels


def _with_opacity(pixels: NDArray[Any], clear: tuple[int, ...]) -> NDArray[Any]:
    """``pixels`` with one more channel: 0 where they have the value that is transparent."""
    planes = pixels.reshape(*pixels.shape[:2], -1)
    if planes.shape[2] != len(clear):
        return pixels
    top = np.iinfo(pixels.dtype).max
    seen = np.where((planes == np.array(clear)).all(axis=2), 0, top).astype(pixels.dtype)
    return np.dstack([planes, seen])
