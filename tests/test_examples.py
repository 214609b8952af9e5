"""The examples in the docstrings work as they stand there, and every public name has one.

They run in a folder that holds the sample radiograph as hand.png and, with its label, as the data set data/. ``ossa``,
``np`` and ``Path`` are at hand, and so are the names of the module that the example stands in; it imports the rest
itself.
"""

from __future__ import annotations

import doctest
import inspect
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import ossa
import ossa.config
import ossa.safety

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src"
KNOWN = {"ossa": ossa, "np": np, "Path": Path}


def with_examples() -> list[str]:
    """The names of all modules that have examples."""
    paths = [path for path in sorted(SOURCES.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__") for path in paths]


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module(name)
    found = doctest.DocTestFinder().find(module, name, globs={**vars(module), **KNOWN})
    examples = [each for each in found if each.examples]
    assert examples
    said: list[str] = []
    for number, example in enumerate(examples):
        folder = tmp_path / str(number)
        (folder / "data").mkdir(parents=True)
        for where, file in (("", "hand.png"), ("data", "hand.png"), ("data", "hand.json")):
            shutil.copy(ROOT / "samples" / file, folder / where)
        monkeypatch.chdir(folder)
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not said, "".join(said)


def test_every_public_name_has_an_example() -> None:
    public = [getattr(ossa, name) for name in ossa.__all__ if name != "__version__"]
    for room in (ossa.config, ossa.safety):
        public += [thing for name in room.__all__ if inspect.isfunction(thing := getattr(room, name))]
    assert [thing.__qualname__ for thing in public if ">>> " not in (thing.__doc__ or "")] == []
