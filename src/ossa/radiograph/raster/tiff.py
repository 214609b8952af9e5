"""TIFF 6.0 and BigTIFF: its directories and the pixels of its largest picture.

libtiff (imagecodecs) decodes, its complaints are errors. It stops at the last row it needs, though, and asks for no
checksum: so every compressed block is unpacked once more by itself and must hold exactly the rows that it stands for.
Compressions without either check (JPEG, JPEG 2000, fax, ...) are not read.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.limits import MAX_UNPACKED
from ossa.radiograph.raster.header import Damaged, Header, Unread, orientation_of

Tags = dict[int, tuple[int, ...]]

_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 16: "Q", 17: "q", 13: "I", 18: "Q"}

#: More pages, and more entries of directories in all, are not looked at: a list of pages may be a loop, and many pages
#: may share one long table.
_MAX_PAGES = 10_000
_MAX_ENTRIES = 200_000

#: More strips or tiles are refused: in tiles of 64 px, 150 million pixels are 37,000.
_MAX_BLOCKS = 100_000

#: A page of less than this share of the largest one's pixels is taken for its thumbnail.
_THUMBNAIL = 0.25

_NONE, _LZW, _PACKBITS = 1, 5, 32773
_DEFLATE = (8, 32946)
_READ = (_NONE, _LZW, _PACKBITS, *_DEFLATE)
_NAMES = {
    2: "CCITT fax", 3: "CCITT fax", 4: "CCITT fax", 6: "JPEG", 7: "JPEG", 33003: "JPEG 2000", 33004: "JPEG 2000",
    33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TiffHeader(Header):
    """``tags`` of the directory whose picture is read."""

    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Page:
    """One directory: where it lies, its picture's pixels, and whether it says to be a reduced copy or a mask."""

    at: int
    pixels: int
    secondary: bool


class _Reader:
    """Directories of an open file of ``size`` bytes. All methods raise Damaged, struct.error where it is cut."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        stream.seek(0)
        head = stream.read(16)
        self.stream, self.size = stream, size
        self.order = "<" if head[:2] == b"II" else ">"
        self.big = struct.unpack_from(self.order + "H", head, 2)[0] == 43
        self.first: int = struct.unpack_from(self.order + ("Q" if self.big else "I"), head, 8 if self.big else 4)[0]
        self.entries = 0

    def directory(self, at: int, only: frozenset[int] | None = None) -> tuple[Tags, int]:
        """Integer tags (``only`` these, where it is given) and the place of the next directory (0: none)."""
        if not 8 <= at < self.size:
            raise Damaged(f"a directory at byte {at:,} of {self.size:,}")
        self.stream.seek(at)
        entry, inline = (20, 8) if self.big else (12, 4)
        word = self.order + ("Q" if self.big else "I")
        count = struct.unpack(self.order + ("Q" if self.big else "H"), self.stream.read(8 if self.big else 2))[0]
        if count > _MAX_PAGES:
            raise Damaged(f"a directory of {count:,} entries")
        self.entries += count
        block = self.stream.read(count * entry)
        following: int = struct.unpack(word, self.stream.read(inline))[0]
        tags: Tags = {}
        for start in range(0, count * entry, entry):
            tag, kind = struct.unpack_from(self.order + "HH", block, start)
            number = struct.unpack_from(word, block, start + 4)[0]
            code = _TYPES.get(kind)
            if code is None or number == 0 or (only is not None and tag not in only):
                continue
            value = block[start + entry - inline : start + entry]
            length = number * struct.calcsize(code)
            if length > inline:
                where = struct.unpack(word, value)[0]
                if where + length > self.size:
                    if tag in _BLOCKS:
                        raise Damaged(f"a table of pixel blocks beyond the end, at byte {where:,} of {self.size:,}")
                    continue
                self.stream.seek(where)
                value = self.stream.read(length)
            tags[tag] = struct.unpack_from(f"{self.order}{number}{code}", value)
        return tags, following


#: StripOffsets, StripByteCounts, TileOffsets, TileByteCounts.
_BLOCKS = (273, 279, 324, 325)

#: NewSubfileType, SubfileType, ImageWidth, ImageLength: what tells a thumbnail.
_SIZES = frozenset({254, 255, 256, 257})


def read_directory(stream: BinaryIO, size: int) -> Tags:
    """The integer tags of the first directory: what EXIF is. Raises Damaged, struct.error when it is cut."""
    reader = _Reader(stream, size)
    return reader.directory(reader.first)[0]


def read_header(stream: BinaryIO, size: int) -> TiffHeader:
    """The header of the full picture of an open file. Raises Damaged or Unread, struct.error when it is cut."""
    reader = _Reader(stream, size)
    first, following = reader.directory(reader.first)
    if 256 not in first or 257 not in first:
        raise Damaged("no width and height in its first directory")
    pages = [_page(reader.first, first), *_later_pages(reader, following)]
    inner = [_page(at, reader.directory(at, _SIZES)[0]) for at in first.get(330, ())[:16] if 8 <= at < size]
    chosen = _full_picture([*pages, *inner])
    tags = first if chosen.at == reader.first else reader.directory(chosen.at)[0]
    notes = []
    if chosen.at != reader.first:
        notes.append("its first page is a thumbnail: the full picture is read")
    elif len(pages) > 1:
        notes.append(f"the first of {len(pages)} pages")
    return _header(tags, chosen.at, size, tuple(notes))


def _page(at: int, tags: Tags) -> _Page:
    # NewSubfileType: bit 0 a reduced copy, bit 2 a mask; the old SubfileType: 2 a reduced copy.
    secondary = bool(tags.get(254, (0,))[0] & 5) or tags.get(255, (1,))[0] == 2
    return _Page(at, tags.get(256, (0,))[0] * tags.get(257, (0,))[0], secondary)


def _later_pages(reader: _Reader, at: int) -> Iterator[_Page]:
    seen = {reader.first}
    while at and at not in seen and len(seen) < _MAX_PAGES and reader.entries < _MAX_ENTRIES:
        seen.add(at)
        try:
            tags, following = reader.directory(at, _SIZES)
        except (Damaged, struct.error):
            return  # a damaged later page does not spoil the first
        yield _page(at, tags)
        at = following


def _full_picture(pages: list[_Page]) -> _Page:
    """The first page that is no thumbnail, neither by what it says nor by its size."""
    candidates = [page for page in pages if not page.secondary] or pages
    largest = max(page.pixels for page in candidates)
    return next(page for page in candidates if page.pixels >= _THUMBNAIL * largest)


def _header(tags: Tags, at: int, size: int, notes: tuple[str, ...]) -> TiffHeader:
    if 256 not in tags or 257 not in tags:
        raise Damaged("no width and height in the directory of its full picture")
    width, height = tags[256][0], tags[257][0]
    samples, bits = tags.get(277, (1,))[0], max(tags.get(258, (1,)))
    compression = tags.get(259, (_NONE,))[0]
    if compression not in _READ:
        raise Unread(_NAMES.get(compression, f"the compression number {compression}"))
    if not 1 <= samples <= 16 or not 1 <= bits <= 64:
        raise Damaged(f"{samples} samples of {bits} bits")
    kind = "Tile" if 324 in tags else "Strip"
    offsets, counts = (tags.get(tag, ()) for tag in ((324, 325) if kind == "Tile" else (273, 279)))
    if not offsets:
        raise Damaged("it lacks any pixels")
    if len(offsets) > _MAX_BLOCKS:
        raise Unread(f"{len(offsets):,} {kind.lower()}s")
    ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
    if ends and max(ends) > size:
        raise Damaged(f"it lacks {max(ends) - size:,} bytes of its pixels")
    # Beside the picture itself: luma, and numbers that are no 8- or 16-bit grey yet.
    one = max(1, bits // 8)
    held = samples * one + (1 if samples > 1 else 0) * one + (2 if one > 2 or tags.get(339, (1,))[0] != 1 else 0)
    return TiffHeader(
        "TIFF",
        width,
        height,
        max(width * height, _block_pixels(tags)) * held,
        orientation_of(tags),
        white_is_zero=tags.get(262, (1,))[0] == 0,
        at=at,
        notes=notes,
        tags=tags,
    )


def _block_pixels(tags: Tags) -> int:
    """Pixels of one tile, which the decoder holds whole; 0 for strips."""
    return tags.get(322, (0,))[0] * tags.get(323, (0,))[0]


def decode(stream: BinaryIO, header: TiffHeader) -> NDArray[Any]:
    """(H, W) or (H, W, samples) of the file's own type; palettes become RGB. Raises Damaged."""
    import imagecodecs

    tags = header.tags
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as data:
        _check_blocks(data, header)
        # libtiff reads the first directory: let that be the one that was chosen. The file itself stays as it is.
        order, big = ("<" if data[:2] == b"II" else ">"), data[2:4] in (b"+\0", b"\0+")
        struct.pack_into(order + ("Q" if big else "I"), data, 8 if big else 4, header.at)
        try:
            pixels: NDArray[Any] = imagecodecs.tiff_decode(data)
        except (RuntimeError, ValueError, IndexError) as error:
            raise Damaged(str(error)) from error
    if pixels.ndim == 3 and tags.get(284, (1,))[0] == 2:
        pixels = np.moveaxis(pixels, 0, 2)
    if tags.get(262, (1,))[0] == 3:
        return _through_palette(pixels, tags)
    # Of YCbCr and CIE L*a*b* the first channel is the grey.
    return pixels[..., 0] if pixels.ndim == 3 and tags.get(262, (1,))[0] in (6, 8) else pixels


def _through_palette(pixels: NDArray[Any], tags: Tags) -> NDArray[Any]:
    levels = np.array(tags.get(320, ()), np.uint16)
    if levels.size < 3 or levels.size % 3 or pixels.ndim != 2:
        raise Damaged("a palette that is missing or malformed")
    # 16 bits by the standard; some writers leave them at 8, as libtiff knows.
    table: NDArray[np.uint8] = (levels >> (8 if int(levels.max()) > 255 else 0)).astype(np.uint8).reshape(3, -1).T
    if int(pixels.max()) >= len(table):
        raise Damaged(f"colour {int(pixels.max())} of a palette of {len(table)}")
    coloured: NDArray[np.uint8] = table[pixels]
    return coloured


def _check_blocks(data: mmap.mmap, header: TiffHeader) -> None:
    """Raise Damaged unless every strip or tile is there and holds the rows that it stands for."""
    tags = header.tags
    least, most = _block_sizes(header)
    offsets, counts = (tags.get(324) or tags[273], tags.get(325) or tags.get(279) or ())
    kind, compression = ("tiles" if 324 in tags else "strips"), tags.get(259, (_NONE,))[0]
    if len(offsets) < len(least) or len(counts) < len(least):
        raise Damaged(f"it lacks {len(least) - min(len(offsets), len(counts)):,} of its {len(least):,} {kind}")
    if sum(counts) > len(data) + MAX_UNPACKED:
        raise Damaged(f"{kind} that lie over each other")
    for number, (at, count, size) in enumerate(zip(offsets, counts, least, strict=False), 1):
        found = count if compression == _NONE else _unpacked_size(data[at : at + count], compression, most + 1)
        if not at or found < size or (found > most and compression != _NONE):
            raise Damaged(f"{found:,} bytes in number {number} of its {len(least):,} {kind} where {size:,} are needed")


def _block_sizes(header: TiffHeader) -> tuple[list[int], int]:
    """Least bytes of each block, unpacked, and the most that any may have: some writers fill up the last strip."""
    tags, width, height = header.tags, header.width, header.height
    bits, samples = tags.get(258, (1,)), tags.get(277, (1,))[0]
    bits = bits * samples if len(bits) == 1 else bits
    groups = bits if tags.get(284, (1,))[0] == 2 else (sum(bits),)  # planes apart, or pixels whole
    if tags.get(262, (1,))[0] == 6:
        groups = (0,)  # colour of less resolution: libtiff knows how much
    if 324 in tags:
        tile_width, tile_height = (tags.get(tag, (0,))[0] for tag in (322, 323))
        if not tile_width or not tile_height:
            raise Damaged("tiles of no size")
        tiles = -(-width // tile_width) * -(-height // tile_height)
        sizes = [tile_height * -(-tile_width * group // 8) for group in groups for _ in range(tiles)]
        return sizes, max(sizes)
    rows = min(tags.get(278, (height,))[0], height)
    if not rows:
        raise Damaged("strips of no rows")
    strips = range(0, height, rows)
    lines = [-(-width * group // 8) for group in groups]
    return [min(rows, height - top) * line for line in lines for top in strips], rows * max(lines)


def _unpacked_size(block: bytes, compression: int, most: int) -> int:
    """How many bytes a compressed block holds, counted up to ``most``. Raises Damaged."""
    import imagecodecs

    try:
        if compression == _LZW:
            return len(imagecodecs.lzw_decode(block, out=most))
        if compression == _PACKBITS:
            return len(imagecodecs.packbits_decode(block, out=most))
        inflater = zlib.decompressobj()
        found = len(inflater.decompress(block, most))
        if not inflater.eof and found < most:
            raise Damaged("a deflated block that stops early")
        return found
    except (zlib.error, RuntimeError, ValueError) as error:
        raise Damaged(f"a compressed block that cannot be unpacked ({error})") from error
