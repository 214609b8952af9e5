"""How large a picture may be, asked before a byte is unpacked: no file takes more memory or time than it is worth."""

from __future__ import annotations

from ossa.errors import ImageError
from ossa.safety import MAX_PIXELS

#: Most bytes that the pixels of a file may take once they are unpacked: 100 million pixels of 16 bits. Reading them
#: takes about twice as much, so that a bomb of 1 MB costs less than 500 MB or is refused from its header.
MAX_UNPACKED = 200_000_000

#: Most bytes of pixels in a compressed DICOM frame, whose decoder needs three times as much. The largest mammography
#: plates (48 million pixels of 16 bits) fit.
MAX_FRAME = 100_000_000


def check_size(width: int, height: int, path: str) -> None:
    """Refuse a picture of no pixels or of more than MAX_PIXELS with ImageError."""
    if width <= 0 or height <= 0:
        raise ImageError("has no pixels", path=path, found=f"{width}x{height}", expected="at least 1x1")
    if width * height > MAX_PIXELS:
        raise ImageError(
            "is too large to be a radiograph",
            path=path,
            found=f"{width}x{height} = {width * height / 1e6:,.0f} million pixels",
            expected=f"at most {MAX_PIXELS / 1e6:,.0f} million",
            remedy="Reduce or crop the picture",
        )


def check_unpacked(count: int, path: str, most: int = MAX_UNPACKED) -> None:
    """Refuse a picture whose pixels would take ``count`` bytes of memory, more than ``most``, with ImageError."""
    if count > most:
        raise ImageError(
            "unpacks to more than a radiograph holds",
            path=path,
            found=f"{count / 1e6:,.0f} MB of pixels",
            expected=f"at most {most / 1e6:,.0f} MB",
            remedy="Reduce the picture, or save it in grey without transparency",
        )
