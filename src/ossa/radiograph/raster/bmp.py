"""BMP (BITMAPINFOHEADER and OS/2), uncompressed: its header and its pixels.

Nothing but its length can be wrong with such a file, and the header says it: OpenCV may decode what is left.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.raster.header import Damaged, Header, Unread
from ossa.safety import MAX_PIXELS


def read_header(stream: BinaryIO, size: int) -> Header:
    """The header of an open file of ``size`` bytes. Raises Damaged, struct.error when it is cut."""
    stream.seek(0)
    head = stream.read(54)
    offset, info = struct.unpack_from("<II", head, 10)
    if info == 12:  # OS/2 header
        width, height, _planes, bits = struct.unpack_from("<HHHH", head, 18)
        compression = 0
    else:
        width, height, _planes, bits, compression = struct.unpack_from("<iiHHI", head, 18)
        colours = struct.unpack_from("<I", head, 46)[0]
        if bits <= 8 and colours > 1 << bits:
            raise Damaged(f"a palette of {colours:,} colours at {bits} bits")
    if width <= 0 or height == 0 or bits not in (1, 2, 4, 8, 16, 24, 32):
        raise Damaged(f"a size of {width}x{height} at {bits} bits")
    height = abs(height)  # negative: rows from the top
    if compression not in (0, 3, 6):
        raise Unread(
            {1: "run lengths", 2: "run lengths", 4: "JPEG", 5: "PNG"}.get(compression, "an unknown compression")
        )
    needed = offset + (width * bits + 31) // 32 * 4 * height  # rows are padded to 4 bytes
    if size < needed and width * height <= MAX_PIXELS:  # a size that is nonsense is told as such by the caller
        raise Damaged(f"it lacks {needed - size:,} bytes of its pixels")
    return Header("BMP", width, height, width * height * 4)


def decode(stream: BinaryIO, header: Header) -> NDArray[Any]:
    """(H, W) uint8: luma of ITU-R BT.601. Raises Damaged."""
    import cv2

    del header
    stream.seek(0)
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise Damaged("a header that the decoder refuses")
    return pixels
