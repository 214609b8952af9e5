"""A data set as a list of cases, whatever format it lies on the disk in."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from ossa.dataset.metadata import Subject, read_metadata
from ossa.errors import DatasetError
from ossa.labels.case import Case, Truth
from ossa.schema import BoneSchema, load_schema

__all__ = ["Case", "Dataset", "Problem", "Truth", "formats", "open_dataset"]


@dataclass(frozen=True)
class Problem:
    """Something in a data set's folder that does not fit (a label without its picture, ...), as a sentence."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True)
class Dataset:
    """Cases in a stable order (by split, subject, id), and what did not fit.

    ``problems`` never stop a data set from being used: the files concerned are simply not among the cases, or are
    cases without a label.
    """

    root: Path
    schema: BoneSchema
    format: str
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    @property
    def labelled(self) -> tuple[Case, ...]:
        """The cases that have a label."""
        return tuple(case for case in self.cases if case.label is not None)

    @property
    def unlabelled(self) -> tuple[Case, ...]:
        """The cases that have none."""
        return tuple(case for case in self.cases if case.label is None)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in order of appearance."""
        return tuple(dict.fromkeys(case.subject for case in self.cases))

    def split(self, name: str) -> Dataset:
        """Only the cases of one published split ("train", "test", ...)."""
        return self.where(lambda case: case.split == name)

    def where(self, keep: Callable[[Case], bool]) -> Dataset:
        """Only the cases for which ``keep`` is true; problems stay."""
        chosen = tuple(case for case in self.cases if keep(case))
        return Dataset(self.root, self.schema, self.format, chosen, self.problems)

    def metadata(self) -> dict[str, Subject]:
        """What ``meta_data.xlsx`` in the root says of the subjects; {} when there is no such file."""
        sheet = self.root / "meta_data.xlsx"
        return read_metadata(sheet) if sheet.is_file() else {}

    def case(self, name: str) -> Case:
        """The case called ``name`` (base name with or without extension). DatasetError names the nearest."""
        for case in self.cases:
            if name in (case.id, Path(case.id).stem):
                return case
        from difflib import get_close_matches

        near = get_close_matches(name, [case.id for case in self.cases], n=1, cutoff=0.0)
        raise DatasetError(
            f"no picture is called '{name}'", path=self.root, expected=f"perhaps '{near[0]}'" if near else "any picture"
        )


@cache
def formats() -> dict[str, ModuleType]:
    """Every label format by its NAME. A format is one module of ``ossa.labels`` with

    ``NAME: str``, ``LAYOUT: str`` (one line for error messages), ``detect(root: Path) -> bool`` and
    ``read_dataset(root: Path, schema: BoneSchema) -> Dataset``. The modules are asked in order of their
    ``PRIORITY: int`` (lower first), so that a format that recognises itself by little comes last.
    """
    package = importlib.import_module("ossa.labels")
    modules = [
        importlib.import_module(f"{package.__name__}.{info.name}")
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_")
    ]
    readers = [module for module in modules if hasattr(module, "read_dataset")]
    return {module.NAME: module for module in sorted(readers, key=lambda m: int(m.PRIORITY))}


def open_dataset(path: str | Path, schema: BoneSchema | None = None, format_name: str | None = None) -> Dataset:
    """Open a data set folder; its format is recognised from its layout unless ``format_name`` names it.

    Raises DatasetError when the folder is missing, of no known layout, or holds no picture.
    """
    root = Path(path)
    bones = schema if schema is not None else load_schema()
    if not root.is_dir():
        raise DatasetError(
            "there is no such data set folder", path=root, remedy="Give the folder that holds the data set"
        )
    known = formats()
    if format_name is not None and format_name not in known:
        raise DatasetError(
            f"no label format is called '{format_name}'", path=root, expected="one of " + ", ".join(known)
        )
    chosen = (
        known[format_name] if format_name is not None else next((m for m in known.values() if m.detect(root)), None)
    )
    if chosen is None:
        content = sorted(p.name + ("/" if p.is_dir() else "") for p in root.iterdir())
        raise DatasetError(
            "the folder has the layout of no data set that is known here",
            path=root,
            found=", ".join(content[:8]) or "an empty folder",
            expected=" | ".join(f"{name}: {module.LAYOUT}" for name, module in known.items()),
        )
    dataset: Dataset = chosen.read_dataset(root, bones)
    if not dataset.cases:
        raise DatasetError(
            f"no picture was found (read as {chosen.NAME})",
            path=root,
            found=f"{len(dataset.problems)} problem(s): {dataset.problems[0]}" if dataset.problems else "no picture",
            expected=chosen.LAYOUT,
        )
    return dataset
