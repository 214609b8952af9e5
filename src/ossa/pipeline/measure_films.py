"""Pictures whose bones are looked for and measured by the workers of a pool: what each of them does, what a stopped run
had done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import DeviceError, InputError, OutputError, reason_of
from ossa.parallel import read_ahead
from ossa.parallel.pool import Lost, Pool
from ossa.pipeline.asked import Loaded
from ossa.pipeline.films import Beginnings, Film, read_film
from ossa.pipeline.measured import SUFFIX, measure_and_write, measurements_path
from ossa.pipeline.several import apart
from ossa.places import Place, in_store, is_url
from ossa.safety.log import Log
from ossa.safety.pictures import MEASURED_SUFFIX

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor
    from ossa.measurement.spacing import KnownLength
    from ossa.measurement.types import HandMeasurements
    from ossa.radiograph.radiograph import Radiograph, Spacing
    from ossa.segmentation.segmentation import Segmentation

#: A picture, where it is known, and the bones of each hand with its side.
Shown = tuple["Radiograph | None", Sequence[tuple["Segmentation", "str | None"]]]

#: Inside the output folder: what a run has measured, until it is complete.
RUN_FOLDER = ".ossa-measure"


@dataclass(frozen=True, eq=False)
class Seen:
    """One picture that was measured: its ``hands``, without the numbers of their bones; ``person`` as in Work."""

    hands: tuple[HandMeasurements, ...]
    person: str | None


@dataclass(frozen=True)
class How:
    """How hands are measured, and where their files go."""

    place: Place
    spacing: Spacing | None
    known: KnownLength | None
    draw: bool

    def measured(
        self, film: Film, shown: Shown, names: frozenset[str], kept: Path | None = None
    ) -> tuple[HandMeasurements, ...]:
        """Measure the hands of one picture and write their files; ``names``: of other results, in lower case."""
        radiograph, hands = shown
        films = apart(film, [side for _, side in hands], lambda name: name.casefold() in names)
        out = []
        with self.place.writing() as folder:
            for (segmentation, _), own in zip(hands, films, strict=True):
                hand = measure_and_write(
                    folder,
                    own.name,
                    segmentation,
                    radiograph,
                    spacing=self.spacing,
                    known=self.known,
                    draw=self.draw,
                    kept=kept,
                )
                # The numbers of every bone are in the files by now: of many pictures they are not all held.
                out.append(replace(hand, measurements=hand.of_hand()))
        return tuple(out)


def look_and_measure(
    films: Sequence[Film], given: Sequence[str | Path], predictor: Loaded, how: How, pool: Pool, logs: list[Log]
) -> Iterator[tuple[int, Seen | str]]:
    """Pictures whose bones are looked for, by the workers of ``pool``; those that a stopped run had measured are kept.

    The log of the run is added to ``logs``.
    """
    if not films:
        return
    from ossa import __version__

    settings = {
        "ossa": __version__,
        "predictor": predictor().settings(),
        "spacing": None if how.spacing is None else asdict(how.spacing),
        "known": None if how.known is None else asdict(how.known),
        "draw": how.draw,
    }
    log = Log.begin(how.place.folder / RUN_FOLDER, settings)
    logs.append(log)
    waiting = []
    for number, film in enumerate(films):
        hands = _earlier(film, how, log)
        if hands is None:
            waiting.append(number)
        else:
            yield number, Seen(hands, person_of(film, given))
    names = Beginnings(film.name.casefold() for film in films)
    tasks = [(films[number], names.of(films[number].name.casefold())) for number in waiting]
    for index, made in pool.each(partial(_worker, predictor, how), tasks, predictor.needs()):
        film = tasks[index][0]
        if isinstance(made, Lost):
            yield waiting[index], f"{film.told}: {made.reason}"
        elif isinstance(made, str):
            yield waiting[index], made
        else:
            how.place.wrote(f"{hand.name}{SUFFIX}" for hand in made)
            with suppress(OSError):  # a picture that was removed meanwhile is measured all the same
                log.put(film.image_name, {"stamp": film.stamp(), "hands": [hand.name for hand in made]})
            yield waiting[index], Seen(made, person_of(film, given))


def _earlier(film: Film, how: How, log: Log) -> tuple[HandMeasurements, ...] | None:
    """What a stopped run measured of a picture, when all of it is still there."""
    from ossa.measurement.files import read_measurements

    value = log.get(film.image_name)
    try:
        if value is None or value["stamp"] != film.stamp():
            return None
        names = [str(name) for name in value["hands"]]
        if how.draw and not all(how.place.has(f"{name}{MEASURED_SUFFIX}") for name in names):
            return None
        how.place.bring(f"{name}{SUFFIX}" for name in names)
        hands = [read_measurements(measurements_path(how.place.folder, name)) for name in names]
    except (InputError, KeyError, TypeError, OSError):
        return None
    return tuple(replace(hand, measurements=hand.of_hand()) for hand in hands)


Task = tuple[Film, frozenset[str]]
Made = tuple["HandMeasurements", ...] | str


def _worker(predictor: Loaded, how: How) -> Callable[[Iterable[Task]], Iterator[Made]]:
    """Films in, their hands measured; why a film is skipped is handed out, an error of device or disk is raised."""
    return partial(_measure_films, replace(predictor(), edges=True), how)


def _measure_films(predictor: Predictor, how: How, tasks: Iterable[Task]) -> Iterator[Made]:
    for (film, names), found in read_ahead(tasks, lambda task: read_film(task[0])):
        try:
            yield how.measured(film, looker(found, predictor)(), names)
        except (DeviceError, OutputError):
            raise
        except Exception as error:
            yield reason_of(error, film.told)


def looker(found: Radiograph | Exception, predictor: Predictor) -> Callable[[], Shown]:
    def look() -> Shown:
        if isinstance(found, Exception):
            raise found
        hands = predictor.predict_hands(found)
        return found, [(hand.segmentation, hand.side) for hand in hands]

    return look


def person_of(film: Film, given: Sequence[str | Path]) -> str:
    """Whose hand a picture shows, as data sets are read: its folder below the one that was given, or its stem less the
    side."""
    from ossa.labels.pictures import subject_of

    path = film.path.resolve()
    folders = (in_store(str(one)) if is_url(one) else Path(one).resolve() for one in given)
    top = next((folder for folder in folders if folder in path.parents), path.parent)
    return f"{top}/{subject_of(path.relative_to(top).as_posix())}"
