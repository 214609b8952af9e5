"""A second network in the bundle that is asked where the first one is in doubt."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_judge import a_judge
from helpers_models import MakeBundle
from ossa.bundle.bundle import CARD, Bundle
from ossa.bundle.companions import CONSULTANT, add_companion, companions
from ossa.errors import BundleError
from ossa.inference.consultant import SIZE, Consultant
from ossa.inference.predictor import Predictor
from ossa.inference.tiles import Tiles
from ossa.pipeline.bundle import pack_models
from ossa.radiograph.radiograph import Radiograph
from ossa.safety import sha256, write_json

torch = pytest.importorskip("torch")
PICTURE = np.kron(np.random.default_rng(0).integers(0, 255, (30, 22)), np.ones((8, 8))).astype(np.uint8)


@pytest.fixture(scope="module")
def with_consultant(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Bundle:
    made = make_bundle(tmp_path_factory.mktemp("models") / "asked")
    return add_companion(made, CONSULTANT, make_bundle(tmp_path_factory.mktemp("models") / "other").torch_module())


def test_it_travels_in_its_bundle(with_consultant: Bundle) -> None:
    assert list(companions(Bundle.load(with_consultant.path))) == [CONSULTANT]
    predictor = Predictor.load(with_consultant.path)
    assert predictor.consultant is not None
    assert predictor.settings()["consultant"] is True
    networks = predictor.consultant.networks
    assert networks.members[0].preparation.size == SIZE
    assert networks is predictor.consultant.networks, "opened once"
    look = networks.look(networks.prepare(Radiograph(PICTURE)))
    assert look.logits.shape[0] == len(predictor.schema)
    assert max(look.logits.shape[1:]) == SIZE // 2


def test_one_look_and_windows_ask_nobody_else(with_consultant: Bundle) -> None:
    assert Predictor.load(with_consultant.path, fast=True).consultant is None
    assert Predictor.load(with_consultant.path, tiles=Tiles(64)).consultant is None


def test_it_is_asked_in_doubt_alone(with_consultant: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.load(with_consultant.path)
    asked = []
    real = Predictor._consulted

    def counted(self, *arguments):
        asked.append(1)
        return real(self, *arguments)

    monkeypatch.setattr(Predictor, "_consulted", counted)
    predictor.predict(PICTURE)
    assert len(asked) == 1, "a network that was never trained sees no hand"
    monkeypatch.setattr("ossa.inference.opinion.Opinion.in_doubt", False)
    predictor.predict(PICTURE)
    assert len(asked) == 1


def test_it_is_opened_from_a_packed_bundle_too(with_consultant: Bundle, tmp_path: Path) -> None:
    packed = tmp_path / "model.ossa"
    pack_models([with_consultant.path], packed)
    predictor = Predictor.load(packed)
    assert predictor.consultant is not None
    plain = Predictor.load(with_consultant.path)
    radiograph = Radiograph(PICTURE)
    one, other = (
        p.consultant.networks.look(p.consultant.networks.prepare(radiograph)).logits  # type: ignore[union-attr]
        for p in (predictor, plain)
    )
    assert (one == other).all()


def test_a_damaged_one_is_told(with_consultant: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(with_consultant.path, folder)
    (folder / CONSULTANT).write_bytes(b"nothing of the kind")
    with pytest.raises(BundleError, match="not the one that the card describes"):
        Predictor.load(folder)
    files = {**with_consultant.card.files, CONSULTANT: sha256(folder / CONSULTANT)}
    write_json(folder / CARD, replace(with_consultant.card, files=files).to_json())
    predictor = Predictor.load(folder)
    monkeypatch.setattr("ossa.inference.opinion.Opinion.sees", lambda *_: True)
    with pytest.raises(BundleError, match=CONSULTANT):
        predictor.predict(PICTURE)


def test_a_bundle_without_one_has_none(with_consultant: Bundle) -> None:
    files = {name: sha for name, sha in with_consultant.card.files.items() if name != CONSULTANT}
    without = replace(with_consultant, card=replace(with_consultant.card, files=files))
    assert Consultant.of(without) is None
    with pytest.raises(BundleError, match="gone"):
        _ = Consultant(without, a_judge(0.1)).networks
