"""Labels in another format: nothing overwritten, nothing known that was not, pictures that open."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers_dataset import SCHEMA, draw, save_image, save_json, schematic_hand, segmentation
from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.errors import ConfigError, DatasetError, InputError, OutputError
from ossa.labels.case import Truth
from ossa.labels.coco import FILE as COCO_FILE
from ossa.labels.coco import write_coco
from ossa.labels.labelme import write_labelme
from ossa.pipeline.convert import convert

SIZE = 96
TARGETS = ["competition", "coco", "labelme", "cvat", "yolo", "masks", "bits", "nnunet-regions"]

#: Labels that name no path: without the pictures laid beside them they cannot be opened.
NAMELESS = ("competition", "yolo", "masks", "bits", "nnunet-regions")
FEW = ("finger-1", "finger-2", "Lunate", "Radius", "Ulna")


def hand(seed: int, *bones: str):
    outlines = schematic_hand(SIZE, seed=seed)
    return segmentation({name: outlines[name] for name in bones or SCHEMA.names}, SIZE)


def picture(path: Path, seed: int) -> None:
    save_image(path, draw(schematic_hand(SIZE, seed=seed), SIZE, seed))


def truths(root: Path) -> dict[str, Truth]:
    dataset = open_dataset(root)
    assert not dataset.problems
    return {case.name: case.truth(SCHEMA, case.radiograph().shape) for case in dataset.labelled}


def same(truth: Truth, found) -> bool:
    return bool((truth.segmentation(SCHEMA, (SIZE, SIZE)).planes() == found.planes()).all())


@pytest.fixture
def two_subjects(tmp_path: Path) -> Path:
    """Both have a hand_L.png."""
    for seed, subject in enumerate(("A", "B")):
        picture(tmp_path / "set" / subject / "hand_L.png", seed)
        write_labelme(tmp_path / "set" / subject / "hand_L.json", hand(seed), "hand_L.png")
    return tmp_path / "set"


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("pictures", ["copy", "link", "none"])
def test_two_subjects_stay_two(two_subjects: Path, tmp_path: Path, to: str, pictures: str) -> None:
    out = tmp_path / "out"
    assert convert(two_subjects, out, to, pictures=pictures).written == 2
    if to not in ("masks", "nnunet-regions"):  # which have PNGs of their own
        links = [path.is_symlink() for path in out.rglob("*.png")]
        assert links == {"copy": [False] * 2, "link": [True] * 2, "none": []}[pictures]
    if pictures == "none" and to in NAMELESS:
        return
    found = truths(out)
    assert len(found) == 2
    assert [same(truth, hand(seed)) for seed, truth in enumerate(found.values())] == [True, True]
    assert sorted(case.subject[-1] for case in open_dataset(out)) == ["A", "B"]
    assert all(truth.annotated == frozenset(SCHEMA.names) for truth in found.values())


def test_names_in_written_files_open(two_subjects: Path, tmp_path: Path) -> None:
    """As the tools themselves open them: relative to the file."""
    for pictures in ("copy", "link", "none"):
        out = tmp_path / pictures
        convert(two_subjects, out / "coco", "coco", pictures=pictures)
        names = [image["file_name"] for image in json.loads((out / "coco" / COCO_FILE).read_text())["images"]]
        assert len(set(names)) == 2
        assert all((out / "coco" / name).is_file() and not os.path.isabs(name) for name in names)
        convert(two_subjects, out / "labelme", "labelme", pictures=pictures)
        for label in (out / "labelme").rglob("*.json"):
            name = json.loads(label.read_text())["imagePath"]
            assert not os.path.isabs(name)
            opened = (label.parent / name).resolve().read_bytes()
            assert opened == (two_subjects / label.parent.name / "hand_L.png").read_bytes()


@pytest.mark.parametrize("to", TARGETS)
def test_two_endings_are_two_labels(tmp_path: Path, to: str) -> None:
    items = []
    for seed, name in enumerate(("hand_L.png", "hand_L.bmp")):
        picture(tmp_path / "set" / name, seed)
        items.append((name, hand(seed), frozenset(SCHEMA.names)))
    write_coco(tmp_path / "set" / COCO_FILE, items)
    assert convert(tmp_path / "set", tmp_path / "out", to).written == 2
    found = truths(tmp_path / "out")
    if to == "nnunet-regions":
        assert sorted(found) == ["imagesTr/hand__hand_L.bmp_0000.png", "imagesTr/hand__hand_L.png_0000.png"]
    png, bmp = (next(truth for name, truth in found.items() if end in name) for end in ("hand_L.png", "hand_L.bmp"))
    assert same(png, hand(0))
    assert same(bmp, hand(1))


def test_what_nothing_tells_apart_is_refused_with_both_paths(tmp_path: Path) -> None:
    items = []
    for split in ("train", "val"):
        picture(tmp_path / "set" / split / "A" / "hand_L.png", 0)
        items.append((f"{split}/A/hand_L.png", hand(0), frozenset(SCHEMA.names)))
    write_coco(tmp_path / "set" / COCO_FILE, items)
    with pytest.raises(InputError, match=r"train/A/hand_L\.png and .*val/A/hand_L\.png"):
        convert(tmp_path / "set", tmp_path / "out", "labelme")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", TARGETS)
def test_what_was_not_judged_stays_unknown(tmp_path: Path, to: str) -> None:
    """Five bones are drawn and one was looked for and not found: the other 23 are not known to be absent."""
    picture(tmp_path / "set" / "hand_L.png", 0)
    judged = frozenset({*FEW, "Pisiform"})
    write_coco(tmp_path / "set" / COCO_FILE, [("hand_L.png", hand(0, *FEW), judged)])
    convert(tmp_path / "set", tmp_path / "out", to)
    (truth,) = truths(tmp_path / "out").values()
    assert set(truth.outlines) == set(FEW)
    assert truth.annotated == judged


@pytest.mark.parametrize("second", ["competition", "bits"])
@pytest.mark.parametrize("first", TARGETS)
def test_there_and_back(tmp_path: Path, first: str, second: str) -> None:
    picture(tmp_path / "set" / "hand_L.png", 0)
    write_coco(tmp_path / "set" / COCO_FILE, [("hand_L.png", hand(0, *FEW), frozenset(FEW))])
    convert(tmp_path / "set", tmp_path / "one", first)
    convert(tmp_path / "one", tmp_path / "two", second)
    (truth,) = truths(tmp_path / "two").values()
    assert truth.annotated == frozenset(FEW)
    assert same(truth, hand(0, *FEW))


def test_a_set_is_never_written_over(two_subjects: Path) -> None:
    before = {path: path.read_bytes() for path in two_subjects.rglob("*") if path.is_file()}
    for output in (two_subjects, two_subjects / "A", two_subjects.parent):
        with pytest.raises(OutputError, match="an output would be one of the inputs"):
            convert(two_subjects, output, "labelme")
    assert before == {path: path.read_bytes() for path in two_subjects.rglob("*") if path.is_file()}


def test_labels_of_another_size(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "hand_L.png", 0)
    save_image(tmp_path / "set" / "hand_R.png", np.zeros((2 * SIZE, 2 * SIZE), np.uint8))
    for name in ("hand_L", "hand_R"):
        write_labelme(tmp_path / "set" / f"{name}.json", hand(0), f"{name}.png")
    found = convert(tmp_path / "set", tmp_path / "out", "coco")
    assert found.written == 1
    assert "hand_R.json: the label of 'hand_R.png' was drawn at another size" in found.skipped[0]
    assert convert(tmp_path / "set", tmp_path / "scaled", "coco", scale_labels=True).written == 2


def test_the_command(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "hand_L.png", 0)
    write_labelme(tmp_path / "set" / "hand_L.json", hand(0), "hand_L.png")
    data = json.loads((tmp_path / "set" / "hand_L.json").read_text())
    data["shapes"][0]["label"] = "tip of the thumb"
    del data["judged"]
    save_json(tmp_path / "set" / "hand_L.json", data)
    save_json(tmp_path / "map.json", {"tip_of_the_thumb": "finger-1"})
    arguments = ["data", "convert", str(tmp_path / "set"), "--to", "coco", "-o"]
    for output, more, bones in (("one", [], 28), ("two", ["--map", str(tmp_path / "map.json")], 29)):
        result = CliRunner().invoke(cli, [*arguments, str(tmp_path / output), *more], prog_name="ossa")
        assert result.exit_code == 0, result.output
        assert ("tip of the thumb" in result.stderr) == (bones == 28)
        (truth,) = truths(tmp_path / output).values()
        assert len(truth.annotated) == bones


def test_what_cannot_be(two_subjects: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="copy, link, none"):
        convert(two_subjects, tmp_path / "out", "coco", pictures="move")
    for label in two_subjects.rglob("*.json"):
        label.unlink()
    with pytest.raises(DatasetError, match="no labelled picture"):
        convert(two_subjects, tmp_path / "out", "coco")
