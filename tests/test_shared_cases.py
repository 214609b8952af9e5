"""Inputs that were answered wrongly once, with the right answers; skipped where they are absent.

The same kinds are made anew in tests/labels, tests/pipeline/test_convert.py and tests/pipeline/test_evaluate.py.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import read_folds
from ossa.errors import LabelError, OssaError
from ossa.labels.ramw600 import read_mask
from ossa.labels.store import Store
from ossa.schema import load_schema
from ossa.segmentation.compare import dice

SCHEMA = load_schema()
CASES = Path(os.environ.get("OSSA_CASES", Path(__file__).parents[2] / "shared" / "cases"))

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not (CASES / "README.md").is_file(), reason="the cases are not on this machine"),
]


def ossa(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="ossa")


def judged(root: Path) -> list[tuple[int, int]]:
    """Per labelled picture: bones outlined, bones judged."""
    cases = open_dataset(root).labelled
    found = [case.truth(SCHEMA, case.radiograph().shape) for case in cases]
    return [(len(truth.outlines), len(truth.annotated)) for truth in found]


WHOLE = [
    "coco_background_category", "coco_result_json", "coco_file_name_with_folder", "coco_iscrowd_region",
    "labelme_imagedata_first", "labelme_json_elsewhere", "labelme_circle", "labelme_cp949", "labelme_macos_hidden",
]  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_labels_that_show_all_bones(name: str) -> None:
    assert judged(CASES / "labels" / name) == [(29, 29)]


def test_what_is_left_out_of_them_is_told() -> None:
    (problem,) = open_dataset(CASES / "labels" / "coco_background_category").problems
    assert "'background' (0 annotations)" in problem.message
    for name, word in (("coco_iscrowd_region", "crowd"), ("labelme_circle", "circle"), ("coco_bbox_only", "boxes")):
        (case,) = open_dataset(CASES / "labels" / name).cases
        assert word in "".join(case.truth(SCHEMA).left_out)


@pytest.mark.parametrize("name", ["coco_bbox_only", "comp_empty"])
def test_labels_that_show_no_bone(name: str) -> None:
    assert judged(CASES / "labels" / name) == [(0, 0)]
    result = ossa("data", "audit", CASES / "labels" / name)
    assert result.exit_code == 1
    assert "outlines no bone at all" in result.stdout
    assert ("boxes only" in result.stdout) == (name == "coco_bbox_only")


def test_a_mask_of_another_picture() -> None:
    with pytest.raises(LabelError, match="found 512x384; expected 256x192"):
        judged(CASES / "labels" / "coco_rle_size_of_other_image")


@pytest.mark.parametrize(("name", "form"), [("yolo_seg", "yolo"), ("cvat_xml", "cvat")])
def test_forms_of_other_tools(name: str, form: str) -> None:
    """What they draw lies within a pixel of the same hand as labelme drew it."""
    dataset = open_dataset(CASES / "labels" / name)
    assert dataset.format == form
    (case,), (other,) = dataset.cases, open_dataset(CASES / "labels" / "labelme_imagedata_first").cases
    shape = case.radiograph().shape
    assert case.radiograph().shape == other.radiograph().shape
    found, expected = case.segmentation(SCHEMA, shape), other.segmentation(SCHEMA, shape)
    assert len(found) == 29
    assert min(dice(region, expected.get(bone)) for bone, region in found) > 0.8


@pytest.mark.parametrize("to", ["coco", "labelme", "competition"])
@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("convert_same_name_two_subjects", [(3, 3), (29, 29)]),
        ("convert_two_endings", [(2, 2), (29, 29)]),
        ("convert_partly_annotated", [(5, 5)]),
    ],
)
def test_conversions(tmp_path: Path, name: str, want: list[tuple[int, int]], to: str) -> None:
    result = ossa("data", "convert", CASES / name, "-o", tmp_path / "out", "--to", to)
    assert result.exit_code == 0, result.output
    assert sorted(judged(tmp_path / "out")) == want


def test_sizes_are_known_or_asked_for() -> None:
    folder = CASES / "evaluate_sizes"
    result = ossa("evaluate", folder / "predictions.csv", folder / "labels")
    assert result.exit_code == 0
    assert "hand: Dice 1.0000" in result.stdout
    result = ossa("evaluate", folder / "predictions.csv", folder / "labels", "--images", folder / "imgs")
    assert result.exit_code == 2
    for name in ("pics", "small"):
        assert str(folder / "imgs" / name / "hand.png") in result.stderr


@pytest.mark.parametrize(
    ("name", "dice", "word"),
    [
        ("plain", "1.0000", ""),
        ("zero_based", "0.9092", "counted from 0"),
        ("column_major", "0.0019", "column by column"),
    ],
)
def test_run_lengths_are_scored_as_they_stand(name: str, dice: str, word: str) -> None:
    result = ossa("evaluate", CASES / "csv" / f"{name}.csv", CASES / "csv" / "truth")
    assert result.exit_code == 0
    assert f"hand_L.png: Dice {dice}" in result.stdout
    assert word in result.stderr
    assert bool(word) == ("look as if" in result.stderr)


def read_hostile(path: Path, room: Path) -> object:
    name = path.name
    if name.startswith(("coco", "labelme")):
        shutil.copy(path, room / ("_annotations.coco.json" if name.startswith("coco") else "a.json"))
        cv2.imwrite(str(room / "a.png"), np.zeros((48, 40), np.uint8))
        return [case.truth(SCHEMA, (48, 40)) for case in open_dataset(room).labelled]
    if name.startswith("store"):
        store = Store.create(room / "store", SCHEMA, {})
        (room / "store" / "images").mkdir()
        shutil.copy(path, room / "store" / "images" / "a.prob")
        return store.read("a").logits()
    readers: dict[str, Callable[[], object]] = {
        "folds": lambda: read_folds(path),
        "ramw": lambda: read_mask(path, 0),
        "t3": lambda: load_schema(str(path)),
    }
    return readers[name.replace(".", "-").split("-")[0]]()


@pytest.mark.parametrize("kind", ["coco-*", "labelme-*", "store-*", "folds-*", "ramw-*", "t3.toml"])
def test_hostile_files_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    files = sorted((CASES / "hostile").glob(kind))
    assert files
    for number, path in enumerate(files):
        (tmp_path / str(number)).mkdir()
        start = time.perf_counter()
        with pytest.raises(OssaError) as caught:
            read_hostile(path, tmp_path / str(number))
        assert time.perf_counter() - start < 2.0
        assert caught.value.path is not None
