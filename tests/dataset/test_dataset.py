"""A data set as cases: names, which are paths, and pictures that predictions mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers_dataset import SCHEMA, draw, save_image, schematic_hand, segmentation
from ossa.dataset.audit import audit
from ossa.dataset.dataset import Dataset, open_dataset
from ossa.errors import DatasetError
from ossa.labels.competition import write_label


@pytest.fixture
def twins(tmp_path: Path) -> Dataset:
    """Two subjects, each with a hand.png; B has another one besides."""
    for seed, name in enumerate(("A/hand", "B/hand", "B/other")):
        save_image(tmp_path / f"{name}.png", draw(schematic_hand(128, seed=seed), 128, seed))
        write_label(tmp_path / f"{name}.json", segmentation(schematic_hand(128, seed=seed), 128), "hand.png")
    return open_dataset(tmp_path)


def test_a_case_is_found_by_a_name_that_is_clear(twins: Dataset) -> None:
    assert [case.name for case in twins] == ["A/hand.png", "B/hand.png", "B/other.png"]
    assert twins.case("A/hand.png") is twins.case("A/hand") is twins.cases[0]
    assert twins.case("other") is twins.case("other.png") is twins.cases[2]
    for name in ("hand", "hand.png"):
        with pytest.raises(DatasetError, match=r"several.*found A/hand\.png, B/hand\.png"):
            twins.case(name)
    with pytest.raises(DatasetError, match=r"perhaps 'other\.png'"):
        twins.case("othr")


def test_predictions_are_of_the_pictures_that_their_names_mean(twins: Dataset) -> None:
    found = twins.labelled_by_image(["other", "B/hand.png", "stranger"])
    assert {image: case.name for image, case in found.items()} == {"other": "B/other.png", "B/hand.png": "B/hand.png"}
    with pytest.raises(DatasetError, match=r"A/hand\.png and .*B/hand\.png"):
        twins.labelled_by_image(["hand.png"])
    with pytest.raises(DatasetError, match=r"other\.png' may be either.*found other\.bmp and other\.jpg"):
        twins.labelled_by_image(["other.bmp", "other.jpg"])


def test_the_audit_tells_two_pictures_of_one_name_apart(twins: Dataset) -> None:
    found = audit(twins, workers=1)
    assert set(found.measured) == {"A/hand.png", "B/hand.png", "other.png"}
    assert not [finding for finding in found.findings if finding.kind == "duplicate"]


def test_names_of_the_user_reach_the_reader(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('tip = "finger-1"\n')
    outlines = schematic_hand(96)
    save_image(tmp_path / "set" / "hand.png", draw(outlines, 96))
    write_label(tmp_path / "set" / "hand.json", segmentation(outlines, 96), "hand.png")
    label = tmp_path / "set" / "hand.json"
    label.write_text(label.read_text().replace('"label":"finger-1"', '"label":"tip"'))
    dataset = open_dataset(tmp_path / "set", names=tmp_path / "map.toml")
    assert "finger-1" in dataset.cases[0].truth(SCHEMA).outlines
