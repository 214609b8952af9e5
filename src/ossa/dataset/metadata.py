"""Age, sex, weight and height of subjects from the competition's ``meta_data.xlsx``, which is optional."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ossa.errors import DatasetError, MissingExtraError
from ossa.safety import replacing

#: What a header may say -> the field it fills. Korean headers are those of the published file.
_HEADERS = {
    "id": "subject",
    "나이": "age",
    "age": "age",
    "성별": "sex",
    "sex": "sex",
    "gender": "sex",
    "체중": "weight",
    "체중(몸무게)": "weight",
    "weight": "weight",
    "키": "height",
    "키(신장)": "height",
    "height": "height",
}
_SEXES: dict[str, Literal["F", "M"]] = {
    **dict.fromkeys(("여", "여자", "f", "female"), "F"),
    **dict.fromkeys(("남", "남자", "m", "male"), "M"),
}


@dataclass(frozen=True)
class Subject:
    """``age`` in years, ``weight`` in kg, ``height`` in cm, ``remark`` as written; None where nothing usable stands."""

    age: float | None = None
    sex: Literal["F", "M"] | None = None
    weight: float | None = None
    height: float | None = None
    remark: str | None = None


#: Bytes that a sheet may unpack to, rows and columns that are looked at: 10,000 subjects take under 5 MB.
_MOST_BYTES, _MOST_ROWS, _COLUMNS = 40_000_000, 100_000, 64


def _check_size(path: Path) -> None:
    """DatasetError for a sheet that unpacks to more than one of subjects holds (an .xlsx is a ZIP archive)."""
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    if total > _MOST_BYTES:
        found = f"{total:,} bytes in it"
        raise DatasetError("the sheet is too large", path=path, found=found, expected=f"at most {_MOST_BYTES:,}")


def read_metadata(path: str | Path) -> dict[str, Subject]:
    """Subject folder name -> what the sheet says of it. Rows without a subject are left out.

    Handles Korean and English headers, escaped control characters (``_x0008_여``), leading blanks, numbers written
    as text, a remark column without a header, and IDs written as ``ID001``, ``id 1`` or 1. There may be more rows
    than subjects. Raises MissingExtraError without openpyxl, DatasetError for a file that is no such sheet.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError.of("reading meta_data.xlsx", "xlsx", error) from error
    where = Path(path)
    try:
        _check_size(where)
        with where.open("rb") as stream:  # openpyxl leaves a file open that it cannot read
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            kept = book.worksheets[0].iter_rows(max_row=_MOST_ROWS, max_col=_COLUMNS, values_only=True)
            rows = [list(row) for row in kept]
            book.close()
    except DatasetError:
        raise
    except Exception as error:  # openpyxl lets zip, XML and key errors through as they come
        raise DatasetError(
            "is not an Excel sheet", path=where, found=f"{type(error).__name__}: {error}", expected="an .xlsx file"
        ) from error
    header = [_HEADERS.get(re.sub(r"\s", "", _text(cell)).lower(), "") for cell in rows[0]] if rows else []
    if "subject" not in header:
        raise DatasetError("has no column of subjects", path=where, found=rows[0] if rows else "no row", expected="ID")
    return {subject: row for subject, row in (_subject(header, cells) for cells in rows[1:]) if subject}


def _subject(header: list[str], cells: list[object]) -> tuple[str, Subject]:
    named = {field: cell for field, cell in zip(header, cells, strict=False) if field}
    spare = [_text(cell) for field, cell in zip(header, cells, strict=False) if not field and _text(cell)]
    return _subject_id(_text(named.get("subject"))), Subject(
        age=_number(named.get("age")),
        sex=_SEXES.get(_text(named.get("sex")).lower()),
        weight=_number(named.get("weight")),
        height=_number(named.get("height")),
        remark="; ".join(spare) or None,
    )


def _subject_id(text: str) -> str:
    match = re.fullmatch(r"(?:id)?\s*(\d+)(?:\.0)?", text, flags=re.IGNORECASE)
    return f"ID{int(match.group(1)):03d}" if match else text


def _text(cell: object) -> str:
    """A cell as text without escaped (_x0008_) or real control characters and outer blanks."""
    text = re.sub(r"_x[0-9A-Fa-f]{4}_", "", "" if cell is None else str(cell))
    return "".join(c for c in text if unicodedata.category(c) != "Cc").strip()


def _number(cell: object) -> float | None:
    match = re.search(r"\d+(?:\.\d+)?", _text(cell).replace(",", "."))
    return float(match.group()) if match else None


def write_metadata(path: str | Path, subjects: Mapping[str, Subject]) -> None:
    """Write a sheet with the published one's traps, for rehearsals: ``read_metadata`` gives the subjects back.

    Korean headers, a remark column without one, a control string before every third sex, blanks before every fifth
    number. Raises MissingExtraError without openpyxl.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError.of("writing meta_data.xlsx", "xlsx", error) from error
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    sheet.append(["ID", "나이", "성별", "체중(몸무게)", "키(신장)", None])
    for i, (name, one) in enumerate(subjects.items()):
        sex = {"F": "여", "M": "남", None: None}[one.sex]
        sheet.append(
            [
                name,
                one.age,
                f"_x0008_{sex}" if sex is not None and i % 3 == 0 else sex,
                f" {one.weight}" if one.weight is not None and i % 5 == 0 else one.weight,
                one.height,
                one.remark,
            ]
        )
    with replacing(path) as temporary, temporary.open("wb") as stream:
        book.save(stream)
