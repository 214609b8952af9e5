"""YAML, TOML, JSON, CSV and sheets made to do harm: an error that names the file, soon, in little memory."""

from __future__ import annotations

import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from helpers_attacks import Watch, bomb, yamls
from ossa.config import load_config
from ossa.config.load import apply_override
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import read_folds
from ossa.dataset.folds_import import import_folds
from ossa.dataset.metadata import read_metadata
from ossa.errors import OssaError
from ossa.labels.names import bone_names
from ossa.labels.submission import read_submission
from ossa.safety import parse_yaml
from ossa.schema import load_schema

SCHEMA = load_schema()
SECONDS, MEGABYTES = 5.0, 100.0
KINDS = list(yamls(Path()))


def peak() -> float:
    """The most memory that this process ever had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refused(call: Callable[[], object], name: str) -> str:
    """What ``call`` says when it refuses the file ``name``, in bounded time and memory."""
    before, start = peak(), time.process_time()
    with pytest.raises(OssaError) as caught:
        call()
    assert time.process_time() - start < SECONDS
    assert peak() - before < MEGABYTES
    said = str(caught.value)
    assert name in said
    assert len(said) < 20_000
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_file(kind: str, tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yamls(tmp_path)[kind])
    refused(lambda: load_config(path), "run.yaml")


@pytest.mark.parametrize("kind", KINDS)
def test_a_setting_on_the_command_line(kind: str, tmp_path: Path, watch: Watch) -> None:
    refused(lambda: apply_override({}, f"train={yamls(tmp_path)[kind]}"), "train")


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_of_names(kind: str, tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(yamls(tmp_path)[kind])
    refused(lambda: bone_names(SCHEMA, path), "map.yaml")


@pytest.mark.parametrize("kind", KINDS)
def test_the_classes_of_a_yolo_set(kind: str, picture: Path, tmp_path: Path, watch: Watch) -> None:
    (picture.parent / "data.yaml").write_text(yamls(tmp_path)[kind])
    picture.with_suffix(".txt").write_text("0 0.1 0.1 0.4 0.1 0.4 0.4\n")

    def read() -> None:
        for case in open_dataset(picture.parent, SCHEMA, "yolo").labelled:
            case.truth(SCHEMA)

    refused(read, "data.yaml")


def test_aliases_that_stay_small_are_read() -> None:
    """A base that several sections share, as people write run files."""
    text = "base: &base {a: 1}\none: {<<: *base, b: 2}\ntwo: [*base, *base]\n"
    assert parse_yaml(text) == yaml.safe_load(text)
    assert len(parse_yaml(bomb(4))) == 4
    assert parse_yaml("") is None


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 100_000, "[" + "a." * 10_000 + "a]\n", "\0"])
def test_toml(text: str, tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    refused(lambda: bone_names(SCHEMA, path), "map.toml")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 100_000, '{"subject_fold": ' + "[" * 9000 + "]" * 9000 + "}"]
)
def test_json(text: str, tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "folds.json"
    path.write_text(text)
    refused(lambda: read_folds(path), "folds.json")
    refused(lambda: import_folds(path, []), "folds.json")


@pytest.mark.parametrize("head", ["image_name,class,rle\n", "subject,fold\n"])
def test_csv_fields_of_megabytes(head: str, tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "table.csv"
    path.write_text(head + '"' + "a" * 5_000_000 + '",1\n')
    if head.startswith("subject"):
        refused(lambda: import_folds(path, []), "table.csv")
    else:
        refused(lambda: read_submission(path, SCHEMA, (96, 96)), "table.csv")


def test_a_table_as_large_as_a_disk(tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "table.csv"
    with path.open("wb") as stream:
        stream.truncate(5_000_000_000)
    refused(lambda: import_folds(path, []), "table.csv")
    refused(lambda: read_submission(path, SCHEMA, (96, 96)), "table.csv")


def sheet(path: Path, cells: str, shared: bytes = b"<sst/>") -> None:
    """A workbook of one sheet with these rows."""
    pytest.importorskip("openpyxl").Workbook().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts["xl/worksheets/sheet1.xml"] = (
        f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>'.encode()
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("kind", ["bomb", "entities", "far away"])
def test_sheets(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "meta_data.xlsx"
    cells = {
        "bomb": '<row r="1"><c t="inlineStr"><is><t>' + " " * 45_000_000 + "</t></is></c></row>",
        "entities": '<row r="1"><c t="inlineStr"><is><t>&lol;</t></is></c></row>',
        "far away": '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>ID</t></is></c></row>',
    }[kind]
    sheet(path, cells)
    refused(lambda: read_metadata(path), "meta_data.xlsx")
