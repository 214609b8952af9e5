"""Ways a fold's training can end: well, with a number that is none, without memory, without a device."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

import helpers_training as tiny  # noqa: E402
from ossa.config import check  # noqa: E402
from ossa.errors import BundleError, ConfigError, DeviceError, TrainingError  # noqa: E402
from ossa.models.weights import read_weights  # noqa: E402


def test_it_learns_and_validates_at_full_size(tmp_path: Path) -> None:
    config = tiny.tiny_config(
        data={"augment": {"p_affine": 0, "p_flip": 0, "p_bend": 0, "p_mixup": 0}},
        train={"epochs": 14, "ema": 0.9, "batch": 6, "samples": 60, "precision": "32"},
        loss={"bce": 5.0, "dice": 1.0},
        optimiser={"lr": 0.02},
    )
    result = tiny.train(config, tmp_path, material=tiny.material(tiny.Boxes(60)))
    assert result.dice > 0.8
    assert {n for n, v in result.per_bone.items() if v == v} == set(tiny.schema().names[:3])
    for name in ("last.ckpt", "best.ckpt", "best.safetensors", "metrics.csv", "tensorboard"):
        assert (tmp_path / name).exists()
    # What is taken away is what was validated: the same Dice again, from the file.
    from ossa.segmentation.compare import dice
    from ossa.segmentation.decode import decode
    from ossa.training.material import Checks
    from ossa.training.run import make_network

    network = make_network(config, tiny.schema()).eval()
    network.load_state_dict(read_weights(tmp_path / "best.safetensors"))
    checks = Checks(tiny.Boxes(3, first=1000), tiny.SIZE, 32)
    scores = []
    for i in range(3):
        check = checks[i]
        with torch.no_grad():
            found = decode(network(check.image[None])[0].numpy(), check.placement, tiny.schema())
        scores += [dice(found.get(n), check.truth.get(n)) for n in check.annotated]
    assert np.mean(scores) == pytest.approx(result.dice, abs=1e-6)


def test_early_stopping(tmp_path: Path) -> None:
    config = tiny.tiny_config(
        train={"epochs": 50, "early_stop": {"patience": 2, "min_delta": 2.0}}, optimiser={"lr": 1e-9}
    )
    result = tiny.train(config, tmp_path)
    assert result.stopped_early
    assert len(tiny.last_state(tmp_path)["ossa"]) > 0
    assert tiny.last_state(tmp_path)["epoch"] == 2


def test_a_loss_that_is_no_number_names_the_batch_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    from ossa.training._lightning import Callback

    class Poison(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if pl_module.batches == 4:
                with torch.no_grad():
                    pl_module.network.out.bias.fill_(float("nan"))

    with pytest.raises(TrainingError, match=r"batch 4 \(epoch 2, batch 1 of it\).*samples box \d+") as caught:
        tiny.train(tiny.tiny_config(), tmp_path, callbacks=[Poison()])
    assert "optimiser.lr" in str(caught.value)
    state = tiny.last_state(tmp_path)
    assert state["ossa"]["batches"] == 3
    assert all(torch.isfinite(v).all() for v in state["state_dict"].values())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("half", [True, False])
def test_out_of_memory_says_what_to_lower(
    tmp_path: Path, error: Exception, half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bf16 where the device has units for it."""
    monkeypatch.setattr("ossa.training.run.has_bf16", lambda device: half)
    from ossa.training._lightning import Callback

    class Full(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            raise error

    bf16 = "train.precision=bf16; " if half else ""
    said = rf"train\.batch=2 with train\.accumulate=2 \(the same result, slower\); {bf16}data\.size"
    with pytest.raises(DeviceError, match=said):
        tiny.train(tiny.tiny_config(train={"precision": "32"}), tmp_path, callbacks=[Full()])


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match=r"train\.device=cpu"):
        tiny.train(tiny.tiny_config(train={"device": "gpu"}), tmp_path)


def test_a_schedule_that_watches_dice_counts_validations_not_epochs(tmp_path: Path) -> None:
    """Five epochs with one validation: without a second one, nothing can have failed to improve."""
    plateau = {"name": "ReduceLROnPlateau", "patience": 0}
    train = {"epochs": 5, "validate_every": 4}
    config = tiny.tiny_config(scheduler=plateau, train=train, optimiser={"lr": 0.01})
    tiny.train(config, tmp_path)
    inner = tiny.last_state(tmp_path)["ossa"]["schedule"]["scheduler"]
    assert inner["last_epoch"] == 1
    assert tiny.last_state(tmp_path)["optimizer_states"][0]["param_groups"][0]["lr"] == 0.01


def test_every_device_needs_a_picture_to_validate_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"3 pictures, 4 devices.*train\.devices"):
        tiny.train(tiny.tiny_config(train={"devices": 4}), tmp_path)


def test_batches_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fewer samples than one batch.*Lower train\.batch"):
        tiny.train(tiny.tiny_config(train={"batch": 64}), tmp_path)


class TestFineTuning:
    """Starting from a trained model."""

    def test_starts_from_the_file_and_keeps_what_is_frozen(self, tmp_path: Path) -> None:
        first = tiny.train(tiny.tiny_config(), tmp_path / "a")
        best = tmp_path / "a" / "best.safetensors"
        config = tiny.tiny_config(finetune={"model": str(best), "freeze": ["stem", "down4"]}, train={"epochs": 1})
        second = tiny.train(config, tmp_path / "b")
        old, new = first.network.state_dict(), second.network.state_dict()
        for name, _ in first.network.named_parameters():
            assert torch.equal(old[name], new[name]) == name.startswith(("stem", "down4")), name

    def test_another_network_is_refused_unless_asked_for_what_fits(self, tmp_path: Path) -> None:
        tiny.train(tiny.tiny_config(train={"epochs": 1}), tmp_path / "a")
        best = str(tmp_path / "a" / "best.safetensors")
        wider = {**tiny.TINY, "head": 24}
        with pytest.raises(BundleError, match=r"matching_only"):
            tiny.train(tiny.tiny_config(model=wider, finetune={"model": best}), tmp_path / "b")
        config = tiny.tiny_config(
            model=wider, finetune={"model": best, "matching_only": True}, train={"epochs": 1}, optimiser={"lr": 1e-12}
        )
        done = tiny.train(config, tmp_path / "c")
        assert torch.allclose(
            read_weights(best)["stem.0.weight"], done.network.state_dict()["stem.0.weight"], atol=1e-6
        )


def test_windows_with_whole_hand_context(tmp_path: Path) -> None:
    part = {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1}
    config = tiny.tiny_config(
        model={"architecture": "context", "coarse": part, "fine": part, "scale": 2},
        data={"size": 64, "window": {"size": 64, "per_image": 2}},
        train={"epochs": 1},
    )
    # model's own keys of the compact network do not belong to context.
    values = config.model.arguments()
    for key in ("widths", "head", "depth"):
        values.pop(key, None)
    config = config.model_copy(update={"model": type(config.model)(architecture="context", **values)})
    result = tiny.train(config, tmp_path)
    assert np.isfinite(result.dice)


def test_the_coarse_part_is_trained_towards_the_truth_too() -> None:
    """Its loss is added, at its weight, to the windows'."""
    from ossa.models.architectures import build
    from ossa.training.batches import BoneData, make_batch
    from ossa.training.module import TrainingModule

    part = {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1}
    model: dict[str, Any] = {"coarse": part, "fine": part, "scale": 2}
    values = {"model": {"architecture": "context", **model}, "data": {"size": 64, "window": {"size": 64}}}
    config = check({**values, "loss": {"bce": 1.0}, "train": {"device": "cpu"}})
    network = build("context", 29, **model)
    module = TrainingModule(network, config, tiny.schema(), 1)
    batch = make_batch(BoneData(tiny.Boxes(2), tiny.schema(), 64), [(0, 0, 0), (0, 1, 1)])
    torch.manual_seed(0)
    total, parts = module._windows(batch.inputs(), batch)
    assert float(parts["coarse"]) > 0
    assert float(total.detach()) == pytest.approx(float(parts["bce"]) + 0.4 * float(parts["coarse"]), rel=1e-5)
    before = float(parts["coarse"])
    optimiser = torch.optim.SGD(network.get_submodule("coarse").parameters(), 0.05)
    total.backward()
    optimiser.step()
    torch.manual_seed(0)
    assert float(module._windows(batch.inputs(), batch)[1]["coarse"]) < before


def test_a_new_head_starts_at_the_shares_of_the_training_pictures() -> None:
    """Boxes of 14 x 18 px on 64 x 64 are the first three bones; what nobody annotates gets their mean."""
    from ossa.training.run import first_shares, make_network, planned

    config = tiny.tiny_config()
    material = tiny.material()
    data, _ = planned(config, tiny.schema(), material)
    shares = first_shares(config, data, material)
    assert shares is not None
    assert torch.allclose(shares, torch.full((29,), 14 * 18 / 64**2), rtol=1e-6)
    network: Any = make_network(config, tiny.schema(), shares)
    assert torch.allclose(network.out.bias.sigmoid(), shares, rtol=1e-5)
    off = tiny.tiny_config(model={"prior": False})
    assert first_shares(off, data, material) is None
    assert first_shares(tiny.tiny_config(finetune={"model": "default"}), data, material) is None


@pytest.mark.parametrize("share", [0.1, 1 / 3, 1.0])
def test_a_rise_of_one_step_is_no_crash(share: float) -> None:
    """OneCycleLR divides by the steps of the rise less one."""
    from ossa.training.optim import make_schedule

    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    steps = max(2, round(1 / share))
    schedule = make_schedule("OneCycleLR", {"pct_start": share}, optimiser, steps=steps, epochs=1)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.after_step()
    assert rates.index(max(rates)) == round(share * steps) - 1  # where torch has it for any other share
    assert max(rates) == pytest.approx(1.0, rel=1e-4)
    assert all(rate > 0 for rate in rates)


def test_wandb_offline_logs_without_a_network(tmp_path: Path) -> None:
    if find_spec("wandb") is None:
        pytest.skip("wandb is not installed")
    config = tiny.tiny_config(logging={"wandb": "offline"}, train={"epochs": 1})
    for fold in (0, 1):
        tiny.train(config, tmp_path / f"fold{fold}", fold=fold)
        # A run of its own for every fold.
        assert list((tmp_path / f"fold{fold}").rglob("offline-run-*"))


class TestWindows:
    """Where windows are cut."""

    def test_windows_lie_inside_and_near_bones(self) -> None:
        from ossa.training.module import window_corners

        bits = torch.zeros(2, 1, 128, 160, dtype=torch.int32)
        bits[0, 0, 100:110, 140:150] = 4
        torch.manual_seed(0)
        corners = window_corners(bits, 64, 50, 2)
        assert corners.shape == (2, 50, 2)
        assert (corners >= 0).all()
        assert (corners[..., 0] <= 128 - 64).all()
        assert (corners[..., 1] <= 160 - 64).all()
        assert (corners % 2 == 0).all()
        tops, lefts = corners[0, :, 0], corners[0, :, 1]
        assert ((tops < 110) & (tops + 64 > 100) & (lefts < 150) & (lefts + 64 > 140)).all()
