"""Every shipped recipe trains two steps, shrunk by overrides only, to a usable bundle."""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import helpers_dataset as data

torch = pytest.importorskip("torch")
for package in ("lightning", "onnx", "numba"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

from ossa.bundle.bundle import Bundle  # noqa: E402
from ossa.config import load_config, recipes, stage_configs  # noqa: E402
from ossa.models.weights import read_weights  # noqa: E402
from ossa.pipeline.train import train  # noqa: E402

SHRUNK = ["train.epochs=1", "train.samples=4", "train.batch=2", "train.accumulate=1", "train.device=cpu"]
SHRUNK += ["train.precision=32", "data.workers=0", "logging.every=1", "scheduler.warmup=0", "train.threads=1"]
PHANTOMS = ["data.phantoms.count=4", "data.phantoms.held_out=1", "data.size=64"]
COMPACT = ["model.widths=[16, 16, 16, 16, 16]", "model.head=16", "model.depth=1"]
SETS = ["folds.count=2", "folds.run=[0]", "data.size=64"]
ENCODER = ["model.encoder=tu-mobilenetv3_small_050", "model.weights=null"]

#: What makes each recipe small. A recipe that is not here fails the test.
SMALL: dict[str, list[str]] = {
    "laptop": [*PHANTOMS, *COMPACT],
    "default": [*PHANTOMS, *COMPACT, "folds.bundle=false"],
    "shipped": [
        *PHANTOMS,
        *COMPACT,
        "data.phantoms.writers=0",
        "closer={size: 64}",
        "stages=[{data.size: 64}, {data.phantoms.wrists: {share: 0.5, size: 32}, data.phantoms.seed: 9}]",
    ],
    "gpu1024": [*SETS, *ENCODER, "folds.bundle=false"],
    "ram-h1200": [*SETS, *ENCODER, "folds.bundle=false"],
    "finetune": [*SETS, "folds.bundle=false"],
    # It goes on from the shipped weights, which have another shape.
    "consultant": [*PHANTOMS, *COMPACT, "data.phantoms.writers=0", "finetune.model=null"],
    "best2048": [
        "folds.bundle=false",
        *SETS,
        "data.size=256",
        "data.window.size=64",
        "model.weights=null",
        "model.coarse={architecture: compact, widths: [16, 16, 16, 16, 16], head: 16, depth: 1}",
        "model.fine={architecture: unet, encoder: tu-mobilenetv3_small_050}",
    ],
}


def data_set(name: str, folder: Path) -> Path:
    if name == "ram-h1200":
        return data.write_ram_h1200(folder, per_split=2)
    return data.write_competition(folder, subjects=3, size=128, tests=0)


def check_bundle(path: Path, name: str, private: Path) -> None:
    bundle = Bundle.load(path)
    assert bundle.card.training["config"]["name"] == name
    assert str(private) not in (bundle.path / "card.json").read_text()
    with torch.no_grad():
        logits = bundle.torch_module()(torch.zeros(1, 1, 256, 256))
    assert logits.shape == (1, 29, 256 // bundle.card.stride, 256 // bundle.card.stride)
    assert np.isfinite(logits.numpy()).all()


@pytest.mark.parametrize("name", sorted(recipes()))
def test_two_steps_of_every_recipe(name: str, tmp_path: Path) -> None:
    text = recipes()[name]
    if "encoder" in text and find_spec("segmentation_models_pytorch") is None:
        pytest.skip("segmentation_models_pytorch is not installed")
    overrides = [*SHRUNK, f"output={tmp_path / 'runs'}", f"data.cache={tmp_path / 'cache'}", *SMALL[name]]
    if "datasets:" in text:
        overrides.append(f"data.datasets.0.path={data_set(name, tmp_path / 'data')}")
    if name == "finetune":
        start = load_config("laptop", [*SHRUNK, *SMALL["laptop"], f"output={tmp_path / 'first'}", "folds.store=false"])
        before = train(start).bundles[0]
        overrides += [f"finetune.model={before}", *COMPACT]
    config = load_config(name, overrides)
    done = train(config)
    assert done.folder.name == f"{name}-001"
    folder = done.folder / f"stage{len(config.stages)}" if config.stages else done.folder
    state = read_weights(folder / "fold0" / "best.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values())
    if config.folds.bundle:
        check_bundle(done.bundles[0], name, tmp_path)
    for file in ("summary.html", "curves.svg", "config.yaml", "provenance.json", "run.log", "oof/store.json"):
        if folder == done.folder or file != "oof/store.json":
            assert (folder / file).stat().st_size > 0, file
    assert load_config(done.folder / "config.yaml") == config


def test_the_shipped_recipe_has_seven_stages_that_fit() -> None:
    """What its stages change is said with keys that exist; each goes on from the one before."""
    stages = stage_configs(load_config("shipped"))
    assert [s.data.size for s in stages] == [384, 512, 512, 512, 512, 512, 512]
    wrists = [s.data.phantoms.wrists.share if s.data.phantoms and s.data.phantoms.wrists else 0 for s in stages]
    assert wrists == [0, 0, 0, 0.45, 0.65, 0.24, 0.42]
    digits = [s.data.phantoms.digits.share if s.data.phantoms and s.data.phantoms.digits else 0 for s in stages]
    assert digits == [0] * 5 + [0.28, 0.2]
    assert [s.data.phantoms and s.data.phantoms.world for s in stages] == ["flat"] * 5 + ["wide"] * 2
    assert len(stages[-1].closer) == 3
    rates = [s.optimiser.lr for s in stages]
    assert rates == [2.5e-3, 1.2e-3, 8e-4, 1.5e-3, 8e-4, 8e-4, 4e-4]
    assert [s.folds.bundle for s in stages] == [False] * 6 + [True]
    steps = [s.train.epochs * (s.train.samples or 0) // s.train.batch for s in stages]
    assert steps == [3600, 2000, 600, 4200, 1000, 960, 720]
    seeds = []
    for stage in stages:
        phantoms = stage.data.phantoms
        assert phantoms is not None
        last = phantoms.seed + phantoms.count * (1 + stage.train.epochs)
        seeds.append((phantoms.seed, last))
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(seeds))
