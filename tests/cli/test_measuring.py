"""``ossa measure`` and ``ossa predict --measure`` as a user calls them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from helpers_dicom import dataset
from helpers_dicom import save as dicom
from helpers_hands import SHAPE, made_hand, mirrored
from helpers_pictures import hand_picture, save
from ossa.cli import cli
from ossa.segmentation.outlines import outlines_from_region
from ossa.segmentation.segmentation import Segmentation


def ossa(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(cli, [command, *map(str, arguments)])


def labelled(folder: Path, name: str, hand: Segmentation) -> Path:
    """A picture with its label beside it."""
    save(folder / f"{name}.png", np.full(hand.shape, 90, np.uint8))
    rings = [(bone, part.exterior) for bone, region in hand for part in outlines_from_region(region)]
    annotations = [{"label": bone, "points": ring.tolist()} for bone, ring in rings]
    (folder / f"{name}.json").write_text(json.dumps({"annotations": annotations}))
    return folder / f"{name}.png"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_labels(tmp_path: Path) -> None:
    labelled(tmp_path / "in", "a", made_hand())
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out", "--spacing", ".1", "--draw")
    assert result.exit_code == 0, result.output
    assert "Carpal height: 27.1 +- " in result.stdout
    assert "Spacing: user" in result.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"bones.csv", "hands.csv", "a_measurements.json", "a_measured.png"}
    third = next(row for row in rows(tmp_path / "out" / "bones.csv") if row["bone"] == "finger-11")
    assert float(third["length"]) == pytest.approx(25, abs=0.2)
    (hand,) = rows(tmp_path / "out" / "hands.csv")
    assert (hand["side"], hand["unit"], hand["spacing_source"]) == ("R", "mm", "user")
    # Once more into the same folder, and never into the one that is read.
    assert ossa("measure", tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert rows(tmp_path / "out" / "hands.csv")[0]["spacing_source"] == "none: lengths in px"
    refused = ossa("measure", tmp_path / "in", "-o", tmp_path / "in")
    assert refused.exit_code == 2
    assert "an output would be one of the inputs" in refused.stderr


def test_left_and_right_of_one_person(tmp_path: Path) -> None:
    for subject in ("ID001", "ID002"):
        labelled(tmp_path / "in" / subject, f"{subject}_r", made_hand())
        labelled(tmp_path / "in" / subject, f"{subject}_l", mirrored(made_hand()))
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out", "--spacing", ".1x.1")
    assert result.exit_code == 0, result.output
    assert "left_right.csv (2 pairs)" in result.stdout
    table = rows(tmp_path / "out" / "left_right.csv")
    height = next(row for row in table if row["measurement"] == "carpal_height")
    assert {height["left_hand"][-1], height["right_hand"][-1]} == {"l", "r"}
    assert abs(float(height["difference"])) < 0.1


def test_a_known_length(tmp_path: Path) -> None:
    labelled(tmp_path / "in", "a", made_hand())
    known = ("--known-length", "100,100,400,500=50")
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out", *known)
    assert result.exit_code == 0, result.output
    assert "Spacing: known length of 50 mm" in result.stdout
    assert rows(tmp_path / "out" / "hands.csv")[0]["spacing_mm"] == "0.1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--spacing", "0"), "no size of a pixel"),
        (("--spacing", "wide"), "is not a number"),
        (("--known-length", "1,2,3=4"), "is not understood"),
        (("--known-length", "1,2,3,4=0"), "gives no spacing"),
        (("--spacing", ".1", "--known-length", "100,100,400,500=50"), "two spacings were given"),
    ],
)
def test_refusals(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    labelled(tmp_path / "in", "a", made_hand())
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out" / "hands.csv").exists()


def test_a_known_length_is_of_one_picture(tmp_path: Path) -> None:
    for name in "ab":
        labelled(tmp_path / "in", name, made_hand())
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out", "--known-length", "0,0,300,400=50")
    assert result.exit_code == 2
    assert "belongs to one picture" in result.stderr


def test_pictures_are_looked_at_and_the_files_spacing_counts(bright_model: Path, tmp_path: Path) -> None:
    data = dataset(hand_picture(), ImagerPixelSpacing=[0.22, 0.22], EstimatedRadiographicMagnificationFactor=1.1)
    (tmp_path / "in").mkdir()
    image = dicom(tmp_path / "in" / "a.dcm", data)
    (tmp_path / "in" / "b.png").write_text("no picture")
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out", "--model", bright_model, "--fast")
    assert result.exit_code == 1, result.output
    assert "b.png" in result.stderr
    (hand,) = rows(tmp_path / "out" / "hands.csv")
    assert hand["spacing_mm"] == "0.2"
    assert hand["spacing_source"] == "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor"
    assert hand["uncertainty_source"].startswith("other edges that the model holds plausible")
    assert image.is_file()


def test_predict_measures_too(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    out = tmp_path / "out"
    arguments = (image, "-o", out, "--model", bright_model, "--fast", "--measure", "--spacing", ".2", "--draw")
    assert ossa("predict", *arguments).exit_code == 0
    names = {path.name for path in out.iterdir()}
    assert names == {
        "hand.json", "hand_overlay.png", "predictions.csv", "bones.csv", "hands.csv", "hand_measurements.json",
        "hand_measured.png",
    }  # fmt: skip
    plain = tmp_path / "plain"
    assert ossa("predict", image, "-o", plain, "--model", bright_model, "--fast").exit_code == 0
    assert (plain / "hand.json").read_bytes() == (out / "hand.json").read_bytes()
    # The results are measured again from what predict wrote; the drawings are no radiographs.
    again = ossa("measure", out, "-o", tmp_path / "again", "--images", tmp_path / "hand.png")
    assert again.exit_code in (0, 2), again.output
    refused = ossa("predict", image, "-o", tmp_path / "x", "--model", bright_model, "--draw")
    assert refused.exit_code == 2
    assert "Give --measure too" in refused.stderr


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    labelled(tmp_path / "in", "a", made_hand())
    (tmp_path / "out").write_text("a file")
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert SHAPE


def test_nothing_to_measure(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    result = ossa("measure", tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "no radiograph was found" in result.stderr


def test_single_label_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        labelled(tmp_path / "in", name, made_hand())
    labels = [tmp_path / "in" / f"{name}.json" for name in ("a", "b")]
    result = ossa("measure", *labels, "-o", tmp_path / "out", "--spacing", ".1")
    assert result.exit_code == 0, result.output
    assert [row["hand"] for row in rows(tmp_path / "out" / "hands.csv")] == ["a", "b"]
    # Without its picture a label that does not say its size needs one.
    (tmp_path / "in" / "b.png").rename(tmp_path / "b.png")
    refused = ossa("measure", labels[1], "-o", tmp_path / "other")
    assert refused.exit_code == 2
    assert "--images" in refused.stderr
    assert ossa("measure", labels[1], "-o", tmp_path / "other", "--images", tmp_path).exit_code == 0
    (tmp_path / "odd.json").write_text("{}")
    assert ossa("measure", tmp_path / "odd.json", "-o", tmp_path / "odd").exit_code == 2


def test_results_that_were_measured_keep_their_uncertainties(tmp_path: Path) -> None:
    from dataclasses import replace

    from ossa.labels import competition
    from ossa.measurement.files import read_measurements, write_measurements
    from ossa.measurement.measure import measure_hand
    from ossa.radiograph.read import read_radiograph

    results = tmp_path / "results"
    results.mkdir()
    picture = save(tmp_path / "films" / "a.png", np.full(SHAPE, 90, np.uint8))
    competition.write(results / "a.json", made_hand(), picture, None)
    hand = measure_hand(made_hand(), read_radiograph(picture), name="a")
    then = [replace(one, uncertainty=None if one.value is None else 7.0) for one in hand]
    before = replace(hand, measurements=tuple(then), uncertainty_source="edges, once")
    write_measurements(results / "a_measurements.json", before)
    words = (results, "--images", tmp_path / "films")
    assert ossa("measure", *words, "-o", tmp_path / "out").exit_code == 0
    again = read_measurements(tmp_path / "out" / "a_measurements.json")
    assert again.uncertainty_source == "edges, once"
    assert {one.uncertainty for one in again if one.value is not None} == {7.0}
    # With another spacing, or another outline, they are not of these numbers.
    assert ossa("measure", *words, "-o", tmp_path / "mm", "--spacing", ".1").exit_code == 0
    other = read_measurements(tmp_path / "mm" / "a_measurements.json")
    assert other.uncertainty_source != "edges, once"
