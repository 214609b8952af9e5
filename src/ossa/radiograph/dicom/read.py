"""DICOM radiographs (CR, DX, secondary capture and whatever else holds a picture) to ``Radiograph``.

The header is read and checked before any pixel. pydicom reads plain pixels, ``frames`` compressed ones; ``grey`` makes
grey of the first frame, ``tags`` reads spacing and side.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ImageError, OssaError
from ossa.radiograph.dicom.elements import count
from ossa.radiograph.dicom.frames import decode_frame
from ossa.radiograph.dicom.grey import to_grey
from ossa.radiograph.dicom.kinds import check_kind
from ossa.radiograph.dicom.tags import aspect_of, side_of, spacing_of
from ossa.radiograph.limits import MAX_FRAME, check_size, check_unpacked
from ossa.radiograph.polarity import invert, looks_inverted
from ossa.radiograph.radiograph import Grey, Provenance, Radiograph
from ossa.radiograph.raster.header import Unread
from ossa.safety import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

T = TypeVar("T")

_AGAIN = "Copy or export the file again"

#: Deflated Explicit VR Little Endian: the whole data set is one zlib stream.
_DEFLATED = "1.2.840.10008.1.2.1.99"


def read_dicom(path: Path) -> Radiograph:
    """Read the (first) picture of a DICOM file.

    Raises ImageError when it is damaged, holds no radiograph or is in a transfer syntax that cannot be decoded.
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
    except Exception as error:  # pydicom and the decoders raise whatever the damage leads to
        found = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ImageError("is a damaged or truncated DICOM file", path=name, found=found, remedy=_AGAIN) from error


def _size(path: Path, name: str) -> tuple[int, int]:
    header, _ = _header(path, name)
    return int(header.Rows), int(header.Columns)


def _read(path: Path, name: str) -> Radiograph:
    header, notes = _header(path, name)
    stored = _stored(path, header, name)
    grey, about_grey = _grey(stored, header)
    spacing, about_spacing, remarks = spacing_of(header)
    aspect, about_aspect = aspect_of(header) if spacing is None else (None, [])
    side, about_side = side_of(header)
    frames = count(header, "NumberOfFrames")
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    notes += about_grey
    photometric = str(header.get("PhotometricInterpretation"))
    inverted = photometric == "MONOCHROME1"
    if looks_inverted(grey):
        # A header that says which way round its grey runs is believed; colour says nothing.
        if photometric.startswith("MONOCHROME"):
            notes.append(f"the bones look dark, but it says to be {photometric}: not turned over")
        else:
            notes.append("dark bones on a bright film: turned over")
            grey, inverted = invert(grey), True
    bits = count(header, "BitsStored") or 8 * stored.dtype.itemsize
    origin = Provenance(name, "DICOM", bits, inverted, (*notes, *about_spacing, *about_side), (*remarks, *about_aspect))
    return Radiograph(grey, spacing, side, origin, aspect)


def _header(path: Path, name: str) -> tuple[Dataset, list[str]]:
    """Everything but the pixels, and remarks; refused when the file is too large or holds no radiograph."""
    import pydicom

    size = path.stat().st_size
    if size > MAX_IMAGE_BYTES:
        raise ImageError(
            "the file is too large", path=name, found=f"{size:,} bytes", expected=f"at most {MAX_IMAGE_BYTES:,}"
        )
    _check_deflated(path, name)
    header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    notes = check_kind(header, name)
    check_size(int(header.Columns), int(header.Rows), name)
    return header, notes


def _syntax_of(header: Dataset) -> UID:
    """The transfer syntax; files without a preamble do not say it."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit = header.original_encoding[0]
    syntax: UID = header.file_meta.get("TransferSyntaxUID") or (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    )
    return syntax


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
            check_unpacked(total, name, MAX_FRAME)


def _stored(path: Path, header: Dataset, name: str) -> NDArray[Any]:
    """The stored values of the first frame, (H, W) or (H, W, 3)."""
    syntax = _syntax_of(header)
    if not syntax.is_transfer_syntax or syntax.is_private or syntax.is_encapsulated:
        try:
            return decode_frame(path, header, name)
        except Unread as error:
            raise ImageError(
                "is in a transfer syntax that cannot be decoded",
                path=name,
                found=f"{syntax.name} ({syntax})" if syntax.name != str(syntax) else str(syntax),
                expected="uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000",
                remedy="Convert it, for example with: gdcmconv --raw IN.dcm OUT.dcm",
            ) from error
    samples, bits = max(1, count(header, "SamplesPerPixel")), count(header, "BitsAllocated")
    size = count(header, "Rows") * count(header, "Columns") * samples * bits // 8
    # Numbers of 32 bits and more become float64 on their way to grey.
    check_unpacked(size if bits <= 16 else 8 * size, name)
    return _plain(path, header, size, name)


def _plain(path: Path, header: Dataset, size: int, name: str) -> NDArray[Any]:
    """Uncompressed pixels, ``size`` bytes of them."""
    import pydicom
    from pydicom.pixels.utils import pixel_array

    source: Any = path
    stored, high = count(header, "BitsStored"), count(header, "HighBit")
    below = high + 1 - stored if stored and high < count(header, "BitsAllocated") else 0
    if below > 0 or _syntax_of(header) == _DEFLATED or not header.file_meta.get("TransferSyntaxUID"):
        source = pydicom.dcmread(path, force=True)
        source.file_meta.TransferSyntaxUID = _syntax_of(header)
    if below > 0:  # pydicom drops what is above BitsStored, wherever HighBit is: let it keep all up to there
        source.BitsStored = high + 1
    try:
        array: NDArray[Any] = pixel_array(source, index=0)
    except ValueError as error:
        if "reshape" not in str(error):
            raise
        # Plain pixels that stop early reach numpy as they are; its words say nothing of a file.
        raise ImageError(
            "is a damaged or truncated DICOM file",
            path=name,
            found=f"{path.stat().st_size:,} bytes in all",
            expected=f"a header and {size:,} bytes of pixels",
            remedy=_AGAIN,
        ) from error
    return array >> below if below > 0 and array.dtype.kind in "iu" else array


def _grey(stored: NDArray[Any], header: Dataset) -> tuple[Grey, list[str]]:
    photometric = str(header.get("PhotometricInterpretation"))
    if photometric == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        stored = apply_color_lut(stored, header)
    if stored.ndim == 2:
        return (stored, []) if photometric.startswith(("RGB", "YBR")) else to_grey(stored, header)
    # Colour pictures are ready for display and have no window. Plain ones reach here as RGB, frames as they are.
    if photometric.startswith("YBR_FULL") and _syntax_of(header).is_encapsulated:
        return np.ascontiguousarray(stored[:, :, 0]), []
    # Luma of ITU-R BT.601, as for raster files.
    luma = np.round(stored[:, :, :3] @ np.array([0.299, 0.587, 0.114]))
    return luma.astype(np.uint8) if stored.dtype.itemsize == 1 else luma.astype(np.uint16), []
