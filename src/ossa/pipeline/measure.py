"""Radiographs, predictions or labels in, numbers out: the trip behind ``ossa measure``.

What it writes stands in ``pipeline.measured``. Bones come from the shipped model, or from what holds them already: a
data set with labels, a folder of label files, saved probabilities, a folder of ``ossa predict``, a submission CSV.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ossa.errors import ConfigError, DeviceError, InputError, OutputError, reason_of
from ossa.parallel import read_ahead
from ossa.parallel.pool import HERE, Pool
from ossa.pipeline.asked import Loaded
from ossa.pipeline.films import Beginnings, Film, find_films, read_film
from ossa.pipeline.measure_films import RUN_FOLDER, How, Seen, Shown, look_and_measure, looker, person_of
from ossa.pipeline.measured import BONES, HANDS, LEFT_RIGHT, SUFFIX, kept_path, write_tables
from ossa.places import is_url, place_for
from ossa.progress import Track, silent
from ossa.safety.log import Log

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor
    from ossa.labels.results import Entry
    from ossa.measurement.spacing import KnownLength
    from ossa.measurement.types import HandMeasurements
    from ossa.radiograph.radiograph import Spacing


class SpacingGiven(TypedDict):
    """What a user says of millimetres."""

    spacing: Spacing | None
    known: KnownLength | None


@dataclass(frozen=True, eq=False)
class Work:
    """One picture to be measured. ``person``: what its hands share with those of other pictures of the same person;
    ``here``: its bones are looked for now, not read from results; ``kept``: what was measured when they were found.
    """

    film: Film
    read: Callable[[], Shown]
    person: str | None = None
    here: bool = False
    kept: Path | None = None


@dataclass
class Measured:
    """What a run of ``measure`` did: ``hands`` in order, without the numbers of their bones, ``skipped`` files and why;
    ``films``: names of the hands of each picture; ``people``: the hands of each person with their sides;
    ``compared``: how many left and right hands were compared.
    """

    output: str | Path
    total: int
    hands: list[HandMeasurements] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    films: list[list[str]] = field(default_factory=list)
    people: dict[str, list[tuple[str, str | None]]] = field(default_factory=lambda: defaultdict(list))
    compared: int = 0

    def add(self, seen: Seen) -> None:
        """Count the hands of one picture; left and right hands of one person become pairs."""
        self.films.append([hand.name for hand in seen.hands])
        self.hands += seen.hands
        if seen.person is not None:
            self.people[seen.person] += [(hand.name, hand.side) for hand in seen.hands]


def measure(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    load: Callable[[], Predictor] | None = None,
    images: str | Path | None = None,
    spacing: Spacing | None = None,
    known: KnownLength | None = None,
    draw: bool = False,
    pool: Pool = HERE,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Measure the hands of every picture of ``paths`` and write numbers, tables and, with ``draw``, drawings.

    ``load`` gives the predictor for pictures without labels (None: that of ``ossa predict``). ``images``: the folder of
    the pictures that predictions and labels belong to. ``spacing``: mm per px, before what the files say; ``known``: a
    thing of known length, of a single picture. ``pool``: who looks for bones and measures them (``parallel.pool``). A
    file that cannot be used is skipped and told. A run that was stopped goes on when it is started again.

    Raises InputError when nothing could be measured, ConfigError for settings that do not fit together, OutputError
    when results cannot be written or would replace what is read.
    """
    given = [path if is_url(path) else Path(path) for path in paths]
    if spacing is not None and known is not None:
        raise ConfigError("two spacings were given", found="--spacing and --known-length", expected="one of them")
    held = [path for path in given if isinstance(path, Path) and holds_results(path)]
    works = list(works_of_results(held, images))
    films = find_films([path for path in given if path not in held], output, tell) if len(held) < len(given) else []
    if known is not None and len(works) + len(films) != 1:
        raise ConfigError(
            "a known length belongs to one picture", found=f"{len(works) + len(films)} pictures", expected="one"
        )
    inputs = [*given, *(film.url or film.path for film in films), *([] if images is None else [images])]
    with place_for(output, inputs, (BONES, HANDS, LEFT_RIGHT, RUN_FOLDER)) as place:
        pictures = [*(work.film for work in works), *films]
        done = Measured(output, len(pictures))
        how = How(place, spacing, known, draw)
        log: list[Log] = []
        stream = chain(
            enumerate(_held(works, how)),
            (
                (len(works) + k, made)
                for k, made in look_and_measure(films, given, Loaded(load or _usual), how, pool, log)
            ),
        )
        found: dict[int, Seen] = {}
        for number, made in track(stream, done.total, "Measuring"):
            if isinstance(made, Seen):
                found[number] = made
                continue
            done.skipped.append(
                ((works[number].film if number < len(works) else films[number - len(works)]).path, made)
            )
            if done.total > 1:
                tell(f"skipped: {made}")
        for _, one in sorted(found.items()):
            done.add(one)
        if not done.hands:
            raise _nothing(done)
        # Two hands of one film are compared as such.
        together = {name for film in done.films if len(film) > 1 for name in film}
        pairs = [pair for pair in _pairs(done.people) if not together & set(pair)]
        place.bring(f"{name}{SUFFIX}" for film in done.films for name in film)
        done.compared = write_tables(place.folder, done.films, pairs)
        for own in log:
            own.remove()
    return done


def _held(works: Sequence[Work], how: How) -> Iterator[Seen | str]:
    """What holds bones already is measured by this process: it takes no network."""
    names = Beginnings(work.film.name.casefold() for work in works)
    for work in works:
        try:
            hands = how.measured(work.film, work.read(), names.of(work.film.name.casefold()), work.kept)
        except (DeviceError, OutputError):
            raise
        except Exception as error:  # whatever one file does, the others are measured
            yield reason_of(error, work.film.told)
            continue
        yield Seen(hands, work.person)


def holds_results(path: Path) -> bool:
    """Whether bones are read from ``path``, instead of looked for: it holds labels or predictions."""
    from ossa.labels.results import open_results

    if path.suffix.lower() == ".csv":
        return True
    if not path.is_dir() and path.suffix.lower() != ".json":
        return False
    try:
        return any(entry.labelled for entry in open_results(path).entries.values())
    except InputError:
        return False


def all_works(
    works: Sequence[Work], films: Sequence[Film], given: Sequence[Path], load: Callable[[], Predictor] | None
) -> Iterator[Work]:
    """What holds bones first, then pictures, read ahead of the network."""
    yield from works
    if not films:
        return
    predictor = replace((load or _usual)(), edges=True)

    for film, found in read_ahead(films, read_film):
        yield Work(film, looker(found, predictor), person_of(film, given), here=True)


def _usual() -> Predictor:
    from ossa.pipeline.asked import usual_predictor

    return usual_predictor(None, "auto", "auto")


def works_of_results(held: Sequence[Path], images: str | Path | None) -> Iterator[Work]:
    from ossa.labels.results import find_pictures, open_results

    names: set[str] = set()
    for path in held:
        result = open_results(path)
        entries = {key: entry for key, entry in result.entries.items() if entry.labelled}
        rows = [(entry,) for entry in entries.values()]
        found = find_pictures(images, rows) if images is not None else {}
        for i, (key, entry) in enumerate(entries.items()):
            name = key if key.casefold() not in names else f"{path.resolve().name}/{key}"
            names.add(name.casefold())
            picture = found.get(i, entry.image)
            film = Film(picture or path, name, entry.name)
            person = f"{path}/{entry.subject}" if entry.subject else None
            yield Work(film, _reader(entry, picture), person, kept=kept_path(path, key))


def _reader(entry: Entry, picture: Path | None) -> Callable[[], Shown]:
    def read() -> Shown:
        from ossa.labels.results import Saved
        from ossa.radiograph.read import read_radiograph
        from ossa.segmentation.edges import with_edges

        radiograph = None if picture is None else read_radiograph(picture)
        opened = entry.open()
        shape = opened.size if radiograph is None else radiograph.shape
        if shape is None:
            raise InputError(
                f"the size of the picture of '{entry.name}' is not known",
                remedy="Name the folder of the pictures with --images",
            )
        found = opened.read(shape)[0]
        if isinstance(opened, Saved):
            found = with_edges(found, opened.probabilities.logits(), opened.probabilities.placement)
        if radiograph is None:
            note = "the picture was not found: no spacing and no grey values are known"
            found = replace(found, notes=(note, *found.notes))
        return radiograph, [(found, None)]

    return read


def _pairs(people: Mapping[str, Sequence[tuple[str, str | None]]]) -> list[tuple[str, str]]:
    """Names of a left and a right hand, of everybody of whom there is one of each and no more."""
    out = []
    for hands in people.values():
        of = {side: [name for name, own in hands if own == side] for side in "LR"}
        if len(of["L"]) == len(of["R"]) == 1:
            out.append((of["L"][0], of["R"][0]))
    return out


def _nothing(done: Measured) -> InputError:
    if len(done.skipped) == 1:
        return InputError(done.skipped[0][1])
    return InputError(f"none of the {len(done.skipped)} files could be measured", remedy="The reasons are listed above")


def given_spacing(
    spacing: tuple[float, float] | None, known: tuple[tuple[float, float], tuple[float, float], float] | None
) -> SpacingGiven:
    """The arguments ``spacing`` and ``known`` of ``measure`` from plain numbers. Raises ConfigError."""
    from ossa.measurement.spacing import KnownLength, spacing_by_user

    return {
        "spacing": None if spacing is None else spacing_by_user(*spacing),
        "known": None if known is None else KnownLength(*known),
    }
