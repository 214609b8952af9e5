"""What the package's own source may not hold: ways in which data become code, and files in guessable places."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "ossa"
MODULES = sorted(SRC.rglob("*.py"))

#: Modules that run what they read, or whose names say that they are old and unsafe.
FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "xml.sax", "xml.dom.minidom"}

#: Calls that run text, unpack archives by the names in them, or give a name that somebody else may take first.
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "torch.hub.load", "shutil.unpack_archive",
    "pandas.read_pickle",
}  # fmt: skip


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of a name or an attribute of one; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def faults(source: str) -> list[str]:
    """What a module does that it may not, with its lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found += [f"{node.lineno}: imports {name}" for name in names if name in FORBIDDEN]  # type: ignore[attr-defined]
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
        if name in CALLS or name.endswith((".extractall", ".extract")):
            found.append(f"{node.lineno}: {name}")
        if name == "torch.load" and given.get("weights_only") is not True:
            found.append(f"{node.lineno}: torch.load without weights_only=True")
        if name in ("np.load", "numpy.load", "np.save", "numpy.save") and given.get("allow_pickle") is not False:
            found.append(f"{node.lineno}: {name} without allow_pickle=False")
        if given.get("shell") is True or given.get("verify") is False or given.get("trust_remote_code") is True:
            found.append(f"{node.lineno}: {name} with {given}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_data_stay_data(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from pickle import loads", "torch.load(p)", "torch.load(p, weights_only=False)",
        "yaml.load(t)",
        "np.load(p)", "subprocess.run(c, shell=True)", "archive.extractall(p)", "eval(t)", "tempfile.mktemp()",
    ],
)  # fmt: skip
def test_the_test_sees(line: str) -> None:
    assert faults(line)
