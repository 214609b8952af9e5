"""Retraining as a job: its life with a stub in ossa's place, cancelled, over restarts, and what comes of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from helpers_desk import data_set, studio
from ossa.dataset.folds import Stratum, read_folds
from ossa.errors import ConfigError, TrainingError
from ossa.labels.results import open_results
from ossa.pipeline.studio import Desk
from ossa.studio.corrections import Missing
from ossa.studio.finetune import KIND, FineTuning, given_of
from ossa.studio.jobs import Job, Jobs, Plan, Step, _is_held
from ossa.studio.listing import Query
from ossa.studio.log import piece_of, told_by
from ossa.studio.material import deal, lessons_of

#: Plays ossa: "train" writes what a run leaves (slowly, where SLOW is there), "predict" says what the labels say. Where
#: WHOLE is not there it imports nothing of ossa, and says nothing.
STUB = """
import os, shutil, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
kind, arguments = sys.argv[1], sys.argv[2:]
here = Path(os.environ["STUB_HERE"])
with (here / "calls").open("a") as calls:
    calls.write(" ".join([kind, *arguments]) + "\\n")
if (here / "FAIL").exists():
    print("Error: the stub was told to fail")
    sys.exit(2)
if kind == "train":
    run = Path(arguments[arguments.index("--folder") + 1])
    (run / "fold0").mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text("name: stub")
    rows = ("epoch,step,val/dice,train/loss_epoch", "0,1,0.5,", "0,1,,0.9", "1,2,0.6,")
    (run / "fold0" / "metrics").write_text("\\n".join(rows))
    os.replace(run / "fold0" / "metrics", run / "fold0" / "metrics.csv")
    while (here / "SLOW").exists():
        time.sleep(0.05)
    if (here / "WHOLE").exists():
        shutil.copyfile(run.parent / "folds.json", run / "folds.json")
    shutil.copytree(os.environ["STUB_MODEL"], run / "bundle0", dirs_exist_ok=True)
    (run / "summary.html").write_text("done")
elif (here / "WHOLE").exists():
    from ossa.dataset.dataset import open_dataset
    from ossa.labels.submission import write_submission
    out = Path(arguments[arguments.index("-o") + 1])
    data = open_dataset(out.parent / "data")
    truth = {case.id: case.segmentation(data.schema, (128, 128)) for case in data}
    out.mkdir(exist_ok=True)
    write_submission(out / "predictions.csv", truth.items())
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    yield from open_desk(tmp_path, monkeypatch)


def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Desk, None, None]:
    import ossa.models

    script = tmp_path / "stub.py"
    script.write_text(STUB)
    monkeypatch.setenv("STUB_HERE", str(tmp_path))
    monkeypatch.setenv("STUB_MODEL", str(Path(ossa.models.__path__[0]) / "default"))
    root = tmp_path / "set"
    if not root.exists():
        data_set(tmp_path, 2, 0)
    made = studio(tmp_path, root)

    def program(*arguments: str) -> Sequence[str]:
        return [sys.executable, str(script), *arguments]

    tuning = FineTuning(made.collection.schema, None, program)
    jobs = Jobs(made.folder, {KIND: tuning})
    out = Desk(made, jobs, tuning)
    jobs.finished = out.welcome
    try:
        yield out
    finally:
        out.close()


def correct(desk: Desk, count: int = 4) -> None:
    for row in desk.studio.list(Query(search="train"))["rows"][:count]:
        bones = [
            {k: b[k] for k in ("name", "state", "polygons")} for b in desk.studio.bones(row["id"], "truth")["bones"]
        ]
        desk.studio.save(row["id"], {"revision": 0, "author": "kim", "bones": bones})


def until(desk: Desk, job: str, *states: str, seconds: float = 120) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        told = desk.jobs.told(job)
        if told["state"] in states:
            return told
        time.sleep(0.05)
    raise AssertionError(f"{desk.jobs.told(job)}: {told_by(desk.jobs.get(job).folder / 'log.txt')}")


def wait_for(path: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)


def test_a_job_from_its_queue_to_a_new_source(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few people"):
        desk.finetune(3, "mine")
    assert desk.jobs.all() == []
    assert not list((desk.studio.folder / "jobs").glob("*"))
    correct(desk)
    for epochs in (0, "3", True, 10**6):
        with pytest.raises(ConfigError, match="epochs"):
            desk.finetune(epochs, "mine")
    (tmp_path / "WHOLE").touch()
    job = desk.finetune(3, "../mine <b>")
    assert desk.jobs.told(job.id)["state"] == "queued"
    recipe = (job.folder / "run.yaml").read_text()
    assert "epochs: 3" in recipe
    assert "mine" in recipe
    data = open_results(job.folder / "data")
    assert len(data) == 4
    assert data.kind == "data set (competition)"
    desk.start()
    done = until(desk, job.id, "done")
    assert done["progress"] == 1.0
    assert done["curves"]["val/dice"] == [[0.0, 0.5], [1.0, 0.6]]
    log = desk.jobs.log(job.id)
    assert log["text"].count("$ ") == 3
    assert log["ended"]
    assert log["next"] == done["log"]
    source = done["result"]["source"]
    told = done["result"]["comparison"]
    assert told["old"] == told["new"] == 1.0
    assert sorted(row["trained_on"] for row in told["pictures"]) == [False, False, True, True]
    assert told["held_out"] == 2
    assert told["bones"]["Radius"] == [1.0, 1.0]
    assert source in [one["id"] for one in desk.studio.session()["sources"]]
    key = told["pictures"][0]["id"]
    assert desk.studio.unanswered(key, source) is None
    assert sum(bone["state"] == "found" for bone in desk.studio.bones(key, source)["bones"]) == 29
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["train", "predict", "predict"]
    assert "--model" not in calls[1]
    assert calls[2].endswith("bundle0")
    again = Jobs(desk.studio.folder, {KIND: desk.tuning})
    assert again.told(job.id) == done


def test_a_failed_step_is_told(desk: Desk, tmp_path: Path) -> None:
    correct(desk)
    (tmp_path / "FAIL").touch()
    job = desk.finetune(3, "mine")
    desk.start()
    assert "the stub was told to fail; the program ended with 2" in until(desk, job.id, "failed")["message"]
    with pytest.raises(Missing):
        desk.jobs.get("../" + job.id)


def test_cancelled_while_it_waits_and_while_it_runs(desk: Desk, tmp_path: Path) -> None:
    correct(desk)
    (tmp_path / "SLOW").touch()
    first, second = desk.finetune(3, "one"), desk.finetune(3, "two")
    desk.start()
    wait_for(first.folder / "run" / "config.yaml")
    assert desk.jobs.told(second.id)["state"] == "queued"  # one at a time
    wait_for(first.folder / "run" / "fold0" / "metrics.csv")
    assert until(desk, first.id, "running")["curves"]["val/dice"][0] == [0.0, 0.5]
    assert desk.jobs.cancel(second.id)["state"] == "cancelled"
    desk.jobs.cancel(first.id)
    assert until(desk, first.id, "cancelled")["result"] is None
    assert not _is_held(first.folder / "alive")
    assert desk.jobs.cancel(first.id)["state"] == "cancelled"


def test_a_server_closed_in_good_order_goes_on_at_its_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "SLOW").touch()
    opened = open_desk(tmp_path, monkeypatch)
    desk = next(opened)
    correct(desk)
    job = desk.finetune(3, "mine")
    desk.start()
    wait_for(job.folder / "run" / "config.yaml")
    opened.close()
    assert not _is_held(job.folder / "alive")
    assert json.loads((job.folder / "job.json").read_text())["state"] == "running"
    (tmp_path / "SLOW").unlink()
    opened = open_desk(tmp_path, monkeypatch)
    desk = next(opened)
    desk.start()
    wait_for(job.folder / "run" / "summary.html")
    assert "a step of the job failed: asking the old model" in until(desk, job.id, "failed")["message"]
    opened.close()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[1].startswith("train --resume --folder")
    assert calls[2].startswith("predict")


@pytest.mark.skipif(os.name != "posix", reason="a program's lock outlives its server on POSIX only")
def test_a_program_that_outlived_its_server_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after kill -9 of the server: nobody looks after the program, which goes on."""
    (tmp_path / "SLOW").touch()
    opened = open_desk(tmp_path, monkeypatch)
    desk = next(opened)
    correct(desk)
    job = desk.finetune(3, "mine")
    monkeypatch.setattr("ossa.studio.jobs._interrupt", lambda program: setattr(program, "returncode", 0))
    desk.start()
    wait_for(job.folder / "run" / "config.yaml")
    opened.close()
    assert _is_held(job.folder / "alive")
    opened = open_desk(tmp_path, monkeypatch)
    desk = next(opened)
    desk.start()
    time.sleep(0.5)
    assert (tmp_path / "calls").read_text().count("train") == 1
    (tmp_path / "SLOW").unlink()
    until(desk, job.id, "failed")  # at the next step, of which this stub says nothing
    opened.close()
    assert [call.split()[0] for call in (tmp_path / "calls").read_text().splitlines()] == ["train", "predict"]


class Sleepy(Plan):
    """One program that waits for a signal."""

    def __init__(self, seen: Path) -> None:
        self.seen = seen

    def steps(self, job: Job) -> Sequence[Step]:
        # A shell's background job starts with Ctrl-C ignored, and would hand that on.
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = f"{heed}; import pathlib, time; pathlib.Path({str(self.seen)!r}).touch(); time.sleep(100)"
        return [Step("sleeping", lambda: [sys.executable, "-c", code], lambda: False)]

    def result(self, job: Job) -> dict[str, Any]:
        raise TrainingError("never")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="found by /proc")
def test_a_stranger_can_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(tmp_path, {"sleepy": Sleepy(tmp_path / "seen")})
    job = jobs.add("sleepy", {}, lambda one: one.folder.mkdir(parents=True))
    with monkeypatch.context() as patch:
        patch.setattr("ossa.studio.jobs._interrupt", lambda program: setattr(program, "returncode", 0))
        jobs.start()
        wait_for(tmp_path / "seen")
        jobs.close()
    again = Jobs(tmp_path, {"sleepy": Sleepy(tmp_path / "seen")})
    again.start()
    again.cancel(job.id)
    end = time.monotonic() + 60
    while _is_held(job.folder / "alive") and time.monotonic() < end:
        time.sleep(0.05)
    assert not _is_held(job.folder / "alive")
    again.close()
    assert again.get(job.id).state == "cancelled"


def test_a_damaged_job_is_passed_over(tmp_path: Path) -> None:
    for number, text in enumerate(("{", "[]", '{"id": "a"}')):
        folder = tmp_path / "jobs" / str(number)
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(text)
    assert Jobs(tmp_path, {}).all() == []


def test_what_is_asked_is_made_plain(desk: Desk) -> None:
    pictures = list(desk.studio.pictures.values())
    lessons = lessons_of(pictures, {one.name: 1 for one in pictures}, "corrected")
    given = given_of("a/b\n<script>", 2, "corrected", None, lessons, desk.studio.corrections)
    assert given["name"] == "a-b--script-"
    assert given_of("", 2, "corrected", 96, [], desk.studio.corrections)["name"] == "corrected"
    assert len({one["file"] for one in given["pictures"]}) == len(pictures)
    for size in (0, 100, "96", True, 1 << 20):
        with pytest.raises(ConfigError, match="grid"):
            given_of("", 2, "corrected", size, lessons, desk.studio.corrections)
    with pytest.raises(ConfigError, match="no such pictures"):
        lessons_of(pictures, {}, "some")


def test_corrected_pictures_with_the_rest_of_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One corrected picture is enough; all labelled ones are laid down, and both models are asked for the corrected."""
    data_set(tmp_path, 3, 1)
    opened = open_desk(tmp_path, monkeypatch)
    desk = next(opened)
    correct(desk, 1)
    options = desk.options()
    assert options["corrected"]["problem"]["message"] == "too few people were corrected to train on"
    assert (options["all"]["pictures"], options["all"]["people"], options["all"]["problem"]) == (6, 3, None)
    broken = next(one for one in desk.studio.pictures.values() if one.subject == "ID007" and one.entry("truth"))
    entry = broken.entry("truth")
    assert entry is not None
    assert entry.file is not None
    entry.file.write_text("{")
    job = desk.finetune(3, "mine", "all", 96)
    assert (job.folder / "log.txt").read_text().count("is left out") == 1
    laid = open_results(job.folder / "data")
    assert len(laid) == 5
    told = desk.jobs.told(job.id)
    assert told["pictures"] == {"corrected": 1, "others": 5}
    assert told["log"] > 0
    [asked] = (job.folder / "asked").rglob("*.png")
    corrected = job.given["pictures"][0]
    assert asked.relative_to(job.folder / "asked").as_posix() == corrected["file"]
    folds = read_folds(job.folder / "folds.json").fold_of
    assert folds[corrected["subject"]] != 0  # the only corrected person is trained on
    assert 0 in folds.values()
    assert "size: 96" in (job.folder / "run.yaml").read_text()
    assert str(job.folder / "folds.json") in (job.folder / "run.yaml").read_text()
    opened.close()


def test_folds_keep_some_of_the_corrected_from_training() -> None:
    def people(prefix: str, count: int) -> list[tuple[str, Stratum]]:
        return [(f"{prefix}{k}", Stratum(False, "L")) for k in range(count)]

    for corrected in range(1, 12):
        for others in range(12):
            if corrected + others < 2:
                continue
            folds = deal(people("c", corrected), people("o", others))
            held = {one for one, fold in folds.fold_of.items() if fold == 0}
            assert held, (corrected, others)
            assert len(held) <= max(1, -(-corrected // min(5, max(1, corrected)))) + -(
                -others // min(5, max(1, others))
            )
            assert any(one[0] == "c" for one in held) == (corrected > 1)
            assert any(one[0] == "c" for one in set(folds.fold_of) - held)
            assert len(folds.fold_of) == corrected + others
    both = deal(people("c", 2), [("c0", Stratum(True, "R")), ("o0", Stratum(False, "R"))])
    assert set(both.fold_of) == {"c0", "c1", "o0"}
    with pytest.raises(ConfigError, match="too few people"):
        deal(people("c", 1), [])


def test_a_log_is_read_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    text = "".join(f"{k}: 뼈 – {'é' * (k % 7)}\n" for k in range(300))
    path.write_text(text, encoding="utf-8")
    for most in (7, 50, 4096, 1 << 20):
        found, at, more = "", 0, True
        while more:
            piece, at, more = piece_of(path, at, most)
            found += piece
        assert found == text
        assert piece_of(path, at, most) == ("", len(text.encode()), False)
    tail, after, more = piece_of(path, -30)
    assert text.endswith(tail)
    assert tail.startswith("29")
    assert (after, more) == (len(text.encode()), False)
    assert piece_of(path, 1 << 30) == ("", len(text.encode()), False)
    assert piece_of(tmp_path / "none", 5) == ("", 0, False)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("lightning") is None, reason="ossa[train] is not installed")
def test_a_real_retraining(tmp_path: Path) -> None:
    """The shipped model on four small pictures, one epoch: the whole way through ossa's own programs."""
    made = studio(tmp_path, data_set(tmp_path, 2, 0))
    tuning = FineTuning(made.collection.schema, None, changes={"data": {"size": 96}, "closer": []})
    jobs = Jobs(made.folder, {KIND: tuning})
    desk = Desk(made, jobs, tuning)
    jobs.finished = desk.welcome
    correct(desk)
    job = desk.finetune(1, "real")
    desk.start()
    try:
        done = until(desk, job.id, "done", "failed", seconds=600)
    finally:
        desk.close()
    assert done["state"] == "done", done["message"]
    assert done["curves"]["val/dice"]
    assert len(done["result"]["comparison"]["pictures"]) == 4
    assert made.sources[done["result"]["source"]].title == "real"
