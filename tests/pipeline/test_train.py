"""The whole trip: folds, folders, resume, pseudo-labels, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import helpers_dataset as data

torch = pytest.importorskip("torch")
for package in ("lightning", "onnx", "numba"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

from click.testing import CliRunner  # noqa: E402

from ossa.cli import cli  # noqa: E402
from ossa.config import RunConfig, check, dump, load_config  # noqa: E402
from ossa.errors import ConfigError, DatasetError, OutputError  # noqa: E402
from ossa.inference.predictor import Predictor  # noqa: E402
from ossa.labels.store import Store  # noqa: E402
from ossa.pipeline.train import train  # noqa: E402
from ossa.schema import load_schema  # noqa: E402

NET = {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1}


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data.write_competition(tmp_path_factory.mktemp("set"), subjects=4, size=128, tests=1)


def config(tmp_path: Path, hands: Path | None, **changes: Any) -> RunConfig:
    values: dict[str, Any] = {
        "output": str(tmp_path / "runs"),
        "data": {"size": 64, "cache": str(tmp_path / "cache"), "datasets": [{"path": str(hands)}] if hands else []},
        "folds": {"count": 2, "bundle": False},
        "model": NET,
        "train": {"epochs": 1, "batch": 2, "samples": 4, "device": "cpu", "threads": 1},
        "logging": {"every": 1},
    }
    for key, value in changes.items():
        values[key] = {**values[key], **value} if isinstance(values.get(key), dict) else value
    return check(values)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, hands: Path) -> tuple[Path, RunConfig]:
    settings = config(tmp_path_factory.mktemp("done"), hands)
    return train(settings).folder, settings


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


class TestFolds:
    """A run of two folds."""

    def test_every_case_is_predicted_once_out_of_fold(self, done: tuple[Path, RunConfig], hands: Path) -> None:
        run, _ = done
        names = {p.name for p in (hands / "train" / "DCM").rglob("*.png")}
        assert set(Store.open(run / "oof", load_schema()).images()) == names
        rows = [row for k in (0, 1) for row in table(run / f"fold{k}" / "oof.csv")]
        assert len(rows) == len(names) * 29
        folds = json.loads((run / "folds.json").read_text())
        for k in (0, 1):
            mine = {s for s, fold in folds["subjects"].items() if fold == k}
            seen = {r["image"] for r in table(run / f"fold{k}" / "oof.csv")}
            own = {p.name for p in (hands / "train" / "DCM").rglob("*.png") if p.parent.name in mine}
            assert seen == own

    def test_the_folder_tells_how_it_came_about(self, done: tuple[Path, RunConfig]) -> None:
        run, _ = done
        told = json.loads((run / "provenance.json").read_text())["runs"]
        assert len(told) == 1
        assert told[0]["versions"]["torch"] == torch.__version__.split("+")[0] or "torch" in told[0]["versions"]
        assert len(told[0]["data"]["sha256"]) == 64
        assert told[0]["data"]["samples"] == 8
        log = (run / "run.log").read_text()
        assert "fold 0 epoch 1/1" in log
        assert "fold 1 epoch 1/1" in log
        assert "<svg" in (run / "summary.html").read_text()

    def test_resume_of_a_finished_run_gives_the_same_and_a_changed_config_is_refused(
        self, done: tuple[Path, RunConfig], hands: Path, tmp_path: Path
    ) -> None:
        run, settings = done
        copy = tmp_path / "copy"
        shutil.copytree(run, copy)
        before = (run / "fold0" / "best.safetensors").read_bytes()
        train(settings, folder=copy, resume=True)
        assert (copy / "fold0" / "best.safetensors").read_bytes() == before
        assert len(json.loads((copy / "provenance.json").read_text())["runs"]) == 2
        other = settings.model_copy(update={"seed": 5})
        with pytest.raises(ConfigError, match=r"another config.*seed=5.*seed=1"):
            train(other, folder=copy, resume=True)
        label = next((hands / "train" / "outputs_json").rglob("*.json"))
        kept = label.read_text()
        try:
            label.write_text(kept + " ")
            with pytest.raises(ConfigError, match="data has changed"):
                train(settings, folder=copy, resume=True)
        finally:
            label.write_text(kept)


def test_what_only_changes_how_a_run_works_may_change_on_resume(tmp_path: Path) -> None:
    from ossa.config import to_yaml
    from ossa.training.folder import resumed_folder

    def with_(**keys: Any) -> RunConfig:
        return config(tmp_path, None, data={"phantoms": {"count": 4, "renew": 0.5, **keys}, "datasets": []})

    (tmp_path / "config.yaml").write_text(to_yaml(with_()))
    assert resumed_folder(tmp_path, with_(writers=3, pool=str(tmp_path / "other"))) == tmp_path
    with pytest.raises(ConfigError, match=r"data\.phantoms\.renew=0\.25.*expected data\.phantoms\.renew=0\.5"):
        resumed_folder(tmp_path, with_(renew=0.25))


def test_a_folder_that_exists_is_refused_and_numbers_go_up(tmp_path: Path) -> None:
    phantoms = config(tmp_path, None, data={"phantoms": {"count": 4, "held_out": 1}}, folds={"store": False})
    first, second = train(phantoms), train(phantoms)
    assert (first.folder.name, second.folder.name) == ("run-001", "run-002")
    with pytest.raises(OutputError, match=r"exists.*--resume"):
        train(phantoms, folder=first.folder)
    with pytest.raises(ConfigError, match="no run to resume"):
        train(phantoms, folder=tmp_path / "absent", resume=True)
    # The same seed gives the same model, whatever the folder.
    one, two = (r.folder / "fold0" / "best.safetensors" for r in (first, second))
    assert one.read_bytes() == two.read_bytes()


def test_a_run_that_failed_before_it_began_leaves_its_folder_free(tmp_path: Path, hands: Path) -> None:
    settings = config(tmp_path, tmp_path / "absent")
    for _ in range(2):
        with pytest.raises(DatasetError, match="no such data set folder"):
            train(settings, folder=tmp_path / "a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["run.log"]
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"exists.*something else"):
        train(settings, folder=tmp_path / "a")


def test_a_leak_in_the_folds_file_is_refused(hands: Path, done: tuple[Path, RunConfig], tmp_path: Path) -> None:
    folds = json.loads((done[0] / "folds.json").read_text())
    folds["subjects"][next(iter(folds["subjects"]))] = 1 - next(iter(folds["subjects"].values()))
    (tmp_path / "folds.json").write_text(json.dumps(folds))
    with pytest.raises(DatasetError, match="edited"):
        train(config(tmp_path, hands, folds={"file": str(tmp_path / "folds.json")}))


def test_a_folds_file_is_kept_with_the_run_that_used_it(
    hands: Path, done: tuple[Path, RunConfig], tmp_path: Path
) -> None:
    from ossa.dataset.folds import Folds, read_folds, write_folds

    file = tmp_path / "folds.json"
    given = read_folds(done[0] / "folds.json")
    write_folds(file, given)
    settings = config(tmp_path, hands, folds={"file": str(file), "run": [1], "store": False})
    run = train(settings).folder
    assert read_folds(run / "folds.json").hash == given.hash
    file.unlink()
    write_folds(file, Folds(given.count, given.seed, {s: 1 - fold for s, fold in given.fold_of.items()}))
    with pytest.raises(DatasetError, match="holds another split"):
        train(settings, folder=run, resume=True)


def test_every_bad_file_is_told_before_training_begins(tmp_path: Path) -> None:
    folder = data.write_competition(tmp_path / "set", subjects=3, size=64, tests=0)
    pictures = sorted((folder / "train" / "DCM").rglob("*.png"))
    labels = sorted((folder / "train" / "outputs_json").rglob("*.json"))
    pictures[0].write_bytes(pictures[0].read_bytes()[:200])
    labels[2].write_text("{")
    labels[4].write_text('{"annotations": 3}')
    told: list[str] = []
    with pytest.raises(DatasetError, match=r"found 3 of 6.*Repair or remove"):
        train(config(tmp_path, folder), tell=told.append)
    for bad in (pictures[0], labels[2], labels[4]):
        (line,) = [line for line in told if bad.name in line]
        assert line.count(str(bad)) == 1
    assert not list((tmp_path / "runs").glob("*/fold*"))


def test_processes_of_a_launcher_need_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    phantoms = config(tmp_path, None, data={"phantoms": {"count": 4, "held_out": 1}})
    with pytest.raises(ConfigError, match=r"one run folder.*--folder"):
        train(phantoms)
    assert not (tmp_path / "runs").exists()


def test_mistakes_are_found_before_a_folder_is_made(tmp_path: Path, hands: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"optimiser": {"name": "AdamWW"}}, "perhaps 'AdamW'"),
        ({"optimiser": {"weight_decy": 1}}, "perhaps 'weight_decay'"),
        ({"scheduler": {"name": "OneCycle"}}, "perhaps 'OneCycleLR'"),
        ({"scheduler": {"pct_strat": 1}}, "perhaps 'pct_start'"),
        ({"loss": {"dise": 1}}, "perhaps 'dice'"),
        ({"data": {"augment": {"rotat": 1}}}, "perhaps 'rotate'"),
        ({"data": {"augment": {"p_flip": 3}}}, "data.augment.p_flip"),
        ({"model": {"architecture": "compakt"}}, "perhaps 'compact'"),
        ({"data": {"phantoms": {"options": {"clutterr": 1}}}}, "perhaps 'clutter'"),
        ({"train": {"precision": "16"}}, "needs a GPU"),
        ({"finetune": {"freeze": ["nothing"]}}, "no parameter's name starts"),
        ({"data": {"datasets": []}}, "nothing to train on"),
    ]
    for changes, said in wrong:
        with pytest.raises(ConfigError) as caught:
            train(config(tmp_path, hands, **changes))
        assert said in str(caught.value), changes
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").glob("*/fold0/last.ckpt"))


def test_epochs_are_counted_from_one_wherever_they_are_read(tmp_path: Path) -> None:
    from ossa.pages.run import read_curves

    phantoms = {"data": {"size": 64, "phantoms": {"count": 4, "held_out": 1}, "datasets": []}}
    run = train(config(tmp_path, None, **phantoms, train={"epochs": 2}, folds={"bundle": True})).folder
    assert {row["epoch"] for row in table(run / "fold0" / "metrics.csv")} == {"1", "2"}
    assert [at for at, _ in read_curves(run / "fold0").get("val/dice")] == [1, 2]
    best = Predictor.load(run / "bundle0").networks.members[0].bundle.card.figures["best_epoch"]
    assert best in (1, 2)
    assert "fold 0 epoch 2/2" in (run / "run.log").read_text()
    assert f"<td>{best}</td>" in (run / "summary.html").read_text()


def test_a_run_with_minutes_ends_in_time_and_says_so(tmp_path: Path, hands: Path) -> None:
    told: list[str] = []
    short = config(tmp_path, hands, train={"epochs": 50, "minutes": 0.001}, folds={"run": [0], "store": False})
    run = train(short, tell=told.append).folder
    assert [row["epoch"] for row in table(run / "fold0" / "metrics.csv") if row.get("val/dice")] == ["1"]
    assert "The time is up (train.minutes): stopped after epoch 1 of 50" in told


def test_two_pictures_of_one_name_are_refused(tmp_path: Path, hands: Path) -> None:
    shutil.copytree(hands, tmp_path / "again")
    twice = config(tmp_path, None)
    both = [{"path": str(hands)}, {"path": str(tmp_path / "again")}]
    twice = check({**dump(twice), "data": {**dump(twice)["data"], "datasets": both}})
    with pytest.raises(ConfigError, match="two pictures are called"):
        train(twice)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/fold*"))


def test_the_closer_look_goes_into_the_bundle(tmp_path: Path) -> None:
    phantoms = {"data": {"size": 64, "phantoms": {"count": 4, "held_out": 2}, "datasets": []}}
    settings = config(tmp_path, None, **phantoms, folds={"bundle": True}, closer={"size": 96})
    (bundle,) = train(settings).bundles
    (closer,) = Predictor.load(bundle).closer
    assert closer.size == 96
    assert closer.bones == tuple(b.name for b in load_schema("hand29").bones if b.row == "carpal")


class TestStages:
    """Runs one after the other, each from the weights of the one before."""

    def settings(self, tmp_path: Path) -> RunConfig:
        phantoms = {"data": {"size": 64, "phantoms": {"count": 4, "held_out": 1}, "datasets": []}}
        still = {"optimiser": {"lr": 1e-12}}  # so that what a stage starts from can be seen in what it ends with
        first, second = {"optimiser.lr": 1e-2}, {"data.size": 96, "seed": 5}
        return config(tmp_path, None, **phantoms, **still, stages=[first, second], folds={"bundle": True})

    def test_each_starts_where_the_one_before_ended_and_a_stopped_run_goes_on(self, tmp_path: Path) -> None:
        settings = self.settings(tmp_path)
        done = train(settings)
        from ossa.models.weights import read_weights

        one, two = (read_weights(done.folder / f"stage{k}" / "fold0" / "best.safetensors") for k in (1, 2))
        torch.testing.assert_close(one["out.weight"], two["out.weight"])
        assert done.bundles == (done.folder / "stage2" / "bundle0",)
        assert not (done.folder / "stage1" / "bundle0").exists()
        own = load_config(done.folder / "stage2" / "config.yaml")
        assert (own.data.size, own.seed, own.stages) == (96, 5, ())
        # Stopped after the first stage, and in the second one before its first checkpoint.
        shutil.rmtree(done.folder / "stage2" / "fold0")
        (done.folder / "stage2" / "summary.html").unlink()
        before = (done.folder / "stage1" / "fold0" / "last.ckpt").stat().st_mtime_ns
        again = train(load_config(done.folder / "config.yaml"), folder=done.folder, resume=True)
        assert (done.folder / "stage1" / "fold0" / "last.ckpt").stat().st_mtime_ns == before
        assert again.dice == done.dice
        same = read_weights(done.folder / "stage2" / "fold0" / "best.safetensors")
        assert all(torch.equal(two[name], same[name]) for name in two)

    def test_a_stage_with_a_wrong_key_is_found_before_any_begins(self, tmp_path: Path) -> None:
        settings = self.settings(tmp_path).model_copy(update={"stages": ({}, {"train.epoks": 3})})
        with pytest.raises(ConfigError, match=r"stage 2: unknown key 'train.epoks', perhaps 'epochs'"):
            train(settings)
        wrong = self.settings(tmp_path).model_copy(update={"stages": ({}, {"loss": {"dise": 1}})})
        with pytest.raises(ConfigError, match="perhaps 'dice'"):
            train(wrong)
        assert not (tmp_path / "runs").exists()

    def test_stages_train_one_fold(self, tmp_path: Path, hands: Path) -> None:
        with pytest.raises(ConfigError, match=r"one fold on one device.*folds\.run"):
            train(config(tmp_path, hands, stages=[{}, {}]))


class TestPseudo:
    """Training on a model's own answers."""

    def test_labels_are_kept_by_confidence_and_never_validated_on(
        self, bright_model: Path, hands: Path, tmp_path: Path
    ) -> None:
        pictures = hands / "test" / "DCM"
        wanted = {"images": [str(pictures)], "models": [str(bright_model)], "floor": 0.5, "min_bones": 1}
        settings = config(tmp_path, hands, pseudo=wanted, folds={"run": [0]})
        run = train(settings).folder
        told = json.loads((run / "pseudo" / "pseudo.json").read_text())
        names = {Path(p["image"]).name for p in told["pictures"]}
        assert names == {p.name for p in pictures.rglob("*.png")}
        assert told["source"]["models"][0]["files"]
        assert told["source"]["floor"] == 0.5
        assert not names & set(Store.open(run / "oof", load_schema()).images())
        assert "pseudo-labelled pictures were trained on, none validated on" in (run / "summary.html").read_text()

    def test_a_run_folder_may_be_relative(
        self, bright_model: Path, hands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As it is by default (runs/)."""
        wanted = {"images": [str(hands / "test")], "models": [str(bright_model)], "floor": 0.5, "min_bones": 1}
        monkeypatch.chdir(tmp_path)
        run = train(config(Path(), hands, pseudo=wanted, folds={"run": [0], "store": False})).folder
        assert not run.is_absolute()
        told = json.loads((run / "pseudo" / "pseudo.json").read_text())
        assert all((run / "pseudo" / picture["label"]).is_file() for picture in told["pictures"])

    def test_a_floor_that_nothing_passes(self, bright_model: Path, hands: Path, tmp_path: Path) -> None:
        wanted = {"images": [str(hands / "test")], "models": [str(bright_model)], "floor": 1.0}
        with pytest.raises(ConfigError, match=r"no picture passes.*Lower pseudo.floor"):
            train(config(tmp_path, hands, pseudo=wanted))


class TestCommandLine:
    """ossa train and ossa config."""

    def test_train_config_and_resume(self, tmp_path: Path) -> None:
        settings = config(tmp_path, None, data={"phantoms": {"count": 4, "held_out": 1}}, folds={"store": False})
        file = tmp_path / "run.json"
        file.write_text(json.dumps(dump(settings)))
        result = CliRunner().invoke(cli, ["train", str(file), "name=cl", "--folder", str(tmp_path / "a")])
        assert result.exit_code == 0, result.output
        assert (tmp_path / "a" / "fold0" / "best.safetensors").exists()
        again = CliRunner().invoke(cli, ["train", "--resume", "-o", str(tmp_path / "a")])
        assert again.exit_code == 0, again.output
        wrong = CliRunner().invoke(cli, ["train", str(file), "train.epoks=3"])
        assert wrong.exit_code == 2
        assert "perhaps 'epochs'" in wrong.output
        assert CliRunner().invoke(cli, ["train"]).exit_code == 2

    def test_config_checks_names_and_arguments(self) -> None:
        for wrong, said in (
            ("optimiser.name=AdamWW", "perhaps 'AdamW'"),
            ("loss={diec: 1}", "perhaps 'dice'"),
            ("closer={bones: [Lunat]}", "Lunate"),
        ):
            result = CliRunner().invoke(cli, ["config", "laptop", wrong])
            assert result.exit_code == 2, result.output
            assert said in result.output

    def test_config_shows_a_recipe_without_fetching_its_weights(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def build(name: str, classes: int, *, imagenet: bool = False, **options: Any) -> Any:
            assert not imagenet
            network: Any = torch.nn.Sequential(torch.nn.Conv2d(1, classes, 1))
            network.multiple, network.stride = 32, 1
            return network

        monkeypatch.setattr("ossa.training.run.build", build)
        result = CliRunner().invoke(cli, ["config", "gpu1024"])
        assert result.exit_code == 0, result.output
        assert "weights: imagenet" in result.output

    def test_config_needs_no_torch(self, tmp_path: Path) -> None:
        """In the core install the keys of a run file are checked, and what they come to is shown."""
        (tmp_path / "sitecustomize.py").write_text(
            "import sys\nfor name in ('torch', 'lightning', 'torchvision', 'timm'):\n    sys.modules[name] = None\n"
        )
        path = os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])
        for override, status, said in (("seed=7", 0, "widths:"), ("train.epoks=1", 2, "perhaps 'epochs'")):
            command = [sys.executable, "-m", "ossa", "config", "laptop", override]
            done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
            assert done.returncode == status, done.stderr
            assert said in done.stdout + done.stderr

    def test_config(self) -> None:
        run = CliRunner().invoke
        assert "train.batch" not in run(cli, ["config", "--explain"]).output
        assert "batch: 8" in run(cli, ["config", "--explain"]).output
        assert run(cli, ["config", "--key", "train.batch"]).output.startswith("train.batch: 8")
        assert "laptop" in run(cli, ["config", "--recipes"]).output
        assert "p_mixup" in run(cli, ["config", "--augment"]).output
        assert "seed: 7" in run(cli, ["config", "laptop", "seed=7"]).output
        assert run(cli, ["config", "--key", "nokey"]).exit_code == 2
        assert run(cli, ["config"]).exit_code == 2
        wrong = run(cli, ["config", "laptop", "data.augment.rotat=3"])
        assert wrong.exit_code == 2
        assert "perhaps 'rotate'" in wrong.output


def test_ctrl_c_exits_130_with_a_checkpoint_and_resumes(tmp_path: Path) -> None:
    import signal
    import time

    settings = config(
        tmp_path, None, data={"phantoms": {"count": 4, "held_out": 1}}, train={"epochs": 500}, folds={"store": False}
    )
    file = tmp_path / "run.json"
    file.write_text(json.dumps(dump(settings)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ossa", "train", str(file), "--folder", str(tmp_path / "a")]
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "a" / "fold0" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert f"Interrupted. Go on with: ossa train --resume --folder {tmp_path / 'a'}" in said
    state = torch.load(checkpoint, weights_only=True)
    assert state["ossa"]["batches"] >= 2
