"""Anything that holds the bones of named pictures, opened as one kind of thing.

A data set, a folder of label files (as ``ossa predict`` writes) or a submission CSV goes in; a
``Results`` comes out that hands out a picture's Segmentation when it is asked for. Evaluation and
the gallery read nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ossa.errors import DatasetError, InputError
from ossa.radiograph.radiograph import Side
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.segmentation import Segmentation

Shape = tuple[int, int]

#: What ``ossa predict`` calls its run lengths: a folder that holds this file is a folder of predictions.
PREDICTIONS = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture of a Results.

    ``read(shape)`` gives the bones in a picture of ``shape`` (H, W). ``annotated`` are the bones whose
    absence means "not there" (all of them for predictions). ``shape`` is the picture's size when the source
    itself knows it; ``image`` the picture when the source has it.
    """

    name: str
    read: Callable[[Shape], Segmentation]
    annotated: frozenset[str]
    subject: str | None = None
    side: Side | None = None
    image: Path | None = None
    split: str = ""


@dataclass(frozen=True, eq=False)
class Results:
    """Entries by picture name without its ending; ``kind`` says what was opened, in words."""

    path: Path
    kind: str
    schema: BoneSchema
    entries: Mapping[str, Entry]

    def __len__(self) -> int:
        return len(self.entries)


def open_results(path: str | Path, schema: BoneSchema | None = None) -> Results:
    """Open a submission CSV, a folder that ``ossa predict`` wrote, a data set or a folder of label files.

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
    predictions = where / PREDICTIONS
    if predictions.is_file():
        return _submission(predictions, bones)
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


def _submission(path: Path, schema: BoneSchema) -> Results:
    """Rows of a submission; run lengths are read in the size that the other side of a comparison knows."""
    from ossa.export.csv import read_submission

    index = read_submission(path, schema)

    def reader(name: str) -> Callable[[Shape], Segmentation]:
        return lambda shape: index.with_shape(shape)[name]

    everything = frozenset(schema.names)
    entries = {Path(name).stem: Entry(name, reader(name), everything) for name in index}
    _no_clash(path, index, entries)
    return Results(path, "submission CSV", schema, entries)


def _dataset(path: Path, schema: BoneSchema) -> Results:
    from ossa.dataset.dataset import open_dataset

    dataset = open_dataset(path, schema)

    def reader(number: int) -> Callable[[Shape], Segmentation]:
        return lambda shape: dataset.cases[number].segmentation(schema, shape)

    entries = {}
    for number, case in enumerate(dataset.cases):
        known = case.annotated if case.label is not None else frozenset()
        entries[Path(case.id).stem] = Entry(
            case.id, reader(number), known, case.subject, case.side, case.image, case.split
        )
    _no_clash(path, [case.id for case in dataset.cases], entries)
    return Results(path, f"data set ({dataset.format})", schema, entries)


def _labels(path: Path, files: Iterable[Path], schema: BoneSchema) -> Results:
    """A folder of label files in the competition's format, as ``ossa predict`` writes."""
    from ossa.dataset.formats.competition import read_label
    from ossa.segmentation.outlines import segmentation_from_outlines

    def reader(file: Path) -> Callable[[Shape], Segmentation]:
        return lambda shape: segmentation_from_outlines(read_label(file, schema), schema, shape)

    everything = frozenset(schema.names)
    chosen = list(files)
    entries = {f.stem: Entry(f.stem, reader(f), everything, image=_picture_beside(f)) for f in chosen}
    _no_clash(path, [file.stem for file in chosen], entries)
    return Results(path, "label files", schema, entries)


_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")


def _picture_beside(label: Path) -> Path | None:
    """The picture that lies beside a label file under the same name."""
    return next((p for ending in _PICTURES if (p := label.with_suffix(ending)).is_file()), None)


def _no_clash(path: Path, names: Iterable[str], entries: Mapping[str, Entry]) -> None:
    count = len(list(names))
    if count != len(entries):
        raise InputError(
            "two pictures have the same name",
            path=path,
            found=f"{count} pictures with {len(entries)} names",
            expected="base names that differ",
            remedy="Evaluate the parts one by one",
        )


def picture_shape(path: Path) -> Shape:
    """(H, W) of a picture from its header; DICOM files are opened without their pixels."""
    from ossa.radiograph.headers import read_header, sniff

    with path.open("rb") as stream:
        kind = sniff(stream.read(132))
        if kind is not None and kind != "DICOM":
            stream.seek(0)
            header = read_header(stream, kind, str(path))
            # A picture that the reader turns upright has its sides exchanged in some orientations only.
            if not header.turned:
                return (header.height, header.width)
    from ossa.radiograph.radiograph import read_radiograph

    return read_radiograph(path).shape
