"""The built page of the studio belongs to its sources, is small, speaks both languages and asks no other host."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "studio"
BUILT = ROOT / "src" / "ossa" / "apps" / "studio" / "static"


def test_the_page_was_built_from_these_sources() -> None:
    """The same hash as studio/scripts/stamp.mjs wrote: `npm --prefix studio run build` after every change there."""
    files = [*(SOURCES / "src").rglob("*"), *(SOURCES / "public").rglob("*")]
    top = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
    files += [SOURCES / name for name in top]
    named = sorted((path.relative_to(SOURCES).as_posix(), path) for path in files if path.is_file())
    found = hashlib.sha256()
    for name, path in named:
        found.update(f"{name}\n".encode() + path.read_bytes() + b"\n")
    stamp = json.loads((BUILT / "sources.json").read_text())["sha256"]
    assert stamp == found.hexdigest(), "npm --prefix studio ci && npm --prefix studio run build"


def test_the_built_files_are_few_and_small() -> None:
    files = [path for path in BUILT.rglob("*") if path.is_file()]
    assert {"index.html", "licences.txt"} <= {path.name for path in files}
    assets = sorted(path.name.partition("-")[0] for path in files if path.parent.name == "assets")
    assert assets == ["LookView", "film.worker", "index", "index", "ol"]  # none left of a former build
    assert max(path.stat().st_size for path in files) < 400_000
    assert not [path for path in files if path.suffix == ".map"]


def test_the_page_is_whole_under_a_strict_policy() -> None:
    page = (BUILT / "index.html").read_text()
    assert not re.search(r"<script(?![^>]* src=)|<style|\bstyle=|\bon\w+=", page)
    assert re.findall(r'(?:src|href)="(?!/static/)[^"]*"', page) == []
    scripts = "".join(path.read_text() for path in (BUILT / "assets").glob("*.js"))
    assert not re.search(r"\beval\(|new Function\(|sourceMappingURL", scripts)
    # Names of XML namespaces look like addresses; nothing else may.
    assert set(re.findall(r"https?://[\w.-]+", scripts)) <= {"http://www.w3.org", "http://www.opengis.net"}


def test_the_licences_of_what_is_bundled_are_shipped() -> None:
    text = (BUILT / "licences.txt").read_text()
    wanted = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    assert all(re.search(rf"^{re.escape(name)} \d", text, re.MULTILINE) for name in wanted)
    assert "BSD" in text
    assert "MIT" in text


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_word_is_there(language: str) -> None:
    words = json.loads((SOURCES / "src" / "words.json").read_text(encoding="utf-8"))
    missing = [word for word, said in words.items() if not said.get(language, "").strip()]
    assert missing == []
    if language == "ko":
        latin = {word for word, said in words.items() if not re.search("[가-힣]", said["ko"])}
        assert latin == {"conflict_theirs", "gradcam_of", "sort_score"}
