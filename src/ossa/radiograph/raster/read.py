"""PNG, JPEG, TIFF and BMP files to grey radiographs.

The size is checked in the header before anything is decoded, and a decoder that complains is believed. EXIF and TIFF
orientation is honoured, because every viewer and annotation tool in which outlines are drawn shows the picture turned.
Resolution tags (PNG pHYs, JFIF density, TIFF XResolution) describe printing and are not taken for millimetres: a
raster file has no spacing unless the user gives one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ImageError
from ossa.radiograph.limits import check_size, check_unpacked
from ossa.radiograph.polarity import invert, looks_inverted
from ossa.radiograph.radiograph import Grey, Provenance, Radiograph
from ossa.radiograph.raster import bmp, jpeg, png, tiff
from ossa.radiograph.raster.header import Damaged, Header, Unread
from ossa.safety import MAX_IMAGE_BYTES

#: Format -> what reads its header and its pixels.
_FORMATS: dict[str, tuple[Callable[[BinaryIO, int], Header], Callable[[BinaryIO, Any], NDArray[Any]]]] = {
    "PNG": (png.read_header, png.decode),
    "JPEG": (jpeg.read_header, jpeg.decode),
    "TIFF": (tiff.read_header, tiff.decode),
    "BMP": (bmp.read_header, bmp.decode),
}

#: Bytes read at a time: a PNG's header is found by going from chunk to chunk, and most writers make chunks of 8 kB.
_READ = 1 << 18

#: EXIF orientation (EXIF 2.32, 4.6.5.1) -> how a viewer shows the stored rows.
_SHOWN: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


def read_raster(path: Path, kind: str) -> Radiograph:
    """Read a raster file of a known ``kind`` ("PNG", "JPEG", "TIFF", "BMP"). Raises ImageError."""
    name = str(path)
    with path.open("rb", _READ) as stream:
        header = _header(stream, kind, name)
        check_unpacked(header.unpacked, name)
        stored = _told(kind, name, lambda: _FORMATS[kind][1](stream, header))
    pixels, remarks = _grey(stored)
    notes = list(header.notes)
    if header.orientation != 1:
        pixels = np.ascontiguousarray(_SHOWN[header.orientation](pixels))
    if header.white_is_zero:  # the file says which way round its grey runs: nothing is guessed
        remarks.append("stored white-is-zero")
        turned_over = True
    else:
        turned_over = looks_inverted(pixels)
        if turned_over:
            notes.append("dark bones on a bright film: turned over")
    pixels = invert(pixels) if turned_over else pixels
    bits = 8 * pixels.dtype.itemsize
    origin = Provenance(name, header.format, bits, turned_over, tuple(notes), tuple(remarks))
    return Radiograph(pixels, provenance=origin)


def read_raster_size(path: Path, kind: str) -> tuple[int, int]:
    """(H, W) of a raster file as it is shown, from its header. Raises ImageError."""
    with path.open("rb", _READ) as stream:
        return _header(stream, kind, str(path)).shape


def _header(stream: BinaryIO, kind: str, name: str) -> Header:
    """The header of a file that is neither too large in pixels or bytes nor cut short."""
    size = stream.seek(0, os.SEEK_END)
    if size > MAX_IMAGE_BYTES:
        limit = f"at most {MAX_IMAGE_BYTES:,}"
        raise ImageError("the file is too large", path=name, found=f"{size:,} bytes", expected=limit)
    header: Header = _told(kind, name, lambda: _FORMATS[kind][0](stream, size))
    check_size(header.width, header.height, name)
    return header


def _told(kind: str, name: str, read: Callable[[], Any]) -> Any:
    """``read()``, with what it raises told as ImageError."""
    try:
        return read()
    except (Damaged, struct.error) as error:
        found = (
            str(error) if isinstance(error, Damaged) else f"the header stops after {Path(name).stat().st_size:,} bytes"
        )
        raise ImageError(
            f"is a damaged or truncated {kind} file",
            path=name,
            found=found,
            remedy="Copy or export the picture again",
        ) from error
    except Unread as error:
        raise ImageError(
            f"cannot be decoded as {kind}",
            path=name,
            found=str(error),
            expected="an 8- or 16-bit picture in a usual compression",
            remedy="Open it in a picture viewer and export it as PNG",
        ) from error


def _grey(stored: NDArray[Any]) -> tuple[Grey, list[str]]:
    """What a decoder gave as grey of 8 or 16 bits, and remarks. Colour becomes luma of ITU-R BT.601."""
    import cv2

    notes: list[str] = []
    if stored.dtype == np.bool_:
        stored = stored * np.uint8(255)
    planes = stored.reshape(*stored.shape[:2], -1)
    channels = planes.shape[2]
    if planes.dtype not in (np.uint8, np.uint16):
        notes.append(f"{stored.dtype} values stretched to 16 bits")
        return to_uint16(planes[..., :3].mean(axis=2) if channels > 2 else planes[..., 0]), notes
    if channels == 1:
        return cast(Grey, planes[..., 0]), notes
    if channels == 2:
        grey = np.ascontiguousarray(planes[..., 0])
    else:
        grey = cv2.cvtColor(np.ascontiguousarray(planes[..., :3]), cv2.COLOR_RGB2GRAY)
    if channels in (2, 4):
        grey, note = _opaque(grey, planes[..., -1])
        notes += [note] if note else []
    return cast(Grey, grey), notes


def _opaque(grey: NDArray[Any], opacity: NDArray[Any]) -> tuple[NDArray[Any], str | None]:
    """Transparent pixels to black: no film there.

    A picture that lies in its opacity alone is taken from there; one that is transparent all over keeps its grey.
    """
    if grey.min() == grey.max() and opacity.min() < opacity.max():
        return np.ascontiguousarray(opacity), "the picture lies in its transparency alone"
    hidden = opacity == 0
    if not hidden.any():
        return grey, None
    if hidden.all():
        return grey, "transparency that hides the whole picture: ignored"
    return np.where(hidden, np.zeros((), grey.dtype), grey), "transparent pixels set to black"


def to_uint16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Any real (H, W) array stretched linearly so that its finite range fills 0..65535; NaN becomes 0."""
    kept = values if values.dtype.kind in "iu" else values[np.isfinite(values)]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 0.0)
    scale = 65535.0 / (high - low) if high > low else 0.0
    out = np.empty(values.shape, np.uint16)
    for top in range(0, len(values), 256):  # in bands: float64 of a whole film is eight times its size
        band = np.nan_to_num(values[top : top + 256].astype(np.float64), nan=low, posinf=high, neginf=low)
        out[top : top + 256] = np.round((band - low) * scale)
    return out
