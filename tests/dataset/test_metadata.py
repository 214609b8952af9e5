import sys

import pytest

from ossa.dataset.metadata import Subject, read_metadata
from ossa.errors import DatasetError, MissingExtraError

openpyxl = pytest.importorskip("openpyxl")


def sheet(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_the_published_sheet_with_its_traps(tmp_path):
    path = sheet(
        tmp_path / "meta_data.xlsx",
        [
            ["ID", "나이", "성별", "체중(몸무게)", "키(신장)", None],
            ["ID001", 31, "_x0008_여", 52.5, 161, None],
            ["ID058", " 27", " 남", "70 ", "178cm", "네일아트"],
            [" ID363", None, "", None, None, None],
            [547, "44", "여", "48,5", 155, None],
            [None, None, None, None, None, None],
        ],
    )
    assert read_metadata(path) == {
        "ID001": Subject(31, "F", 52.5, 161, None),
        "ID058": Subject(27, "M", 70, 178, "네일아트"),
        "ID363": Subject(),
        "ID547": Subject(44, "F", 48.5, 155, None),
    }


def test_files_that_are_no_such_sheet(tmp_path):
    (tmp_path / "a.xlsx").write_text("no zip")
    with pytest.raises(DatasetError, match="not an Excel sheet"):
        read_metadata(tmp_path / "a.xlsx")
    with pytest.raises(DatasetError, match="no column of subjects"):
        read_metadata(sheet(tmp_path / "b.xlsx", [["name", "age"], ["x", 3]]))
    with pytest.raises(DatasetError, match="no column of subjects"):
        read_metadata(sheet(tmp_path / "c.xlsx", []))


def test_without_openpyxl_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"ossa\[xlsx\]"):
        read_metadata(tmp_path / "x.xlsx")
