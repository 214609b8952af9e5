"""ossa.predict: one line for one picture."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import ossa
from helpers_pictures import hand_picture
from ossa.errors import BundleError, ImageError
from ossa.inference import once

SAMPLE = Path(__file__).parents[2] / "samples" / "hand.png"


@pytest.fixture(autouse=True)
def forgotten() -> None:
    once._loaded.cache_clear()


def test_it_gives_what_a_predictor_gives() -> None:
    found = ossa.predict(SAMPLE, fast=True)
    same = ossa.Predictor.load(fast=True).predict(SAMPLE)
    assert np.array_equal(found.planes(), same.planes())
    assert found.radiograph is not None
    assert found.radiograph.shape == found.shape


def test_the_model_is_kept_until_its_files_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[object] = []

    class Stub:
        def predict(self, picture: object) -> object:
            return picture

    def load(*given: object, **settings: object) -> Stub:
        loads.append((*given, settings))
        return Stub()

    monkeypatch.setattr(ossa.Predictor, "load", load)
    card = tmp_path / "card.json"
    card.write_text("{}")
    for model in (tmp_path, str(tmp_path)):
        ossa.predict("hand.png", model)
    assert loads == [(str(tmp_path), "auto", {"fast": False})]
    before = card.stat()
    os.utime(card, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    ossa.predict("hand.png", tmp_path)
    ossa.predict("hand.png", tmp_path, fast=True, device="cpu")
    assert loads[2] == (str(tmp_path), "cpu", {"fast": True})


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="absent"):
        ossa.predict(tmp_path / "absent.png", fast=True)
    with pytest.raises(BundleError):
        ossa.predict(hand_picture(), tmp_path / "no model")
