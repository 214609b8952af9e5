"""DICOM radiographs (CR, DX, secondary capture and whatever else holds a picture) to ``Radiograph``.

The header is read and checked before any pixel; pydicom decodes the first frame, ``dicom_grey``
makes grey of it and ``dicom_tags`` reads spacing and side.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ImageError, MissingExtraError, OssaError
from ossa.radiograph.dicom.grey import to_grey
from ossa.radiograph.dicom.tags import side_of, spacing_of
from ossa.radiograph.limits import check_size
from ossa.radiograph.polarity import invert, looks_inverted
from ossa.radiograph.radiograph import Grey, Provenance, Radiograph
from ossa.radiograph.raster import jpeg
from ossa.safety import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

T = TypeVar("T")

_AGAIN = "Copy or export the file again"

#: JPEG Extended (Process 2 and 4): up to 12 bits.
_EXTENDED = "1.2.840.10008.1.2.4.51"

#: Deflated Explicit VR Little Endian: the whole data set is one zlib stream.
_DEFLATED = "1.2.840.10008.1.2.1.99"


def read_dicom(path: Path) -> Radiograph:
    """Read the (first) picture of a DICOM file.

    Raises ImageError when it is damaged, holds no picture or is in a transfer syntax that cannot
    be decoded, MissingExtraError when a decoder for it can be installed.
    """
    return _guarded(path, _read)


def read_dicom_size(path: Path) -> tuple[int, int]:
    """(H, W) of a DICOM file from its header. Raises ImageError."""
    return _guarded(path, _size)


def _guarded(path: Path, read: Callable[[Path, str], T]) -> T:
    """``read(path, name)`` with pydicom's remarks silenced and its errors told as ImageError."""
    name = str(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom remarks on every header that bends the standard
            return read(path, name)
    except OssaError:
        raise
    except Exception as error:  # pydicom and its decoders raise whatever the damage leads to
        found = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ImageError("is a damaged or truncated DICOM file", path=name, found=found, remedy=_AGAIN) from error


def _size(path: Path, name: str) -> tuple[int, int]:
    header = _header(path, name)
    height, width = int(header.Rows), int(header.Columns)
    check_size(width, height, name)
    return height, width


def _read(path: Path, name: str) -> Radiograph:
    header = _header(path, name)
    check_size(int(header.Columns), int(header.Rows), name)
    stored = _stored(path, header, name)
    grey, notes = _grey(stored, header)
    spacing, about_spacing = spacing_of(header)
    side, about_side = side_of(header)
    frames = _count(header, "NumberOfFrames")
    if frames > 1:
        notes.insert(0, f"the first of {frames} frames")
    inverted = header.get("PhotometricInterpretation") == "MONOCHROME1"
    if looks_inverted(grey):
        notes.append("dark bones on a bright film in spite of its photometric interpretation: turned over")
        grey, inverted = invert(grey), not inverted
    bits = _count(header, "BitsStored") or 8 * stored.dtype.itemsize
    provenance = Provenance(name, "DICOM", bits, inverted, (*notes, *about_spacing, *about_side))
    return Radiograph(grey, spacing, side, provenance)


def _header(path: Path, name: str) -> Dataset:
    """Everything but the pixels; refused when the file holds no picture."""
    import pydicom

    size = path.stat().st_size
    if size > MAX_IMAGE_BYTES:
        raise ImageError(
            "the file is too large", path=name, found=f"{size:,} bytes", expected=f"at most {MAX_IMAGE_BYTES:,}"
        )
    _check_deflated(path, name)
    header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    if _count(header, "Rows") == 0 or _count(header, "Columns") == 0:
        kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
        raise ImageError(
            "is a DICOM file without a picture",
            path=name,
            found=getattr(kind, "name", None) or "no SOP class",
            expected="a radiograph (CR, DX or secondary capture)",
            remedy="If it should hold one, it is damaged: export it again",
        )
    return header


def _check_deflated(path: Path, name: str) -> None:
    """Inflate a deflated data set piece by piece, so that a bomb is refused before it is held in memory."""
    from pydicom.filereader import read_file_meta_info

    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return
        meta = read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") != _DEFLATED:
            return
        stream.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not inflater.eof and (block := inflater.unconsumed_tail or stream.read(1 << 16)):
            total += len(inflater.decompress(block, 1 << 22))
            if total > MAX_IMAGE_BYTES // 2:
                raise ImageError("unpacks to more than a radiograph holds", path=name, found=f"over {total:,} bytes")


def _stored(path: Path, header: Dataset, name: str) -> NDArray[Any]:
    """The stored values of the first frame, (H, W) or (H, W, 3) RGB."""
    import pydicom
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    syntax = UID(str(header.file_meta.get("TransferSyntaxUID", "")))
    source: Any = path
    if not syntax:  # files without a preamble do not say it
        source = pydicom.dcmread(path, force=True)
        syntax = ImplicitVRLittleEndian if source.original_encoding[0] else ExplicitVRLittleEndian
        source.file_meta.TransferSyntaxUID = syntax
    label = f"{syntax.name} ({syntax})" if syntax.name != str(syntax) else str(syntax)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise ImageError(
            "is in a transfer syntax that cannot be decoded",
            path=name,
            found=label,
            expected="uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000",
            remedy="Convert it, for example with: gdcmconv --raw IN.dcm OUT.dcm",
        ) from error
    if not decoder.is_available:
        raise MissingExtraError.of(f"{name}: reading DICOM in {label}", "dicom")
    if syntax == _DEFLATED or syntax.is_encapsulated:
        source = pydicom.dcmread(path, force=True)
    if "JPEG" in syntax.name:
        _check_frame(source, name)
    try:
        array: NDArray[Any] = pixel_array(source, index=0, decoding_plugin=_plugin(decoder, syntax))
    except ValueError as error:
        if syntax.is_encapsulated or "reshape" not in str(error):
            raise
        # Plain pixels that stop early reach numpy as they are; its words say nothing of a file.
        bits = int(header.BitsAllocated) * max(1, _count(header, "SamplesPerPixel"))
        raise ImageError(
            "is a damaged or truncated DICOM file",
            path=name,
            found=f"{path.stat().st_size:,} bytes in all",
            expected=f"a header and {int(header.Rows) * int(header.Columns) * bits // 8:,} bytes of pixels",
            remedy=_AGAIN,
        ) from error
    return array


def _plugin(decoder: Any, syntax: str) -> str:
    """The one decoder to use, "" for pydicom's own.

    GDCM comes last and is never tried after another has failed: on damaged streams it ends the whole process.
    Pillow reads only the 8-bit part of JPEG Extended.
    """
    order = ("gdcm", "pillow") if syntax == _EXTENDED else ("pyjpegls", "pylibjpeg", "pillow", "gdcm")
    return next((name for name in order if name in decoder.available_plugins), "")


def _check_frame(data: Dataset, name: str) -> None:
    """Refuse a first frame that is cut off or of another size than the header says.

    Some decoders invent what is missing, search for it for minutes or end the process. JPEG, JPEG-LS and JPEG 2000
    streams all end with FF D9, after which DICOM allows padding zeros.
    """
    from pydicom.encaps import get_frame

    frame = get_frame(data.PixelData, 0, number_of_frames=max(1, _count(data, "NumberOfFrames")))
    found = None
    if not frame[-64:].rstrip(b"\0").endswith(b"\xff\xd9"):
        found = "no end marker: the picture data stop early"
    elif frame.startswith(b"\xff\xd8"):
        header = jpeg.frame_of(frame)
        if (header.height, header.width) != (int(data.Rows), int(data.Columns)):
            found = f"{header.width}x{header.height} in the picture data, {data.Columns}x{data.Rows} in the header"
    if found:
        raise ImageError("is a damaged or truncated DICOM file", path=name, found=found, remedy=_AGAIN)


def _grey(stored: NDArray[Any], header: Dataset) -> tuple[Grey, list[str]]:
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        stored = apply_color_lut(stored, header)
    if stored.ndim == 3:
        # Luma of ITU-R BT.601, as for raster files; colour pictures are display-ready and have no window.
        luma = np.round(stored[:, :, :3] @ np.array([0.299, 0.587, 0.114]))
        return luma.astype(np.uint8) if stored.dtype.itemsize == 1 else luma.astype(np.uint16), []
    return to_grey(stored, header)


def _count(header: Dataset, name: str) -> int:
    """A whole number of the header, 0 when it is missing or malformed."""
    try:
        return max(0, int(header.get(name) or 0))
    except (TypeError, ValueError):
        return 0
