"""The pictures of a folder, and how a label names its own: beside it under its name, or by a path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ossa.labels.case import Case, LabelReader, Problem, side_from_name
from ossa.labels.match import pair, without_ending
from ossa.radiograph.find import find_pictures
from ossa.radiograph.kinds import is_picture_name

#: Folders that say nothing about whom a picture shows.
_NOBODY = re.compile(
    r"(images?|imgs?|pictures|data|default|upload|files|labels|annotations|dcm|train\w*|val|valid|validation|test)",
    re.IGNORECASE,
)


def pictures(root: Path) -> list[Path]:
    """Every picture file under ``root``, sorted: what ``radiograph.find`` takes for one."""
    return sorted(find_pictures([root]).files) if root.is_dir() else []


def visible_files(root: Path) -> list[Path]:
    """Every file under ``root``, sorted, less hidden files and hidden folders."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder) / name for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def subject_of(name: str) -> str:
    """The person in a picture's path below the root: the folder that it lies in, or its stem less the side.

    Folders that say how a set is ordered ("images", "train") are nobody's.
    """
    folder = PurePosixPath(name).parent.as_posix()
    parts = [part for part in folder.split("/") if not _NOBODY.fullmatch(part) and part not in (".", "..")]
    return "/".join(parts) if parts else re.sub(r"_[LR]$", "", without_ending(PurePosixPath(name).name))


def case_of(
    root: Path,
    image: Path,
    label: Path | None,
    subject: str,
    annotated: frozenset[str],
    reader: LabelReader,
    split: str = "train",
    key: str = "",
) -> Case:
    """The case of one picture. Without a ``label`` nothing of it is annotated, and nothing reads its truth.

    ``annotated``: the bones that a label of this format is made to show; ``key`` as in ``Case``.
    """
    return Case(
        id=image.name,
        subject=subject,
        image=image,
        label=label,
        side=side_from_name(without_ending(image.name)),
        split=split,
        annotated=annotated if label is not None else frozenset(),
        key=key,
        reader=reader if label is not None else None,
        name=below(root, image),
    )


def below(root: Path, path: Path) -> str:
    """The path of a file as seen from ``root``, with "/"."""
    return Path(os.path.relpath(path, root)).as_posix()


@dataclass(frozen=True)
class Named:
    """``found``: name -> picture; ``missing``: names without one; ``problems``: names that fit two."""

    found: Mapping[str, Path]
    missing: tuple[str, ...]
    problems: tuple[Problem, ...]


def find_named(root: Path, label: Path, names: Iterable[str], files: Sequence[Path]) -> Named:
    """The pictures that ``label`` calls ``names``, among ``files`` of ``root`` or where a relative name leads.

    A name may be a path on another computer, with "\\\\" for "/": then its end decides. A relative name may lead to a
    folder beside ``root`` (labels/ and images/), no further: somebody else's data set takes no other picture along.
    """
    reach = Path(os.path.abspath(root)).parent
    found: dict[str, Path] = {}
    there = set(files)
    open_ = []
    for name in dict.fromkeys(names):
        direct = Path(os.path.normpath(label.parent / _relative(name)))
        near = is_picture_name(direct) and Path(os.path.abspath(direct)).is_relative_to(reach)
        if name and (direct in there or (near and direct.is_file())):
            found[name] = direct
        else:
            open_.append(name)
    free = [path for path in files if path not in set(found.values())] if open_ else []
    pairs = pair([_relative(name) for name in open_], [below(root, path) for path in free])
    found |= {open_[i]: free[j] for i, j in pairs.found.items()}
    problems = [
        Problem(label, f"'{open_[i]}' may be {' or '.join(below(root, free[j]) for j in several)}: left out")
        for i, several in pairs.unclear.items()
    ]
    problems += [
        Problem(label, f"{' and '.join(repr(open_[i]) for i in several)} may both be {below(root, free[j])}: left out")
        for j, several in pairs.shared.items()
    ]
    told = {i for several in pairs.shared.values() for i in several} | set(pairs.unclear)
    missing = tuple(name for i, name in enumerate(open_) if i not in pairs.found and i not in told)
    return Named(found, missing, tuple(problems))


def _relative(name: str) -> str:
    r"""A path as another program wrote it, from here: "C:\films\hand.png" becomes "films/hand.png"."""
    return re.sub(r"^[A-Za-z]:", "", name.replace("\\", "/")).lstrip("/")


def labels_beside(
    images: Sequence[Path], labels: Sequence[Path]
) -> tuple[dict[Path, Path], list[Path], dict[Path, list[Path]]]:
    """Picture -> the label of its name in its folder; the labels without a picture; label -> two pictures of its name.

    "hand.json" belongs to "hand.png". Where "hand.jpg" lies there too it may be either's, unless each has the label of
    its whole name ("hand.jpg.json").
    """
    by_name = {label.with_suffix(""): label for label in labels}
    found = {image: by_name.pop(image) for image in images if image in by_name}
    wanting: dict[Path, list[Path]] = {}
    for image in images:
        label = by_name.get(image.with_name(without_ending(image.name)))
        if image not in found and label is not None:
            wanting.setdefault(label, []).append(image)
    found |= {several[0]: label for label, several in wanting.items() if len(several) == 1}
    unclear = {label: several for label, several in wanting.items() if len(several) > 1}
    used = set(found.values()) | set(unclear)
    return found, [label for label in labels if label not in used], unclear


def unclear_problem(label: Path, several: Sequence[Path]) -> Problem:
    """That a label may belong to either of two pictures."""
    return Problem(label, f"may be the label of {' or '.join(path.name for path in several)}: belongs to neither")
