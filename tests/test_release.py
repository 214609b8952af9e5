"""What others meet first: versions that agree, notes, citation, conda recipe, workflows that name what is there."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import ossa

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What conda-forge calls otherwise.
CONDA = {"opencv-python-headless": "py-opencv"}


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_version_everywhere(release: ModuleType) -> None:
    assert set(release.versions(ROOT).values()) == {ossa.__version__}


def test_the_notes_of_this_version_come_out(release: ModuleType) -> None:
    text = release.notes(ROOT, f"v{ossa.__version__}")
    assert text.startswith("The first version")
    assert "not a medical device" in text


def test_another_tag_is_refused_file_by_file(release: ModuleType) -> None:
    told = "\n".join(release.problems(ROOT, "v99.0.0"))
    for name in ("__init__.py", "CITATION.cff", "recipe.yaml", "CHANGELOG.md", "docs/releases/99.0.0.md"):
        assert name in told


def test_the_recipe_needs_what_the_package_needs() -> None:
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())
    run = {line.replace(" ", "") for line in recipe["requirements"]["run"]} - {"python>=${{python_min}}"}
    wanted = set()
    for line in PROJECT["dependencies"]:
        name = re.match(r"[a-z0-9-]+", line)
        assert name is not None
        wanted.add(CONDA.get(name[0], name[0]) + line.removeprefix(name[0]))
    assert run == wanted


def test_workflows_run_what_is_there() -> None:
    found = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(found) >= 2
    extras = set(PROJECT["optional-dependencies"])
    for path in found:
        text = path.read_text(encoding="utf-8")
        for script in re.findall(r"scripts/[\w.]+", text):
            assert (ROOT / script).exists(), f"{path.name}: {script}"
        for listed in re.findall(r"\.\[([\w,-]+)\]", text):
            assert set(listed.split(",")) <= extras, f"{path.name}: {listed}"
        for job in yaml.safe_load(text)["jobs"].values():
            assert job["timeout-minutes"] <= 90
