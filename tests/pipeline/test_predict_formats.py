"""``ossa predict --format``: every format that can be written, read back equal to the run lengths beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers_pictures import hand_picture, save
from ossa.dataset.dataset import open_dataset
from ossa.errors import InputError, OutputError
from ossa.labels.case import Case
from ossa.labels.format import formats
from ossa.labels.submission import read_submission
from ossa.pipeline.asked import fast_predictor
from ossa.pipeline.predict import predict_with
from ossa.schema import load_schema

SCHEMA = load_schema()
SHAPE = (240, 200)


def predicted(images: Path, out: Path, model: Path, label_format: str) -> Path:
    predict_with(lambda: fast_predictor(model, "cpu"), [images], out, label_format=label_format)
    return out


@pytest.mark.parametrize("name", ["coco", "cvat", "yolo", "masks", "bits", "nnunet-regions", "ramw600", "labelme"])
def test_each_format(bright_model: Path, tmp_path: Path, name: str) -> None:
    save(tmp_path / "in" / "hand.png", hand_picture())
    out = predicted(tmp_path / "in", tmp_path / "out", bright_model, name)
    expected = read_submission(out / "predictions.csv", SCHEMA, SHAPE)["hand.png"]
    places = {"nnunet-regions": "labelsTr/hand.png", "yolo": "labels/hand.txt", "cvat": "annotations.xml"}
    form = formats().called(name)
    label = out / (form.mark if name == "coco" else places.get(name, f"hand{form.ending}"))
    assert label.exists()
    # A set is opened with its pictures; these lie in the folder that was read.
    if name == "yolo":
        save(out / "images" / "hand.png", hand_picture())
    if name == "nnunet-regions":
        save(out / "imagesTr" / "hand_0000.png", hand_picture())
    if name in ("masks", "bits", "labelme"):
        save(out / "hand.png", hand_picture())
    if name == "ramw600":
        from ossa.labels.ramw600 import read_case

        truth = read_case(Case("hand.png", "", out / "hand.png", label), SCHEMA)
        assert truth.shape == SHAPE
        return
    (case,) = (one for one in open_dataset(out, format_name=name.removesuffix("-regions")).labelled if "hand" in one.id)
    assert (case.segmentation(SCHEMA, SHAPE).planes() == expected.planes()).all()


def test_overlap_that_a_format_cannot_keep_skips_the_file(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "hand.png", hand_picture())
    with pytest.raises(InputError, match="gives each pixel one bone"):
        predicted(tmp_path / "in", tmp_path / "out", bright_model, "nnunet")


def test_a_set_that_ossa_did_not_write_stays(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "hand.png", hand_picture())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "annotations.xml").write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        predicted(tmp_path / "in", tmp_path / "out", bright_model, "cvat")
    assert (tmp_path / "out" / "annotations.xml").read_text() == "mine"
