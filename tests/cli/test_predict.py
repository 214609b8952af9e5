"""``ossa predict`` as a user calls it: what is printed, what is written, the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from click.testing import CliRunner, Result

from helpers_dicom import dataset
from helpers_dicom import save as dicom
from helpers_pictures import hand_picture, other_picture, save
from ossa.cli import cli
from ossa.labels.submission import read_submission
from ossa.schema import load_schema


def predict(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["predict", *map(str, arguments)])


def test_one_image(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    result = predict(image, "-o", tmp_path / "out", "--model", bright_model, "--fast")
    assert result.exit_code == 0, result.output
    assert "29 bones in" in result.stdout
    assert "skipped" not in result.stderr
    written = {p.name for p in (tmp_path / "out").iterdir()}
    assert written == {"hand.json", "hand_overlay.png", "predictions.csv"}
    overlay = cv2.imread(str(tmp_path / "out" / "hand_overlay.png"))
    assert overlay is not None
    assert overlay.shape == (240, 200, 3)
    submission = read_submission(tmp_path / "out" / "predictions.csv", load_schema(), (240, 200))
    assert list(submission) == ["hand.png"]
    # The model takes brightness for bone: the block is 120 x 40 px, its border known to the grid's pixel (< 4 px).
    region = submission["hand.png"].get("Radius")
    assert region is not None
    assert abs(region.mask.shape[0] - 120) <= 4
    assert abs(region.mask.shape[1] - 40) <= 4


def test_fast_looks_once_and_judges_nothing(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    careful = predict(image, "-o", tmp_path / "careful", "--model", bright_model)
    fast = predict(image, "-o", tmp_path / "fast", "--model", bright_model, "--fast")
    assert careful.exit_code == fast.exit_code == 0, fast.output
    # A made picture, 29 times the same block: the network is sure of each bone, the judge of none.
    assert "no hand found" in careful.stderr
    assert "29 bones in" in fast.stdout
    assert min(json.loads((tmp_path / "fast" / "hand.json").read_text())["attributes"]["probability"].values()) > 0.9


def test_an_unknown_test_time_augmentation_is_refused(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    result = predict(image, "-o", tmp_path / "out", "--model", bright_model, "--tta", "twirl")
    assert result.exit_code == 2
    assert "twirl" in result.stderr
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_files_folders_and_patterns_together(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "one" / "a.png", hand_picture())
    save(tmp_path / "two" / "deep" / "b.jpg", hand_picture())
    save(tmp_path / "three" / "c1.bmp", hand_picture())
    save(tmp_path / "three" / "d.tif", hand_picture())
    (tmp_path / "two" / "notes.txt").write_text("not an image")
    result = predict(
        tmp_path / "one" / "a.png",
        tmp_path / "two",
        tmp_path / "three" / "c*",
        "-o",
        tmp_path / "o",
        "--model",
        bright_model,
    )
    assert result.exit_code == 0, result.output
    assert "3 of 3 images" in result.stdout
    assert {p.name for p in (tmp_path / "o").glob("*.json")} == {"a.json", "b.json", "c1.json"}


def test_a_bad_file_is_skipped_and_the_rest_is_written(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", hand_picture())
    (tmp_path / "in" / "b.png").write_text("this is no picture")
    save(tmp_path / "in" / "c.png", hand_picture())
    result = predict(tmp_path / "in", tmp_path / "in" / "gone.png", "-o", tmp_path / "o", "--model", bright_model)
    assert result.exit_code == 1
    assert "2 of 4 images" in result.stdout
    assert "b.png: is not a picture" in result.stderr
    assert "gone.png: cannot be read" in result.stderr
    assert "2 skipped" in result.stderr
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == [
        "a.json", "a_overlay.png", "c.json", "c_overlay.png", "predictions.csv",
    ]  # fmt: skip
    assert list(read_submission(tmp_path / "o" / "predictions.csv", load_schema(), (240, 200))) == ["a.png", "c.png"]


def test_nothing_usable_is_exit_code_2_and_writes_nothing(bright_model: Path, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_text("this is no picture")
    result = predict(tmp_path / "b.png", "-o", tmp_path / "o", "--model", bright_model)
    assert result.exit_code == 2
    assert result.stderr.count("b.png: is not a picture") == 1
    assert not (tmp_path / "o").exists()


def test_what_the_reader_found_odd_stands_in_the_result_once(bright_model: Path, tmp_path: Path) -> None:
    """That it is a CT, and which frame it is; not how its spacing was measured, of which nothing written depends."""
    frames = np.repeat(hand_picture()[None], 2, axis=0)
    data = dataset(frames[0], sop_class="1.2.840.10008.5.1.4.1.1.2", ImagerPixelSpacing=[0.2, 0.2])
    data.NumberOfFrames, data.PixelData = 2, frames.tobytes()
    data.EstimatedRadiographicMagnificationFactor = 1.1
    image = dicom(tmp_path / "hand.dcm", data)
    result = predict(image, "-o", tmp_path / "o", "--model", bright_model, "--fast")
    assert result.exit_code == 0, result.output
    notes = json.loads((tmp_path / "o" / "hand.json").read_text())["attributes"]["notes"]
    assert notes == ["it is no projection radiograph: CT Image", "the first of 2 frames"]
    assert result.stderr == f"{image}: {notes[0]}; {notes[1]}\n"


def test_a_picture_that_is_no_hand_is_answered_and_told(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "chest.png", other_picture())
    result = predict(image, "-o", tmp_path / "o", "--model", bright_model)
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1  # one line per picture
    assert "chest.png: no hand found" in result.stderr
    assert "few bones found" not in result.stderr  # told once
    assert (tmp_path / "o" / "chest.json").is_file()


def test_pictures_with_warnings_are_summed_up(bright_model: Path, tmp_path: Path) -> None:
    for name in ("chest", "table"):
        save(tmp_path / "in" / f"{name}.png", other_picture())
    result = predict(tmp_path / "in", "-o", tmp_path / "o", "--model", bright_model)
    lines = result.stderr.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == [str(tmp_path / "in" / f"{n}.png") for n in ("chest", "table")]
    assert lines[2:] == ["2 images have warnings (above): chest.png, table.png"]


def test_a_threshold_for_every_bone_and_for_one(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())

    def areas(name: str, *more: str) -> dict[str, int]:
        result = predict(image, "-o", tmp_path / name, "--model", bright_model, "--fast", *more)
        assert result.exit_code == 0, result.output
        found = read_submission(tmp_path / name / "predictions.csv", load_schema(), (240, 200))["hand.png"]
        return {bone: region.area for bone, region in found}

    plain, wide = areas("plain"), areas("wide", "--threshold", ".05")
    assert all(wide[bone] > plain[bone] for bone in plain)
    one = areas("one", "--threshold", ".05", "--threshold", "Pisiform=.5")
    assert one == {**wide, "Pisiform": plain["Pisiform"]}
    for bad, word in (("2", "out of range"), ("x", "not a number"), ("Pisiforn=.4", "perhaps 'Pisiform'")):
        result = predict(image, "-o", tmp_path / "bad", "--model", bright_model, "--threshold", bad)
        assert result.exit_code == 2
        assert word in result.stderr


def test_unknown_format_and_device(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    result = predict(image, "-o", tmp_path / "o", "--model", bright_model, "--format", "dicom-rt")
    assert result.exit_code == 2
    assert "expected one of" in result.stderr
    assert "competition" in result.stderr
    result = predict(image, "-o", tmp_path / "o", "--model", bright_model, "--device", "toaster")
    assert result.exit_code == 2
    assert "toaster" in result.stderr


def test_a_model_that_is_none(tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    result = predict(image, "-o", tmp_path / "o", "--model", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "is not a model bundle" in result.stderr


def test_output_is_asked_for(tmp_path: Path) -> None:
    result = predict(tmp_path)
    assert result.exit_code == 2
    assert "--output" in result.stderr


def test_the_real_program(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "ossa",
        "predict",
        image,
        "-o",
        tmp_path / "o",
        "--model",
        bright_model,
        "--fast",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "29 bones" in run.stdout
    assert (tmp_path / "o" / "predictions.csv").is_file()
