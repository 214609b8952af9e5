"""The imports of src/ossa follow the table of layers: no upward arrow, no circle, torch only where it belongs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

GROUND = {"quiet", "errors", "safety", "schema", "config", "progress", "parallel", "places"}
PICTURES = GROUND | {"radiograph", "segmentation"}
HANDS = PICTURES | {"hand", "labels"}
LOOKS = HANDS | {"models", "bundle", "inference", "ensemble"}

#: Layer (first part below ``ossa``, or the first two) -> layers it may import. Every package of src/ossa stands here.
MAY_IMPORT: dict[str, set[str]] = {
    "quiet": set(),
    "errors": set(),
    "progress": set(),
    "parallel": {"errors"},
    "safety": {"errors"},
    "places": {"errors", "safety"},
    "schema": {"errors"},
    "config": {"errors", "safety", "schema"},
    "radiograph": GROUND,
    "segmentation": GROUND | {"radiograph"},
    "hand": PICTURES,
    "measurement": PICTURES | {"hand"},
    "labels": HANDS | {"export"},
    "dataset": HANDS,
    "phantom": PICTURES,
    "hand.phantom": PICTURES | {"hand", "phantom"},
    "models": GROUND,
    "bundle": PICTURES | {"models"},
    "inference": HANDS | {"models", "bundle", "export"},
    "ensemble": LOOKS,
    "training": HANDS | {"dataset", "phantom", "hand.phantom", "models", "bundle"},
    "pages": PICTURES | {"hand", "measurement"},
    "export": PICTURES | {"hand", "measurement"},
    "studio": LOOKS | {"dataset", "export", "pages", "measurement"},
    "pipeline": LOOKS | {"dataset", "phantom", "hand.phantom", "training", "export", "pages", "measurement", "studio"},
    "apps": GROUND | {"pipeline"},
    "cli": GROUND | {"pipeline", "apps"},
    "client": set(),
}

#: Third-party packages that a layer may import, where that is restricted. A layer that is not listed is free.
OUTSIDE: dict[str, set[str]] = {
    "quiet": set(),
    "errors": set(),
    "safety": {"yaml"},
    "places": {"fsspec"},
    "schema": set(),
    "progress": {"rich"},
    "config": {"annotated_types", "pydantic", "pydantic_core", "yaml"},
    "radiograph": {"numpy", "cv2", "pydicom", "imagecodecs", "kornia_rs", "simplejpeg"},
    "segmentation": {"numpy", "cv2", "pandas"},
    "hand": {"numpy", "cv2"},
    "measurement": {"numpy", "cv2", "pandas"},
    "labels": {"numpy", "cv2", "yaml", "pydicom"},
    "dataset": {"numpy", "cv2", "openpyxl"},
    "phantom": {"numpy", "cv2", "numba", "pydantic"},
    "hand.phantom": {"numpy", "cv2"},
    "inference": {"numpy", "cv2", "onnxruntime", "openvino", "torch"},
    "pages": {"numpy", "cv2", "weasyprint"},
    "studio": {"numpy", "cv2"},
    "export": {"numpy", "cv2", "dicomanonymizer", "highdicom", "matplotlib", "pydicom", "pynetdicom"},
    "apps": {
        "fastapi",
        "magicgui",
        "napari",
        "prometheus_client",
        "pydantic",
        "pydicom",
        "pynetdicom",
        "python_multipart",
        "starlette",
        "uvicorn",
    },
    "cli": {"click", "rich"},
    "client": set(),
}

TORCH = {
    "torch", "lightning", "torchvision", "torchmetrics", "safetensors", "segmentation_models_pytorch", "timm",
    "transformers", "spandrel", "monai",
}  # fmt: skip

STDLIB = __import__("sys").stdlib_module_names


class Import:
    """One import statement: what is imported, where, and whether it runs when the module is imported."""

    def __init__(self, target: str, line: int, at_start: bool) -> None:
        self.target = target
        self.line = line
        self.at_start = at_start


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SRC.rglob("*.py"))}


def imports_of(name: str) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, at_start: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            at_start = False
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            at_start = False
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, at_start) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                # A name that ``ossa`` hands out on use may come from any layer: it counts as "ossa.<name>".
                public = node.module == "ossa" and not alias.name.startswith("__")
                found.append(Import(whole if whole in MODULES or public else str(node.module), node.lineno, at_start))
        for child in ast.iter_child_nodes(node):
            visit(child, at_start)

    visit(ast.parse(MODULES[name].read_text(encoding="utf-8")), True)
    return found


def layer(module: str) -> str:
    parts = module.split(".")
    room = ".".join(parts[1:3])
    return room if room in MAY_IMPORT else ".".join(parts[1:2])


def test_every_package_has_a_layer() -> None:
    layers = {layer(name) for name in MODULES} - {"", "__main__"}
    assert layers <= set(MAY_IMPORT), f"add {layers - set(MAY_IMPORT)} to the table"


@pytest.mark.parametrize("name", [n for n in MODULES if layer(n) not in ("", "__main__")])
def test_imports_go_down(name: str) -> None:
    own = layer(name)
    for found in imports_of(name):
        if found.target == "ossa" or not found.target.startswith("ossa."):
            continue
        target = layer(found.target)
        assert target == own or target in MAY_IMPORT[own], f"{name}:{found.line}: {own} may not import {found.target}"


@pytest.mark.parametrize("name", [n for n in MODULES if layer(n) in OUTSIDE])
def test_outside_packages(name: str) -> None:
    for found in imports_of(name):
        package = found.target.split(".")[0]
        if package not in STDLIB and package not in ("ossa", "__future__"):
            assert package in OUTSIDE[layer(name)], f"{name}:{found.line}: {layer(name)} may not import {package}"


@pytest.mark.parametrize("name", [n for n in MODULES if layer(n) not in ("training", "models", "bundle")])
def test_torch_is_imported_only_where_it_is_asked_for(name: str) -> None:
    for found in imports_of(name):
        if found.target.split(".")[0] in TORCH:
            assert layer(name) in ("inference", "pipeline"), f"{name}:{found.line}: no torch in {layer(name)}"
            assert not found.at_start, f"{name}:{found.line}: torch is imported with the module"


def test_the_table_of_layers_has_no_circles() -> None:
    """Layers can be put in an order in which each imports earlier ones only."""
    waiting = {name: set(lower) for name, lower in MAY_IMPORT.items()}
    for one in waiting:
        waiting[one].discard(one)
    while waiting:
        free = [name for name, lower in waiting.items() if not lower & set(waiting)]
        assert free, f"a circle among {sorted(waiting)}"
        for name in free:
            del waiting[name]


def test_no_circles() -> None:
    """Late imports count too: two rooms that need each other are one room, whenever they ask."""
    edges = {
        name: {found.target for found in imports_of(name) if found.target in MODULES and found.target != "ossa"}
        - {name}
        for name in MODULES
    }
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, "a circle: " + " -> ".join((*path[path.index(name) :], name))
        if name in done:
            return
        for target in sorted(edges[name]):
            walk(target, (*path, name))
        done.add(name)

    for name in edges:
        walk(name, ())


def test_the_test_sees_a_violation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    import torch\n    from ossa.training import run\n")
    monkeypatch.setitem(MODULES, "ossa.radiograph.bad", bad)
    with pytest.raises(AssertionError, match=r"radiograph may not import ossa\.training"):
        test_imports_go_down("ossa.radiograph.bad")
    with pytest.raises(AssertionError, match="no torch in radiograph"):
        test_torch_is_imported_only_where_it_is_asked_for("ossa.radiograph.bad")
    with pytest.raises(AssertionError, match="may not import torch"):
        test_outside_packages("ossa.radiograph.bad")
    bad.write_text("from ossa import Predictor\n")
    with pytest.raises(AssertionError, match=r"radiograph may not import ossa\.Predictor"):
        test_imports_go_down("ossa.radiograph.bad")


def test_the_test_sees_a_circle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        path = tmp_path / f"{name}.py"
        path.write_text(f"from ossa.radiograph import {other}\n")
        monkeypatch.setitem(MODULES, f"ossa.radiograph.{name}", path)
    with pytest.raises(AssertionError, match="a circle"):
        test_no_circles()


def test_files_stay_readable() -> None:
    """A file of more than 400 lines is two rooms in one."""
    long = {name: count for name, path in MODULES.items() if (count := len(path.read_text().splitlines())) > 400}
    assert not long
