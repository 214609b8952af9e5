"""A data set as a list of cases, whatever format its labels lie on the disk in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ossa.dataset.metadata import Subject, read_metadata
from ossa.errors import DatasetError
from ossa.labels.case import Case, Problem, Truth
from ossa.labels.format import formats
from ossa.labels.match import pair
from ossa.labels.names import bone_names
from ossa.labels.whose import schema_of
from ossa.schema import BoneSchema

__all__ = ["Case", "Dataset", "Problem", "Truth", "open_dataset"]


@dataclass(frozen=True)
class Dataset:
    """Cases in a stable order (by split, subject, id), and what did not fit.

    ``problems`` never stop a data set from being used: the files concerned are simply not among the cases, or are
    cases without a label.

    >>> dataset = ossa.open_dataset("data")
    >>> len(dataset.labelled), dataset.subjects
    (1, ('hand',))
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
        return replace(self, cases=tuple(case for case in self.cases if keep(case)))

    def with_scaled_labels(self) -> Dataset:
        """The same cases, labels that were drawn at another size scaled to their pictures instead of refused."""
        return replace(self, cases=tuple(replace(case, scale_labels=True) for case in self.cases))

    def metadata(self) -> dict[str, Subject]:
        """What ``meta_data.xlsx`` in the root says of the subjects; {} when there is no such file."""
        sheet = self.root / "meta_data.xlsx"
        return read_metadata(sheet) if sheet.is_file() else {}

    def labelled_by_image(self, images: Sequence[str]) -> dict[str, Case]:
        """Image -> the labelled case that it means, for images that mean one: names as predictions are kept by.

        Raises DatasetError naming both pictures where an image may be either, and both images that may be one picture.
        """
        cases = self.labelled
        pairs = pair(images, [case.name for case in cases])
        unclear = [(images[i], [str(cases[j].image) for j in several]) for i, several in pairs.unclear.items()]
        unclear += [(str(cases[j].image), [images[i] for i in several]) for j, several in pairs.shared.items()]
        for name, several in unclear:
            raise DatasetError(
                f"'{name}' may be either of several pictures",
                path=self.root,
                found=" and ".join(several),
                expected="names that can be told apart",
            )
        return {images[i]: cases[j] for i, j in pairs.found.items()}

    def case(self, name: str) -> Case:
        """The case called ``name``: its path below the root or its base name, with or without extension.

        DatasetError names the nearest when there is none, and all of them when there are several.
        """
        for called in (
            lambda case: (case.name,),
            lambda case: (case.id,),
            lambda case: (Path(case.name).with_suffix("").as_posix(), Path(case.id).stem),
        ):
            found = [case for case in self.cases if name in called(case)]
            if len(found) == 1:
                return found[0]
            if found:
                raise DatasetError(
                    f"several pictures are called '{name}'",
                    path=self.root,
                    found=", ".join(case.name for case in found[:5]),
                    expected="a path below the folder",
                )
        from difflib import get_close_matches

        near = get_close_matches(name, [case.id for case in self.cases], n=1, cutoff=0.0)
        raise DatasetError(
            f"no picture is called '{name}'", path=self.root, expected=f"perhaps '{near[0]}'" if near else "any picture"
        )


def open_dataset(
    path: str | Path,
    schema: BoneSchema | None = None,
    format_name: str | None = None,
    names: str | Path | None = None,
) -> Dataset:
    """Open a data set folder; its format is recognised from its layout unless ``format_name`` names it.

    ``schema``: None takes the shipped one whose bones are named there. ``names``: a file that maps the data set's own
    names to bones (see ``ossa.labels.names``). Raises DatasetError when the folder is missing, of no known layout, of
    one that is not read, or holds no picture.

    >>> dataset = ossa.open_dataset("data")
    >>> dataset.format, len(dataset)
    ('flat', 1)
    """
    root = Path(path)
    bones = schema if schema is not None else schema_of(root)
    if not root.is_dir():
        raise DatasetError(
            "there is no such data set folder", path=root, remedy="Give the folder that holds the data set"
        )
    known = formats()
    chosen = known.called(format_name) if format_name is not None else known.recognise(root)
    if chosen is None:
        content = sorted(p.name + ("/" if p.is_dir() else "") for p in root.iterdir())
        raise DatasetError(
            "the folder has the layout of no data set that is known here",
            path=root,
            found=", ".join([*content[:8], *(problem.message for problem in known.problems)]) or "an empty folder",
            expected=known.layouts(),
        )
    reading = chosen.read(root, bone_names(bones, names))
    problems = (*known.problems, *reading.problems)
    if not reading.cases:
        raise DatasetError(
            f"no picture was found (read as {chosen.name})",
            path=root,
            found=f"{len(problems)} problem(s): {problems[0]}" if problems else "no picture",
            expected=chosen.layout,
        )
    return Dataset(root, bones, chosen.name, reading.cases, problems)
