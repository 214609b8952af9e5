"""What a raster file says of itself before a pixel is decoded, and the two ways in which it can fail.

Each format has one file here with ``read_header(stream, size)`` and ``decode(stream, header)``. Headers are parsed by
this package, because the libraries unpack or collect what the file asks them to before anybody can say no: Pillow
takes 90 ms to import where this takes none, and walked a TIFF of 9,000 pages for more than 100 s.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """``width`` and ``height`` in pixels as stored, before any turn.

    ``unpacked``: bytes that the decoder will hold at once. ``orientation``: 1..8 as EXIF has it. ``white_is_zero``:
    TIFF PhotometricInterpretation 0. ``at``: where the picture's own directory lies (TIFF). ``notes``: remarks for
    the reader.
    """

    format: str
    width: int
    height: int
    unpacked: int
    orientation: int = 1
    white_is_zero: bool = False
    at: int = 0
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) as shown: orientations 5 to 8 exchange the sides."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


class Damaged(Exception):
    """The file does not follow its format, or is cut short; the message says what was found."""


class Unread(Exception):
    """The file is in a form of its format that ossa does not read; the message says which."""


def orientation_of(tags: dict[int, tuple[int, ...]]) -> int:
    """The orientation (tag 274) of a TIFF or EXIF directory; 1 when it is none of 1..8."""
    value = tags.get(274, (1,))[0]
    return value if 1 <= value <= 8 else 1
