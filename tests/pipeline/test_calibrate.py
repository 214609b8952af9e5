"""A run's thresholds: fitted out of fold, saved in its bundles; refused on images that a model may have trained on."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers_dataset import SCHEMA, write_competition
from ossa.bundle.bundle import Bundle
from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import Folds, write_folds
from ossa.errors import DatasetError, InputError
from ossa.labels.store import Store
from ossa.pipeline.calibrate import calibrate
from ossa.radiograph.prepare import Preparation, place

SIZE = 128


def make_run(folder: Path, data: Path, bundle: Path | None, *, shift: int = 0, leak: bool = False) -> Path:
    """A run folder as 'ossa train' leaves it, whose radii have a rim of probability .6."""
    cases = open_dataset(data).labelled
    fold_of = {subject: k % 2 for k, subject in enumerate(sorted({c.subject for c in cases}))}
    write_folds(folder / "folds.json", Folds(2, 0, fold_of))
    store = Store.create(folder / "oof", SCHEMA, {"run": folder.name, "seed": 0, "kind": "out of fold"})
    placement = place((SIZE, SIZE), Preparation(SIZE, 32))
    rows: dict[int, list[tuple[str, int]]] = {0: [], 1: []}
    for n, case in enumerate(cases):
        planes = case.segmentation(SCHEMA, (SIZE, SIZE)).planes()
        logits = np.where(np.roll(planes, shift, 2), 4.0, -6.0).astype(np.float32)
        radius = planes[SCHEMA.index("Radius")]
        rim = np.roll(radius, 3, 1) | np.roll(radius, -3, 1)
        logits[SCHEMA.index("Radius")] = np.where(radius, 4.0, np.where(rim, 0.4, -6.0))
        store.write(case.id, logits, placement)
        fold = fold_of[case.subject]
        rows[1 - fold if leak and n == 0 else fold].append((case.id, 1 - fold if leak and n == 0 else fold))
    for fold, images in rows.items():
        (folder / f"fold{fold}").mkdir(parents=True)
        with (folder / f"fold{fold}" / "oof.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["image", "fold", "bone", "dice"])
            writer.writerows([image, number, name, "0.9"] for image, number in images for name in SCHEMA.names)
    if bundle is not None:
        for fold in range(2):
            shutil.copytree(bundle, folder / f"bundle{fold}")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_competition(tmp_path_factory.mktemp("c") / "data", subjects=4, size=SIZE, tests=0)


def test_the_bundles_get_what_was_fitted(data: Path, tmp_path: Path, bright_model: Path) -> None:
    run = make_run(tmp_path / "run-001", data, bright_model)
    result = CliRunner().invoke(cli, ["calibrate", str(run), "--data", str(data)])
    assert result.exit_code == 0, result.output
    assert "bundle1" in result.output
    for fold in range(2):
        card = Bundle.load(run / f"bundle{fold}").card
        assert list(card.thresholds) == ["Radius"]
        assert 0.55 < card.thresholds["Radius"] < 0.95
        assert card.figures["calibration"]["dice_calibrated"] > card.figures["calibration"]["dice_at_half"]
    written = json.loads((run / "calibration.json").read_text())
    assert written["subjects"] == 4
    assert written["bones"]["Radius"]["gain"] > 0.02
    assert all(v["gain"] == 0 for name, v in written["bones"].items() if name != "Radius")


def test_several_runs_are_weighted_per_bone(data: Path, tmp_path: Path) -> None:
    """The second run has every bone three pixels aside: equal weights are worse than leaving it out."""
    runs = [make_run(tmp_path / "a", data, None), make_run(tmp_path / "b", data, None, shift=3)]
    done = calibrate(runs, data)
    assert done.weights is not None
    assert done.bundles == ()
    lunate = SCHEMA.index("Lunate")
    assert done.weights.selected[lunate] > done.weights.uniform[lunate]
    assert done.weights.weights[0, lunate] > 0.6
    assert "weights" in json.loads(done.file.read_text())


def test_an_image_predicted_by_a_model_that_trained_on_it_is_refused(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, None, leak=True)
    with pytest.raises(DatasetError, match="may have been predicted by a model that trained on it"):
        calibrate([run], data)


def test_probabilities_of_another_kind_are_refused(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, None)
    store = json.loads((run / "oof" / "store.json").read_text())
    store["source"] = {"models": [{"name": "my-model"}]}
    (run / "oof" / "store.json").write_text(json.dumps(store))
    with pytest.raises(DatasetError, match="my-model"):
        calibrate([run], data)


def test_edited_or_missing_folds_are_refused(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, None)
    text = (run / "folds.json").read_text()
    (run / "folds.json").write_text(text.replace(": 0", ": 1"))
    with pytest.raises(DatasetError):
        calibrate([run], data)
    (run / "folds.json").unlink()
    with pytest.raises(DatasetError, match="folds are not known"):
        calibrate([run], data)


def test_what_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="out-of-fold"):
        calibrate([tmp_path], data)
    run = make_run(tmp_path / "run", data, None)
    other = write_competition(tmp_path / "other", subjects=3, size=SIZE, tests=0)
    for path in (other / "train" / "outputs_json").rglob("*.json"):
        path.unlink()
    with pytest.raises(InputError, match="without a label"):
        calibrate([run], other)
