"""The picture for which DICOM objects are made: a header that can be referred to.

A DICOM file is referred to as it is. Another picture is wrapped first, as a Secondary Capture of its own study: no
viewer can show a segmentation of something that it does not have.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import ImageError, MissingExtraError
from ossa.radiograph.kinds import HEAD, sniff
from ossa.radiograph.radiograph import Radiograph

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: What nothing can be referred to without, and where it stands.
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

#: Whose picture it is: what must be there in a derived object, if empty (PS3.3 C.7.1.1, C.7.2.1).
_TOLD = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip

#: What values of these must look like; others cannot stand in a new object and are left empty (PS3.5 6.2).
_FORMS = {
    "PatientBirthDate": r"\d{8}",
    "StudyDate": r"\d{8}",
    "StudyTime": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?",
    "PatientSex": r"[MFO]",
}

PURPOSE = "writing DICOM objects"


@dataclass(frozen=True, eq=False)
class Source:
    """A picture that is referred to.

    ``header``: its data set without pixels, fit to be copied from. ``made``: the whole data set where ossa made it, of
    a picture that is no DICOM file or without its patient: it must be kept beside what refers to it.
    """

    header: Dataset
    shape: tuple[int, int]
    made: Dataset | None = None

    @property
    def frames(self) -> int:
        """How many frames the picture has; ossa looks at the first."""
        return int(self.header.get("NumberOfFrames") or 1)


def is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM file, by its first bytes. Raises ImageError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return sniff(stream.read(HEAD)) == "DICOM"
    except OSError as error:
        raise ImageError("cannot be read", path=path, found=error.strerror or str(error)) from error


def source_of(path: Path, radiograph: Radiograph) -> Source:
    """What objects about the picture at ``path`` refer to; ``radiograph`` is the picture as read.

    Raises ImageError for a DICOM file that cannot be referred to, MissingExtraError without highdicom.
    """
    require()
    if is_dicom(path):
        return source_from(_read(path), path)
    whole = wrapped(radiograph)
    return Source(source_from(whole, path).header, radiograph.shape, whole)


def source_from(dataset: Dataset, path: Path) -> Source:
    """A Source of a data set that lies at ``path``, or was made from what lies there."""
    from copy import deepcopy

    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    for name in _NEEDED:
        value = str(dataset.get(name) or "")
        if not UID(value).is_valid:
            raise ImageError(
                f"no object can refer to this file: it has no {name}",
                path=path,
                found=f"'{value:.70}'" if value else "nothing",
                expected="the identifiers of a stored image: " + ", ".join(_NEEDED),
                remedy="Send it through a PACS, or give it new ones: dcmodify -gin FILE (-gse, -gst); "
                "a PNG of it is wrapped with identifiers of its own",
            )
    header = Dataset()
    for element in dataset:
        if element.tag.group < 0x7FE0:
            header.add(deepcopy(element))
    for name in _TOLD:
        value = str(header.get(name) or "")
        form = _FORMS.get(name)
        if not value or (form is not None and not re.fullmatch(form, value)):
            setattr(header, name, "")
    header.Modality = str(header.get("Modality") or "OT")
    return Source(header, (int(header.Rows), int(header.Columns)))


def _read(path: Path) -> Dataset:
    import pydicom

    with quietly():
        return pydicom.dcmread(path, force=True, stop_before_pixels=True)


def read_whole(path: Path) -> Dataset:
    """A DICOM file with its pixels; one without file meta information (older exports) is given its transfer syntax."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    out = pydicom.dcmread(path, force=True)
    if not out.file_meta.get("TransferSyntaxUID"):
        out.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if out.original_encoding[0] else ExplicitVRLittleEndian
    return out


def wrapped(radiograph: Radiograph) -> Dataset:
    """A picture that is no DICOM file as a Secondary Capture Image, losslessly compressed (JPEG-LS), of nobody.

    Its identifiers follow from its pixels, so that the same picture is the same object every time.
    """
    from highdicom.sc import SCImage
    from pydicom.uid import JPEGLSLossless

    pixels = radiograph.pixels
    told = _told_by_pixels(radiograph)
    with quietly():
        out: Dataset = SCImage(
            pixel_array=pixels,
            photometric_interpretation="MONOCHROME2",
            bits_allocated=8 * pixels.dtype.itemsize,
            coordinate_system="PATIENT",
            study_instance_uid=uid(told, "study"),
            series_instance_uid=uid(told, "series"),
            series_number=1,
            sop_instance_uid=wrapped_uid(radiograph),
            instance_number=1,
            manufacturer="ossa",
            patient_id="",
            patient_name="",
            patient_orientation=("L", "F"),  # highdicom asks for one; nobody knows it, so it is emptied below
            transfer_syntax_uid=JPEGLSLossless,
            series_description="A picture that was no DICOM file",
        )
    out.ConversionType = "WSD"
    out.PatientOrientation = ""
    out.Laterality = radiograph.side or ""
    return out


def wrapped_uid(radiograph: Radiograph) -> str:
    """The SOPInstanceUID under which ``wrapped`` wraps a picture."""
    return uid(_told_by_pixels(radiograph), "picture")


def _told_by_pixels(radiograph: Radiograph) -> str:
    pixels = radiograph.pixels
    return hashlib.sha256(f"{pixels.shape}{pixels.dtype}".encode() + pixels.tobytes()).hexdigest()


def uid(*parts: str | Sequence[str]) -> str:
    """An identifier that follows from ``parts``: the same object has the same one, whenever it is made."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))


@contextmanager
def quietly() -> Iterator[None]:
    """pydicom and highdicom remark on every header that bends the standard: no reader of a result needs to know."""
    import logging

    logger = logging.getLogger("highdicom")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def require() -> None:
    """Raise MissingExtraError where highdicom is not installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of(PURPOSE, "dicom", error) from error
