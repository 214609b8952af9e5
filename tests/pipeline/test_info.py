"""``ossa info`` on each kind of thing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers_pictures import hand_picture, save
from ossa.cli import cli
from ossa.errors import BundleError, DatasetError, ImageError, InputError, LabelError
from ossa.labels.competition import write_case, write_label
from ossa.labels.submission import write_submission
from ossa.pipeline.info import describe
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()


def segmentation() -> Segmentation:
    return Segmentation(SCHEMA, (240, 200), {"Radius": Region(5, 6, np.ones((7, 8), bool))})


def test_an_image(tmp_path: Path) -> None:
    facts = describe(save(tmp_path / "hand.png", (hand_picture().astype(np.uint16) * 257)))
    rows = dict(facts.rows)
    assert facts.kind == "radiograph"
    assert rows["format"] == "PNG, 16 bit"
    assert rows["size"] == "200 x 240 px"
    assert rows["spacing"].startswith("not known")


def test_a_model(bright_model: Path) -> None:
    for path in (bright_model, bright_model / "card.json"):
        facts = describe(path)
        rows = dict(facts.rows)
        assert facts.kind == "model"
        assert rows["name"] == "bright"
        assert rows["bones"].startswith("29 of schema hand29")
        assert "checked" in rows["model.onnx"]


def test_an_altered_model_is_refused(bright_model: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(bright_model, tmp_path / "m")
    with (tmp_path / "m" / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(BundleError, match="not the one that the card describes"):
        describe(tmp_path / "m")


def test_a_data_set(tmp_path: Path) -> None:
    write_case(tmp_path, "ID001", "a_R.png", hand_picture(), segmentation())
    write_case(tmp_path, "ID002", "b.png", hand_picture(), None)
    facts = describe(tmp_path)
    rows = dict(facts.rows)
    assert facts.kind == "data set"
    assert rows["images"] == "2 of 2 subjects"
    assert rows["labelled"] == "1 of 2"
    assert "b.png" in rows["problem"]


def test_a_label_and_a_submission(tmp_path: Path) -> None:
    write_label(tmp_path / "a.json", segmentation(), "a.png")
    rows = dict(describe(tmp_path / "a.json").rows)
    assert rows["bones"].startswith("1 of 29")
    assert "Ulna" in rows["missing"]
    assert "Radius" not in rows["missing"]
    write_submission(tmp_path / "s.csv", [("a.png", segmentation()), ("b.png", segmentation())])
    rows = dict(describe(tmp_path / "s.csv").rows)
    assert rows["images"] == "2"
    assert "Ulna in 2" in rows["empty"]
    assert "Radius" not in rows["empty"]


def test_what_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        describe(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError):
        describe(tmp_path / "empty")
    (tmp_path / "x.png").write_text("x")
    with pytest.raises(ImageError):
        describe(tmp_path / "x.png")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(LabelError):
        describe(tmp_path / "x.json")


def test_the_command(tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    result = CliRunner().invoke(cli, ["info", str(image)])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "radiograph"
    assert "200 x 240 px" in result.stdout
