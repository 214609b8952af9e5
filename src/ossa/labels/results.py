"""Anything that holds the bones of named pictures, opened as one kind of thing.

A data set, a folder of label files (as ``ossa predict`` writes), saved probabilities or a submission CSV goes in; a
``Results`` comes out that hands out what it says of a picture when it is asked for. Evaluation and the gallery read
nothing else. ``line_up`` finds what several of them say of the same picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ossa.errors import InputError
from ossa.labels.beside import read_one, stated_size
from ossa.labels.case import Case, Truth
from ossa.labels.competition import read_notes, read_origin
from ossa.labels.format import formats
from ossa.labels.match import pair, without_ending
from ossa.labels.names import BoneNames, bone_names
from ossa.labels.pictures import below, pictures
from ossa.labels.store import Probabilities, Store
from ossa.labels.submission import Submission, read_submission
from ossa.labels.texts import read_label_json
from ossa.labels.whose import schema_of
from ossa.radiograph.radiograph import Side
from ossa.schema import BoneSchema
from ossa.segmentation.decode import decode_at
from ossa.segmentation.origin import Origin
from ossa.segmentation.segmentation import Segmentation

Shape = tuple[int, int]

#: What ``ossa predict`` calls its run lengths: a folder that holds this file is a folder of predictions.
PREDICTIONS = "predictions.csv"

#: Kinds of results whose nature a comparison has to know.
CSV, STORE = "submission CSV", "saved probabilities"


class Opened(Protocol):
    """What one source says of one picture, read from the disk once."""

    @property
    def size(self) -> Shape | None:
        """The picture's (H, W) as the source itself knows it; None where it does not."""
        ...

    def read(self, shape: Shape) -> tuple[Segmentation, frozenset[str]]:
        """The bones in a picture of ``shape`` (H, W), and those that somebody judged: the others are unknown."""
        ...


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture of a Results.

    ``name`` is its path below what was opened, with its ending where the source knows that. ``labelled``: something is
    said of it. ``image`` is the picture when the source has it; ``file`` what is read for it; ``case``: that of a data
    set.
    """

    name: str
    open: Callable[[], Opened]
    labelled: bool = True
    subject: str | None = None
    side: Side | None = None
    image: Path | None = None
    split: str = ""
    file: Path | None = None
    case: Case | None = None

    @property
    def id(self) -> str:
        """The base name."""
        return self.name.rpartition("/")[2]

    def read(self, shape: Shape) -> Segmentation:
        """The bones in a picture of ``shape`` (H, W)."""
        return self.open().read(shape)[0]


@dataclass(frozen=True, eq=False)
class Results:
    """Entries by their names, without endings where these are not needed; ``kind`` says what was opened, in words.

    ``form``: the label format of a data set or of a folder of labels.
    """

    path: Path
    kind: str
    schema: BoneSchema
    entries: Mapping[str, Entry]
    problems: Sequence[str] = field(default=())
    form: str = ""

    def __len__(self) -> int:
        return len(self.entries)


def open_results(
    path: str | Path,
    schema: BoneSchema | None = None,
    names: str | Path | None = None,
    scale_labels: bool = False,
) -> Results:
    """Open a submission CSV, a folder of ``ossa predict``, saved probabilities, a data set, a folder of label files, or
    one label file (.json).

    ``schema``: None takes the shipped one whose bones are named there. ``names``: a file that maps names of labels to
    bones; ``scale_labels`` as in ``Case``. Sizes are asked for when an
    entry is read: a CSV does not know them. Raises InputError for a path that is none of these, and what the format's
    reader raises for a broken one.
    """
    where = Path(path)
    bones = schema if schema is not None else schema_of(where)
    if where.is_file():
        label = read_one(where, bone_names(bones, names)) if where.suffix.lower() == ".json" else None
        return _submission(where, bones) if label is None else _one_label(where, label, bones, scale_labels)
    if not where.is_dir():
        raise InputError(
            "there is no such file or folder", path=where, expected="a data set, a folder of labels, or a CSV"
        )
    if (where / "store.json").is_file():
        return _store(where, bones)
    if (where / PREDICTIONS).is_file():
        return _submission(where / PREDICTIONS, bones, beside=where)
    return _labels(where, bone_names(bones, names), scale_labels)


# --- the four kinds -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Label:
    """The label of a case: bones as somebody drew them; ``read`` fills them."""

    case: Case
    truth: Truth
    schema: BoneSchema

    @property
    def size(self) -> Shape | None:
        """The picture's (H, W) where the label states it."""
        return self.truth.shape

    def drawn(self, shape: Shape) -> Truth:
        """What was drawn, for a picture of ``shape`` (H, W). Raises LabelError where it does not fit."""
        return self.case.fit(self.truth, shape)

    def read(self, shape: Shape) -> tuple[Segmentation, frozenset[str]]:
        """The bones filled, and those that somebody judged. Raises LabelError where it does not fit."""
        truth = self.drawn(shape)
        return truth.segmentation(self.schema, shape), truth.annotated


def _open_case(case: Case, schema: BoneSchema) -> Opened:
    return Label(case, case.truth(schema), schema)


def _labels(path: Path, names: BoneNames, scale_labels: bool) -> Results:
    """A data set, or labels without pictures: the formats are asked before anything is made of its files."""
    schema = names.schema
    chosen = formats().recognise(path)
    reading = chosen.read(path, names) if chosen is not None else None
    if chosen is None or reading is None or not (reading.cases or reading.bare):
        content = sorted(p.name for p in path.iterdir())
        raise InputError(
            "holds no results that ossa reads",
            path=path,
            found=", ".join(content[:8]) or "an empty folder",
            expected=f"a data set, label files NAME.json, or {PREDICTIONS}",
        )
    pictures = {case.name for case in reading.cases}
    cases = [replace(case, scale_labels=scale_labels) for case in (*reading.cases, *reading.bare)]
    entries = [_entry(case, schema, case.image if case.name in pictures else None) for case in cases]
    kind = f"data set ({chosen.name})" if reading.cases else "label files"
    return Results(path, kind, schema, _keyed(path, entries), tuple(map(str, reading.problems)), chosen.name)


def _entry(case: Case, schema: BoneSchema, image: Path | None) -> Entry:
    opened = partial(_open_case, case, schema)
    return Entry(
        case.name, opened, case.label is not None, case.subject, case.side, image, case.split, case.label, case
    )


def _one_label(path: Path, case: Case, schema: BoneSchema, scale_labels: bool) -> Results:
    image = case.image if case.image.is_file() else None
    entry = _entry(replace(case, scale_labels=scale_labels), schema, image)
    return Results(path, "label file", schema, {without_ending(entry.name): entry})


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a submission; size, warnings and confidences come from the label that ``ossa predict`` put beside it."""

    submission: Submission
    name: str
    size: Shape | None = None
    notes: tuple[str, ...] = ()
    confidence: Mapping[str, float] = field(default_factory=dict)
    origin: Origin | None = None

    def read(self, shape: Shape) -> tuple[Segmentation, frozenset[str]]:
        found = self.submission.with_shape(shape)[self.name]
        sure = {name: value for name, value in self.confidence.items() if name in found.regions}
        told = replace(found, notes=self.notes, confidence=sure, origin=self.origin)
        return told, frozenset(found.schema.names)


def _open_rows(submission: Submission, name: str, folder: Path | None) -> Opened:
    label = None
    if folder is not None:
        places = (folder / f"{name}.json", folder / f"{without_ending(name)}.json")
        label = next((place for place in places if place.is_file()), None)
    if label is None:
        return _Rows(submission, name)
    data = read_label_json(label)
    return _Rows(submission, name, stated_size(data, label), *read_notes(data), read_origin(data))


def _submission(path: Path, schema: BoneSchema, beside: Path | None = None) -> Results:
    index = read_submission(path, schema)
    entries = [Entry(name, partial(_open_rows, index, name, beside), file=path) for name in index]
    return Results(path, CSV, schema, _keyed(path, entries))


@dataclass(frozen=True, eq=False)
class Saved:
    """Saved probabilities of one picture; ``read`` decodes them at .5. ``origin``: the models that gave them."""

    probabilities: Probabilities
    schema: BoneSchema
    origin: Origin | None = None

    @property
    def size(self) -> Shape | None:
        """The picture's (H, W)."""
        return self.probabilities.placement.image_shape

    def read(self, shape: Shape) -> tuple[Segmentation, frozenset[str]]:
        """The bones found, and all bones: each was looked for. Raises InputError for a picture of another size."""
        found = replace(self.read_at(shape, (0.5,))[0], origin=self.origin)
        return found, frozenset(self.schema.names)

    def read_at(self, shape: Shape, thresholds: Sequence[float | Mapping[str, float]]) -> list[Segmentation]:
        """The bones at each of several thresholds (one for all bones, or bone -> probability); unpacked once."""
        if self.size != shape:
            raise InputError(
                "the probabilities belong to a picture of another size",
                path=self.probabilities.path,
                found="{}x{}".format(*self.probabilities.placement.image_shape),
                expected="{}x{}".format(*shape),
            )
        return decode_at(self.probabilities.logits(), self.probabilities.placement, self.schema, thresholds)


def _open_saved(store: Store, name: str) -> Opened:
    return Saved(store.read(name), store.schema, _origin_of(store))


def _origin_of(store: Store) -> Origin | None:
    """The models that a store names; which version of ossa asked them it does not say."""
    named = store.source.get("models")
    models = [
        {"name": one.get("name"), "licence": "", "sha256": one.get("files")}
        for one in (named if isinstance(named, list) else ())
        if isinstance(one, dict)
    ]
    return Origin.from_json({"ossa": "", "models": models, "settings": {}}) if models else None


def _store(path: Path, schema: BoneSchema) -> Results:
    store = Store.open(path, schema)
    entries = [Entry(name, partial(_open_saved, store, name), file=store.file(name)) for name in store.images()]
    return Results(path, STORE, schema, _keyed(path, entries))


def _keyed(path: Path, entries: Sequence[Entry]) -> dict[str, Entry]:
    """Entries by name without ending; with it where two differ by nothing else."""
    short = Counter(without_ending(entry.name) for entry in entries)
    keyed = {}
    for entry in entries:
        key = without_ending(entry.name) if short[without_ending(entry.name)] == 1 else entry.name
        if key in keyed:
            raise InputError(
                "two pictures have the same name",
                path=path,
                found=repr(key),
                expected="names that differ",
                remedy="Use the parts one by one",
            )
        keyed[key] = entry
    return keyed


# --- side by side -------------------------------------------------------------------------------------------------


def line_up(results: Sequence[Results]) -> list[tuple[Entry | None, ...]]:
    """What each of several results says of the same picture: one row per picture, in the order of the first.

    Pictures are told by their paths from the end, so that each source may have folders of its own in front. Raises
    InputError naming both where two of one source fit a picture of another equally well.
    """
    rows: list[list[Entry | None]] = []
    for number, result in enumerate(results):
        entries = list(result.entries.values())
        known = [next(entry.name for entry in row if entry is not None) for row in rows]
        pairs = pair(known, [entry.name for entry in entries])
        for i, several in pairs.unclear.items():
            raise _unclear(known[i], [f"{result.path}: {entries[j].name}" for j in several])
        for j, several in pairs.shared.items():
            raise _unclear(entries[j].name, [known[i] for i in several], result.path)
        at = {j: i for i, j in pairs.found.items()}
        for row in rows:
            row.append(None)
        for j, entry in enumerate(entries):
            if j in at:
                rows[at[j]][number] = entry
            else:
                rows.append([None] * number + [entry])
    return [tuple(row) for row in rows]


def _unclear(name: str, fits: Sequence[str], path: Path | None = None) -> InputError:
    return InputError(
        f"'{name}' may be either of several pictures",
        path=path,
        found=" and ".join(fits),
        expected="names that can be told apart",
        remedy="Keep the folders in the names, or compare folder by folder",
    )


def find_pictures(images: str | Path, rows: Sequence[Sequence[Entry | None]]) -> dict[int, Path]:
    """Index of a row -> its picture in the folder ``images``. Raises InputError naming both pictures that fit a row."""
    files = pictures(Path(images))
    known = [next(entry.name for entry in row if entry is not None) for row in rows]
    pairs = pair(known, [below(Path(images), path) for path in files])
    for i, several in pairs.unclear.items():
        raise _unclear(known[i], [str(files[j]) for j in several])
    for j, several in pairs.shared.items():
        raise _unclear(str(files[j]), [known[i] for i in several])
    return {i: files[j] for i, j in pairs.found.items()}


def picture_of(row: Sequence[Entry | None]) -> Path | None:
    """The picture of a row where one of its sources has it."""
    return next((entry.image for entry in row if entry is not None and entry.image is not None), None)
