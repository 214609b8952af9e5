"""The watch on what happens, and what attacks are put into."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers_attacks import MARK, WATCH, Evil, Watch
from helpers_dataset import draw, save_image, save_json, schematic_hand


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """On while a test runs; afterwards nothing was started, written outside ``tmp_path``, or marked."""
    WATCH.written, WATCH.started = [], []
    WATCH.on = True
    yield WATCH
    WATCH.on = False
    assert WATCH.started == []
    outside = [path for path in WATCH.written if not path.startswith(str(tmp_path)) and "/dev/" not in path]
    assert [path for path in outside if "__pycache__" not in path] == []
    assert not list(tmp_path.rglob(MARK))


@pytest.fixture
def evil(tmp_path: Path) -> bytes:
    """A pickle that writes the mark when it is loaded."""
    return pickle.dumps({"state_dict": {"a.weight": Evil(tmp_path)}})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of a data set of one."""
    path = tmp_path / "set" / "a.png"
    save_image(path, draw(schematic_hand(96), 96))
    return path


@pytest.fixture
def label_set(picture: Path) -> Path:
    """The data set of ``picture`` with a labelme label."""
    shapes = [{"label": "Radius", "points": [[4, 4], [24, 4], [24, 24]], "shape_type": "polygon"}]
    save_json(
        picture.with_suffix(".json"), {"shapes": shapes, "imagePath": "a.png", "imageHeight": 96, "imageWidth": 96}
    )
    return picture.parent
