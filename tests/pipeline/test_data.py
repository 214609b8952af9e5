"""The trips of ``ossa data`` and their commands, as a user calls them."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from helpers_dataset import SCHEMA, write_competition, write_ram_h1200
from helpers_known import known
from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import read_folds
from ossa.errors import ConfigError, DatasetError
from ossa.pipeline.convert import convert
from ossa.pipeline.data import audit_dataset, make_folds_file, summarise, write_contact_sheet


@pytest.fixture
def folder(tmp_path):
    return write_competition(tmp_path / "set", subjects=4, tests=1, size=128)


def ossa(*arguments):
    return CliRunner().invoke(cli, ["data", *map(str, arguments)], prog_name="ossa")


def test_summary_counts_pictures_hands_and_bones(folder):
    next((folder / "train/outputs_json").rglob("*.json")).write_text("{")
    result = ossa("summary", folder)
    assert result.exit_code == 0, result.output
    for line in ("pictures  10 of 5 subjects", "labelled  8", "test 2, train 8", "bent L 1, bent R 1"):
        assert line in result.output
    assert "finger-16" in result.output
    assert "is not valid JSON" in result.stderr
    found = summarise(folder)
    assert [(name, count) for name, _, count, _ in found.bones] == [(name, 7) for name in SCHEMA.names]


def test_audit_prints_writes_and_says_so_by_its_exit_code(folder, tmp_path):
    path = sorted((folder / "train/outputs_json").rglob("*.json"))[2]
    label = json.loads(path.read_text())
    label["annotations"] = [a for a in label["annotations"] if a["label"] != "Lunate"]
    path.write_text(json.dumps(label))
    for name in ("findings.csv", "findings.json"):
        result = ossa("audit", folder, "-o", tmp_path / name, "--workers", 1)
        assert result.exit_code == 1, result.output
        assert f"{path.stem}.png: 1 bone(s) are not outlined: Lunate" in result.output
        assert "10 pictures checked" in result.stderr
    rows = (tmp_path / "findings.csv").read_text().splitlines()
    assert rows[0] == "case,kind,bones,message"
    assert any(row.startswith(f"{path.stem}.png,missing,Lunate,") for row in rows)
    written = json.loads((tmp_path / "findings.json").read_text())
    assert written["checked"] == 10
    assert written["measured"][f"{path.stem}.png"]["side"] in ("L", "R")
    with pytest.raises(ConfigError, match=r"\.csv or \.json"):
        audit_dataset(folder, tmp_path / "x.txt")


def test_folds_are_written_once(folder, tmp_path):
    result = ossa("folds", folder, "-o", tmp_path / "folds.json", "-n", 2)
    assert result.exit_code == 0, result.output
    assert "straight L" in result.output
    assert read_folds(tmp_path / "folds.json").hash[:12] in result.output
    again = ossa("folds", folder, "-o", tmp_path / "folds.json", "-n", 4)
    assert again.exit_code == 2
    assert "holds another split" in again.stderr
    made = make_folds_file(folder, tmp_path / "folds.json", 2)
    assert made.hash == read_folds(tmp_path / "folds.json").hash
    assert sum(made.table["all"]) == 8


def test_somebodys_folds(folder, tmp_path):
    result = ossa("folds", folder, "-o", tmp_path / "folds.json", "--import", "GroupKFold(3)")
    assert result.exit_code == 0, result.output
    assert read_folds(tmp_path / "folds.json").count == 3


def test_contact_sheet_is_the_same_for_the_same_seed(folder, tmp_path):
    pytest.importorskip("torch")
    arguments = ["-n", 5, "--columns", 3, "--size", 96, "-s", "p_bend=1", "-s", "scale=[0.5, 1.0]"]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = ossa("sheet", folder, "-o", tmp_path / f"{name}.png", "--seed", seed, *arguments)
        assert result.exit_code == 0, result.output
    first, second, third = (known(cv2.imread(str(tmp_path / f"{name}.png"))) for name in "abc")
    assert first.shape == (192, 288, 3)
    np.testing.assert_array_equal(first, second)
    assert np.any(first != third)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-s", "p_fliip=1"], "perhaps 'p_flip'"),
        (["-s", "p_flip=2"], "less than or equal to 1"),
        (["-s", "p_flip"], "name=value"),
        (["-s", "p_flip=["], "cannot be read"),
        (["-n", "0"], "would be empty"),
    ],
)
def test_contact_sheet_refuses_what_makes_no_sense(folder, tmp_path, arguments, words):
    pytest.importorskip("torch")
    result = ossa("sheet", folder, "-o", tmp_path / "x.png", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "x.png").exists()


def test_contact_sheet_needs_labels_and_a_png(folder, tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(ConfigError, match=r"\.png"):
        write_contact_sheet(folder, tmp_path / "x.jpg")
    for label in (folder / "train/outputs_json").rglob("*.json"):
        label.unlink()
    with pytest.raises(DatasetError, match="no labelled picture"):
        write_contact_sheet(folder, tmp_path / "x.png")


def test_contact_sheet_goes_on_without_what_cannot_be_read(folder, tmp_path):
    pytest.importorskip("torch")
    labels = sorted((folder / "train/outputs_json").rglob("*.json"))
    labels[0].write_text("{")
    pictures = sorted((folder / "train/DCM").rglob("*.png"))
    pictures[-1].write_bytes(b"")
    result = ossa("sheet", folder, "-o", tmp_path / "x.png", "-n", 20, "--size", 64)
    assert result.exit_code == 1, result.output
    assert "20 samples" in result.stdout
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    for path in (labels[0], pictures[-1]):
        assert [line.count(str(path)) for line in lines if str(path) in line] == [1]
    for label in labels:
        label.write_text("{")
    result = ossa("sheet", folder, "-o", tmp_path / "y.png")
    assert result.exit_code == 2
    assert not (tmp_path / "y.png").exists()


def test_a_contact_sheet_never_falls_among_the_pictures(folder, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "link").symlink_to(folder)
    picture = next((folder / "train/DCM").rglob("*.png"))
    for output in (folder / "sheet.png", tmp_path / "link" / "new" / "sheet.png", picture):
        result = ossa("sheet", folder, "-o", output)
        assert result.exit_code == 2
        assert "one of the inputs" in result.stderr


@pytest.mark.parametrize("to", ["competition", "coco", "labelme"])
def test_labels_of_another_set_are_converted(tmp_path, to):
    source = open_dataset(write_ram_h1200(tmp_path / "ram"))
    result = ossa("convert", tmp_path / "ram", "-o", tmp_path / "out", "--to", to)
    assert result.exit_code == 0, result.output
    assert "3 labels" in result.output
    for case in source:
        target = tmp_path / "out" if to == "coco" else tmp_path / "out" / case.subject
        target.mkdir(parents=True, exist_ok=True)
        (target / case.id).write_bytes(case.image.read_bytes())
    written = open_dataset(tmp_path / "out")
    for case in source:
        first, second = (d.case(case.id).segmentation(SCHEMA, (128, 128)) for d in (source, written))
        np.testing.assert_array_equal(first.planes(), second.planes())


def test_a_broken_label_is_left_out_of_a_conversion(folder, tmp_path):
    broken = next((folder / "train/outputs_json").rglob("*.json"))
    broken.write_text("[]")
    found = convert(folder, tmp_path / "out", "labelme")
    assert found.written == 7
    assert broken.name in found.skipped[0]
    result = ossa("convert", folder, "-o", tmp_path / "two", "--to", "competition")
    assert result.exit_code == 1
    with pytest.raises(ConfigError, match="expected one of competition, coco, "):
        convert(folder, tmp_path / "out", "voc")


def test_what_is_no_data_set_is_refused(tmp_path):
    for arguments in (["summary"], ["audit"], ["folds", "-o", "x.json"], ["sheet", "-o", "x.png"]):
        result = ossa(arguments[0], tmp_path / "nowhere", *arguments[1:])
        assert result.exit_code == 2
        assert "no such data set folder" in result.stderr
