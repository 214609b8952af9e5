"""The documentation site: public names stand on the API's page, pages in a section, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import ossa

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_docs", ROOT / "scripts" / "build_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = {name.rpartition(".")[2] for name in re.findall(r"auto(?:class|function):: ([\w.]+)", text)}
    assert named == set(ossa.__all__) - {"__version__"}


def test_the_index_names_every_page(build: ModuleType, tmp_path: Path) -> None:
    build.stage(tmp_path / "s")
    text = (tmp_path / "s" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^(?:.+ <)?([\w./-]+)>?$", text, re.MULTILINE))
    pages = {str(path.relative_to(tmp_path / "s").with_suffix("")) for path in (tmp_path / "s").rglob("*.md")}
    assert listed == pages - {"index"}


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    home = ROOT if page.parent.name == "site" else page.parent
    for target in re.findall(
        r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    ):
        if not target.startswith(("http", "mailto")):
            assert (home / target).exists(), f"{page.name}: {target}"
