"""The reader of files: a path goes in, a ``Radiograph`` comes out.

The file's first bytes decide which reader it is given to, never its name: raster files (PNG, JPEG, TIFF, BMP) are
decoded in ``raster.py``, DICOM in ``dicom/``.
"""

from __future__ import annotations

from pathlib import Path

from ossa.errors import ImageError
from ossa.radiograph.dicom.read import read_dicom, read_dicom_size
from ossa.radiograph.kinds import HEAD, describe, sniff
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.raster.read import read_raster, read_raster_size


def read_radiograph(path: str | Path) -> Radiograph:
    """Read one radiograph: PNG, JPEG, TIFF, BMP or DICOM, known by its content.

    Bones are brighter than soft tissue in the result (``provenance.inverted`` says whether the
    file had it the other way round). Raises ImageError that says what is wrong with the file, and
    MissingExtraError when a compressed DICOM needs a decoder that is not installed.

    >>> radiograph = ossa.read_radiograph("hand.png")
    >>> radiograph.shape, radiograph.provenance.format, radiograph.spacing
    ((1024, 768), 'PNG', None)
    """
    where = Path(path)
    kind = _kind(where)
    if kind == "DICOM":
        return read_dicom(where)
    return read_raster(where, kind)


def read_size(path: str | Path) -> tuple[int, int]:
    """(H, W) in pixels as ``read_radiograph`` gives it, from the file's header alone. Raises ImageError."""
    where = Path(path)
    kind = _kind(where)
    if kind == "DICOM":
        return read_dicom_size(where)
    return read_raster_size(where, kind)


def _kind(where: Path) -> str:
    """The format of a file from its first bytes; ImageError when it is none that is read."""
    try:
        with where.open("rb") as stream:
            head = stream.read(HEAD)
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
