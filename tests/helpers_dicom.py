"""Real DICOM files, written with pydicom, for the tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

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


def jpeg_baseline(data: FileDataset) -> FileDataset:
    """The 8-bit picture of ``data`` in JPEG Baseline."""
    stream = io.BytesIO()
    Image.fromarray(data.pixel_array).save(stream, "JPEG", quality=95)
    data.PixelData = encapsulate([stream.getvalue()])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    if data.SamplesPerPixel == 3:
        data.PhotometricInterpretation = "YBR_FULL_422"
    return data


def item(**elements: Any) -> Dataset:
    """One item of a sequence."""
    out = Dataset()
    for name, value in elements.items():
        setattr(out, name, value)
    return out
