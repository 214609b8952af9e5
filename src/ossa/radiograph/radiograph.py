"""A grey radiograph in memory, with its pixel spacing, side and origin; and the reader of files.

A path goes in, a ``Radiograph`` comes out: raster files (PNG, JPEG, TIFF, BMP) are decoded in
``raster.py``, DICOM in ``dicom.py``; the file's first bytes decide, never its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ImageError
from ossa.radiograph.headers import describe, sniff

Side = Literal["L", "R"]
Grey = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Spacing:
    """Millimetres per pixel: ``row`` between rows (y), ``column`` between columns (x).

    ``source`` says where the numbers come from: "PixelSpacing" (calibrated to the patient),
    "ImagerPixelSpacing" (at the detector: lengths read a few percent too long), "user", "phantom".
    """

    row: float
    column: float
    source: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a radiograph comes from and what was done to its pixels on the way in.

    ``format`` is "PNG", "JPEG", "TIFF", "BMP", "DICOM" or "array"; ``bits`` per pixel in memory (DICOM:
    stored); ``inverted``: the stored grey values were turned over (white-is-zero TIFF, MONOCHROME1,
    or a film found to be a negative; ``notes`` say which).
    """

    path: str | None = None
    format: str = "array"
    bits: int = 8
    inverted: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Radiograph:
    """``pixels`` (H, W), uint8 or uint16, bone brighter than soft tissue (as MONOCHROME2)."""

    pixels: Grey
    spacing: Spacing | None = None
    side: Side | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return (self.pixels.shape[0], self.pixels.shape[1])


def read_radiograph(path: str | Path) -> Radiograph:
    """Read one radiograph: PNG, JPEG, TIFF, BMP or DICOM, known by its content.

    Bones are brighter than soft tissue in the result (``provenance.inverted`` says whether the
    file had it the other way round). Raises ImageError that says what is wrong with the file, and
    MissingExtraError when a compressed DICOM needs a decoder that is not installed.
    """
    where = Path(path)
    kind = _kind(where)
    if kind == "DICOM":
        from ossa.radiograph.dicom.read import read_dicom

        return read_dicom(where)
    from ossa.radiograph.raster import read_raster

    return read_raster(where, kind)


def read_size(path: str | Path) -> tuple[int, int]:
    """(H, W) in pixels as stored, from the file's header alone. Raises ImageError as ``read_radiograph`` does."""
    where = Path(path)
    kind = _kind(where)
    if kind == "DICOM":
        from ossa.radiograph.dicom.read import read_dicom_size

        return read_dicom_size(where)
    from ossa.radiograph.raster import read_raster_size

    return read_raster_size(where, kind)


def _kind(where: Path) -> str:
    """The format of a file from its first bytes; ImageError when it is none that is read."""
    try:
        with where.open("rb") as stream:
            head = stream.read(132)
    except OSError as error:
        found = "a folder" if where.is_dir() else error.strerror or str(error)
        raise ImageError("cannot be read", path=where, found=found, expected="a readable picture file") from error
    if not head:
        raise ImageError(
            "is empty", path=where, found="0 bytes", expected="a picture", remedy="Copy or export it again"
        )
    kind = sniff(head)
    if kind is None:
        raise ImageError(
            "is not a picture that ossa reads",
            path=where,
            found=describe(head),
            expected="PNG, JPEG, TIFF, BMP or DICOM",
            remedy="Export the radiograph in one of these formats; the file's ending does not matter",
        )
    return kind
