"""Whose picture a DICOM file is. Read where somebody asked for it: nothing else of ossa looks at these elements."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from ossa.radiograph.dicom.elements import element
from ossa.radiograph.kinds import HEAD, sniff
from ossa.safety import MAX_IMAGE_BYTES

#: What stands in the place of an ID where nobody has one: pictures that share it need not be of one person.
_NOBODY = re.compile(r"(?i)[\W_0]*|anon.*|unknown|none|null|n/?a|test|patient|phantom")

#: Longest text that is told of one element.
_LONGEST = 200


@dataclass(frozen=True)
class Patient:
    """Whose picture this is, as the file says it; empty where it does not. Dates are written 2026-01-31."""

    name: str = ""
    id: str = ""
    birth: str = ""
    sex: str = ""
    date: str = ""
    issuer: str = ""

    @property
    def key(self) -> str | None:
        """What pictures of the same person share; None where the file does not tell.

        An ID alone is not believed: the same ID with another name or day of birth is another person.
        """
        if _NOBODY.fullmatch(self.id):
            return None
        return "\n".join((self.id, self.issuer, self.birth, self.name))


def patient_of(path: str | Path) -> Patient | None:
    """The patient of a DICOM file; None for other files, and where the header cannot be read."""
    import pydicom

    where = Path(path)
    try:
        with where.open("rb") as stream:
            if sniff(stream.read(HEAD)) != "DICOM" or where.stat().st_size > MAX_IMAGE_BYTES:
                return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom remarks on every header that bends the standard
            names = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "IssuerOfPatientID"]
            wanted = ["SpecificCharacterSet", *names]
            header = pydicom.dcmread(where, force=True, stop_before_pixels=True, specific_tags=list(wanted))
            name, number, birth, sex, date, issuer = (_plain(element(header, one)) for one in names)
    except Exception:  # whatever a damaged header leads to: its picture is read, and refused, by itself
        return None
    return Patient(_spoken(name), number, _day(birth), sex, _day(date), issuer)


def _plain(value: object) -> str:
    """A value as one line of printable text."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else " " for c in text).strip()[:_LONGEST]


def _spoken(name: str) -> str:
    """A person's name (PS3.5, 6.2.1.2): each way of writing it ("Hong^Gildong=洪^吉洞=홍^길동") without its carets."""
    ways = [" ".join(part for part in way.split("^") if part.strip()) for way in name.split("=")]
    return " / ".join(dict.fromkeys(way for way in ways if way))


def _day(text: str) -> str:
    """A DICOM date as ISO 8601; as it stands where it is none."""
    found = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", text)
    return text if found is None else "-".join(found.groups())
