"""Every kind of source opens as the same thing, with the same pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_dataset import SCHEMA, draw, save_image, save_json, schematic_hand, segmentation, write_competition
from helpers_dicom import dataset as dicom
from helpers_dicom import save as save_dicom
from helpers_known import known
from ossa.errors import InputError, OssaError
from ossa.labels.competition import write_label
from ossa.labels.results import Saved, find_pictures, line_up, open_results, picture_of
from ossa.labels.store import Store
from ossa.labels.submission import write_submission
from ossa.radiograph.prepare import Preparation, place
from ossa.radiograph.read import read_radiograph, read_size
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Segmentation

SIZE = 192


def same(a: Segmentation, b: Segmentation) -> bool:
    return a.regions.keys() == b.regions.keys() and all(np.array_equal(a.plane(n), b.plane(n)) for n in a.regions)


@pytest.fixture(scope="module")
def truth() -> Segmentation:
    return segmentation(schematic_hand(SIZE, seed=3), SIZE)


def test_csv_labels_and_flat_folder_agree(tmp_path: Path, truth: Segmentation) -> None:
    write_submission(tmp_path / "s.csv", [("hand.png", truth)])
    write_label(tmp_path / "labels" / "hand.json", truth, "hand.png")
    write_label(tmp_path / "flat" / "hand.json", truth, "hand.png")
    save_image(tmp_path / "flat" / "hand.png", draw(schematic_hand(SIZE, seed=3), SIZE))
    kinds = []
    for path in (tmp_path / "s.csv", tmp_path / "labels", tmp_path / "flat"):
        results = open_results(path)
        assert list(results.entries) == ["hand"]
        assert same(results.entries["hand"].read((SIZE, SIZE)), truth)
        kinds.append(results.kind)
    assert kinds == ["submission CSV", "label files", "data set (flat)"]
    rows = line_up([open_results(tmp_path / "flat"), open_results(tmp_path / "s.csv")])
    assert [picture_of(row) for row in rows] == [tmp_path / "flat" / "hand.png"]
    assert find_pictures(tmp_path / "flat", rows) == {0: tmp_path / "flat" / "hand.png"}
    assert read_size(tmp_path / "flat" / "hand.png") == (SIZE, SIZE)


def test_the_output_of_predict_is_predictions_although_pictures_lie_in_it(tmp_path: Path, truth: Segmentation) -> None:
    write_label(tmp_path / "hand.json", truth, "hand.png")
    save_image(tmp_path / "hand_overlay.png", draw(schematic_hand(SIZE, seed=3), SIZE))
    write_submission(tmp_path / "predictions.csv", [("hand.png", truth)])
    assert list(open_results(tmp_path).entries) == ["hand"]
    (tmp_path / "predictions.csv").unlink()
    assert open_results(tmp_path).kind == "label files"


def test_warnings_and_confidences_of_predict_are_read_back(tmp_path: Path, truth: Segmentation) -> None:
    said = replace(truth, notes=("finger-9 is doubtful",), confidence={"finger-9": 0.2})
    write_label(tmp_path / "hand.json", said, "hand.png")
    write_submission(tmp_path / "predictions.csv", [("hand.png", truth)])
    for _ in range(2):
        found = open_results(tmp_path).entries["hand"].read((SIZE, SIZE))
        assert found.notes == said.notes
        assert found.confidence == said.confidence
        (tmp_path / "predictions.csv").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "attributes", [[1], {"notes": None, "confidence": None}, {"notes": 3, "confidence": {"finger-9": "high"}}, None]
)
def test_attributes_of_other_programs_are_passed_over(tmp_path: Path, truth: Segmentation, attributes: object) -> None:
    save_json(tmp_path / "hand.json", [] if attributes is None else {"attributes": attributes})
    write_submission(tmp_path / "predictions.csv", [("hand.png", truth)])
    found = open_results(tmp_path).entries["hand"].read((SIZE, SIZE))
    assert same(found, truth)
    assert (found.notes, dict(found.confidence)) == ((), {})


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_the_shape_of_a_picture_is_that_of_its_radiograph(tmp_path: Path, ending: str, orientation: int) -> None:
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / f"p.{ending}"
    exif = image.Exif()
    exif[274] = orientation
    turned = {"tiffinfo": {274: orientation}} if ending == "tif" else {"exif": exif}
    image.fromarray(np.arange(40 * 60, dtype=np.uint8).reshape(40, 60)).save(path, **turned)
    assert read_size(path) == read_radiograph(path).shape


def test_the_shape_of_a_dicom_file_is_in_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_dicom(tmp_path / "p.dcm", dicom(np.zeros((40, 60), np.uint16)))
    monkeypatch.setattr("ossa.radiograph.dicom.read._stored", lambda *_: pytest.fail("pixels were decoded"))
    assert read_size(tmp_path / "p.dcm") == (40, 60)


def test_saved_probabilities_are_read_at_a_half(tmp_path: Path, truth: Segmentation) -> None:
    placement = place((SIZE, SIZE), Preparation(SIZE, 32))
    logits = np.where(truth.planes(), 4.0, -6.0).astype(np.float32)
    Store.create(tmp_path / "store", SCHEMA, {"model": "test"}).write("hand.png", logits, placement)
    entry = open_results(tmp_path / "store").entries["hand"]
    read = entry.read((SIZE, SIZE))
    assert min(dice(read.get(name), truth.get(name)) for name in SCHEMA.names) > 0.99
    assert read.origin is None
    source = {"models": [{"name": "mine", "files": {"model.onnx": "ab" * 32}, "weights": 1.0}]}
    Store.create(tmp_path / "told", SCHEMA, source).write("hand.png", logits, placement)
    told = open_results(tmp_path / "told").entries["hand"].read((SIZE, SIZE))
    assert str(told.origin) == "ossa, mine abababababab"
    opened = entry.open()
    assert isinstance(opened, Saved)
    assert opened.size == (SIZE, SIZE)
    lower, half = opened.read_at((SIZE, SIZE), (0.3, 0.5))
    assert same(half, read)
    assert all(known(lower.get(name)).area >= known(half.get(name)).area for name in SCHEMA.names)
    with pytest.raises(InputError, match="another size"):
        entry.read((SIZE, SIZE + 1))


def test_names_that_repeat_are_told_apart_by_their_folder(tmp_path: Path, truth: Segmentation) -> None:
    for subject in ("left", "right"):
        write_label(tmp_path / subject / "hand.json", truth, "hand.png")
        save_image(tmp_path / subject / "hand.png", draw(schematic_hand(SIZE), SIZE))
    results = open_results(tmp_path)
    assert sorted(results.entries) == ["left/hand", "right/hand"]
    write_submission(tmp_path / "left.csv", [("left/hand.png", truth)])
    rows = line_up([results, open_results(tmp_path / "left.csv")])
    assert [(known(a).name, b and b.name) for a, b in rows] == [
        ("left/hand.png", "left/hand.png"),
        ("right/hand.png", None),
    ]
    write_submission(tmp_path / "bare.csv", [("hand.png", truth)])
    with pytest.raises(InputError, match=r"left/hand\.png and right/hand\.png"):
        line_up([results, open_results(tmp_path / "bare.csv")])


def test_a_data_set_knows_subjects_and_what_is_annotated(tmp_path: Path) -> None:
    write_competition(tmp_path, subjects=1, size=96, tests=1)
    results = open_results(tmp_path)
    labelled = [e for e in results.entries.values() if e.labelled]
    assert len(results) == 4
    assert len(labelled) == 2
    assert len({e.subject for e in labelled}) == 1


@pytest.mark.parametrize("content", ["nothing", "empty", "text"])
def test_what_holds_no_results_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "there"
    if content != "nothing":
        path.mkdir()
    if content == "text":
        save_json(path / "notes.json", [1, 2])
        with pytest.raises(OssaError, match="label"):
            open_results(path).entries["notes"].read((9, 9))
        return
    with pytest.raises(InputError) as caught:
        open_results(path)
    assert str(path) in str(caught.value)
