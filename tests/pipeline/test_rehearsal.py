"""``ossa phantom --rehearsal``: the competition's folder as published, resumable, its truth apart."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

pytest.importorskip("numba")
pytest.importorskip("openpyxl")

from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.dataset.metadata import read_metadata
from ossa.errors import ConfigError
from ossa.pipeline.rehearsal import make_rehearsal

SIZE = 128


def content(folder: Path) -> dict[str, bytes]:
    """All files but the sheet, which holds the time at which it was written."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".xlsx")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rehearsal") / "contest"
    made = make_rehearsal(folder, train=4, test=1, seed=2, size=SIZE, processes=1)
    assert (made.made, made.kept) == (10, 0)
    return folder


def test_it_is_the_competitions_folder(contest: Path) -> None:
    dataset = open_dataset(contest)
    assert dataset.format == "competition"
    assert not dataset.problems
    assert (len(dataset), len(dataset.labelled), len(dataset.subjects)) == (10, 8, 5)
    assert {case.split for case in dataset.labelled} == {"train"}
    for case in dataset:
        picture = cv2.imread(str(case.image), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert picture.shape == (SIZE, SIZE, 3)
        assert (picture[..., 0] == picture[..., 2]).all()
    for case in dataset.labelled:
        assert len(case.truth(dataset.schema).outlines) == 29


def test_labels_have_the_published_traps(contest: Path) -> None:
    for path in (contest / "train" / "outputs_json").rglob("*.json"):
        label = json.loads(path.read_text())
        assert label["metadata"] == {"height": 3060, "width": 3060}
        assert label["filename"] == path.with_suffix(".jpg").name
        names = [entry["label"] for entry in label["annotations"]]
        assert names != sorted(names)


def test_the_truth_lies_apart_and_can_be_compared(contest: Path, tmp_path: Path) -> None:
    from ossa.pipeline.evaluate import evaluate

    tests = sorted(p.stem for p in (contest / "test" / "DCM").rglob("*.png"))
    assert sorted(p.stem for p in (contest / "truth").rglob("*.json")) == tests
    assert not (contest / "test" / "outputs_json").exists()
    done = evaluate(contest / "truth", contest / "truth", images=contest / "test" / "DCM")
    assert set(done.dice.values()) == {1.0}
    planted = json.loads((contest / "truth.json").read_text())
    assert set(planted["mistakes"].values()) == {"reversed", "carpal row", "ring", "pisiform"}


def test_the_sheet_has_its_traps(contest: Path) -> None:
    import openpyxl

    subjects = read_metadata(contest / "meta_data.xlsx")
    assert set(open_dataset(contest).subjects) < set(subjects)
    assert all(one.age and one.sex and one.weight and one.height for one in subjects.values())
    rows = list(openpyxl.load_workbook(contest / "meta_data.xlsx").worksheets[0].iter_rows(values_only=True))
    assert rows[0][:5] == ("ID", "나이", "성별", "체중(몸무게)", "키(신장)")
    cells = [str(cell) for row in rows for cell in row]
    assert any("\x08" in cell or "_x0008_" in cell for cell in cells)
    assert any(cell.startswith(" ") for cell in cells)


def test_it_is_continued_in_parallel(contest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    make_rehearsal(folder, train=4, test=1, seed=2, size=SIZE, processes=1)
    for path in list((folder / "train" / "DCM").rglob("*.png"))[:2]:
        path.unlink()
    made = make_rehearsal(folder, train=4, test=1, seed=2, size=SIZE, processes=2)
    assert (made.made, made.kept) == (2, 8)
    assert content(folder) == content(contest)


def test_another_contest_is_refused_in_the_same_folder(contest: Path) -> None:
    with pytest.raises(ConfigError, match=r"begun with other settings; found test 1; expected test 2"):
        make_rehearsal(contest, train=4, test=2, seed=2, size=SIZE, processes=1)
    with pytest.raises(ConfigError, match="too few training subjects; found 3; expected at least 4"):
        make_rehearsal(contest, train=3, test=1)


def test_the_command_line_says_what_does_not_go_together(tmp_path: Path) -> None:
    run = CliRunner().invoke
    found = run(cli, ["phantom", str(tmp_path / "a"), "--rehearsal", "-n", "5"])
    assert found.exit_code == 2
    assert "-n does not go with --rehearsal" in found.output
    found = run(cli, ["phantom", str(tmp_path / "a"), "--train", "5"])
    assert found.exit_code == 2
    assert "--train needs --rehearsal" in found.output
    assert not (tmp_path / "a").exists()


def test_a_full_disk_says_so_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    from ossa.errors import OutputError

    folder = tmp_path / "full"
    before, written = os.replace, []

    def full(source: Path, target: Path) -> None:
        if str(target).endswith(".png"):
            written.append(target)
            if len(written) > 1:
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
        before(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="Free some space"):
        make_rehearsal(folder, train=4, test=1, seed=2, size=SIZE, processes=1)
    monkeypatch.undo()
    made = make_rehearsal(folder, train=4, test=1, seed=2, size=SIZE, processes=1)
    assert (made.made, made.kept) == (9, 1)


def test_a_disk_that_is_too_small_is_told_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from types import SimpleNamespace

    from ossa.errors import OutputError

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, used=0, free=10**7))
    with pytest.raises(OutputError, match=r"too little space.*10 MB free.*about 52 MB for 10 pictures of 2048 px"):
        make_rehearsal(tmp_path / "small", train=4, test=1, processes=1)
    assert not list((tmp_path / "small").rglob("*.png"))
