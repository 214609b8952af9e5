"""Every shipped recipe trains two steps, shrunk by overrides only, to a usable bundle."""

from __future__ import annotations

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
from ossa.config import load_config, recipes  # noqa: E402
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
    "gpu1024": [*SETS, *ENCODER, "folds.bundle=false"],
    "ram-h1200": [*SETS, *ENCODER, "folds.bundle=false"],
    "finetune": [*SETS, "folds.bundle=false"],
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
    state = read_weights(done.folder / "fold0" / "best.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values())
    if config.folds.bundle:
        check_bundle(done.bundles[0], name, tmp_path)
    for file in ("summary.html", "curves.svg", "config.yaml", "provenance.json", "run.log", "oof/store.json"):
        assert (done.folder / file).stat().st_size > 0, file
    assert load_config(done.folder / "config.yaml") == config
