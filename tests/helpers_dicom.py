"""Real DICOM files, written with pydicom, for the tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless, generate_uid

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


def dataset(stored: NDArray[Any], *, sop_class: str = CR, bits: int | None = None, **elements: Any) -> FileDataset:
    """A data set around ``stored``: (H, W), (H, W, 3) or (F, H, W) integers; ``elements`` by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["ossa", "test"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    out.SOPClassUID = meta.MediaStorageSOPClassUID
    out.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    out.Modality = "CR"
    out.PatientID = "phantom"
    colour = stored.ndim == 3 and stored.shape[2] == 3
    if stored.ndim == 3 and not colour:
        out.NumberOfFrames = stored.shape[0]
    out.Rows, out.Columns = stored.shape[-2:] if not colour else stored.shape[:2]
    out.SamplesPerPixel = 3 if colour else 1
    out.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        out.PlanarConfiguration = 0
    out.BitsAllocated = 8 * stored.dtype.itemsize
    out.BitsStored = bits or out.BitsAllocated
    out.HighBit = out.BitsStored - 1
    out.PixelRepresentation = int(stored.dtype.kind == "i")
    out.PixelData = np.ascontiguousarray(stored).tobytes()
    for name, value in elements.items():
        setattr(out, name, value)
    return out


def save(path: Path, data: FileDataset) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path


#: Name -> transfer syntax and encoder of ``packed``.
_CODECS: dict[str, tuple[str, Callable[[NDArray[Any]], bytes | bytearray]]] = {
    "jls": ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
    "j2k": (
        "1.2.840.10008.1.2.4.90",
        lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="j2k"),
    ),
    "htj2k": ("1.2.840.10008.1.2.4.201", lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
    "lossless": (
        "1.2.840.10008.1.2.4.70",
        lambda a: imagecodecs.jpeg8_encode(a, lossless=True, bitspersample=8 * a.dtype.itemsize),
    ),
    "extended": ("1.2.840.10008.1.2.4.51", lambda a: imagecodecs.jpeg8_encode(a, 97, bitspersample=12)),
}


def packed(data: FileDataset, syntax: str) -> FileDataset:
    """``data`` in "rle", "jpeg" (baseline), "extended" (12 bits), "lossless", "jls", "j2k" or "htj2k"."""
    if syntax == "rle":
        data.compress(RLELossless, generate_instance_uid=False)
        return data
    if syntax == "jpeg":
        return jpeg_baseline(data)
    uid, encode = _CODECS[syntax]
    return with_frame(data, encode(data.pixel_array), uid)


def with_frame(data: FileDataset, frame: bytes | bytearray, syntax: str) -> FileDataset:
    """``data`` with one compressed frame for its pixels."""
    data.PixelData = encapsulate([bytes(frame)])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = UID(syntax)
    return data


def frame_of(data: FileDataset) -> bytes:
    """The compressed frame of ``data``."""
    return get_frame(data.PixelData, 0, number_of_frames=1)


def jpeg_baseline(data: FileDataset) -> FileDataset:
    """The 8-bit picture of ``data`` in JPEG Baseline."""
    stream = io.BytesIO()
    Image.fromarray(data.pixel_array).save(stream, "JPEG", quality=95)
    if data.SamplesPerPixel == 3:
        data.PhotometricInterpretation = "YBR_FULL_422"
    return with_frame(data, stream.getvalue(), JPEGBaseline8Bit)


def item(**elements: Any) -> Dataset:
    """One item of a sequence."""
    out = Dataset()
    for name, value in elements.items():
        setattr(out, name, value)
    return out
