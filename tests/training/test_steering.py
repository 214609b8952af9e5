"""What steers a training: the monitored figure, weights of bones, hard examples, SWA, SAM, levels, recomputing."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

import helpers_training as tiny  # noqa: E402
from ossa.config import Sam, check  # noqa: E402
from ossa.errors import ConfigError, SchemaError, TrainingError  # noqa: E402
from ossa.models.architectures import build  # noqa: E402
from ossa.training.losses import WeightedLoss  # noqa: E402
from ossa.training.objective import bone_weights, hardest  # noqa: E402

NARROW: dict[str, Any] = {"widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1}


class TestMonitor:
    """Which epoch is best."""

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"train": {"monitor": "val/dyce"}}, "'val/dyce' is never logged; expected perhaps 'val/dice'"),
            ({"train": {"monitor": "val/dice/Pisiforn"}}, "perhaps 'val/dice/Pisiform'"),
            ({"train": {"monitor": "train/focal"}}, "is never logged"),
            ({"train": {"monitor": "train/deep"}}, "is never logged"),
            ({"train": {"monitor": "val/loss"}}, "only logged with validation_loss=true"),
        ],
    )
    def test_a_figure_that_is_never_logged_is_refused_before_anything_runs(
        self, changes: dict[str, Any], words: str
    ) -> None:
        from ossa.pipeline.train import check_early

        with pytest.raises(ConfigError, match=words):
            check_early(tiny.tiny_config(**changes), tiny.schema())

    def test_so_is_a_bone_that_no_held_out_picture_has(self, tmp_path: Path) -> None:
        config = tiny.tiny_config(train={"monitor": "val/dice/Pisiform"})
        with pytest.raises(ConfigError, match=r"never logged; found no held-out picture that annotates 'Pisi"):
            tiny.train(config, tmp_path)

    def test_one_that_an_epoch_lacks_stops_the_run(self, tmp_path: Path) -> None:
        from ossa.training.callbacks import Keeper

        keeper, trainer = Keeper(tmp_path, monitor="x"), type("T", (), {"callback_metrics": {"val/dice": 1.0}})()
        with pytest.raises(TrainingError, match="'x' was not logged; found val/dice"):
            keeper._score(trainer)

    def test_the_least_loss_is_best_and_the_dice_told_is_that_epochs(self, tmp_path: Path) -> None:
        train = {"epochs": 3, "validation_loss": True, "monitor": "val/loss", "precision": "32"}
        done = tiny.train(tiny.tiny_config(train=train, optimiser={"lr": 0.02}), tmp_path)
        rows = {}
        for row in csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()):
            if row["val/loss"]:
                rows[int(row["epoch"])] = float(row["val/loss"]), float(row["val/dice"])
        assert len(rows) == 3
        assert done.epoch == min(rows, key=lambda epoch: rows[epoch][0])
        assert done.dice == pytest.approx(rows[done.epoch][1], abs=1e-6)

    def test_the_validation_loss_is_the_loss_of_the_held_out_pictures(self) -> None:
        from ossa.training.batches import BoneData, make_batch
        from ossa.training.material import Checks

        data = BoneData(tiny.Boxes(2), tiny.schema(), tiny.SIZE)
        checks = Checks(tiny.Boxes(2), tiny.SIZE, 32, data)
        batch = make_batch(data, [(0, 0, 0), (0, 1, 1)])
        for n in range(2):
            one = checks[n]
            assert one.bits is not None
            assert torch.equal(one.bits, batch.bits[n])
            assert torch.allclose(one.image, batch.inputs()[n], atol=1e-5)

    def test_thresholds(self) -> None:
        from ossa.training.module import thresholds_of

        found = thresholds_of(tiny.tiny_config(train={"threshold": {"Ulna": 0.3, "*": 0.4}}), tiny.schema())
        assert (found["Ulna"], found["Radius"]) == (0.3, 0.4)
        with pytest.raises(ConfigError, match="out of range"):
            thresholds_of(tiny.tiny_config(train={"threshold": 1.0}), tiny.schema())


class TestBoneWeights:
    """Bones count as much as they are said to."""

    def test_a_bone_goes_before_its_row_and_wrong_names_are_told(self) -> None:
        weights = bone_weights(tiny.schema(), {"Pisiform": 3, "carpal": 2})
        assert weights is not None
        assert float(weights[tiny.schema().index("Pisiform")]) == 3
        assert float(weights.sum()) == 29 + 7 * 1 + 2
        assert bone_weights(tiny.schema(), {"Pisiform": 1}) is None
        with pytest.raises(SchemaError, match="Pisiform"):
            bone_weights(tiny.schema(), {"Pisiforn": 2})

    @pytest.mark.parametrize("name", ["bce", "dice", "dice_per_image", "iou", "focal", "tversky", "lovasz"])
    def test_the_loss_is_the_weighted_mean_of_the_bones_own(self, name: str) -> None:
        torch.manual_seed(0)
        logits, target = torch.randn(2, 3, 8, 8), (torch.rand(2, 3, 8, 8) > 0.6).float()
        weights = torch.tensor([1.0, 0.0, 3.0])
        own = [float(WeightedLoss({name: 1.0})(logits[:, [c]], target[:, [c]])[0]) for c in range(3)]
        whole = float(WeightedLoss({name: 1.0}, weights)(logits, target)[0])
        assert whole == pytest.approx((own[0] + 3 * own[2]) / 4, rel=1e-5)
        same = float(WeightedLoss({name: 1.0}, torch.ones(3))(logits, target)[0])
        assert same == pytest.approx(float(WeightedLoss({name: 1.0})(logits, target)[0]), rel=1e-6)

    def test_a_loss_that_sorts_all_bones_together_cannot_weigh_them(self) -> None:
        with pytest.raises(ConfigError, match="cannot weigh"):
            WeightedLoss({"lovasz": {"over": "batch"}}, torch.tensor([1.0, 2.0]))


def test_the_hardest_bones_stay() -> None:
    target = torch.zeros(2, 2, 4, 4)
    target[:, :, :2] = 1
    logits = (target * 2 - 1) * torch.tensor([[9.0, 1.0], [-9.0, 3.0]])[:, :, None, None]
    known = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    assert hardest(logits, target, known, 0.5).tolist() == [[0, 1], [1, 0]]
    assert hardest(logits, target, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), 0.5).tolist() == [[1, 0], [0, 0]]


def test_swa_is_the_mean_of_the_last_epochs_weights(tmp_path: Path) -> None:
    train = {"epochs": 4, "swa": {"start": 0.5, "lr": 0.003}, "save_every": 1, "precision": "32"}
    done = tiny.train(tiny.tiny_config(train=train, optimiser={"lr": 0.01}), tmp_path)
    states = [torch.load(tmp_path / f"epoch-{n:04d}.ckpt", weights_only=True) for n in (3, 4)]
    assert all(state["optimizer_states"][0]["param_groups"][0]["lr"] == 0.003 for state in states)
    kept = states[1]["callbacks"]["Average"]["mean"]
    for name, value in kept.items():
        if value.is_floating_point():
            one, two = (state["state_dict"][f"network.{name}"] for state in states)
            assert torch.allclose(value, (one + two) / 2, atol=1e-6), name
    assert done.epoch >= 1


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_sharp_gradient_is_that_of_the_worst_place_near(adaptive: bool) -> None:
    """For sum(a w^2) / 2 the gradient is a w; at w + e it is a (w + e)."""
    from ossa.training.sharpness import sharp

    w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    a = torch.tensor([3.0, 0.5])
    optimiser = torch.optim.SGD([w], 0.1)

    def closure() -> float:
        optimiser.zero_grad()
        loss = (a * w**2).sum() / 2
        loss.backward()
        return float(loss.detach())

    told = sharp(closure, optimiser, torch.nn.BatchNorm2d(1), Sam(rho=0.1, adaptive=adaptive))
    assert told == pytest.approx(2.5)
    assert w.tolist() == [1.0, -2.0]
    g = torch.tensor([3.0, -1.0])
    s = torch.tensor([1.0, 2.0]) if adaptive else torch.ones(2)
    e = 0.1 * s * s * g / (s * g).norm()
    assert torch.allclose(w.grad, a * (torch.tensor([1.0, -2.0]) + e), rtol=1e-5)


@pytest.mark.parametrize("name", ["compact", "unet", "segformer_b0"])
def test_what_is_computed_twice_gives_the_same_gradients_and_statistics(name: str) -> None:
    from ossa.training.recompute import keep_all, recompute

    kinds: dict[str, dict[str, Any]] = {"compact": NARROW, "unet": {"encoder": "tu-mobilenetv3_small_050"}}
    options = kinds.get(name, {})
    library = {"unet": "segmentation_models_pytorch", "segformer_b0": "transformers"}.get(name, "torch")
    if find_spec(library) is None:  # not imported here: that is build's, which knows a torchvision beside another torch
        pytest.skip(f"{library} is not installed")
    if name == "segformer_b0":
        options = {"hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 1, 2, 2], "decoder_hidden_size": 16}
    image = torch.randn(2, 1, 64, 64)
    results = []
    for twice in (False, True):
        torch.manual_seed(3)
        network = build(name, 3, **options).train()
        chosen = recompute(network) if twice else []
        assert bool(chosen) == twice
        torch.manual_seed(5)
        network(image).square().mean().backward()
        keep_all(network)
        grads = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
        results.append({**grads, **{n: b.clone() for n, b in network.named_buffers()}})
    assert results[0].keys() == results[1].keys()
    for key, value in results[0].items():
        assert torch.equal(value, results[1][key]), key


class TestLevels:
    """Deep supervision."""

    def test_the_decoders_levels_are_found(self) -> None:
        from ossa.training.levels import levels_of

        network = build("compact", 3, **NARROW)
        assert levels_of(network) == [("up4", 16, 4), ("up8", 16, 8), ("up16", 16, 16)]
        assert levels_of(network, ["down32", "up8"]) == [("up8", 16, 8), ("down32", 16, 32)]
        with pytest.raises(ConfigError, match=r"'up7' is no module.*up8"):
            levels_of(network, ["up7"])

    def test_those_of_other_libraries_too(self) -> None:
        pytest.importorskip("segmentation_models_pytorch")
        from ossa.training.levels import levels_of

        unet = build("unet", 3, encoder="tu-mobilenetv3_small_050")
        assert [stride for _, _, stride in levels_of(unet)] == [2, 4, 8, 16]
        flat = build("fcn_resnet50", 3)
        with pytest.raises(ConfigError, match="no decoder levels"):
            levels_of(flat)

    def test_their_loss_is_added_with_falling_weights(self) -> None:
        from ossa.training.batches import BoneData, make_batch
        from ossa.training.objective import Objective

        config = check({"train": {"deep_supervision": {"weight": 0.8}}, "loss": {"bce": 1.0}, "model": tiny.TINY})
        network: Any = build("compact", 29, **NARROW)
        objective = Objective(network, config, tiny.schema())
        assert objective.levels is not None
        for head in [network.out, *objective.levels.heads]:
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)
        batch = make_batch(BoneData(tiny.Boxes(2), tiny.schema(), 64), [(0, 0, 0), (0, 1, 1)])
        total, parts = objective(network, network, batch, batch.inputs())
        half = float(torch.tensor(2.0).log())  # what not knowing costs, at every level
        assert float(parts["bce"]) == pytest.approx(half, rel=1e-5)
        assert float(total.detach()) == pytest.approx(half * (1 + 0.8 + 0.4 + 0.2), rel=1e-5)


def test_a_grid_for_the_loss_and_teachers() -> None:
    """A model that is its own teacher has nothing to learn from it, and its loss is taken where it is asked to be."""
    from ossa.bundle.bundle import Bundle
    from ossa.training.batches import BoneData, make_batch
    from ossa.training.objective import Objective

    config = check({"train": {"loss_stride": 8}, "distil": {"models": ["default"], "share": 1.0, "temperature": 2}})
    network = Bundle.load().torch_module()
    objective = Objective(network, config, tiny.schema())
    assert not list(objective.parameters())
    batch = make_batch(BoneData(tiny.Boxes(2), tiny.schema(), 64), [(0, 0, 0), (0, 1, 1)])
    seen: list[tuple[int, ...]] = []

    def run(x: Any) -> Any:
        seen.append(x.shape)
        return network(x)

    total, parts = objective(run, network, batch, batch.inputs())
    assert seen == [(2, 1, 64, 64)]
    logits = torch.nn.functional.interpolate(network(batch.inputs()), size=(8, 8), mode="bilinear") / 2
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, logits.sigmoid()) * 4
    assert float(total.detach()) == pytest.approx(float(entropy.detach()), rel=1e-4)
    assert float(parts["distil"]) == pytest.approx(float(entropy.detach()), rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": {"sam": {}, "accumulate": 2}}, "needs accumulate=1"),
        ({"train": {"deep_supervision": {}, "compile": True}}, "compile=false"),
        ({"data": {"window": {"size": 64}, "size": 128}, "model": {"architecture": "context"},
          "train": {"hard_share": 0.5}}, "need whole pictures"),
        ({"distil": {"models": []}}, "distil.models"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check(changes)
