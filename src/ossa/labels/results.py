"""Anything that holds the bones of named pictures, opened as one kind of thing.

A data set, a folder of label files (as ``ossa predict`` writes) or a submission CSV goes in; a
``Results`` comes out that hands out a picture's Segmentation when it is asked for. Evaluation and
the gallery read nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import DatasetError, InputError
from ossa.radiograph.radiograph import Side
from ossa.safety import read_json
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.segmentation import Segmentation

if TYPE_CHECKING:
    from ossa.labels.store import Probabilities

Shape = tuple[int, int]

#: What ``ossa predict`` calls its run lengths: a folder that holds this file is a folder of predictions.
PREDICTIONS = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture of a Results.

    ``read(shape)`` gives the bones in a picture of ``shape`` (H, W). ``annotated`` are the bones whose
    absence means "not there" (all of them for predictions). ``image`` is the picture when the source has it.
    ``probabilities`` reads the saved probabilities, where that is what the source holds.
    """

    name: str
    read: Callable[[Shape], Segmentation]
    annotated: frozenset[str]
    subject: str | None = None
    side: Side | None = None
    image: Path | None = None
    split: str = ""
    probabilities: Callable[[], Probabilities] | None = None


@dataclass(frozen=True, eq=False)
class Results:
    """Entries by picture name without its ending; ``kind`` says what was opened, in words."""

    path: Path
    kind: str
    schema: BoneSchema
    entries: Mapping[str, Entry]
    problems: Sequence[str] = field(default=())

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, key: str, subject: str | None = None) -> Entry | None:
        """The entry of a picture: by its name without ending, else by "subject/name"."""
        found = self.entries.get(key)
        return self.entries.get(f"{subject}/{key}") if found is None and subject else found


def open_results(path: str | Path, schema: BoneSchema | None = None) -> Results:
    """Open a submission CSV, a folder of ``ossa predict``, saved probabilities, a data set or a folder of label files.

    Sizes are asked for when an entry is read: a CSV does not know them. Raises InputError for a path that is none
    of these, and what the format's reader raises for a broken one.
    """
    where = Path(path)
    bones = schema if schema is not None else load_schema()
    if where.is_file():
        return _submission(where, bones)
    if not where.is_dir():
        raise InputError(
            "there is no such file or folder", path=where, expected="a data set, a folder of labels, or a CSV"
        )
    if (where / "store.json").is_file():
        return _store(where, bones)
    predictions = where / PREDICTIONS
    if predictions.is_file():
        return _submission(predictions, bones, beside=where)
    labels = sorted(p for p in where.glob("*.json") if p.is_file() and not p.name.startswith("."))
    if labels and not any(_picture_beside(label) for label in labels):
        return _labels(where, labels, bones)
    try:
        return _dataset(where, bones)
    except DatasetError as error:
        nested = labels or sorted(p for p in where.rglob("*.json") if p.is_file() and not p.name.startswith("."))
        if nested:
            return _labels(where, nested, bones)
        raise InputError(
            "holds no results that ossa reads",
            path=where,
            found=error.found if error.found is not None else str(error),
            expected=f"a data set, label files NAME.json, or {PREDICTIONS}",
        ) from error


def _submission(path: Path, schema: BoneSchema, beside: Path | None = None) -> Results:
    """Rows of a submission; run lengths are read in the size that the other side of a comparison knows.

    Warnings and confidences come from the label files in the folder ``beside``, where there are any.
    """
    from ossa.labels.submission import read_submission

    index = read_submission(path, schema)

    def reader(name: str) -> Callable[[Shape], Segmentation]:
        label = beside / Path(name).with_suffix(".json") if beside is not None else None
        return lambda shape: _with_notes(index.with_shape(shape)[name], label)

    everything = frozenset(schema.names)
    entries = {key: Entry(name, reader(name), everything) for key, name in _named(path, list(index))}
    return Results(path, "submission CSV", schema, entries)


def _dataset(path: Path, schema: BoneSchema) -> Results:
    from ossa.dataset.dataset import open_dataset

    dataset = open_dataset(path, schema)

    def reader(number: int) -> Callable[[Shape], Segmentation]:
        return lambda shape: dataset.cases[number].segmentation(schema, shape)

    entries = {}
    names = [f"{case.subject}/{case.id}" for case in dataset.cases]
    for number, (key, _) in enumerate(_named(path, names)):
        case = dataset.cases[number]
        known = case.annotated if case.label is not None else frozenset()
        entries[key] = Entry(case.id, reader(number), known, case.subject, case.side, case.image, case.split)
    problems = tuple(map(str, dataset.problems))
    return Results(path, f"data set ({dataset.format})", schema, entries, problems)


def _labels(path: Path, files: Iterable[Path], schema: BoneSchema) -> Results:
    """A folder of label files in the competition's format, as ``ossa predict`` writes."""
    from ossa.labels.competition import read_label
    from ossa.segmentation.outlines import segmentation_from_outlines

    def reader(file: Path) -> Callable[[Shape], Segmentation]:
        return lambda shape: _with_notes(segmentation_from_outlines(read_label(file, schema), schema, shape), file)

    everything = frozenset(schema.names)
    chosen = {file.relative_to(path).as_posix(): file for file in files}
    entries = {}
    for key, name in _named(path, list(chosen)):
        file = chosen[name]
        entries[key] = Entry(file.stem, reader(file), everything, image=_picture_beside(file))
    return Results(path, "label files", schema, entries)


_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")


def _with_notes(segmentation: Segmentation, label: Path | None) -> Segmentation:
    """The notes and confidences that ``ossa predict`` wrote into a label file; nothing where it has none."""
    if label is None or not label.is_file():
        return segmentation
    data = read_json(label)
    said = data.get("attributes") if isinstance(data, dict) else None
    if not isinstance(said, dict):
        return segmentation
    # Other programs keep things of their own under these names: what is not ours is passed over.
    notes, sure = said.get("notes"), said.get("confidence")
    return replace(
        segmentation,
        notes=tuple(n for n in notes if isinstance(n, str)) if isinstance(notes, list) else (),
        confidence={n: float(v) for n, v in sure.items() if n in segmentation.regions and isinstance(v, (int, float))}
        if isinstance(sure, dict)
        else {},
    )


def _picture_beside(label: Path) -> Path | None:
    """The picture that lies beside a label file under the same name."""
    return next((p for ending in _PICTURES if (p := label.with_suffix(ending)).is_file()), None)


def _named(path: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """(key, name) for names that may hold folders: the stem, or "folder/stem" where stems repeat."""
    stems = [Path(name).stem for name in names]
    repeated = {stem for stem, count in Counter(stems).items() if count > 1}
    keys = []
    for name, stem in zip(names, stems, strict=True):
        parent = Path(name).parent.name
        keys.append(f"{parent}/{stem}" if stem in repeated and parent else stem)
    if len(set(keys)) < len(keys):
        twice = next(key for key, count in Counter(keys).items() if count > 1)
        raise InputError(
            "two pictures have the same name",
            path=path,
            found=repr(twice),
            expected="names that differ",
            remedy="Use the parts one by one",
        )
    return list(zip(keys, names, strict=True))


def _store(path: Path, schema: BoneSchema) -> Results:
    """Saved probabilities, decoded at .5."""
    from ossa.labels.store import Store
    from ossa.segmentation.decode import decode

    store = Store.open(path, schema)

    def reader(name: str) -> Callable[[Shape], Segmentation]:
        def read(shape: Shape) -> Segmentation:
            saved = store.read(name)
            if saved.placement.image_shape != shape:
                raise InputError(
                    f"the probabilities of '{name}' belong to a picture of another size",
                    path=path,
                    found="{}x{}".format(*saved.placement.image_shape),
                    expected="{}x{}".format(*shape),
                )
            return decode(saved.logits(), saved.placement, schema)

        return read

    everything = frozenset(schema.names)
    entries = {
        key: Entry(name, reader(name), everything, probabilities=partial(store.read, name))
        for key, name in _named(path, store.images())
    }
    return Results(path, "saved probabilities", schema, entries)


def find_pictures(images: str | Path | None, results: Iterable[Results]) -> dict[str, Path]:
    """Key -> picture file: from the folder ``images``, else from the data sets and label folders themselves."""
    found: dict[str, Path] = {}
    if images is not None:
        from ossa.pipeline.sources import find_sources

        # No output folder is to be left out of the search: name one that cannot be there.
        found = {source.path.stem: source.path for source in find_sources([images], Path(images) / ".none")}
    for result in results:
        for key, entry in result.entries.items():
            if entry.image is not None:
                found.setdefault(key, entry.image)
    return found


def picture_shape(path: Path) -> Shape:
    """(H, W) of a picture as ``read_radiograph`` gives it, from the header alone."""
    from ossa.radiograph.read import read_size

    return read_size(path)
