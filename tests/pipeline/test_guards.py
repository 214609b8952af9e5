"""Every command that reads and writes: an output that is an input, under whatever name, is refused; nothing changes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers_dataset import SCHEMA, write_competition
from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.labels.store import Store
from ossa.labels.submission import write_submission
from ossa.radiograph.prepare import Placement

SIZE = 96


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A data set, a folder of predictions, a store of probabilities, and links to what is in them."""
    root = tmp_path / "in"
    write_competition(root / "set", subjects=2, size=SIZE)
    rows = [(case.id, case.segmentation(SCHEMA, (SIZE, SIZE))) for case in open_dataset(root / "set").labelled]
    write_submission(root / "pred" / "predictions.csv", rows)
    store = Store.create(root / "store", SCHEMA, {})
    placement = Placement((SIZE, SIZE), (SIZE, SIZE), (SIZE, SIZE), 1.0, 1.0)
    store.write("a.png", np.zeros((29, 8, 8), np.float32), placement)
    (root / "w.pth").write_bytes(b"weights")
    (tmp_path / "link").symlink_to(root)
    picture = sorted((root / "set" / "train" / "DCM").rglob("*.png"))[0]
    os.link(picture, tmp_path / "hard.png")
    return root


def _state(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


#: Words of a command -> outputs, below the folder of inputs or (link/, hard.png) beside it, that it must refuse.
TRIPS: list[tuple[str, list[str]]] = [
    ("predict set", ["set", "../link/set", "set/train/DCM", "set/train/outputs_json", ".", "../link"]),
    ("evaluate pred set", ["pred", "set", "../link/pred", "set/train", "."]),
    ("evaluate pred/predictions.csv set", ["pred", "../link/pred"]),
    ("gallery pred set", ["pred", "set", "../link/set", "set/train", "."]),
    ("gallery pred --truth set", ["set", "pred", "../link/set/train"]),
    ("data convert set --to labelme", ["set", "../link/set", "set/train", "."]),
    ("data convert set --to coco", ["set", "set/train/DCM"]),
    ("data sheet set", ["set/sheet.png", "../link/set/new/sheet.png"]),
    ("data audit set", ["set/train/outputs_json/LABEL"]),
    ("explain set --bone Radius", ["set/explain.png", "../hard.png", "../link/set/x.png"]),
    ("ensemble save set", ["set", "../link/set", "set/train"]),
    ("ensemble soft store", ["store/store.json", "../link/store/store.json"]),
    ("ensemble vote pred/predictions.csv --size 96x96", ["pred/predictions.csv", "../link/pred/predictions.csv"]),
    ("ensemble fit store --truth set", ["store/store.json", "set/train/outputs_json/LABEL"]),
    ("bundle export", ["MODEL"]),
]


@pytest.mark.parametrize(
    ("words", "output"), [(words, output) for words, outputs in TRIPS for output in outputs], ids=lambda text: text
)
def test_an_output_that_is_an_input_is_refused(inputs: Path, words: str, output: str) -> None:
    if words.startswith("data sheet"):
        pytest.importorskip("torch")
    label = sorted((inputs / "set/train/outputs_json").rglob("*.json"))[0]
    shipped = Path(__file__).parents[2] / "src" / "ossa" / "models" / "default"
    target = (
        shipped if output == "MODEL" else inputs / output.replace("LABEL", str(label.relative_to(label.parents[1])))
    )
    arguments = [str(inputs / word) if (inputs / word).exists() else word for word in words.split()]
    before, others = _state(inputs), sorted(p.name for p in inputs.parent.iterdir())
    result = CliRunner().invoke(cli, [*arguments, "-o", str(target)])
    assert result.exit_code == 2, result.output
    assert "an output would be one of the inputs" in result.stderr
    assert _state(inputs) == before
    assert sorted(p.name for p in inputs.parent.iterdir()) == others


def test_super_resolution_never_replaces_its_pictures(inputs: Path) -> None:
    before = _state(inputs)
    for target in (inputs / "set", inputs.parent / "link" / "set"):
        words = ["prepare", "super-resolve", str(inputs / "set"), str(target), "--weights", str(inputs / "w.pth")]
        assert CliRunner().invoke(cli, words).exit_code == 2
        assert _state(inputs) == before
