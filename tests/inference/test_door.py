"""The Python door is the command's: the same result from the same defaults, whatever the picture is given as."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from helpers_known import known
from helpers_models import MakeBundle
from helpers_pictures import hand_picture, other_picture, save
from ossa.errors import ImageError, MissingExtraError, SchemaError
from ossa.export.overlay import write_overlay
from ossa.inference.prediction import SHOWN, Prediction
from ossa.inference.predictor import Predictor
from ossa.labels.competition import read_label, write_label
from ossa.pipeline.predict import predict_with
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.read import read_radiograph
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.segmentation import Region, Segmentation

SAMPLE = Path(__file__).parents[2] / "samples" / "hand.png"
SCHEMA = load_schema()


@pytest.fixture(scope="module")
def found() -> Prediction:
    return Predictor.load().predict(SAMPLE)


@pytest.mark.parametrize("fast", [False, True])
def test_it_gives_what_the_command_gives(fast: bool, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from ossa.cli import cli

    arguments = ["predict", str(SAMPLE), "-o", str(tmp_path / "o"), *(["--fast"] if fast else [])]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    here = Predictor.load(fast=fast).predict(SAMPLE)
    write_label(tmp_path / "hand.json", here, SAMPLE.name)
    write_overlay(tmp_path / "hand.png", read_radiograph(SAMPLE), here)
    assert (tmp_path / "hand.json").read_bytes() == (tmp_path / "o" / "hand.json").read_bytes()
    assert (tmp_path / "hand.png").read_bytes() == (tmp_path / "o" / "hand_overlay.png").read_bytes()


def test_a_path_an_array_and_a_radiograph_are_one_picture(bright_model: Path, tmp_path: Path) -> None:
    grey = hand_picture()
    path = save(tmp_path / "hand.png", grey)
    predictor = Predictor.load(bright_model)
    answers = [predictor.predict(given) for given in (path, str(path), grey, read_radiograph(path))]
    for answer in answers[1:]:
        assert np.array_equal(answer.planes(), answers[0].planes())
        assert answer.confidence == answers[0].confidence
    assert [hand.segmentation.regions.keys() for hand in predictor.predict_hands(path)] == [answers[0].regions.keys()]


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8), [[1, 2]], None, 3]
)
def test_what_is_no_radiograph_is_refused(bright_model: Path, wrong: object) -> None:
    with pytest.raises(ImageError, match="no radiograph"):
        Predictor.load(bright_model).predict(wrong)  # type: ignore[arg-type]


def test_confidence_and_probability_are_two_things(found: Prediction) -> None:
    fast = Predictor.load(fast=True).predict(SAMPLE)
    assert fast.confidence == {}, "nobody judged"
    assert fast.probability.keys() == fast.regions.keys()
    assert found.confidence.keys() == found.probability.keys() == found.regions.keys()
    assert found.confidence != found.probability
    for name in fast.regions:
        assert found.probability[name] == pytest.approx(fast.probability[name], abs=0.1)


@pytest.mark.parametrize(("bones", "told"), [(0, True), (3, True), (14, True), (15, False), (29, False)])
def test_few_bones_are_told(bones: int, told: bool, make_bundle: MakeBundle, tmp_path: Path) -> None:
    """Below half of the schema's bones; the model's own notes stay."""
    from dataclasses import replace

    loaded = Predictor.load(make_bundle(tmp_path / "m").path, fast=True)

    class Finds:
        description = "made"

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            logits = np.full((1, 29, batch.shape[2] // 2, batch.shape[3] // 2), -8.0, np.float32)
            logits[0, :bones, 4:8, 4:8] = 8.0
            return logits

    class Noted:
        def __call__(self, segmentation: Segmentation) -> Segmentation:
            return replace(segmentation, notes=("its own",))

        def to_json(self) -> dict[str, object]:
            return {}

    members = (replace(loaded.networks.members[0], engine=Finds()),)
    predictor = replace(loaded, networks=replace(loaded.networks, members=members), tidy=(Noted(),))
    notes = predictor.predict(np.zeros((64, 64), np.uint8)).notes
    assert notes[0] == "its own"
    assert len(notes) == 1 + told
    if bones == 3:
        assert notes[1].startswith("few bones found: 3 of 29 (finger-1, finger-2, finger-3).")


def test_bones_are_asked_for_by_name(found: Prediction) -> None:
    assert "Radius" in found
    assert isinstance(found["Radius"], Region)
    assert found["Radius"].area == found.plane("Radius").sum()
    few = Segmentation(SCHEMA, found.shape, {"Radius": found["Radius"]})
    assert "Ulna" not in few
    assert "Femur" not in few
    assert 3 not in few
    with pytest.raises(KeyError, match="Ulna"):
        few["Ulna"]
    with pytest.raises(SchemaError, match="Radius"):
        few["Radus"]


def test_one_line_says_what_it_is(found: Prediction) -> None:
    assert repr(found) == f"<Prediction of 1024x768 px: {len(found)} of 29 bones of hand29>"
    assert "\n" not in repr(Predictor.load(fast=True).predict(other_picture()))
    assert repr(Region(2, 3, np.ones((4, 5), bool))) == "<Region of 20 px in rows 2..6, columns 3..8>"


def test_a_notebook_shows_the_overlay(found: Prediction) -> None:
    import cv2

    data = found._repr_png_()
    assert data is not None
    picture = known(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert max(picture.shape[:2]) <= SHOWN
    assert np.ptp(picture.astype(int), axis=2).max() > 60, "in colour"
    assert Prediction.of(found, None)._repr_png_() is None  # type: ignore[arg-type]


def test_a_table_of_the_bones(found: Prediction) -> None:
    pandas = pytest.importorskip("pandas")
    table = found.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert list(table["bone"]) == list(found.regions)
    row = table.set_index("bone").loc["Radius"]
    radius = found["Radius"]
    assert (row["area"], row["top"], row["right"]) == (radius.area, radius.top, radius.right)
    assert row["confidence"] == found.confidence["Radius"]
    empty = Segmentation(SCHEMA, (4, 4), {}).to_dataframe()
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)
    unjudged = Segmentation(SCHEMA, (4, 4), {"Radius": Region(0, 0, np.ones((1, 1), bool))}).to_dataframe()
    assert unjudged["confidence"].isna().all()


def test_without_pandas_the_extra_is_named(found: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"ossa\[pandas\]"):
        found.to_dataframe()


def test_a_result_that_was_not_judged_says_so_in_its_file(bright_model: Path, tmp_path: Path, few: BoneSchema) -> None:
    """The file's "confidence" is the judge's alone; without a judge it holds the network's "probability"."""
    import json

    picture = save(tmp_path / "in" / "a.png", hand_picture())
    for name, fast in (("judged", False), ("fast", True)):
        predict_with(partial(Predictor.load, bright_model, fast=fast), [picture], tmp_path / name)
    said = json.loads((tmp_path / "fast" / "a.json").read_text())["attributes"]
    assert "confidence" not in said
    assert set(said["probability"]) == set(read_label(tmp_path / "fast" / "a.json", SCHEMA))
    assert Radiograph(hand_picture()).shape == (240, 200)
