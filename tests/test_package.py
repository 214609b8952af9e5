"""The package as it is installed: every resource goes along, the versions are pinned, no machine is named."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = {"", ".css", ".html", ".js", ".json", ".md", ".py", ".toml", ".txt", ".yaml"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked(*patterns: str) -> list[str]:
    try:
        done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("folder", ["scripts", "benchmarks"])
def test_what_lies_beside_the_package_imports_what_it_has(folder: str) -> None:
    """Nobody runs all of it every day: a name that moved is found here."""
    missing = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "ossa":
                module = import_module(str(node.module))
                names = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                missing += [
                    f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}.{name}"
                    for name in names
                    if not hasattr(module, "__path__") or find_spec(f"{node.module}.{name}") is None
                ]
    assert not missing


def test_every_resource_is_shipped() -> None:
    package = ROOT / "src" / "ossa"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["ossa"]
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    resources = {ROOT / name for name in tracked("src/ossa") if not name.endswith(".py")}
    assert resources, "there are schemas at least"
    assert {p for p in resources if p.exists()} <= shipped


def test_the_source_archive_holds_everything(tmp_path: Path) -> None:
    """What is tracked, samples, docs and constraints among it, and nothing that lies about in a checkout."""
    names = [name for name in tracked() if (ROOT / name).is_file()]
    for name in names:
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    (tmp_path / "source" / "src" / "ossa" / "x.pyc").write_bytes(b"")
    build = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=tmp_path / "source", check=True, capture_output=True
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {member.name.partition("/")[2] for member in opened if member.isfile()}
    made = {"PKG-INFO", "setup.cfg"} | {name for name in held if name.startswith("src/ossa.egg-info/")}
    assert {"samples/hand.png", "docs/results.md", "constraints.txt", "tests/test_package.py"} <= held
    assert held - made == set(names) - {".gitignore"}


def requirement_name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return found.group().lower().replace("_", "-")


def test_every_dependency_has_an_exact_version() -> None:
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    pinned = {requirement_name(line) for line in lines if line}
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    assert {requirement_name(r) for r in wanted} - {"ossa"} <= pinned
    assert all("==" in line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#")


def test_the_core_install_needs_no_torch() -> None:
    core = {requirement_name(r) for r in PROJECT["project"]["dependencies"]}
    assert core.isdisjoint({"torch", "torchvision", "lightning", "safetensors", "numba", "scipy"})


def test_every_extra_that_an_error_names_exists() -> None:
    extras = set(PROJECT["project"]["optional-dependencies"])
    named = set()
    for path in (ROOT / "src").rglob("*.py"):
        named |= set(re.findall(r'MissingExtraError\.of\([^"]*"[^"]*", "([^"]*)"', path.read_text(encoding="utf-8")))
    assert {"train", "phantom"} <= named <= extras


def test_no_file_names_a_machine() -> None:
    """No absolute path of a developer's machine and no address of a package index."""
    words = re.compile(r"/" + r"(work|root|home)/[a-z]|" + r"(extra-)?index" + r"-url|find" + r"-links")
    for name in tracked():
        path = ROOT / name
        if path.is_file() and path.suffix in {
            ".py",
            ".md",
            ".toml",
            ".yaml",
            ".txt",
            ".json",
            ".html",
            "",
            ".css",
            ".js",
        }:
            found = words.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{name}: {found.group() if found else ''}"


def test_the_licences_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "ossa" in (ROOT / "NOTICE").read_text()
    assert PROJECT["project"]["license"] == "Apache-2.0"
