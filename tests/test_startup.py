"""Starting is cheap: nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import ossa
from ossa.cli import COMMANDS

HEAVY = {
    "cv2", "fastapi", "highdicom", "lightning", "llvmlite", "matplotlib", "numba", "numpy", "onnx", "onnxruntime",
    "openvino", "pandas", "PIL", "pydantic", "pydicom", "rich", "safetensors", "scipy", "tensorboard", "torch",
    "torchvision", "uvicorn", "yaml",
}  # fmt: skip

LIST = "import sys, json; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)), file=sys.stderr)"


def modules_after(code: str) -> set[str]:
    run = subprocess.run([sys.executable, "-c", f"{code}\n{LIST}"], capture_output=True, text=True, check=True)
    return set(json.loads(run.stderr.splitlines()[-1]))


def cli(*arguments: str) -> str:
    return f"from ossa.cli import cli\ncli.main({list(arguments)!r}, standalone_mode=False)"


@pytest.mark.parametrize("code", ["import ossa", cli("--help"), cli("--version")])
def test_nothing_heavy(code: str) -> None:
    assert modules_after(code) & HEAVY == set()


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_help_of_a_command_needs_nothing_heavy(command: str) -> None:
    assert modules_after(cli(command, "--help")) & HEAVY == set()


def test_what_is_begun_ahead_of_the_imports_needs_none() -> None:
    code = "from pathlib import Path\nfrom ossa.pipeline.ahead import begin_ahead\nbegin_ahead(Path('nowhere'))"
    assert modules_after(code) & HEAVY == set()


def test_importing_what_predicts_brings_no_torch() -> None:
    modules = modules_after("import ossa\nossa.Predictor, ossa.read_radiograph, ossa.Bundle, ossa.write_submission")
    assert modules & {"torch", "lightning", "numba", "scipy", "matplotlib"} == set()


def test_writing_labels_of_one_format_imports_no_other() -> None:
    code = "from ossa.labels.format import OWN, writable\nwritable('competition')"
    listed = "import sys\nprint(sorted({f'ossa.labels.{name}' for name in OWN.values()} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", f"{code}\n{listed}"], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["['ossa.labels.competition']"]


def test_every_public_name_is_there() -> None:
    for name in ossa.__all__:
        assert getattr(ossa, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'radiogram'"):
        ossa.radiogram  # noqa: B018
