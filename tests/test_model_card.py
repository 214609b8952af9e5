"""The model card tells the shipped model's own figures, in the fields that hubs read; the upload is tried on a stub."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from ossa.bundle.bundle import Bundle
from ossa.safety import sha256

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("upload_model", ROOT / "scripts" / "upload_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_card_is_the_shipped_models(script: ModuleType) -> None:
    written = (ROOT / "docs" / "model_card.md").read_text(encoding="utf-8")
    assert written == script.model_card(Bundle.load().card), "run: python scripts/upload_model.py --write-card"


def test_the_fields_are_those_that_the_hub_reads(script: ModuleType) -> None:
    found = re.match(r"---\n(.*?)---\n", script.model_card(Bundle.load().card), re.DOTALL)
    assert found is not None
    fields = yaml.safe_load(found[1])
    assert fields["license"] == "apache-2.0"
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCardData(**fields, ignore_metadata_errors=False)
    values = {result.metric_name: result.metric_value for result in data.eval_results}
    real = json.loads((Bundle.load().path / "card.json").read_text())["figures"]["real hands"]
    assert values["Mean Dice over 29 bones"] == real["mean Dice"]
    assert data.to_dict()["model-index"][0]["name"] == Bundle.load().card.name


class Stub:
    """A hub that remembers what it was given."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, str] = {}

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.made.append({"repo_id": repo_id, **options})

    def upload_folder(self, *, repo_id: str, folder_path: str, **options: Any) -> None:
        assert self.made, "the repository is made first"
        self.made.append({"repo_id": repo_id, **options})
        self.files = {path.name: sha256(path) for path in Path(folder_path).iterdir()}


def test_the_upload_holds_a_whole_bundle(script: ModuleType, tmp_path: Path) -> None:
    hub, bundle = Stub(), Bundle.load()
    names = script.upload(bundle, "somebody/hands", hub)
    assert hub.made[0] == {"repo_id": "somebody/hands", "repo_type": "model", "private": True, "exist_ok": True}
    assert hub.made[1]["repo_id"] == "somebody/hands"
    assert set(names) == set(hub.files) == {*bundle.card.files, "card.json", "README.md", "LICENSE", "NOTICE"}
    assert {name: hub.files[name] for name in bundle.card.files} == dict(bundle.card.files)
    script.put_together(bundle, tmp_path)
    assert Bundle.load(tmp_path).card == bundle.card
