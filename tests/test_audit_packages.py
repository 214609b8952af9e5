"""The licences of what the core install brings along, and what the script makes of others."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "scripts" / "audit_packages.py"
    spec = importlib.util.spec_from_file_location("audit_packages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("extras", [[], ["train"], ["dicom", "pdf", "serve"]])
def test_what_ossa_brings_along_is_permissive(script: ModuleType, extras: list[str]) -> None:
    found = {name: package for name, package in script.closure("ossa", extras).items() if package is not None}
    assert {"numpy", "pydicom", "onnxruntime"} <= set(found)
    assert {name: script.verdict(name, script.licence(package)) for name, package in found.items()} == dict.fromkeys(
        found, ""
    )


@pytest.mark.parametrize(
    "told", ["AGPL-3.0-only", "GNU General Public License v3 (GPLv3)", "GPL-2.0-or-later", "CC BY-NC 4.0", "not told"]
)
def test_what_is_not(script: ModuleType, told: str) -> None:
    assert script.verdict("some-package", told)


@pytest.mark.parametrize(
    "told", ["MIT", "BSD-3-Clause AND Zlib", "LGPL-2.1-or-later", "MIT OR GPL-2.0-only", "Apache 2.0"]
)
def test_what_is(script: ModuleType, told: str) -> None:
    assert script.verdict("some-package", told) == ""
