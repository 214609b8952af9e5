"""The same labels with other pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers_dataset import SCHEMA, write_competition
from ossa.dataset.dataset import open_dataset
from ossa.dataset.pictures import other_pictures
from ossa.errors import ConfigError


def test_pictures_of_another_folder(tmp_path: Path) -> None:
    root = write_competition(tmp_path / "data", subjects=2, size=64, tests=0)
    shutil.copytree(root / "train" / "DCM", root / "train_resolx2" / "DCM")
    shutil.copytree(root / "train", tmp_path / "made" / "train")
    cases = open_dataset(root, SCHEMA).labelled
    assert len(cases) == 4
    inside, apart = other_pictures(cases, root, "train_resolx2"), other_pictures(cases, root, str(tmp_path / "made"))
    for case, one, other in zip(cases, inside, apart, strict=True):
        assert one.image == root / "train_resolx2" / "DCM" / case.subject / case.id
        assert other.image == tmp_path / "made" / "train" / "DCM" / case.subject / case.id
        assert one.label == other.label == case.label
    assert cv2.imwrite(str(inside[0].image), np.zeros((32, 32), np.uint8))
    with pytest.raises(ConfigError, match="another size, and its label would not fit; found 32x32; expected 64x64"):
        other_pictures(cases, root, "train_resolx2")
    inside[0].image.unlink()
    with pytest.raises(ConfigError, match="no picture of"):
        other_pictures(cases, root, "train_resolx2")
    with pytest.raises(ConfigError, match="names no folder"):
        other_pictures(cases, root, "train_resolx3")
