"""The napari plugin: its manifest, its reader, and its widget where napari's own packages are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers_clinic import bones, radiograph
from ossa.apps.napari.reader import read, reader
from ossa.errors import MissingExtraError
from ossa.labels.competition import write_label

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "src" / "ossa" / "apps" / "napari" / "napari.yaml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_manifest_names_what_is_there() -> None:
    told = yaml.safe_load(MANIFEST.read_text())
    assert told["name"] == PROJECT["name"]
    commands = {one["id"]: one["python_name"] for one in told["contributions"]["commands"]}
    for name in commands.values():
        module, _, function = name.partition(":")
        assert callable(getattr(import_module(module), function)), name
    assert all(one.startswith("ossa.") for one in commands)
    used = {one["command"] for kind in ("readers", "widgets") for one in told["contributions"][kind]}
    assert used == set(commands)
    module, _, file = PROJECT["entry-points"]["napari.manifest"]["ossa"].partition(":")
    assert Path(str(import_module(module).__file__)).with_name(file) == MANIFEST


@pytest.mark.skipif(shutil.which("npe2") is None, reason="npe2 (it comes with napari) is not installed")
def test_npe2_finds_nothing_wrong_with_it() -> None:
    run = subprocess.run(["npe2", "validate", str(MANIFEST)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_reader_takes_files_and_leaves_folders(tmp_path: Path) -> None:
    paths = [str(radiograph(tmp_path / f"{k}.dcm")) for k in range(2)]
    write_label(tmp_path / "1.json", bones(), "1.dcm")
    assert reader(str(tmp_path)) is None
    assert reader([]) is None
    assert reader(paths[0]) is read
    assert [kind for _, _, kind in read(paths)] == ["image", "image", "shapes"]


def test_napari_is_not_needed_to_read(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "hand.dcm")
    code = f"import sys; from ossa.apps.napari.reader import read; read({str(path)!r}); print('napari' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_without_magicgui_the_command_that_adds_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from ossa.apps.napari.widget import bones_widget

    monkeypatch.setitem(sys.modules, "magicgui", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ossa\[napari\]'"):
        bones_widget()


def test_the_widget_hands_on_what_a_layer_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its two functions, with layers that only look like napari's."""
    from types import SimpleNamespace as Thing

    from ossa.apps.napari import widget

    said: list[Any] = []
    monkeypatch.setattr(widget, "_say", said.extend)
    seen: dict[str, Any] = {}

    def found_in(*given: Any, **settings: Any) -> tuple[Any, list[str]]:
        seen.update(settings, given=given)
        return ([], {"name": "hand.dcm bones"}, "shapes"), ["doubtful"]

    monkeypatch.setattr(widget, "_taken", lambda: {"hand.dcm", "hand.dcm bones"})

    monkeypatch.setattr("ossa.pipeline.layers.found_in", found_in)
    [image], label = read(str(radiograph(tmp_path / "hand.dcm"))), tmp_path / "out.json"
    layer = Thing(data=image[0], name="hand.dcm", metadata=image[1]["metadata"], rgb=False, scale=(0.15, 0.15))
    assert widget.find_bones(layer, "  ", True)[1]["name"] == "hand.dcm bones 2"
    assert (seen["model"], seen["fast"], seen["given"][1], said) == (None, True, "hand.dcm", ["doubtful"])
    write_label(tmp_path / "hand.json", bones(), "hand.dcm")
    data, told, _ = read(str(tmp_path / "hand.dcm"))[1]
    shapes = Thing(data=data, shape_type=["polygon"] * len(data), features=told["features"], metadata=told["metadata"])
    widget.write_bones(shapes, label)
    assert said[-1] == f"29 bones -> {label}"
    assert label.read_bytes() == (tmp_path / "hand.json").read_bytes()


@pytest.mark.skipif(find_spec("napari") is None, reason="napari is not installed")
def test_the_widget_has_its_fields() -> None:
    from ossa.apps.napari.widget import bones_widget

    find, write = bones_widget()
    assert [one.label for one in find][:3] == ["Image", "Model", "Fast"]
    assert [one.label for one in write][:2] == ["Bones", "To"]
