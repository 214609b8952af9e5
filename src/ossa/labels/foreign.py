"""Forms of labels that are not read: told by name, so that nobody takes their pictures for unlabelled ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ossa.errors import DatasetError
from ossa.labels.case import Reading
from ossa.labels.format import LabelFormat
from ossa.labels.names import BoneNames
from ossa.labels.pictures import visible_files

#: Files that are looked into.
_LOOKS = 20


def is_voc_xml(root: Path) -> bool:
    """Whether an XML file under ``root`` is Pascal VOC's: one per picture, boxes only."""
    files = [path for path in visible_files(root) if path.suffix.lower() == ".xml"]
    return any("<annotation>" in _head(path) or "<annotation " in _head(path) for path in files[:_LOOKS])


def is_via(root: Path) -> bool:
    """Whether a JSON file under ``root`` is of the VGG Image Annotator: a project of it, or its annotations alone."""
    files = [path for path in visible_files(root) if path.suffix.lower() == ".json"]
    return any(word in _head(path) for path in files[:_LOOKS] for word in ('"_via_', '"shape_attributes"'))


def _head(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""


def refusing(form: str, instead: str) -> Callable[[Path, BoneNames], Reading]:
    """A reader that says what it found and does not read it."""

    def read(root: Path, _names: BoneNames) -> Reading:
        raise DatasetError(
            f"holds labels of the form {form}, which ossa does not read",
            path=root,
            expected="COCO, labelme, or another form that is read",
            remedy=f"Export them as {instead}",
        )

    return read


FORMATS = (
    LabelFormat("voc", "not read", 62, is_voc_xml, refusing("Pascal VOC", "COCO or labelme outlines")),
    LabelFormat("via", "not read", 63, is_via, refusing("VGG Image Annotator", "COCO")),
)
