"""Pictures and what several sources say of them: a data set, predictions, submission CSVs, lined up by picture.

Pictures are handed out by an id that is looked up in a table and never made a path of.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ossa.errors import InputError
from ossa.labels.case import side_from_name
from ossa.labels.match import without_ending
from ossa.labels.pictures import pictures, subject_of
from ossa.labels.results import Entry, Results, find_pictures, line_up, open_results, picture_of
from ossa.labels.whose import schema_of
from ossa.radiograph.radiograph import Side
from ossa.schema import BoneSchema, load_schema
from ossa.studio.corrections import Missing
from ossa.studio.films import FilmHand

#: The source of what is known of a picture: its correction, else the data set's own label.
TRUTH = "truth"

#: The source of the model that the studio was started with.
MODEL = "model"

#: The source of pictures that were dropped on the page.
DROPPED = "dropped"


@dataclass(frozen=True)
class Source:
    """Something that says where bones are. ``kind``: "truth", "predictions", "csv" or "model"."""

    id: str
    title: str
    kind: str

    def to_json(self) -> dict[str, str]:
        """As the page gets it."""
        return {"id": self.id, "title": self.title, "kind": self.kind}


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture: ``name`` is its path below the data set's root; ``entries``: source -> what it says.

    ``film``: which hand it is, where its file shows several.
    """

    id: str
    name: str
    path: Path
    subject: str = ""
    side: str | None = None
    fold: str | None = None
    entries: Mapping[str, Entry] = field(default_factory=dict)
    film: FilmHand | None = None

    @property
    def known_side(self) -> Side | None:
        """The side, where it is one."""
        return "L" if self.side == "L" else "R" if self.side == "R" else None

    def entry(self, source: str) -> Entry | None:
        """What a source says of the picture, where it says anything."""
        found = self.entries.get(source)
        return found if found is not None and found.labelled else None


@dataclass(frozen=True, eq=False)
class Collection:
    """``pictures`` by id, in the order of their names; ``sources`` by id; ``problems``: what could not be used.

    ``form``: the label format of the data set, "" where there is none; ``names``: a map that its names are read by.
    """

    schema: BoneSchema
    pictures: Mapping[str, Picture]
    sources: Mapping[str, Source]
    pairs: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()
    form: str = ""
    names: str | Path | None = None

    def picture(self, key: str) -> Picture:
        """The picture with this id. Raises Missing."""
        try:
            return self.pictures[key]
        except KeyError:
            raise Missing("there is no such picture", found=repr(key)[:80], expected="an id of the list") from None


def id_of(name: str) -> str:
    """The id of the picture called ``name``: the same at every start."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def open_collection(
    root: str | Path | None,
    predictions: Sequence[str | Path] = (),
    csvs: Sequence[str | Path] = (),
    *,
    images: str | Path | None = None,
    folds: str | Path | None = None,
    schema: BoneSchema | None = None,
    names: str | Path | None = None,
) -> Collection:
    """What lies in ``root`` (a data set, or pictures without labels), and what predictions and CSVs say of it.

    ``images``: a folder of the pictures where ``root`` does not have them. ``folds``: a folds file of ``ossa train``;
    ``names`` maps names of labels to bones. Raises InputError for a source that cannot be read, and where there are
    sources but no picture.
    """
    given_first = next((path for path in (root, *predictions, *csvs) if path is not None), None)
    named = load_schema() if given_first is None else schema_of(given_first)
    bones = named if schema is None else schema
    opened: list[tuple[Source, Results]] = []
    form = ""
    for given, kind in [*((p, "predictions") for p in predictions), *((p, "csv") for p in csvs)]:
        result = open_results(given, bones, names)
        opened.append((Source(f"{kind}-{len(opened) + 1}", _title(Path(given)), kind), result))
    if root is not None:
        own = _root(Path(root), bones, names)
        truth = own.kind.startswith("data set")
        form = own.form if truth else ""
        source = Source(TRUTH, "Truth", "truth") if truth else Source("root", _title(Path(root)), "predictions")
        opened.insert(0, (source, own))
    if not opened:
        return Collection(bones, {}, {})
    rows = line_up([result for _, result in opened])
    found = find_pictures(images, rows) if images is not None else {}
    fold_of = _folds(folds)
    made: list[Picture] = []
    without = 0
    for i, row in enumerate(rows):
        path: Path | None = found.get(i) or picture_of(row)
        if path is None:
            without += 1
            continue
        made.append(_picture(row, [source.id for source, _ in opened], path, fold_of))
    if not made:
        raise InputError(
            "no picture was found",
            path=", ".join(str(result.path) for _, result in opened),
            found=f"{without} results without their pictures",
            expected="a folder of radiographs",
            remedy="Give the data set's folder as ROOT, or the folder of the pictures with --images",
        )
    problems = [problem for _, result in opened for problem in result.problems]
    if without:
        problems.append(f"{without} results have no picture here: they are not shown")
    made.sort(key=lambda one: one.name.casefold())
    sources = {source.id: source for source, _ in opened}
    return Collection(bones, {one.id: one for one in made}, sources, pairs_of(made), problems, form, names)


def _root(root: Path, schema: BoneSchema, names: str | Path | None) -> Results:
    """A data set, or a folder of nothing but pictures."""
    if not root.exists():
        raise InputError("there is no such folder", path=root, expected="the folder of a data set, or of radiographs")
    if root.is_dir() and not any(root.iterdir()):
        raise InputError("holds no picture", path=root, found="an empty folder", expected="radiographs")
    return open_results(root, schema, names)


def _picture(row: Sequence[Entry | None], sources: Sequence[str], path: Path, fold_of: Mapping[str, str]) -> Picture:
    about = [entry for entry in row if entry is not None]
    name = about[0].name
    subject = next((entry.subject for entry in about if entry.subject), "") or subject_of(name)
    return Picture(
        id_of(name),
        name,
        path,
        subject,
        next((entry.side for entry in about if entry.side), None),
        fold_of.get(without_ending(path.name), fold_of.get(subject)),
        {source: entry for source, entry in zip(sources, row, strict=True) if entry is not None},
    )


def dropped_pictures(path: Path, hands: Sequence[FilmHand] = ()) -> list[Picture]:
    """A picture that somebody dropped on the page; one for each of its ``hands`` where it shows several."""
    subject = without_ending(path.name)
    if not hands:
        name = f"{DROPPED}/{path.name}"
        return [Picture(id_of(name), name, path, subject, side_from_name(subject))]
    return [
        Picture(id_of(f"{DROPPED}/{hand.name}"), f"{DROPPED}/{hand.name}", path, subject, hand.side, film=hand)
        for hand in hands
    ]


def dropped_files(folder: Path) -> list[Path]:
    """The pictures that were dropped so far."""
    return pictures(folder)


def pairs_of(made: Sequence[Picture]) -> dict[str, str]:
    """Picture -> that of the same subject's other hand, where there is one of each side and no more."""
    hands: dict[tuple[str, str], list[Picture]] = defaultdict(list)
    for one in made:
        if one.side in ("L", "R") and one.subject:
            hands[one.subject, one.side].append(one)
    out = {}
    for (subject, side), own in hands.items():
        others = hands.get((subject, "R" if side == "L" else "L"), [])
        if len(own) == len(others) == 1:
            out[own[0].id] = others[0].id
    return out


def pairs_on_films(made: Iterable[Picture]) -> dict[str, str]:
    """The same for the hands of films: the left and the right one of a film know each other."""
    films: dict[Path, list[Picture]] = defaultdict(list)
    for one in made:
        if one.film is not None:
            films[one.path].append(one)
    return {key: other for several in films.values() for key, other in pairs_of(several).items()}


def _folds(path: str | Path | None) -> dict[str, str]:
    """Subject or picture -> fold."""
    if path is None:
        return {}
    from ossa.dataset.folds import read_folds

    return {subject: str(number) for subject, number in read_folds(path).fold_of.items()}


def _title(path: Path) -> str:
    return path.resolve().name or str(path)
