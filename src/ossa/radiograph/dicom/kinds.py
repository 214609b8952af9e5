"""Which kinds of DICOM files are radiographs, by SOP class (PS3.4 B.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ossa.errors import ImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_STORAGE = "1.2.840.10008.5.1.4.1.1."

#: Projection radiographs, and what they are exported as: CR, DX, mammography, intra-oral, secondary capture, XA, XRF
#: and portal images.
_RADIOGRAPHS = frozenset(
    _STORAGE + tail
    for tail in (
        "1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "7", "7.1", "7.2", "7.3", "7.4", "12.1", "12.1.1", "12.2",
        "12.2.1", "481.1",
    )
)  # fmt: skip

#: What was made from pictures, though it has pixels.
_DERIVED = {
    _STORAGE + "66.4": "a segmentation",
    _STORAGE + "66.5": "a surface segmentation",
    _STORAGE + "66.6": "a tractography",
    _STORAGE + "66.7": "a label map segmentation",
    _STORAGE + "30": "a parametric map",
    _STORAGE + "481.2": "a radiotherapy dose",
}

#: Those of them whose bones are read, as a label.
_BONES = frozenset({_STORAGE + "66.4"})

_DICOMDIR = "1.2.840.10008.1.3.10"


def kind_of(header: Dataset) -> str:
    """The SOP class UID of a file, "" when it says none."""
    meta = getattr(header, "file_meta", None)
    return str(header.get("SOPClassUID") or (meta.get("MediaStorageSOPClassUID") if meta is not None else "") or "")


def is_index(kind: str) -> bool:
    """Whether a SOP class is that of a DICOMDIR: the index of a disc, no picture."""
    return kind == _DICOMDIR


def check_kind(header: Dataset, name: str) -> list[str]:
    """Remarks on a file that is no projection radiograph; ImageError for one that is no picture of a body at all."""
    from pydicom.uid import UID

    kind = kind_of(header)
    title = UID(kind).name
    if is_index(kind):
        raise ImageError(
            "is the index of a DICOM folder (DICOMDIR), not a picture",
            path=name,
            remedy="Give the folder: the pictures in it are found",
        )
    expected = "a radiograph (CR, DX or secondary capture)"
    if kind in _DERIVED:
        raise ImageError(
            "is no radiograph, but made from one",
            path=name,
            found=_DERIVED[kind],
            expected=expected,
            remedy="Bones in it are read where its folder is given, with --images for the radiographs"
            if kind in _BONES
            else None,
        )
    if not (header.get("Rows") and header.get("Columns")):
        raise ImageError(
            "is a DICOM file without a picture",
            path=name,
            found=title or "no SOP class",
            expected=expected,
            remedy=None if kind.startswith(_STORAGE) else "If it should hold one, it is damaged: export it again",
        )
    if kind.startswith(_STORAGE) and kind not in _RADIOGRAPHS:
        return [f"it is no projection radiograph: {title.removesuffix(' Storage')}"]
    return []
