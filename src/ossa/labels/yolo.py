"""YOLO segmentation text, in and out: a file of polygons per picture, classes by number.

    ROOT/data.yaml            names: [finger-1, ...]  or  names: {0: finger-1, ...}; or ROOT/classes.txt, a name a line
    ROOT/images/**/hand.png   ROOT/labels/**/hand.txt     (or both in one folder)

    17 0.681 0.485 0.670 0.487 0.676 0.487          class x1 y1 x2 y2 ..., shares of the picture's width and height

Format: https://docs.ultralytics.com/datasets/segment. A share of 0 is the picture's left edge, so the centre of pixel i
is (i + .5) / width; polygons are filled border included, as Ultralytics fills them. Rows of one class are parts of one
bone; a hole is a keyhole (``ossa.labels.keyhole``), and overlap is kept. A row of four numbers is a box and draws no
bone. YOLO does not say which bones somebody looked for: ossa writes that into data.yaml as "judged", which YOLO passes
over; without it only what is drawn is judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ossa.errors import ImageError, LabelError
from ossa.labels.case import Case, Problem, Reading, Truth, judged
from ossa.labels.format import LabelFormat
from ossa.labels.item import Item
from ossa.labels.names import BoneNames, collect
from ossa.labels.pictures import below, case_of, labels_beside, pictures, subject_of, unclear_problem, visible_files
from ossa.labels.polygons import MAX_POINTS, Parts, label_points, polygon
from ossa.labels.texts import MAX_LABEL_BYTES
from ossa.radiograph.read import read_size
from ossa.safety import parse_yaml, write_text
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Segmentation

LAYOUT = "data.yaml, images/**/*.png and labels/**/*.txt (YOLO segmentation)"

#: What ossa calls the file of the classes, as Ultralytics does.
FILE = "data.yaml"

#: A line of YOLO: a class and the shares of a box or of an outline.
_LINE = re.compile(r"\d+(\s+[-+.\deE]+){4,}\s*")

#: Files that are looked into, bytes of one that names classes, and classes of one.
_LOOKS, _MAX_NAMES, _MOST_CLASSES = 20, 1_000_000, 10_000

_NO_LABELS = ("classes.txt", "obj.names", "train.txt", "val.txt", "test.txt", "readme.txt", "requirements.txt")


def detect(root: Path) -> bool:
    """Whether text files under ``root`` hold lines of YOLO."""
    return any(_LINE.fullmatch(_first_line(path)) for path in _texts(root)[:_LOOKS])


def _texts(root: Path) -> list[Path]:
    files = [path for path in visible_files(root) if path.suffix.lower() == ".txt"]
    return [path for path in files if path.name.lower() not in _NO_LABELS]


def _first_line(path: Path) -> str:
    """The first line, or of a line too long to be looked at its first words."""
    try:
        with path.open("rb") as stream:
            line = stream.read(4096).decode("utf-8", "replace").lstrip("\ufeff").partition("\n")[0]
    except OSError:
        return ""
    return line if len(line) < 3000 else line[:2900].rpartition(" ")[0]


@dataclass(frozen=True)
class Classes:
    """``names`` by number, where they stand (``path``), and what ossa wrote of who judged what."""

    path: Path
    names: Mapping[int, str]
    judged: object = None

    def judged_in(self, label: str) -> object:
        """What is said of one label (its path below the root): "all", a list, or nothing."""
        return self.judged.get(label, "all") if isinstance(self.judged, dict) else self.judged


def find_classes(folder: Path) -> Classes | None:
    """The classes of the set whose root is ``folder``; None where no file names them. LabelError for a bad one."""
    for name in (FILE, "dataset.yaml", "data.yml"):
        if (folder / name).is_file():
            return _yaml_classes(folder / name, (folder / name).stat().st_mtime_ns)
    for name in ("classes.txt", "obj.names"):
        if (folder / name).is_file():
            lines = _text(folder / name, _MAX_NAMES).splitlines()
            return Classes(folder / name, dict(enumerate(line.strip() for line in lines if line.strip())))
    return None


@lru_cache(maxsize=8)
def _yaml_classes(path: Path, _mtime: int) -> Classes:
    import yaml

    try:
        data: Any = parse_yaml(_text(path, 50 * _MAX_NAMES))
        names = data["names"]
        pairs = enumerate(names) if isinstance(names, list) else names.items()
        named = {int(number): str(name) for number, name in pairs}
        if not 0 < len(named) <= _MOST_CLASSES:
            raise ValueError(f"{len(named)} names")
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise LabelError(
            "names no classes", path=path, found=str(error)[:100] or type(error).__name__, expected="names: [a, b, ...]"
        ) from error
    return Classes(path, named, data.get("judged"))


def _text(path: Path, limit: int) -> str:
    try:
        size = path.stat().st_size
        if size > limit:
            raise LabelError("the file is too large", path=path, found=f"{size:,} bytes", expected=f"at most {limit:,}")
        return path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise LabelError("cannot be read", path=path, found=error.strerror or str(error)) from error


def read_case(case: Case, schema: BoneSchema, names: BoneNames, root: Path) -> Truth:
    """The truth of a case. The picture's size is read from its header, for the text knows shares of it only."""
    del schema  # the names know it
    assert case.label is not None  # Case.truth checked it
    classes = find_classes(root)
    if classes is None:
        raise LabelError("says classes by number, and no file names them", path=case.label, expected=f"{root / FILE}")
    try:
        size = read_size(case.image)
    except ImageError as error:
        raise LabelError(
            "tells shares of a picture whose size is not known", path=case.label, found=str(error)
        ) from error
    return parse_text(_text(case.label, MAX_LABEL_BYTES), case.label, classes, names, size, below(root, case.label))


def parse_text(
    text: str, path: Path, classes: Classes, names: BoneNames, size: tuple[int, int], label: str = ""
) -> Truth:
    """The truth in the text of one label, of a picture of ``size`` (H, W). Raises LabelError that names the row."""
    parts = Parts(path)
    others: Counter[str] = Counter()
    for number, row in enumerate(text.splitlines(), start=1):
        words = row.split()
        if not words:
            continue
        name, numbers = _row(words, number, path, classes)
        targets = names.targets(name)
        if targets is None:
            others[f"'{name}', which is no bone (the nearest is '{names.nearest(name)}')"] += 1
        elif len(numbers) == 4:
            others[f"box of '{name}', which draws no bone"] += 1
        elif targets:
            shares = np.array(numbers).reshape(-1, 2)
            if not ((shares >= -0.01) & (shares <= 1.01)).all():  # NaN fails too
                raise LabelError(
                    f"row {number} has shares that lie outside the picture",
                    path=path,
                    found=str(numbers)[:60],
                    expected="0 to 1, shares of the picture's width and height",
                )
            points = shares * (size[1], size[0]) - 0.5
            # Whole numbers are pixels' centres as ossa writes them: they shall not become 11.999998.
            whole = np.rint(points)
            points = np.where(np.abs(points - whole) < 0.02, whole, points)
            parts.add(targets, name, Outline(polygon(points.tolist(), name, path)))
    outlines, merged = collect(parts.found(), names.schema)
    told = tuple(f"{count} x {what}: left out" for what, count in others.items())
    known = judged(outlines, names.schema, classes.judged_in(label), merged)
    return Truth(outlines, known, merged, size, left_out=told)


def rows_of(path: Path) -> list[int]:
    """The class of every row. Raises LabelError where a row does not begin with one."""
    rows = [row.split(maxsplit=1) for row in _text(path, MAX_LABEL_BYTES).splitlines() if row.strip()]
    wrong = next((row for row in rows if not row[0].isdecimal() or len(row) < 2), None)
    if wrong is not None:
        raise LabelError("is no text of YOLO", path=path, found=" ".join(wrong)[:60], expected="0 x y x y x y")
    return [int(row[0]) for row in rows]


def _row(words: Sequence[str], number: int, path: Path, classes: Classes) -> tuple[str, list[float]]:
    """The class's name and the numbers of one row."""
    try:
        which = int(words[0])
        numbers = [float(word) for word in words[1 : 2 * MAX_POINTS + 3]]
    except ValueError as error:
        raise LabelError(
            f"row {number} is not a class and numbers", path=path, found=" ".join(words)[:60], expected="0 x y x y x y"
        ) from error
    if which not in classes.names:
        raise LabelError(
            f"row {number} is of a class that is not named",
            path=path,
            found=words[0][:20],
            expected=f"one of the {len(classes.names)} classes of {classes.path.name}",
        )
    if len(numbers) < 6 and len(numbers) != 4:
        raise LabelError(
            f"row {number}: the outline of '{classes.names[which]}' has too few points",
            path=path,
            found=f"{len(numbers)} numbers",
            expected="3 points or more, x and y of each",
        )
    if len(numbers) % 2:
        raise LabelError(
            f"row {number}: a point of '{classes.names[which]}' has no y", path=path, found=f"{len(numbers)} numbers"
        )
    return classes.names[which], numbers


def _picture_place(label: Path, root: Path) -> Path:
    """Where the picture of a label would lie, with the label's ending: "labels" stands for "images"."""
    parts = list(label.relative_to(root).parts)
    at = next((i for i in range(len(parts) - 2, -1, -1) if parts[i] == "labels"), None)
    if at is not None:
        parts[at] = "images"
    return root.joinpath(*parts)


def read(root: Path, names: BoneNames) -> Reading:
    """All pictures under ``root``; a label without a picture, and one that fits two, are problems."""
    images = pictures(root)
    there = {_picture_place(path, root): path for path in _texts(root)}
    found, left, unclear = labels_beside(images, list(there))
    problems = [unclear_problem(there[place], several) for place, several in unclear.items()]
    reader = partial(read_case, names=names, root=root)
    everything = frozenset(names.schema.names)

    def case(image: Path, label: Path | None) -> Case:
        name = below(root, image)
        split = next((part for part in Path(name).parts[:-1] if part in ("train", "val", "valid", "test")), "train")
        return case_of(root, image, label, subject_of(name), everything, reader, split)

    cases = [case(image, there[found[image]] if image in found else None) for image in images]
    problems += [Problem(c.image, "a picture without a label") for c in cases if c.label is None]
    problems += [Problem(there[place], "a label without a picture") for place in left]
    return Reading(tuple(cases), tuple(problems))


def text_of(segmentation: Segmentation) -> str:
    """One row per part of a bone: classes are the schema's bones in order, from 0."""
    height, width = segmentation.shape
    rows = []
    for name, region in segmentation:
        number = segmentation.schema.index(name)
        for part in outlines_from_region(region):
            shares = (np.array(label_points(part)) + 0.5) / (width, height)
            rows.append(f"{number} " + " ".join(f"{value:.7f}".rstrip("0") for value in shares.ravel().tolist()))
    return "".join(row + "\n" for row in rows)


def write_set(root: Path, items: Iterable[Item]) -> None:
    """Write labels/**.txt, bring pictures to images/**, and name the classes in data.yaml. Raises OutputError."""
    import yaml

    schema: BoneSchema | None = None
    known: dict[str, list[str]] = {}
    for item in items:
        schema = item.segmentation.schema
        label = f"labels/{item.name}.txt"
        item.brought(root / "images" / item.file)
        write_text(root / label, text_of(item.segmentation))
        if not item.everything_judged:
            known[label] = [name for name in schema.names if name in item.judged]
    if schema is None:
        return
    value = {
        "train": "images",
        "val": "images",
        "names": dict(enumerate(schema.names)),
        "judged": known or "all",
    }
    write_text(root / FILE, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


FORMATS = (LabelFormat("yolo", LAYOUT, 60, detect, read, write_set=write_set, mark=FILE),)
