"""A DICOM image without its patient: the Basic Application Level Confidentiality Profile of PS3.15, annex E.

Table E.1-1 is that of dicom-anonymizer (Kitware, BSD), read from the standard of 2026c. What is done with it is done
here, since that package leaves sequences unread: attributes are treated at every depth, private ones removed, dates
emptied or removed, identifiers replaced by others that follow from them and a secret of this run.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ossa.errors import MissingExtraError
from ossa.export.dicom.source import PURPOSE, uid

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

#: Pixels and what describes them are no identity; the picture itself may still show a name, see ``may_show_names``.
_PIXELS = 0x7FE0

#: The table, and what is done with its groups (PS3.15 table E.1-1a). Where the standard leaves a choice by the type of
#: the attribute, the one that keeps a file valid is taken.
_TABLE = "dicomanonymizer.dicom_anonymization_databases.dicomfields_2026c"
_ACTIONS = {
    "X_TAGS": "remove",
    "Z_TAGS": "empty",
    "X_Z_TAGS": "empty",
    "D_TAGS": "dummy",
    "Z_D_TAGS": "dummy",
    "X_D_TAGS": "dummy",
    "X_Z_D_TAGS": "dummy",
    "U_TAGS": "identifier",
    "X_Z_U_STAR_TAGS": "identifier",
}

#: A dummy of each kind of value (PS3.5 6.2).
_DUMMIES: Mapping[str, Any] = {
    "DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "DS": "0", "IS": "0",
    "FD": 0.0, "FL": 0.0, "SS": 0, "US": 0, "SL": 0, "UL": 0, "OB": b"\0\0", "UN": b"\0\0", "UR": "http://example.invalid",
}  # fmt: skip


@dataclass(frozen=True)
class Secret:
    """What turns identifiers of one run into others: the same one into the same one, and never back."""

    value: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def other(self, identifier: str) -> str:
        """The identifier that stands for ``identifier``."""
        return uid(self.value, identifier)

    def mark(self, text: str) -> str:
        """Eight letters that stand for ``text``."""
        return hashlib.sha256(f"{self.value} {text}".encode()).hexdigest()[:8].upper()


def anonymised(dataset: Dataset, secret: Secret) -> Dataset:
    """A copy of a data set without the patient's identity. Raises MissingExtraError without dicom-anonymizer.

    Definitions of the standard (SOP classes, transfer syntaxes) are no identity and stay.
    """
    from copy import deepcopy

    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    table = _table()
    out = deepcopy(dataset)
    _clean(out, table, secret)
    out.remove_private_tags()
    # An archive takes all patients without an identifier for one: a pseudonym keeps them apart.
    out.PatientID = f"ANON-{secret.mark(str(dataset.get('PatientID') or ''))}"
    out.PatientName = f"{out.PatientID}^"
    out.PatientIdentityRemoved = "YES"
    out.DeidentificationMethod = "ossa: Basic Application Level Confidentiality Profile"
    out.DeidentificationMethodCodeSequence = [CodedConcept.from_code(codes.DCM.BasicApplicationConfidentialityProfile)]
    meta = getattr(out, "file_meta", None)
    if meta is not None:
        meta.MediaStorageSOPInstanceUID = out.SOPInstanceUID
        for name in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "PrivateInformation"):
            meta.pop(name, None)
    return out


def may_show_names(dataset: Dataset) -> bool:
    """Whether the picture may bear writing about its patient: unless its header says that none is burned in."""
    return str(dataset.get("BurnedInAnnotation") or "").strip().upper() != "NO"


@cache
def _table() -> dict[tuple[int, int], str]:
    """(group, element) -> action; repeating groups by their first."""
    try:
        fields = import_module(_TABLE)
    except ImportError as error:
        raise MissingExtraError.of(PURPOSE, "dicom", error) from error
    out = {}
    for group, action in _ACTIONS.items():
        for tag in getattr(fields, group):
            out[int(tag[0]), int(tag[1])] = action
    return out


def _clean(dataset: Dataset, table: Mapping[tuple[int, int], str], secret: Secret) -> None:
    for element in list(dataset):
        tag = element.tag
        if tag.group >= _PIXELS or tag.is_private:
            continue
        # Curves and overlays come in sixteen groups each (PS3.5 7.6); overlays may be written on.
        group = tag.group & 0xFF00 if tag.group & 0xFF00 in (0x5000, 0x6000) else tag.group
        action = "remove" if group == 0x5000 else table.get((group, tag.element))
        if action == "remove":
            del dataset[tag]
        elif action == "identifier":
            _replace(dataset, element, table, secret)
        elif action == "empty":
            element.value = [] if element.VR == "SQ" else "" if element.VR not in ("OB", "OW", "UN") else b""
        elif action == "dummy" and element.VR != "SQ":
            element.value = _DUMMIES.get(element.VR, "ANONYMOUS")
        elif element.VR == "SQ":
            for item in element.value:
                _clean(item, table, secret)


def _replace(dataset: Dataset, element: DataElement, table: Mapping[tuple[int, int], str], secret: Secret) -> None:
    if element.VR == "SQ":
        for item in element.value:
            _clean(item, table, secret)
    elif element.VR == "UI":
        values = [element.value] if isinstance(element.value, str) else list(element.value or ())
        new = [secret.other(str(value)) for value in values]
        element.value = new[0] if len(new) == 1 else new
    else:
        del dataset[element.tag]
