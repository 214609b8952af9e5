"""The page on a contest: gains told against the last kept step, names escaped, nothing fetched."""

from __future__ import annotations

from pathlib import Path

from ossa.pages.contest import Alarm, Step, write_contest
from ossa.pages.run import Curves

BONES = {"Radius": "Radius", "Ulna": "Ulna"}
STEPS = [
    Step("1 fold", "one fold", 0.90, 0.91, {"Radius": 0.95, "Ulna": 0.85}, 60.0),
    Step("ensemble", "+ a second run", 0.89, 0.90, {"Radius": 0.94, "Ulna": 0.84}, 30.0, kept=False),
    Step("pseudo", "+ the test set", 0.92, 0.92, {"Radius": 0.96, "Ulna": 0.88}, 90.0, note="28 of 28"),
]


def written(path: Path, steps: list[Step], **more: object) -> str:
    write_contest(path, "Rehearsal", steps, facts={"data": "here"}, bones=BONES, **more)  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def test_each_step_is_told_against_the_last_kept_one(tmp_path: Path) -> None:
    text = written(tmp_path / "index.html", STEPS)
    assert "<p class=big>0.9200</p>" in text
    assert "-0.0100" in text  # the second against the first
    assert "+0.0200" in text  # the third against the first, since the second was not kept
    assert text.count("not kept") == 1
    assert "+0.0300" in text  # the ulna from the first step to the last
    assert "3.0 min" in text


def test_without_truth_the_held_out_pictures_count(tmp_path: Path) -> None:
    steps = [Step("1 fold", "one fold", None, 0.91), Step("3 folds", "three", None, None)]
    text = written(tmp_path / "index.html", steps[:1])
    assert "<p class=big>0.9100</p>" in text
    assert "out of fold" in text
    assert "no bone was scored" in text
    assert "nothing was scored" in written(tmp_path / "index.html", steps[1:])


def test_names_stay_names_and_nothing_is_fetched(tmp_path: Path) -> None:
    alarms = [Alarm("<img src=x>.png", "<b>metal</b>", "ring")]
    curves = [("first 0", Curves({"val/dice": [(1, 0.5), (2, 0.8)]}))]
    text = written(tmp_path / "index.html", STEPS, alarms=alarms, missed=["a&b.png"], curves=curves)
    assert "<img" not in text
    assert "&lt;b&gt;metal" in text
    assert "a&amp;b.png" in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in text
