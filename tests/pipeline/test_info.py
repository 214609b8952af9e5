"""``ossa info`` on each kind of thing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers_dataset import write_competition
from helpers_pictures import hand_picture, save
from ossa.cli import cli
from ossa.config import load_config, to_yaml
from ossa.errors import BundleError, DatasetError, ImageError, InputError, LabelError
from ossa.labels.coco import write_coco
from ossa.labels.competition import write_case, write_label
from ossa.labels.labelme import write_labelme
from ossa.labels.store import Store
from ossa.labels.submission import write_submission
from ossa.pipeline.asked import fast_predictor
from ossa.pipeline.evaluate import evaluate
from ossa.pipeline.gallery import gallery
from ossa.pipeline.info import describe
from ossa.pipeline.predict import predict_with
from ossa.radiograph.prepare import Placement
from ossa.safety import write_text
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


def test_labelme_and_coco_files(tmp_path: Path) -> None:
    write_labelme(tmp_path / "a.json", segmentation(), "a.png")
    facts = describe(tmp_path / "a.json")
    rows = dict(facts.rows)
    assert (facts.kind, rows["format"], rows["picture"]) == ("label", "labelme", "200 x 240 px")
    assert facts.values["bones"] == {"Radius": 1}
    assert facts.values["size"] == [240, 200]
    write_coco(tmp_path / "c.json", [("a.png", segmentation(), frozenset(SCHEMA.names))])
    text = json.loads((tmp_path / "c.json").read_text())
    text["categories"].append({"id": 99, "name": "ring"})
    (tmp_path / "c.json").write_text(json.dumps(text))
    facts = describe(tmp_path / "c.json")
    rows = dict(facts.rows)
    assert (facts.kind, rows["format"], rows["images"]) == ("label", "COCO", "1")
    assert rows["no bones"] == "ring"
    (tmp_path / "d.json").write_text('{"images": 1, "annotations": []}')
    with pytest.raises(LabelError, match="no COCO file"):
        describe(tmp_path / "d.json")


def test_predictions_and_a_stopped_run(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "in" / "hand.png", hand_picture())
    predict_with(lambda: fast_predictor(bright_model, "auto"), [image], tmp_path / "o")
    facts = describe(tmp_path / "o")
    assert facts.kind == "predictions"
    assert dict(facts.rows)["run"] == "complete"
    assert facts.to_json() == {
        "kind": "predictions",
        "images": 1,
        "schema": "hand29",
        "empty": {},
        "folder": str(tmp_path / "o"),
        "overlays": 1,
        "complete": True,
    }
    (tmp_path / "o" / "predictions.csv").unlink()
    (tmp_path / "o" / ".ossa-run").mkdir()
    facts = describe(tmp_path / "o")
    assert facts.kind == "predictions"
    assert facts.values["complete"] is False


def test_saved_probabilities_and_a_run(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s", SCHEMA, {"kind": "test"})
    store.write("a.png", np.zeros((29, 8, 8), np.float32), Placement((32, 32), (32, 32), (32, 32), 1.0, 1.0))
    for path in (tmp_path / "s", tmp_path / "s" / "store.json"):
        assert describe(path).values["images"] == ["a.png"]
    run = tmp_path / "run"
    run.mkdir()
    config = load_config("laptop")
    write_text(run / "config.yaml", to_yaml(config))
    (run / "fold0").mkdir()
    facts = describe(run)
    rows = dict(facts.rows)
    assert facts.kind == "run"
    assert rows["folds"] == "fold0"
    assert rows["state"].startswith("not finished")
    assert facts.values["config"]["name"] == config.name
    (run / "summary.html").write_text("")
    assert dict(describe(run).rows)["state"] == "finished"


def test_folds_an_evaluation_and_a_gallery(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_competition(root, subjects=2, size=96, tests=1)
    result = CliRunner().invoke(cli, ["data", "folds", str(root), "-n", "2", "-o", str(tmp_path / "folds.json")])
    assert result.exit_code == 0, result.output
    facts = describe(tmp_path / "folds.json")
    assert (facts.kind, facts.values["subjects"]) == ("folds", [1, 1])
    text = (tmp_path / "folds.json").read_text()
    (tmp_path / "edited.json").write_text(text.replace('"count": 2', '"count": 3'))
    with pytest.raises(DatasetError, match="edited"):
        describe(tmp_path / "edited.json")
    evaluate(root, root, output=tmp_path / "evaluation")
    facts = describe(tmp_path / "evaluation")
    assert (facts.kind, facts.values["figures"]["subjects"]) == ("evaluation", 2)
    written = gallery([root], tmp_path / "gallery")
    facts = describe(tmp_path / "gallery")
    assert (facts.kind, facts.values["images"]) == ("gallery", written.pictures)


def test_facts_for_programs_and_short_ones_for_people(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    write_label(tmp_path / "a.json", segmentation(), "a.png")
    for path in (image, tmp_path / "a.json", bright_model):
        result = CliRunner().invoke(cli, ["info", "--json", str(path)])
        assert result.exit_code == 0
        assert json.loads(result.stdout)["kind"] == describe(path).kind
    shipped = CliRunner().invoke(cli, ["info"])
    lines = shipped.stdout.splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) < 160
    assert json.loads(CliRunner().invoke(cli, ["info", "--json"]).stdout)["card"]["name"] in shipped.stdout
