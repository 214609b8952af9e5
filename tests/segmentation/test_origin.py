"""Who found the bones: told by every result, kept by the files that have room for it, foreign things passed over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ossa.labels import bits, competition, labelme
from ossa.labels.names import bone_names
from ossa.labels.results import open_results
from ossa.labels.submission import write_submission
from ossa.schema import load_schema
from ossa.segmentation.origin import KEY, Model, Origin
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
ORIGIN = Origin(
    "1.0",
    (Model("손", "Apache-2.0", {"finder.onnx": "01" * 32, "model.onnx": "ab" * 32}), Model("other")),
    {"views": 2, "judged": True, "thresholds": {"Radius": 0.4}, "device": "CPU"},
)
FOUND = Segmentation(SCHEMA, (20, 30), {"Radius": Region(3, 4, np.ones((5, 6), bool))}, origin=ORIGIN)


def test_as_words() -> None:
    assert str(ORIGIN) == "ossa 1.0, 손 abababababab + other"
    assert str(Origin("")) == "ossa"


@pytest.mark.parametrize(
    "value",
    [
        None, 3, [], {}, {"ossa": 1}, {"ossa": "1", "models": [], "settings": []},
        {"ossa": "1", "models": [3], "settings": {}},
        {"ossa": "1", "models": [{"name": "a", "licence": "", "sha256": {"f": "no hash"}}], "settings": {}},
    ],
)  # fmt: skip
def test_what_is_none_of_ours_is_passed_over(value: object) -> None:
    assert Origin.from_json(value) is None


def test_settings_that_are_no_numbers_or_words_are_left_out() -> None:
    read = Origin.from_json(ORIGIN.to_json() | {"settings": {"views": [1], "thresholds": {"Radius": "x"}, "a": 1}})
    assert read is not None
    assert read.settings == {"a": 1}


def test_label_files_keep_it(tmp_path: Path) -> None:
    names = bone_names(SCHEMA)
    for write, parse in (
        (competition.write, lambda path: competition.parse_label(json.loads(path.read_text("utf-8")), path, names)),
        (labelme.write, lambda path: labelme.parse_labelme(json.loads(path.read_text("utf-8")), path, names)),
        (bits.write, lambda path: bits.parse(path, names)),
    ):
        path = tmp_path / f"{write.__module__}.file"
        write(path, FOUND, tmp_path / "hand.png", None)
        assert parse(path).segmentation(SCHEMA, FOUND.shape).origin == ORIGIN
        write(path, replace(FOUND, origin=None), tmp_path / "hand.png", None)
        assert parse(path).origin is None


def test_a_damaged_origin_does_not_cost_the_bones(tmp_path: Path) -> None:
    path = tmp_path / "hand.npz"
    bits.write(path, FOUND, path, None)
    with np.load(path) as held:
        rest = {name: held[name] for name in held.files if name != KEY}
    for odd in (np.array([255, 254], np.uint8), np.array(["text"]), np.zeros((2, 2), np.uint8)):
        arrays: dict[str, Any] = {**rest, KEY: odd}
        np.savez(path, **arrays)
        truth = bits.parse(path, bone_names(SCHEMA))
        assert truth.origin is None
        assert set(truth.outlines) == {"Radius"}


def test_run_lengths_have_it_of_the_label_beside(tmp_path: Path) -> None:
    write_submission(tmp_path / "predictions.csv", [("hand.png", FOUND)])
    competition.write_label(tmp_path / "hand.json", FOUND, "hand.png")
    [entry] = open_results(tmp_path).entries.values()
    assert entry.read(FOUND.shape).origin == ORIGIN
