"""Numbers of an evaluation against plain numpy on full planes; partial labels; the page's files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from helpers_dataset import SCHEMA, schematic_hand, segmentation, write_competition
from helpers_known import known
from ossa.dataset.dataset import open_dataset
from ossa.errors import ConfigError, InputError
from ossa.labels.store import Store
from ossa.labels.submission import read_submission, write_submission
from ossa.pipeline.evaluate import THRESHOLDS, evaluate
from ossa.radiograph.prepare import Preparation, place
from ossa.segmentation.segmentation import Segmentation

SIZE = 160


def shifted(truth: Segmentation, k: int) -> Segmentation:
    """A prediction: bones moved by a pixel or two, one left out."""
    planes = np.stack([np.roll(plane, (1, -1 - i % 2), (0, 1)) for i, plane in enumerate(truth.planes())])
    planes[k % len(SCHEMA)] = False
    return Segmentation.from_planes(planes, SCHEMA)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Segmentation], dict[str, Segmentation]]:
    root = tmp_path_factory.mktemp("set") / "data"
    write_competition(root, subjects=2, size=SIZE, tests=1)
    truth = {c.id: c.segmentation(SCHEMA, (SIZE, SIZE)) for c in open_dataset(root).labelled}
    predicted = {name: shifted(seg, k) for k, (name, seg) in enumerate(truth.items())}
    write_submission(root.parent / "pred.csv", predicted.items())
    return root, truth, predicted


def test_the_score_is_the_competitions(data: tuple[Path, dict, dict]) -> None:
    root, truth, predicted = data
    evaluation = evaluate(root.parent / "pred.csv", root)
    slow = []
    for name, seg in truth.items():
        a, b = seg.planes().reshape(29, -1).astype(float), predicted[name].planes().reshape(29, -1).astype(float)
        slow.append((2 * (a * b).sum(1) + 1e-4) / (a.sum(1) + b.sum(1) + 1e-4))
    assert evaluation.scores.images == tuple(truth)
    assert np.abs(evaluation.scores.values["dice"] - np.array(slow)).max() < 1e-9
    assert evaluation.summary.means()["dice"] == pytest.approx(np.mean(slow))
    assert evaluation.summary.missed.sum() == len(truth)
    assert len(set(evaluation.scores.subjects)) == 2


def test_truth_against_itself_is_perfect(data: tuple[Path, dict, dict]) -> None:
    evaluation = evaluate(data[0], data[0])
    assert np.abs(evaluation.scores.values["dice"] - 1).max() < 1e-9
    assert (evaluation.scores.values["surface_dice"] == 1).all()
    assert np.nanmax(evaluation.scores.values["hd95"]) == 0


def test_the_page_and_its_tables_say_the_same(data: tuple[Path, dict, dict], tmp_path: Path) -> None:
    root, truth, predicted = data
    evaluation = evaluate(root.parent / "pred.csv", root, output=tmp_path / "out", worst=5)
    assert evaluation.page is not None
    page = evaluation.page.read_text(encoding="utf-8")
    assert page.count("<figure>") == 5
    assert page.count("data:image/jpeg") == 5
    assert "http" not in page.replace("http-equiv", "")
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["overall"]["dice"]["mean"] == pytest.approx(evaluation.scores.mean("dice"))
    assert f"{figures['overall']['dice']['mean']:.4f}" in page
    with (tmp_path / "out" / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(truth) * 29
    assert np.mean([float(r["dice"]) for r in rows]) == pytest.approx(evaluation.scores.mean("dice"), abs=1e-5)
    with (tmp_path / "out" / "per_bone.csv").open(newline="") as stream:
        bones = {r["bone"]: r for r in csv.DictReader(stream)}
    assert list(bones) == [*SCHEMA.names, "mean"]
    assert float(bones["Lunate"]["dice_low"]) <= float(bones["Lunate"]["dice"]) <= float(bones["Lunate"]["dice_high"])
    written = read_submission(tmp_path / "out" / "predictions.csv", SCHEMA, (SIZE, SIZE))
    assert all(np.array_equal(written[n].planes(), predicted[n].planes()) for n in truth)


def test_missing_and_surplus_predictions_are_named(data: tuple[Path, dict, dict], tmp_path: Path) -> None:
    root, truth, predicted = data
    first, *others = truth
    write_submission(tmp_path / "p.csv", [(n, predicted[n]) for n in others] + [("other.png", predicted[first])])
    evaluation = evaluate(tmp_path / "p.csv", root)
    assert evaluation.missing == (first,)
    assert evaluation.unknown == ("other.png",)
    write_submission(tmp_path / "q.csv", [("other.png", predicted[first])])
    with pytest.raises(InputError, match="no prediction belongs"):
        evaluate(tmp_path / "q.csv", root)


def test_probabilities_are_scored_at_thresholds(data: tuple[Path, dict, dict], tmp_path: Path) -> None:
    """Bones whose halo has a probability of .45 are best cut above it."""
    root, truth, _ = data
    store = Store.create(tmp_path / "store", SCHEMA, {})
    placement = place((SIZE, SIZE), Preparation(SIZE, 32))
    for name, seg in truth.items():
        wide = np.stack([np.roll(p, 2, 1) | p for p in seg.planes()])
        logits = np.where(seg.planes(), 5.0, np.where(wide, -0.2, -6.0)).astype(np.float32)
        store.write(name, logits, placement)
    table = evaluate(tmp_path / "store", root, output=tmp_path / "out").thresholds
    assert table is not None
    assert table.thresholds == THRESHOLDS
    means = table.dice.mean(axis=1)
    assert means[0] < means[2] - 0.01
    assert means[2] > 0.97
    assert "Dice at several thresholds" in (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    # Asked for: figures at the first, run lengths at each, one bone by its own.
    given = [{"*": 0.4, "Radius": 0.5}, {"*": 0.6, "Radius": 0.5}]
    asked = evaluate(tmp_path / "store", root, output=tmp_path / "asked", thresholds=given)
    assert known(asked.thresholds).thresholds == (0.4, 0.6)
    assert known(asked.thresholds).means[0] == pytest.approx(asked.scores.mean("dice"))
    assert known(asked.thresholds).means[0] < known(asked.thresholds).means[1]
    radius = SCHEMA.index("Radius")
    assert known(asked.thresholds).dice[0, radius] == known(asked.thresholds).dice[1, radius]
    names = ("predictions.csv", "predictions_0.4.csv", "predictions_0.6.csv")
    files = [(tmp_path / "asked" / name).read_text() for name in names]
    assert files[0] == files[1] != files[2]
    again = evaluate(tmp_path / "asked" / "predictions_0.6.csv", root)
    assert again.scores.mean("dice") == pytest.approx(float(known(asked.thresholds).means[1]))
    with pytest.raises(ConfigError, match="thresholds are for saved probabilities"):
        evaluate(tmp_path / "asked" / "predictions.csv", root, thresholds=given)


def test_bones_that_nobody_annotated_are_not_scored(tmp_path: Path) -> None:
    from helpers_dataset import write_ram_h1200

    root = write_ram_h1200(tmp_path / "ram")
    evaluation = evaluate(root, root)
    unknown = {"Pisiform", "Triquetrum"}  # the set draws them as one
    dice = evaluation.scores.values["dice"]
    for i, name in enumerate(SCHEMA.names):
        assert np.isnan(dice[:, i]).all() == (name in unknown)


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    truth = segmentation(schematic_hand(96), 96)
    name = "a<script>alert(1)<b>.png"
    write_submission(tmp_path / "a.csv", [(name, truth)])
    page = evaluate(tmp_path / "a.csv", tmp_path / "a.csv", output=tmp_path / "out", size=(96, 96)).page
    assert page is not None
    assert "<script>alert" not in page.read_text(encoding="utf-8")


def test_wrong_settings_are_refused(data: tuple[Path, dict, dict]) -> None:
    with pytest.raises(ConfigError, match="worst"):
        evaluate(data[0], data[0], worst=-1)
    with pytest.raises(ConfigError, match="tolerance"):
        evaluate(data[0], data[0], tolerance=-1.0)
