"""The table of formats, and formats of users' own."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import numpy as np
import pytest

from helpers_dataset import save_image
from ossa import labels
from ossa.dataset import dataset
from ossa.dataset.dataset import open_dataset
from ossa.errors import ConfigError, DatasetError
from ossa.labels.case import Case, Reading
from ossa.labels.format import GROUP, OWN, LabelFormat, build, own, writable
from ossa.labels.names import BoneNames


def never(_root: Path) -> bool:
    return False


def read(root: Path, _names: BoneNames) -> Reading:
    return Reading((Case("a.png", "a", root / "a.png", None),))


def plugin(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> EntryPoint:
    module = ModuleType(f"plugin_{name}")
    vars(module)["FORMAT"] = value
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return EntryPoint(name, f"{module.__name__}:FORMAT", GROUP)


def test_a_format_of_a_user_is_asked_in_its_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = LabelFormat("mine", "a file called mine", 15, lambda root: (root / "mine").exists(), read)
    known = build(map(own, OWN), [plugin(monkeypatch, "mine", mine)])
    assert list(known.table)[:3] == ["competition", "mine", "coco"]
    monkeypatch.setattr(dataset, "formats", lambda: known)
    (tmp_path / "mine").touch()
    assert dataset.open_dataset(tmp_path).format == "mine"


def test_a_damaged_plug_in_is_told_and_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugins = [
        EntryPoint("gone", "no_such_module_here:FORMAT", GROUP),
        plugin(monkeypatch, "other", 3),
        plugin(monkeypatch, "twin", LabelFormat("coco", "", 1, never, read)),
        plugin(monkeypatch, "good", LabelFormat("good", "", 5, never, read)),
    ]
    known = build(map(own, OWN), plugins)
    assert next(iter(known.table)) == "good"
    assert [str(problem.path) for problem in known.problems] == ["gone", "other", "twin"]
    assert "ModuleNotFoundError" in known.problems[0].message
    assert "not a LabelFormat" in known.problems[1].message
    assert "'coco' is taken" in known.problems[2].message
    monkeypatch.setattr(dataset, "formats", lambda: known)
    with pytest.raises(DatasetError, match="no_such_module_here"):
        dataset.open_dataset(tmp_path)


def test_each_format_is_found_where_the_table_says() -> None:
    """And none stands in a file of ``labels/`` that the table does not name."""
    there = {
        one.name: module.name
        for module in iter_modules(labels.__path__)
        for one in getattr(import_module(f"ossa.labels.{module.name}"), "FORMATS", ())
    }
    assert there == OWN
    assert [own(name).name for name in OWN] == list(OWN)


def test_two_of_one_name_are_a_mistake_of_ours() -> None:
    with pytest.raises(ConfigError, match="two label formats"):
        build([*map(own, OWN), own("coco")], [])


def test_formats_that_are_not_there_or_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of competition, coco, nnunet"):
        writable("voc")
    with pytest.raises(DatasetError, match="no label format is called 'stencil'"):
        dataset.open_dataset(tmp_path, format_name="stencil")


@pytest.mark.parametrize(
    "text",
    ['{"_via_settings": {}, "_via_img_metadata": {}}', '{"a.png9": {"regions": [{"shape_attributes": {}}]}}'],
)
def test_pictures_annotated_with_via_are_not_called_unlabelled(tmp_path: Path, text: str) -> None:
    save_image(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    (tmp_path / "via.json").write_text(text)
    with pytest.raises(DatasetError, match="VGG Image Annotator"):
        open_dataset(tmp_path)
