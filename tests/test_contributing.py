"""The examples of CONTRIBUTING.md work as they stand there."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from helpers_pictures import hand_picture, save
from ossa.dataset import dataset
from ossa.errors import LabelError
from ossa.labels.format import GROUP, OWN, build, own
from ossa.schema import load_schema, parse_schema

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(name: str) -> str:
    found = re.search(rf"```\w+ {name}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None, f"no example called {name}"
    return found.group(1)


def test_the_loss() -> None:
    torch = pytest.importorskip("torch")
    from ossa.training import losses

    try:
        exec(example("loss"), vars(losses))
        logits, target = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
        value, _ = losses.WeightedLoss({"squared_error": {"weight": 1.0, "power": 2}})(logits, target)
        assert float(value) == pytest.approx(0.25)
    finally:
        losses.LOSSES.pop("squared_error", None)
        vars(losses).pop("squared_error", None)


def test_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a package of a user's own brings it: by an entry point."""
    (tmp_path / "mask_folders.py").write_text(example("format"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = EntryPoint("mask_folders", "mask_folders:FORMAT", GROUP)
    known = build(map(own, OWN), [plugin])
    assert not known.problems
    monkeypatch.setattr(dataset, "formats", lambda: known)
    root = tmp_path / "set"
    save(root / "hand.png", hand_picture())
    mask = np.zeros((240, 200), np.uint8)
    mask[20:60, 30:50] = 255
    save(root / "hand_masks" / "Radius.png", mask)
    opened = dataset.open_dataset(root)
    assert opened.format == "mask_folders"
    truth = opened.cases[0].truth(load_schema(), (240, 200))
    assert truth.annotated == {"Radius"}
    found = truth.segmentation(load_schema(), (240, 200))
    assert list(found.regions) == ["Radius"]
    assert (found.plane("Radius") == (mask > 0)).all()
    save(root / "hand_masks" / "Hammate.png", mask)
    with pytest.raises(LabelError, match="perhaps 'Hamate'"):
        opened.cases[0].truth(load_schema())


def test_the_schema() -> None:
    schema = parse_schema(example("schema"), "CONTRIBUTING.md")
    assert schema.names == ("Radius", "Ulna")
    assert schema.bone("Radius").aliases == ("radius",)


def test_every_folder_stands_in_the_table() -> None:
    from test_layers import MAY_IMPORT

    for layer in MAY_IMPORT:
        assert f"`{layer}`" in TEXT


def test_every_place_that_is_named_exists() -> None:
    """The answers to "where does it go" are checked against the tree."""
    answers = TEXT.split("## Where the next thing goes")[1].split("## Words")[0]
    places = set(re.findall(r"`([a-z_]+/(?:[a-z_0-9]+\.(?:py|toml))?)`", answers))
    assert len(places) >= 12
    to_come: set[str] = set()
    source = Path(__file__).parents[1] / "src" / "ossa"
    assert {place for place in places if not (source / place).exists()} == to_come
