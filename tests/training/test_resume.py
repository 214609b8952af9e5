"""A run that was killed and resumed ends with the weights of one that was not, bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

import helpers_training as tiny  # noqa: E402
from ossa.config import RunConfig, dump  # noqa: E402
from ossa.errors import InputError, TrainingError  # noqa: E402

#: Everything that carries state from step to step, in two runs.
FULL: dict[str, Any] = {
    "train": {"ema": 0.9, "accumulate": 2, "epochs": 4},
    "data": {"augment": {"p_mixup": 0.7}},
    "optimiser": {"name": "Adam", "amsgrad": True, "lr": 0.01},
    "scheduler": {"name": "ReduceLROnPlateau", "patience": 0, "warmup": 2},
}
SIMPLE: dict[str, Any] = {"optimiser": {"name": "SGD", "lr": 0.05, "momentum": 0.9}, "train": {"precision": "bf16"}}
#: Everything that steers a training, in one run; SAM needs a step per batch.
STEERED: dict[str, Any] = {
    "train": {
        "ema": 0.9,
        "epochs": 4,
        "swa": {"start": 0.25, "lr": 0.004},
        "sam": {"rho": 0.05},
        "precision": "32",
        "validation_loss": True,
        "monitor": "val/loss",
        "threshold": {"*": 0.4},
        "hard_share": 0.5,
        "bone_weights": {"carpal": 2.0},
        "loss_stride": 4,
        "deep_supervision": {},
        "checkpoint_gradients": True,
    },
    "distil": {"models": ["default"], "share": 0.3},
    "data": {
        "augment": {
            "p_mixup": 0.2,
            "p_cutmix": 0.5,
            "p_copy_paste": 1,
            "p_crop": 0.5,
            "p_elastic": 0.5,
            "p_perspective": 0.5,
            "p_low_resolution": 0.5,
        }
    },
    "optimiser": {"lr": 0.01},
    "scheduler": {"name": "ReduceLROnPlateau", "patience": 0},
}


def child(config: RunConfig, folder: Path, mode: str) -> Any:
    """The exit status of a process of helpers_training; with "matrix" what it printed."""
    source = Path(tiny.__file__)
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.parent / "config.json"
    file.write_text(json.dumps(dump(config)))
    path = os.pathsep.join([*(p for p in sys.path if p), str(source.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(source), str(file), str(folder), mode], env=environment, capture_output=True, text=True
    )
    if done.returncode not in (0, 130, -9):
        raise AssertionError(done.stderr)
    return done.stdout if mode == "matrix" else done.returncode


def check_phantoms(values: dict[str, Any]) -> Any:
    from ossa.config import PhantomKeys

    return PhantomKeys.model_validate(values)


def same(one: Any, two: Any, path: str = "") -> None:
    """Every number in two checkpoints is the same."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, two), path
    elif isinstance(one, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            same(one[key], two[key], f"{path}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(two), path
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            same(a, b, f"{path}/{i}")
    else:
        assert one == two or one != one, path


def compare(one: Path, two: Path) -> None:
    a, b = tiny.last_state(one), tiny.last_state(two)
    for key in ("state_dict", "optimizer_states", "callbacks", "ossa", "epoch", "global_step"):
        same(a[key], b[key], key)
    from ossa.models.weights import read_weights

    same(read_weights(one / "best.safetensors"), read_weights(two / "best.safetensors"), "best")
    assert (one / "metrics.csv").read_text() == (two / "metrics.csv").read_text()
    assert names_in(one) == names_in(two)


def names_in(folder: Path) -> list[str]:
    """What a run leaves; TensorBoard's files tell when it was begun."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("changes", "batch"), [(FULL, 7), (SIMPLE, 4), (STEERED, 7)], ids=["everything", "bf16", "steered"]
)
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, changes: dict[str, Any], batch: int) -> None:
    config = tiny.tiny_config(**changes)
    tiny.train(config, tmp_path / "whole")
    assert child(config, tmp_path / "killed", f"kill:{batch}") == -9
    tiny.train(config, tmp_path / "killed", resume=True)
    compare(tmp_path / "whole", tmp_path / "killed")


def test_killed_between_any_two_files_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    """What says that an epoch is done is written last: the Dice told is that of the weights that are there."""
    plan = {"epochs": 3, "ema": 0.9, "save_every": 2}
    config = tiny.tiny_config(train=plan, loss={"bce": 5.0, "dice": 1.0}, optimiser={"lr": 0.02})
    lines = child(config, tmp_path, "matrix")
    told = {name: result for name, *result in map(json.loads, lines.splitlines())}
    kills = len(told) - 2  # all but the whole run and the one that was not reached
    files = {path.name for path in (tmp_path / "whole").iterdir()}
    assert {"last.ckpt", "best.ckpt", "best.safetensors", "epoch-0002.ckpt"} <= files
    assert kills >= 3 * 1 + 2 + 1  # a last.ckpt per epoch, one best at least, one of save_every
    for number in range(1, kills + 2):
        assert str(told[str(number)]) == str(told["whole"]), f"killed before file {number}"  # as text: NaN equals NaN
        compare(tmp_path / "whole", tmp_path / str(number))


@pytest.mark.parametrize(("batch", "monitor"), [(4, "val/dice"), (5, "val/dice"), (4, "train/loss")])
def test_interrupted_anywhere_and_resumed_equals_uninterrupted(tmp_path: Path, batch: int, monitor: str) -> None:
    """Batch 5 is the last of an epoch. A training loss is the mean of the whole epoch, not of what was left of it."""
    config = tiny.tiny_config(**FULL, logging={"every": 2})
    train = {"epochs": 3, "accumulate": 1, "monitor": monitor}
    config = config.model_copy(update={"train": config.train.model_copy(update=train)})
    tiny.train(config, tmp_path / "whole")
    assert child(config, tmp_path / "left", f"interrupt:{batch}") == 130
    assert tiny.last_state(tmp_path / "left")["ossa"]["batches"] == batch + 1
    tiny.train(config, tmp_path / "left", resume=True)
    compare(tmp_path / "whole", tmp_path / "left")


def test_a_run_with_renewed_phantoms_resumes_exactly(tmp_path: Path) -> None:
    """With writers and without, hands and wrists in batches of their own, killed in the second epoch."""
    pytest.importorskip("numba")
    phantoms = {"count": 6, "held_out": 2, "renew": 0.5, "writers": 1, "wrists": {"share": 0.5, "size": 32}}
    train = {"epochs": 3, "samples": 8, "batch": 2}
    config = tiny.tiny_config(data={"phantoms": phantoms}, train=train, output=str(tmp_path / "runs"))
    tiny.train(config, tmp_path / "whole", material=tiny.phantom_material(config))
    bare = {**phantoms, "pool": str(tmp_path / "other"), "writers": 0}
    own = config.model_copy(update={"data": config.data.model_copy(update={"phantoms": check_phantoms(bare)})})
    assert child(own, tmp_path / "killed", "kill:5") == -9
    tiny.train(own, tmp_path / "killed", resume=True, material=tiny.phantom_material(own))
    compare(tmp_path / "whole", tmp_path / "killed")


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    config = tiny.tiny_config(**FULL)
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 1000)  # what ran before must not matter
        tiny.train(config, tmp_path / name)
    compare(tmp_path / "a", tmp_path / "b")
    other = tiny.train(config.model_copy(update={"seed": 2}), tmp_path / "c")
    first = tiny.last_state(tmp_path / "a")["state_dict"]["network.out.weight"]
    assert not torch.equal(first, other.network.state_dict()["out.weight"])


def test_a_finished_run_resumed_changes_nothing(tmp_path: Path) -> None:
    config = tiny.tiny_config()
    first = tiny.train(config, tmp_path / "a")
    left, table = names_in(tmp_path / "a"), (tmp_path / "a" / "metrics.csv").read_bytes()
    again = tiny.train(config, tmp_path / "a", resume=True)
    assert (names_in(tmp_path / "a"), (tmp_path / "a" / "metrics.csv").read_bytes()) == (left, table)
    assert again.dice == first.dice
    same(first.network.state_dict(), again.network.state_dict())


def test_a_run_that_goes_on_from_an_earlier_checkpoint_tells_every_step_once(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = tiny.tiny_config(train={"save_every": 1})
    tiny.train(config, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "back")
    shutil.copyfile(tmp_path / "back" / "epoch-0001.ckpt", tmp_path / "back" / "last.ckpt")
    tiny.train(config, tmp_path / "back", resume=True)
    compare(tmp_path / "whole", tmp_path / "back")

    def steps(folder: Path) -> list[int]:
        found = events.EventAccumulator(str(folder / "tensorboard"))
        return [event.step for event in found.Reload().Scalars("train/loss_step")]

    assert steps(tmp_path / "back") == steps(tmp_path / "whole") == list(range(9))


def test_a_run_that_had_stopped_early_stays_stopped_and_keeps_its_figures(tmp_path: Path) -> None:
    config = tiny.tiny_config(
        train={"epochs": 50, "early_stop": {"patience": 2, "min_delta": 2.0}}, optimiser={"lr": 1e-9}
    )
    first = tiny.train(config, tmp_path / "a")
    before = (tmp_path / "a" / "last.ckpt").read_bytes()
    again = tiny.train(config, tmp_path / "a", resume=True)
    assert (tmp_path / "a" / "last.ckpt").read_bytes() == before
    assert again.stopped_early
    same(first.network.state_dict(), again.network.state_dict())
    same(first.per_bone, again.per_bone)
    known = [value for value in again.per_bone.values() if value == value]
    assert sum(known) / len(known) == pytest.approx(again.dice, abs=1e-6)


class TestWrongCheckpoints:
    """What must not be resumed from."""

    def test_another_network_and_another_schema(self, tmp_path: Path) -> None:
        tiny.train(tiny.tiny_config(train={"epochs": 1}), tmp_path / "a")
        wider = tiny.tiny_config(model={**tiny.TINY, "head": 12}, train={"epochs": 2})
        with pytest.raises(TrainingError, match="another network"):
            tiny.train(wider, tmp_path / "a", resume=True)
        state = tiny.last_state(tmp_path / "a")
        state["ossa"]["bones"] = state["ossa"]["bones"][:-1]
        torch.save(state, tmp_path / "a" / "last.ckpt")
        with pytest.raises(TrainingError, match="another bone schema"):
            tiny.train(tiny.tiny_config(train={"epochs": 2}), tmp_path / "a", resume=True)

    @pytest.mark.parametrize("damage", ["cut", "pickle", "empty"])
    def test_a_damaged_or_hostile_file(self, tmp_path: Path, damage: str) -> None:
        folder = tmp_path / "a"
        folder.mkdir()
        file = folder / "last.ckpt"
        if damage == "pickle":
            torch.save({"ossa": Path("x")}, file)
        else:
            torch.save({"a": torch.zeros(1000)}, file)
            file.write_bytes(file.read_bytes()[: 0 if damage == "empty" else 700])
        with pytest.raises(InputError, match="cannot be read"):
            tiny.train(tiny.tiny_config(), folder, resume=True)
