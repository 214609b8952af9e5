"""Which picture is which and how large it is: known or asked for, never guessed; one bad file never ends the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from helpers_dataset import (
    SCHEMA,
    competition_json,
    draw,
    save_image,
    save_json,
    schematic_hand,
    segmentation,
    write_competition,
)
from helpers_known import known
from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.errors import InputError, OutputError
from ossa.labels.coco import write_coco
from ossa.labels.competition import read_label, write_label
from ossa.labels.labelme import write_labelme
from ossa.labels.results import open_results
from ossa.labels.store import Probabilities, Store
from ossa.labels.submission import write_submission
from ossa.pipeline.evaluate import evaluate
from ossa.radiograph.prepare import Preparation, place

SHAPE = (120, 90)
ALL = frozenset(SCHEMA.names)


def hand(seed: int = 1):
    outlines = schematic_hand(120, seed=seed)
    planes = segmentation(outlines, 120).planes()[:, :, :90]
    return type(segmentation(outlines, 120)).from_planes(np.ascontiguousarray(planes), SCHEMA)


def picture(path: Path, seed: int = 1, shape: tuple[int, int] = SHAPE) -> None:
    save_image(path, draw(schematic_hand(120, seed=seed), 120, seed)[: shape[0], : shape[1]])


def ossa(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="ossa")


def dice(evaluation) -> list[float]:
    return [round(value, 6) for value in evaluation.dice.values()]


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_a_label_of_ossa_knows_its_size(tmp_path: Path) -> None:
    write_submission(tmp_path / "p.csv", [("hand.png", hand())])
    write_label(tmp_path / "labels" / "hand.json", hand(), "hand.png")
    assert dice(evaluate(tmp_path / "p.csv", tmp_path / "labels")) == [1.0]
    assert dice(evaluate(tmp_path / "labels", tmp_path / "p.csv")) == [1.0]


def test_other_labels_know_theirs(tmp_path: Path) -> None:
    write_submission(tmp_path / "p.csv", [("hand.png", hand())])
    write_labelme(tmp_path / "labelme" / "hand.json", hand(), "hand.png")
    write_coco(tmp_path / "coco" / "result.json", [("hand.png", hand(), ALL)])
    for form in ("labelme", "coco"):
        assert dice(evaluate(tmp_path / "p.csv", tmp_path / form)) == [1.0]


def test_predictions_know_theirs_by_the_labels_beside_them(tmp_path: Path) -> None:
    write_submission(tmp_path / "out" / "predictions.csv", [("hand.png", hand())])
    write_label(tmp_path / "out" / "hand.json", hand(), "hand.png")
    write_submission(tmp_path / "truth.csv", [("hand.png", hand())])
    assert dice(evaluate(tmp_path / "out", tmp_path / "truth.csv")) == [1.0]


def test_a_published_label_does_not(tmp_path: Path) -> None:
    """Its metadata says 3060x3060 whatever the picture is: the picture says it, or the user."""
    outlines = schematic_hand(120, seed=1)
    save_json(tmp_path / "labels" / "hand.json", competition_json(outlines, "hand.png"))
    whole = segmentation(read_label(tmp_path / "labels" / "hand.json", SCHEMA), 120)
    write_submission(tmp_path / "p.csv", [("hand.png", whole)])
    with pytest.raises(InputError, match=r"size of 'hand' is not known.*--images.*--size"):
        evaluate(tmp_path / "p.csv", tmp_path / "labels")
    assert dice(evaluate(tmp_path / "p.csv", tmp_path / "labels", size=(120, 120))) == [1.0]
    for name in ("hand.png", "hand.PNG", "hand.bmp"):
        save_image(tmp_path / name[-3:] / name, draw(outlines, 120))
        assert dice(evaluate(tmp_path / "p.csv", tmp_path / "labels", images=tmp_path / name[-3:])) == [1.0]
    result = ossa("evaluate", tmp_path / "p.csv", tmp_path / "labels", "--size", "120x120")
    assert result.exit_code == 0
    assert "hand: Dice 1.0000" in result.stdout


def test_two_submissions_know_no_size(tmp_path: Path) -> None:
    write_submission(tmp_path / "p.csv", [("hand.png", hand())])
    result = ossa("evaluate", tmp_path / "p.csv", tmp_path / "p.csv")
    assert result.exit_code == 2
    assert "the size of 'hand.png' is not known" in result.stderr
    assert ossa("evaluate", tmp_path / "p.csv", tmp_path / "p.csv", "--size", "120x90").exit_code == 0
    assert ossa("evaluate", tmp_path / "p.csv", tmp_path / "p.csv", "--size", "12090").exit_code == 2


def test_a_picture_of_another_size_is_refused_or_the_label_scaled(tmp_path: Path) -> None:
    write_label(tmp_path / "pred" / "hand.json", hand(), "hand.png")
    write_label(tmp_path / "truth" / "hand.json", hand(), "hand.png")
    save_image(tmp_path / "truth" / "hand.png", np.zeros((240, 180), np.uint8))
    with pytest.raises(InputError, match="another size than what is compared; found 240x180; expected 120x90"):
        evaluate(tmp_path / "pred", tmp_path / "truth")
    assert dice(evaluate(tmp_path / "pred", tmp_path / "truth", scale_labels=True)) == [1.0]


def test_two_labels_of_different_sizes_are_not_compared(tmp_path: Path) -> None:
    write_label(tmp_path / "pred" / "hand.json", hand(), "hand.png")
    other = segmentation(schematic_hand(120, seed=1), 120)
    write_label(tmp_path / "truth" / "hand.json", other, "hand.png")
    with pytest.raises(InputError, match="was drawn at another size"):
        evaluate(tmp_path / "pred", tmp_path / "truth")


# --- names ----------------------------------------------------------------------------------------------------------


def two_subjects(root: Path) -> Path:
    for seed, subject in enumerate(("A", "B")):
        picture(root / subject / "hand.png", seed)
        write_label(root / subject / "hand.json", hand(seed), "hand.png")
    return root


def test_one_name_in_two_folders_is_two_pictures(tmp_path: Path) -> None:
    truth = two_subjects(tmp_path / "set")
    assert dice(evaluate(truth, truth)) == [1.0, 1.0]
    rows = [("B/hand.png", hand(1)), ("A/hand.png", hand(0))]
    write_submission(tmp_path / "p.csv", rows)
    evaluation = evaluate(tmp_path / "p.csv", truth, output=tmp_path / "out")
    assert evaluation.scores.images == ("A/hand.png", "B/hand.png")
    assert dice(evaluation) == [1.0, 1.0]
    write_submission(tmp_path / "one.csv", rows[:1])
    evaluation = evaluate(tmp_path / "one.csv", truth)
    assert (dice(evaluation), evaluation.missing) == ([1.0], ("hand.png",))


def test_a_name_that_fits_two_pictures_is_refused_with_both(tmp_path: Path) -> None:
    truth = two_subjects(tmp_path / "set")
    write_submission(tmp_path / "p.csv", [("hand.png", hand(0))])
    with pytest.raises(InputError, match=r"A/hand\.png and B/hand\.png"):
        evaluate(tmp_path / "p.csv", truth)
    write_submission(tmp_path / "q.csv", [("hand.png", hand(0))])
    for folder in ("x", "y"):
        picture(tmp_path / "pictures" / folder / "hand.png")
    result = ossa("evaluate", tmp_path / "p.csv", tmp_path / "q.csv", "--images", tmp_path / "pictures")
    assert result.exit_code == 2
    for folder in ("x", "y"):
        assert str(tmp_path / "pictures" / folder / "hand.png") in result.stderr


@pytest.mark.parametrize("file", ["phantoms.json", "folds.json", "notes.json"])
def test_what_else_lies_in_a_data_set_does_not_make_it_a_folder_of_labels(tmp_path: Path, file: str) -> None:
    root = write_competition(tmp_path / "comp", subjects=1, tests=1, size=96)
    save_json(root / file, {"version": 1, "subjects": {"ID001": 0}})
    results = open_results(root)
    assert results.kind == "data set (competition)"
    assert sum(entry.labelled for entry in results.entries.values()) == 2
    assert dice(evaluate(root, root)) == [1.0, 1.0]
    assert ossa("gallery", root, "--truth", root, "-o", tmp_path / "gallery").exit_code == 0
    flat = two_subjects(tmp_path / "flat")
    save_json(flat / file, {"version": 1, "subjects": {"ID001": 0}})
    assert open_results(flat).kind == "data set (flat)"
    assert len(open_dataset(flat).labelled) == 2
    assert not open_dataset(flat).problems


# --- one file never ends the others ---------------------------------------------------------------------------------


def test_every_bad_file_is_told_once_and_the_rest_is_done(tmp_path: Path) -> None:
    root = write_competition(tmp_path / "comp", subjects=3, tests=0, size=96)
    cases = open_dataset(root).labelled
    truth = {case.id: case.segmentation(SCHEMA, (96, 96)) for case in cases}
    write_submission(tmp_path / "p.csv", truth.items())
    known(cases[0].label).write_text("{")
    data = json.loads(known(cases[1].label).read_text())
    data["annotations"][0]["points"] = [[1, 1], [999, 1], [1, 9]]
    save_json(known(cases[1].label), data)
    cases[2].image.write_bytes(b"no picture")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    lines = [line + " 9" if line.startswith(f"{cases[3].id},Radius,") else line for line in lines]
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    result = ossa("evaluate", tmp_path / "p.csv", root, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"{cases[4].id}: Dice 1.0000" in result.stdout
    assert f"{cases[5].id}: Dice 1.0000" in result.stdout
    told = [line for line in result.stderr.splitlines() if line]
    for path in (cases[0].label, cases[1].label, cases[2].image, tmp_path / "p.csv"):
        (line,) = [line for line in told if str(path) in line]
        assert line.count(str(path)) == 1
    assert "4 pictures could not be compared" in (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")


def test_where_nothing_can_be_compared_the_first_reason_is_given(tmp_path: Path) -> None:
    root = write_competition(tmp_path / "comp", subjects=1, tests=0, size=96)
    truth = {case.id: case.segmentation(SCHEMA, (96, 96)) for case in open_dataset(root).labelled}
    write_submission(tmp_path / "p.csv", truth.items())
    for case in open_dataset(root).labelled:
        known(case.label).write_text("{")
    with pytest.raises(InputError, match=r"nothing could be compared.*is not valid JSON"):
        evaluate(tmp_path / "p.csv", root)


def test_a_broken_picture_is_not_needed_where_the_label_knows_its_size(tmp_path: Path) -> None:
    truth = two_subjects(tmp_path / "set")
    (truth / "A" / "hand.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    evaluation = evaluate(truth, truth, output=tmp_path / "out")
    assert dice(evaluation) == [1.0, 1.0]
    assert not evaluation.failed


def test_pictures_in_which_nobody_judged_a_bone_are_named_not_scored(tmp_path: Path) -> None:
    root = write_competition(tmp_path / "comp", subjects=1, tests=0, size=96)
    first, second = open_dataset(root).labelled
    empty, wrist = known(first.label), known(second.label)
    save_json(empty, json.loads(empty.read_text()) | {"annotations": []})
    few = json.loads(wrist.read_text())
    few["annotations"] = [a for a in few["annotations"] if a["label"] in ("Radius", "Ulna")]
    save_json(wrist, few)
    evaluation = evaluate(root, root)
    assert evaluation.unjudged == (first.id,)
    assert evaluation.scores.images == (second.id,)
    scored = np.isfinite(evaluation.scores.values["dice"][0])
    assert [name for name, known in zip(SCHEMA.names, scored, strict=True) if known] == ["Radius", "Ulna"]


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    write_submission(tmp_path / "out" / "predictions.csv", [("hand.png", hand())])
    write_label(tmp_path / "out" / "hand.json", hand(), "hand.png")
    before = (tmp_path / "out" / "predictions.csv").read_bytes()
    with pytest.raises(OutputError, match="an output would be one of the inputs"):
        evaluate(tmp_path / "out", tmp_path / "out", output=tmp_path / "out")
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == before


def test_saved_probabilities_are_unpacked_once_for_all_thresholds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path / "store", SCHEMA, {})
    logits = np.where(hand().planes(), 4.0, -6.0).astype(np.float32)
    padded = np.full((29, 128, 96), -6.0, np.float32)
    padded[:, :120, :90] = logits
    store.write("hand.png", padded, place(SHAPE, Preparation(120, 32)))
    write_label(tmp_path / "labels" / "hand.json", hand(), "hand.png")
    unpacked: list[int] = []
    whole = Probabilities.logits

    def counted(self: Probabilities) -> Any:
        unpacked.append(1)
        return whole(self)

    monkeypatch.setattr(Probabilities, "logits", counted)
    evaluation = evaluate(tmp_path / "store", tmp_path / "labels")
    assert len(unpacked) == 1
    assert evaluation.thresholds is not None
    assert dice(evaluation)[0] > 0.9
