"""scripts/rehearse.py: what cannot work is said before time is spent, and what was done is not done again."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

for package in ("numba", "openpyxl"):
    pytest.importorskip(package)

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import _contest  # type: ignore[import-not-found]  # noqa: E402
import rehearse  # type: ignore[import-not-found]  # noqa: E402

from ossa.dataset.cache import read_grey  # noqa: E402
from ossa.dataset.dataset import open_dataset  # noqa: E402
from ossa.dataset.folds import Folds, read_folds, write_folds  # noqa: E402
from ossa.errors import ConfigError, DatasetError, InputError, OutputError  # noqa: E402
from ossa.labels.store import Store  # noqa: E402
from ossa.pipeline.rehearsal import make_rehearsal  # noqa: E402
from ossa.radiograph.prepare import Preparation  # noqa: E402
from ossa.safety import write_json, write_text  # noqa: E402
from ossa.segmentation.segmentation import Segmentation  # noqa: E402


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> _contest.Contest:
    """A contest of five subjects."""
    folder = tmp_path_factory.mktemp("rehearse")
    make_rehearsal(folder / "contest", train=5, test=1, seed=3, size=96, processes=1)
    return _contest.Contest(folder / "contest", folder / "work", folder / "contest" / "truth", 96, 2, 2, 1, "none")


def save(store: Store, image: Path, true: Segmentation, noise: float, seed: int) -> None:
    """What a network might have said of a picture: the truth, blurred by noise."""
    grey, placement = read_grey(image, Preparation(96))
    rng = np.random.default_rng(seed)
    logits = np.where(true.planes(), 3.0, -6.0) + rng.normal(0, noise, (len(true.schema), *grey.shape))
    store.write(image.name, logits.astype(np.float32), placement)


def pretend(contest: _contest.Contest, run: str, noise: float) -> dict[str, list[float]]:
    """A run's folder as a training leaves it, without networks, and what they say of the test set."""
    folds = read_folds(contest.work / "folds.json")
    folder = contest.work / run
    out = Store.create(folder / "oof", contest.schema, {"kind": "out of fold", "name": run})
    shutil.copyfile(contest.work / "folds.json", folder / "folds.json")
    for fold in range(folds.count):
        held_out = folds.split(open_dataset(contest.clean).labelled, fold)[1]
        rows = "".join(f"{case.id},{fold},Radius,0.5\n" for case in held_out)
        write_text(folder / f"fold{fold}" / "oof.csv", "image,fold,bone,dice\n" + rows)
        for case in held_out:
            save(out, case.image, case.segmentation(contest.schema, (96, 96)), noise, fold)
        bundle = contest.work / run / f"bundle{fold}"
        tests = Store.create(_contest.store_of(contest, run, bundle), contest.schema, {"models": [run]})
        for image in sorted(contest.tests.rglob("*.png")):
            known = _contest.truths(replace(contest, truth=contest.data / "truth"))
            true = known[image.stem]((96, 96))
            save(tests, image, true, noise, 10 + fold)
    write_json(folder / "pseudo" / "pseudo.json", {"pictures": [0, 0], "left_out": {}})
    return {"dice": [0.5] * folds.count}


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
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(OutputError, match=r"too little space for the runs.*0 MB free.*Free some space"):
        _contest.check(contest, None)


def test_a_step_is_done_once(contest: _contest.Contest, tmp_path: Path) -> None:
    elsewhere = replace(contest, work=tmp_path)
    told = _contest.once(elsewhere, "a step", lambda: {"found": 1})
    assert told["found"] == 1
    assert told == _contest.once(elsewhere, "a step", lambda: pytest.fail("done again"))


def test_the_runs_have_settings_that_differ(contest: _contest.Contest) -> None:
    first, second = (_contest.run_config(contest, "x", changes) for changes in (_contest.FIRST, _contest.SECOND))
    assert first.data.augment["p_bend"] < second.data.augment["p_bend"]
    assert first.finetune.model is None
    sure = (*_contest.THIRD, *_contest.pseudo_labels(contest, ["first", "second"]))
    third = _contest.run_config(replace(contest, start="default"), "x", sure)
    assert third.finetune.model == "default"
    assert third.pseudo is not None
    assert len(third.pseudo.models) == 4
    assert len({config.seed for config in (first, second, third)}) == 3


def test_the_whole_contest_and_again(contest: _contest.Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = {"first": 4.0, "second": 3.0, "pseudo": 2.5}
    for name in ("train", "train_if_sure"):
        monkeypatch.setattr(rehearse, name, lambda contest, run, _: pretend(contest, run, noise[run]))
    monkeypatch.setattr(rehearse, "look_at_tests", lambda *_: {})
    steps = rehearse.rehearse(contest)
    assert [step.name for step in steps] == ["1 fold", "2 folds", "calibrate", "ensemble", "pseudo"]
    scores = [step.test for step in steps]
    assert scores == sorted(scores)  # noise that averages out: every step gains
    assert all(step.kept for step in steps)
    assert len(list((contest.work / "submissions").glob("*.csv"))) == 5
    final = (contest.work / "submission.csv").read_text()
    assert final.count("\n") == 1 + 2 * 29
    assert final == (contest.work / "submissions" / "pseudo.csv").read_text()
    page = (contest.work / "index.html").read_text()
    assert "Thumb distal phalanx" in page
    assert "2 of 2 test pictures labelled" in page
    left = {path.name for path in contest.clean.rglob("*.png")}
    assert 0 < len(left) < 10
    # A second call trains nothing and says the same; other settings are refused in the same folder.
    monkeypatch.setattr(rehearse, "train", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(rehearse, "train_if_sure", lambda *_: pytest.fail("trained again"))
    assert rehearse.rehearse(contest) == steps
    with pytest.raises(ConfigError, match="begun with other settings; found steps '2'"):
        rehearse.rehearse(replace(contest, steps=4))


def test_without_sure_pseudo_labels_the_steps_before_stand(
    contest: _contest.Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearse, "train", lambda contest, run, _: pretend(contest, run, 3.0))
    monkeypatch.setattr(rehearse, "look_at_tests", lambda *_: {})

    def unsure(*_: object) -> None:
        raise ConfigError("no picture passes as a pseudo-label", found="2 left out")

    monkeypatch.setattr(_contest, "train", unsure)
    steps = rehearse.rehearse(replace(contest, work=tmp_path / "work", truth=None))
    assert [step.kept for step in steps][-1] is False
    assert "no picture passes" in steps[-1].note
    assert all(step.test is None for step in steps)
    assert (tmp_path / "work" / "submission.csv").is_file()
