"""The first frame of a compressed DICOM file: taken out of the file, checked, decoded.

One decoder for each family of codecs, and each of them refuses what is damaged. pydicom's own are not used: GDCM ends
the whole process on some damaged streams, Pillow fills up a JPEG that stops early, and its RLE decoder goes on past
the end of the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.dicom.elements import count
from ossa.radiograph.limits import MAX_FRAME, check_unpacked
from ossa.radiograph.raster import jpeg
from ossa.radiograph.raster.header import Damaged, Unread

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_JPEG = "1.2.840.10008.1.2.4."

#: More fragments in the pixels of a file are refused.
_MAX_FRAGMENTS = 100_000

#: What DICOM (PS3.5 A.4) and careless writers put behind the end marker of a frame, to make its length even.
_PADDING = b"\0\xff "


def decode_frame(path: Path, header: Dataset, name: str) -> NDArray[Any]:
    """The stored values (H, W), or (H, W, 3) for colour, of the first frame of an encapsulated file.

    Raises Damaged, Unread for a transfer syntax without a decoder, ImageError when the frame is too large.
    """
    shape = (count(header, "Rows"), count(header, "Columns"))
    size = shape[0] * shape[1] * max(1, count(header, "SamplesPerPixel")) * -(-count(header, "BitsAllocated") // 8)
    check_unpacked(size, name, MAX_FRAME)
    decode = _DECODERS.get(header.file_meta.TransferSyntaxUID)
    if decode is None:
        raise Unread("no decoder")
    pixels = decode(_first_frame(path, header), header)
    if pixels.shape[:2] != shape:
        raise Damaged(_other_size(pixels.shape[:2], shape))
    return _as_said(pixels, header)


def _other_size(found: tuple[int, ...], said: tuple[int, int]) -> str:
    return f"{found[1]}x{found[0]} in the picture data, {said[1]}x{said[0]} in the header"


def _first_frame(path: Path, header: Dataset) -> bytes:
    """The first frame's bytes; other frames stay on the disk."""
    import pydicom
    from pydicom.encaps import get_frame

    with path.open("rb") as stream:
        pydicom.dcmread(stream, force=True, stop_before_pixels=True)
        stream.seek(12, 1)  # tag, VR and length of Pixel Data: encapsulated files are explicit little endian
        _check_fragments(stream)
        return get_frame(stream, 0, number_of_frames=max(1, count(header, "NumberOfFrames")))


def _check_fragments(stream: BinaryIO) -> None:
    """Refuse with Damaged a list of fragments that pydicom would be minutes about; the stream stays where it is."""
    start = stream.tell()
    for _ in range(_MAX_FRAGMENTS):
        head = stream.read(8)
        if head[:4] != b"\xfe\xff\x00\xe0":  # no further item
            break
        stream.seek(int.from_bytes(head[4:], "little"), 1)
    else:
        raise Damaged(f"more than {_MAX_FRAGMENTS:,} fragments")
    stream.seek(start)


def _whole(frame: bytes) -> bytes:
    """A JPEG, JPEG-LS or JPEG 2000 stream without padding; all of them end with FF D9. Raises Damaged."""
    frame = frame.rstrip(_PADDING)
    if not frame.endswith(b"\xff\xd9"):
        raise Damaged("no end marker: the picture data stop early")
    return frame


def _sized(frame: bytes, header: Dataset) -> jpeg.Frame:
    """The frame header of a JPEG or JPEG-LS stream, of the size that the file says: asked before memory is taken."""
    found = jpeg.frame_of(frame)
    said = (count(header, "Rows"), count(header, "Columns"))
    if (found.height, found.width) != said:
        raise Damaged(_other_size((found.height, found.width), said))
    return found


def _decode_jpeg(frame: bytes, header: Dataset) -> NDArray[Any]:
    """Any JPEG, by what its stream says: 8 bits as a JPEG file, else 12-bit and lossless by libjpeg-turbo."""
    frame = _whole(frame)
    found = _sized(frame, header)
    if found.bits == 8 and found.marker in (0xC0, 0xC1, 0xC2):
        jpeg.parse(frame)  # bounds the scans of a progressive one
        return jpeg.grey(frame)
    import imagecodecs

    pixels: NDArray[Any] = imagecodecs.jpeg8_decode(frame)
    # libjpeg makes up what a stream lacks. A whole one does not care what stands before its end marker.
    again = imagecodecs.jpeg8_decode(frame[:-2] + b"\xa5\x5a" * 32 + frame[-2:])
    if not np.array_equal(pixels, again):
        raise Damaged("the picture data stop early")
    return pixels


def _decode_jpegls(frame: bytes, header: Dataset) -> NDArray[Any]:
    import imagecodecs

    frame = _whole(frame)
    _sized(frame, header)
    pixels: NDArray[Any] = imagecodecs.jpegls_decode(frame)
    return pixels


def _decode_jpeg2000(frame: bytes, header: Dataset) -> NDArray[Any]:
    """JPEG 2000, high throughput included. The size stands in the SIZ segment (ISO/IEC 15444-1, A.5.1)."""
    import imagecodecs

    frame = _whole(frame)
    at = frame.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise Damaged("no JPEG 2000 code stream")
    right, bottom, left, top = (int.from_bytes(frame[at + 8 + 4 * i : at + 12 + 4 * i], "big") for i in range(4))
    said = (count(header, "Rows"), count(header, "Columns"))
    if (bottom - top, right - left) != said:
        raise Damaged(_other_size((bottom - top, right - left), said))
    pixels: NDArray[Any] = imagecodecs.jpeg2k_decode(frame)
    return pixels


def _decode_rle(frame: bytes, header: Dataset) -> NDArray[Any]:
    """RLE (PS3.5 annex G), never past the end of the picture."""
    import imagecodecs

    samples = max(1, count(header, "SamplesPerPixel"))
    kind = np.dtype(f"<u{-(-count(header, 'BitsAllocated') // 8)}")
    shape = (samples, count(header, "Rows"), count(header, "Columns"))
    size = int(np.prod(shape)) * kind.itemsize
    data = imagecodecs.dicomrle_decode(frame, kind, out=size)
    if len(data) != size:
        raise Damaged(f"{len(data):,} bytes of pixels where {size:,} are needed")
    planes = np.frombuffer(data, kind).reshape(shape)
    return planes[0] if samples == 1 else np.moveaxis(planes, 0, 2)


#: Transfer syntax -> decoder of a frame (PS3.5 annexes A.4 and G).
_DECODERS: dict[str, Callable[[bytes, Any], NDArray[Any]]] = {
    "1.2.840.10008.1.2.5": _decode_rle,
    **dict.fromkeys((_JPEG + tail for tail in ("50", "51", "53", "55", "57", "70")), _decode_jpeg),
    **dict.fromkeys((_JPEG + tail for tail in ("80", "81")), _decode_jpegls),
    **dict.fromkeys((_JPEG + tail for tail in ("90", "91", "201", "202", "203")), _decode_jpeg2000),
}


def _as_said(pixels: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Values of BitsStored bits, signed or not, as the header says: codecs often know neither."""
    stored = count(header, "BitsStored")
    bits = 8 * pixels.dtype.itemsize
    if pixels.dtype.kind not in "iu" or pixels.ndim == 3 or not 1 < stored <= bits:
        return pixels
    plain = pixels.view(f"u{pixels.dtype.itemsize}")
    above = count(header, "HighBit") + 1 - stored  # bits below the stored ones, as old files have them
    if 0 < above <= bits - stored:
        plain = plain >> above
    plain = plain << (bits - stored)
    signed = count(header, "PixelRepresentation") == 1
    return plain.view(f"i{pixels.dtype.itemsize}") >> (bits - stored) if signed else plain >> (bits - stored)
