"""PNG, JPEG, TIFF and BMP files to grey radiographs.

The size is checked in the header before anything is decoded, the stream is checked to be whole,
and OpenCV decodes straight to grey. EXIF and TIFF orientation is honoured, because every viewer
and annotation tool in which outlines are drawn shows the picture turned. Resolution tags (PNG
pHYs, JFIF density, TIFF XResolution) describe printing and are not taken for millimetres: a
raster file has no spacing unless the user gives one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ImageError
from ossa.radiograph.headers import Header, check_stream, read_header
from ossa.radiograph.polarity import invert, looks_inverted
from ossa.radiograph.radiograph import Grey, Provenance, Radiograph
from ossa.safety import MAX_IMAGE_BYTES, MAX_PIXELS


def read_raster(path: Path, kind: str) -> Radiograph:
    """Read a raster file of a known ``kind`` ("PNG", "JPEG", "TIFF", "BMP"). Raises ImageError."""
    name = str(path)
    with path.open("rb") as stream:
        header = _checked_header(stream, kind, name)
        stream.seek(0)
        data = stream.read()
    fault = check_stream(kind, data)
    if fault is not None:
        raise _truncated(header, name, fault)
    pixels, notes = _decode(data, header, name)
    # OpenCV turns an 8-bit white-is-zero TIFF over by itself, a 16-bit one not.
    if header.white_is_zero:
        notes.append("stored white-is-zero")
        pixels = invert(pixels) if pixels.dtype == np.uint16 else pixels
    negative = looks_inverted(pixels)
    if negative:
        notes.append("dark bones on a bright film: turned over")
        pixels = invert(pixels)
    bits = 8 * pixels.dtype.itemsize
    provenance = Provenance(name, header.format, bits, negative != header.white_is_zero, tuple(notes))
    return Radiograph(pixels, provenance=provenance)


def read_raster_size(path: Path, kind: str) -> tuple[int, int]:
    """(H, W) of a raster file from its header, before any EXIF turn. Raises ImageError."""
    with path.open("rb") as stream:
        header = _checked_header(stream, kind, str(path))
    return header.height, header.width


def _checked_header(stream: BinaryIO, kind: str, name: str) -> Header:
    """The header of a file that is neither too large in pixels or bytes nor cut short."""
    header = read_header(stream, kind, name)
    check_size(header.width, header.height, name)
    size = stream.seek(0, os.SEEK_END)
    if size > MAX_IMAGE_BYTES:
        limit = f"at most {MAX_IMAGE_BYTES:,}"
        raise ImageError("the file is too large", path=name, found=f"{size:,} bytes", expected=limit)
    if header.missing is not None:
        raise _truncated(header, name, header.missing)
    return header


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


def _truncated(header: Header, path: str, missing: str) -> ImageError:
    found = missing if missing.startswith(("no ", "a wrong")) else f"it lacks {missing}"
    return ImageError(
        f"is a damaged or truncated {header.format} file",
        path=path,
        found=found,
        remedy="Copy or export the picture again",
    )


def _decode(data: bytes, header: Header, path: str) -> tuple[Grey, list[str]]:
    import cv2

    buffer = np.frombuffer(data, np.uint8)
    grey: NDArray[Any] | None
    try:
        grey = cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise _undecodable(header, path, str(error).strip().splitlines()[-1]) from error
    if grey is None:
        raise _undecodable(header, path, f"{header.width}x{header.height} that the decoder refuses")
    notes = []
    if header.pages > 1:
        notes.append(f"the first of {header.pages} pages")
    if header.alpha and not header.turned:
        grey, note = _without_transparency(buffer, grey)
        notes += [note] if note else []
    if grey.dtype not in (np.uint8, np.uint16):
        notes.append(f"{grey.dtype} values stretched to 16 bits")
        grey = to_uint16(grey)
    return cast(Grey, grey), notes


def _undecodable(header: Header, path: str, found: str) -> ImageError:
    return ImageError(
        f"cannot be decoded as {header.format}",
        path=path,
        found=found,
        expected="an 8- or 16-bit picture in a usual compression",
        remedy="Open it in a picture viewer and export it as PNG",
    )


def _without_transparency(buffer: NDArray[np.uint8], grey: NDArray[Any]) -> tuple[NDArray[Any], str | None]:
    """Transparent pixels to black (no film there); a picture that is transparent all over keeps its grey."""
    import cv2

    full = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if full is None or full.ndim != 3 or full.shape[2] != 4:
        return grey, None
    alpha = full[:, :, 3]
    hidden = alpha == 0
    if not hidden.any():
        return grey, None
    if hidden.all():
        return grey, "transparency that hides the whole picture: ignored"
    return np.where(hidden, np.zeros((), grey.dtype), grey), "transparent pixels set to black"


def to_uint16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Any real (H, W) array stretched linearly so that its finite range fills 0..65535; NaN becomes 0."""
    wide = values.astype(np.float64)
    finite = np.isfinite(wide)
    if not finite.any():
        return np.zeros(wide.shape, np.uint16)
    low, high = float(wide[finite].min()), float(wide[finite].max())
    wide = np.nan_to_num(wide, nan=low, posinf=high, neginf=low)
    scale = 65535.0 / (high - low) if high > low else 0.0
    return np.round((wide - low) * scale).astype(np.uint16)
