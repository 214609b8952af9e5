"""JPEG (ITU-T T.81): its header and its pixels, strictly.

simplejpeg raises on what libjpeg only warns of (data that stop early, a restored end marker, damaged entropy data),
where OpenCV and Pillow give an invented half. DICOM files with JPEG frames are decoded here too.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from numpy.typing import NDArray

from ossa.radiograph.raster.header import Damaged, Header, Unread
from ossa.radiograph.raster.png import exif_orientation

#: Before the first scan marker follows marker; those without a segment of their own are stepped over.
_NEXT = re.compile(rb"(?:\xff+[\x01\xd0-\xd8])*\xff+[\x02-\xcf\xd9-\xfe]")

#: Within scans any marker that is not stuffing (FF00), a restart (FFD0-FFD7) or fill (FFFF).
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

#: Frame headers (T.81 table B.1) that are read: baseline, extended, progressive; the last two in arithmetic coding.
_READ = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})

#: Scans of a progressive picture: libjpeg's default makes 10, optimisers up to some 20. Each costs a pass.
_MAX_SCANS = 64

#: Scans times pixels: about 4 ns each, so that no picture takes more than 3 s.
_MAX_WORK = 600_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before the first scan: ``marker`` of the frame header, its size, and where the scan begins."""

    marker: int
    bits: int
    height: int
    width: int
    channels: int
    orientation: int
    scan: int

    @property
    def progressive(self) -> bool:
        """Whether the picture comes in passes over all of it."""
        return self.marker in (0xC2, 0xCA)


def read_header(stream: BinaryIO, size: int) -> Header:
    """The header from all markers of an open file. Raises Damaged or Unread, struct.error when it is cut."""
    del size
    stream.seek(0)
    return parse(stream.read())


def parse(data: bytes) -> Header:
    """``read_header`` of a picture in memory."""
    frame = frame_of(data)
    if frame.marker == 0xF7:
        raise Unread("JPEG-LS")
    if frame.marker not in _READ:
        raise Unread("lossless or hierarchical JPEG")
    if frame.bits != 8:
        raise Unread(f"JPEG of {frame.bits} bits")
    pixels, scans = frame.width * frame.height, _count_scans(data, frame.scan)
    if frame.progressive and (scans > _MAX_SCANS or scans * pixels > _MAX_WORK):
        raise Unread(f"{frame.width}x{frame.height} pixels in {scans} scans")
    # A progressive picture is held as 16-bit coefficients until its last scan.
    held = 1 + (2 * frame.channels if frame.progressive else 0)
    return Header("JPEG", frame.width, frame.height, pixels * held, frame.orientation)


def frame_of(data: bytes) -> Frame:
    """The frame header of any kind of JPEG, JPEG-LS too. Raises Damaged, struct.error when it is cut."""
    at, orientation = 2, 1
    found: tuple[int, ...] | None = None
    while True:
        step = _NEXT.match(data, at)
        if step is None or step.end() + 2 > len(data):
            short = step is not None or at + 4 > len(data)
            raise Damaged(f"no frame header in {len(data):,} bytes" if short else f"no marker at byte {at}")
        marker, at = data[step.end() - 1], step.end()
        length = struct.unpack_from(">H", data, at)[0]
        if marker in (0xD9, 0xDA):
            if found is None:
                raise Damaged("picture data before the frame header")
            return Frame(found[0], found[1], found[2], found[3], found[4], orientation, at)
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            found = (marker, *struct.unpack_from(">BHHB", data, at + 2))
        elif marker == 0xE1 and data[at + 2 : at + 6] == b"Exif":
            orientation = exif_orientation(data[at + 8 : at + length])
        at += length


def _count_scans(data: bytes, at: int) -> int:
    """How many scans follow one another from the first one's segment at byte ``at`` to the end-of-image marker."""
    scans = 1
    while True:
        if at + 2 > len(data):
            raise Damaged("no end-of-image marker: the file stops inside a segment")
        found = _MARKER.search(data, at + struct.unpack_from(">H", data, at)[0])
        while found is not None and data[found.end() - 1] in (0x01, 0xD8):
            found = _MARKER.search(data, found.end())
        if found is None:
            raise Damaged("no end-of-image marker: the picture data stop early")
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            return scans
        scans += marker == 0xDA


def decode(stream: BinaryIO, header: Header) -> NDArray[Any]:
    """(H, W) uint8: the luma that the file stores. Raises Damaged."""
    del header
    stream.seek(0)
    return grey(stream.read())


def grey(data: bytes) -> NDArray[Any]:
    """(H, W) uint8 from a whole JPEG in memory: the luma that it stores. Raises Damaged on any complaint."""
    import simplejpeg

    try:
        pixels: NDArray[Any] = simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        raise Damaged(str(error)) from error
    return pixels[..., 0]
