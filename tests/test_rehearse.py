"""scripts/rehearse.py: what cannot work is said before time is spent, and what was done is not done again."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

for package in ("numba", "openpyxl", "torch", "lightning", "onnx"):
    pytest.importorskip(package)

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import _contest  # type: ignore[import-not-found]  # noqa: E402
import rehearse  # type: ignore[import-not-found]  # noqa: E402

from ossa.dataset.dataset import open_dataset  # noqa: E402
from ossa.dataset.folds import Folds, write_folds  # noqa: E402
from ossa.errors import ConfigError, DatasetError, InputError, OutputError  # noqa: E402
from ossa.pipeline.rehearsal import make_rehearsal  # noqa: E402


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> _contest.Contest:
    """A contest of five subjects, whose networks are tiny and start from nothing."""
    folder = tmp_path_factory.mktemp("rehearse")
    make_rehearsal(folder / "contest", train=5, test=1, seed=3, size=96, processes=1)
    tiny = ("model.widths=[4, 4, 4]", "train.batch=2", "pseudo.floor=0.0", "pseudo.min_bones=1")
    return _contest.Contest(
        folder / "contest", folder / "work", folder / "contest" / "truth", 96, 2, 2, 1, "none", tiny
    )


def test_no_contest_and_no_truth_are_told(contest: _contest.Contest, tmp_path: Path) -> None:
    _contest.check(contest, None)
    with pytest.raises(InputError, match=r"truth of the test set is missing.*no label for 2 of 2.*--no-truth"):
        _contest.check(replace(contest, truth=tmp_path / "nowhere"), None)
    _contest.check(replace(contest, truth=None), None)
    shutil.copytree(contest.data / "train", tmp_path / "half" / "train")
    with pytest.raises(DatasetError, match=r"is no contest.*0 of a test set.*--rehearsal"):
        _contest.check(replace(contest, data=tmp_path / "half"), None)


def test_folds_of_another_set_are_told(contest: _contest.Contest, tmp_path: Path) -> None:
    subjects = {case.subject for case in open_dataset(contest.data).labelled}
    write_folds(tmp_path / "other.json", Folds(2, 1, {f"P{k}": k % 2 for k in range(4)}))
    with pytest.raises(DatasetError, match=r"folds of another set.*4 subjects that it does not have"):
        _contest.check(contest, tmp_path / "other.json")
    write_folds(tmp_path / "three.json", Folds(3, 1, {s: k % 3 for k, s in enumerate(sorted(subjects))}))
    with pytest.raises(ConfigError, match="another number of folds; found 3; expected 2"):
        _contest.check(contest, tmp_path / "three.json")


def test_a_full_disk_is_told(contest: _contest.Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(_contest.shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(OutputError, match=r"too little room.*0.0 GB free.*Free some space"):
        _contest.check(contest, None)


def test_a_step_is_done_once(contest: _contest.Contest, tmp_path: Path) -> None:
    elsewhere = replace(contest, work=tmp_path)
    told = _contest.once(elsewhere, "a step", lambda: {"found": 1})
    assert told["found"] == 1
    assert told == _contest.once(elsewhere, "a step", lambda: pytest.fail("done again"))


def test_the_whole_contest_and_again(contest: _contest.Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = rehearse.rehearse(contest)
    assert [step.name for step in steps] == ["1 fold", "2 folds", "calibrate", "ensemble", "pseudo"]
    assert all(step.test is not None and 0 <= step.test <= 1 for step in steps)
    assert len(list((contest.work / "submissions").glob("*.csv"))) == 5
    assert (contest.work / "submission.csv").read_text().count("\n") == 1 + 2 * 29
    page = (contest.work / "index.html").read_text()
    assert "ring" in page
    assert "Thumb distal phalanx" in page
    left = {path.name for path in contest.clean.rglob("*.png")}
    assert 0 < len(left) < 10
    # A second call trains nothing and says the same; other settings are refused in the same folder.
    monkeypatch.setattr(_contest, "train", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(rehearse, "train", lambda *_: pytest.fail("trained again"))
    assert rehearse.rehearse(contest) == steps
    with pytest.raises(ConfigError, match="begun with other settings; found steps '2'"):
        rehearse.rehearse(replace(contest, steps=4))
