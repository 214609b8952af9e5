"""Radiographs in, results out: the trip behind ``ossa predict``.

OUT/<name>.json           outlines, in a label format (others than JSON end as they do: <name>.npz, <name>_masks/)
OUT/<name>_overlay.png    the bones drawn over the radiograph
OUT/predictions.csv       run lengths of all images
OUT/...                   all labels together, where the format keeps a set so (COCO, YOLO, CVAT, nnU-Net)

With measurements also what pipeline.measured names. A film with several hands has results for each: <name>_left and
<name>_right, or <name>_1, <name>_2, ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import DeviceError, InputError, OutputError, reason_of
from ossa.parallel import Behind, begin, helpers, read_ahead
from ossa.parallel.pool import HERE, Lost, Pool
from ossa.pipeline.asked import Loaded, asked_predictor
from ossa.pipeline.earlier import is_strange, kept_rows, own_names, refuse_strangers, settle
from ossa.pipeline.films import Beginnings, Film, find_films, read_film
from ossa.pipeline.measured import SUFFIX, Numbers, write_tables
from ossa.pipeline.parts import CSV_NAME, RUN_FOLDER, Keeper, Part, Parts
from ossa.pipeline.several import apart
from ossa.pipeline.written import Written
from ossa.places import place_for
from ossa.progress import Track, silent

if TYPE_CHECKING:
    from ossa.inference.hands import Hand
    from ossa.inference.predictor import Predictor
    from ossa.labels.item import Item
    from ossa.radiograph.radiograph import Radiograph
    from ossa.schema import BoneSchema

#: The format of single labels where the wanted one keeps a set together.
ALONE = "competition"


@dataclass(frozen=True)
class Predicted:
    """One image that went through: ``notes`` are the warnings that came with it.

    ``results``: one film for the results of each of its hands (pipeline.several).
    """

    film: Film
    bones: int
    notes: tuple[str, ...]
    results: tuple[Film, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """One file that could not be used, and why."""

    path: Path
    reason: str


@dataclass
class Outcome:
    """What a run of ``predict`` did. ``interrupted``: the user stopped it; what was done is written."""

    output: str | Path
    total: int
    done: list[Predicted] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    interrupted: bool = False


def predict(
    paths: Iterable[str | Path],
    output: str | Path,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    looks: str = "auto",
    thresholds: Mapping[str, float] | None = None,
    tile: int | None = None,
    label_format: str = "competition",
    numbers: Numbers | None = None,
    pool: Pool = HERE,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Find the bones in every radiograph of ``paths`` (files, folders, glob patterns) and write the results.

    ``paths`` and ``output`` may be URLs (text) of an object store (``ossa.places``).
    ``model`` is the folder of a bundle (None: the shipped one). ``looks``: test-time augmentation as
    ``inference.views.parse_views`` reads it, or "auto": mirrored too where a bone's outline is taken.
    ``thresholds``: bone -> probability from which a pixel is bone, "*" for every bone; those of the model where
    nothing is said. ``tile``: side of sliding windows in grid px, for networks of a grid too large for the memory;
    without the closer look and the finder. Results are judged (confidences, warnings, "no hand found");
    ``predict_with`` and ``fast_predictor`` leave that out. ``label_format``: one that can be written;
    a format that keeps a set together (COCO, YOLO, CVAT, nnU-Net) is written at the end, for the pictures of this run,
    and each picture has the competition's label besides. ``numbers``: measure the hands too, like ``ossa measure``.
    ``pool``: who does the work, this process or a cluster (``parallel.pool``); the results are the same. A file that
    cannot be used is skipped, and the others are still done; ``tell`` hears of it at once, and of the warnings of a
    picture in one line. Results are written image by image; the CSV at the end, also when the user interrupts. It lists
    what the folder holds: rows of earlier runs stay as long as their results do; tables of measurements list this
    run's. A run that was stopped, by whatever, goes on when it is started again with the same model, settings and
    output folder.

    Raises InputError when no file could be used at all; OutputError when results cannot be written, would replace
    what is read or what no run of ossa wrote, or when another run is writing there; ConfigError, SchemaError,
    BundleError, DeviceError or MissingExtraError when the run cannot begin.
    """
    return predict_with(
        partial(asked_predictor, model, device, looks, thresholds or {}, fast=False, tile=tile),
        paths,
        output,
        label_format=label_format,
        numbers=numbers,
        pool=pool,
        track=track,
        tell=tell,
    )


def predict_with(
    load: Callable[[], Predictor],
    paths: Iterable[str | Path],
    output: str | Path,
    *,
    label_format: str = "competition",
    numbers: Numbers | None = None,
    pool: Pool = HERE,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """``predict`` with any predictor; ``load`` is called once images and output folder are known to be usable."""
    from ossa.labels.format import writable

    given = list(paths)
    films = find_films(given, output, tell)
    form = writable(label_format)
    # Of a format that keeps a set together, each picture has the competition's label until the set is written.
    single = form if form.write is not None else writable(ALONE)
    inputs = [*given, *(film.url or film.path for film in films)]
    with place_for(output, inputs, (CSV_NAME, RUN_FOLDER)) as place:
        folder = place.folder
        ours = own_names(folder)
        written = Written(place, single, form, numbers)
        refuse_strangers(written, films, ours)
        from ossa.radiograph import read  # noqa: F401  (here, so that no two threads import the same at once)

        early = {film: begin(partial(read_film, film)) for film in films[:1]} if pool is HERE else {}
        predictor = Loaded(load)
        settings: dict[str, Any] = {"format": label_format, "predictor": predictor().settings()}
        if numbers is not None:
            settings["numbers"] = asdict(numbers)
        settle(folder, films, settings, tell)
        parts = Parts.begin(folder / RUN_FOLDER, settings)
        outcome = Outcome(output, len(films))
        try:
            _predict_all(outcome, films, predictor, parts, ours, written, pool, track, tell, early)
        except KeyboardInterrupt:
            outcome.interrupted = True
        _drop_lost(outcome, parts, written, tell)
        parts.drop_unfinished()
        if not outcome.done and not outcome.interrupted:
            parts.remove()
            raise _nothing_done(outcome)
        done = [predicted.film for predicted in outcome.done]
        new = [result for predicted in outcome.done for result in predicted.results]
        parts.write_csv(folder / CSV_NAME, done, kept_rows(written, new))
        if form is not single and form.write_set is not None:
            place.bring(written.label(result.name) for result in new)
            form.write_set(folder, _items(outcome, folder, predictor().schema))
        if numbers is not None:
            place.bring(f"{result.name}{SUFFIX}" for result in new)
            write_tables(folder, [[result.name for result in one.results] for one in outcome.done])
        if not outcome.interrupted:
            parts.remove()
    return outcome


def _predict_all(
    outcome: Outcome,
    films: list[Film],
    predictor: Loaded,
    parts: Parts,
    ours: set[str] | None,
    written: Written,
    pool: Pool,
    track: Track,
    tell: Callable[[str], None],
    early: dict[Film, Callable[[], Radiograph]],
) -> None:
    """Fill ``outcome`` picture by picture, in the order of ``films`` when all are there."""
    finished = {number: done for number, film in enumerate(films) if (done := _finished(film, parts, written))}
    waiting = [number for number in range(len(films)) if number not in finished]
    names, own = Beginnings(film.name.casefold() for film in films), None if ours is None else Beginnings(ours)
    tasks = [
        Task(film, names.of(film.name.casefold()), None if own is None else own.of(film.name))
        for film in (films[number] for number in waiting)
    ]
    order: dict[Path, int] = {film.path: number for number, film in enumerate(films)}
    outcome.done += finished.values()
    told: set[int] = set()
    stream = pool.each(partial(_worker, predictor, written, Keeper(parts, early)), tasks, predictor.needs())
    try:
        with closing(stream):
            for index, made in track(stream, len(tasks), "Finding bones"):
                told.add(waiting[index])
                _count(outcome, films[waiting[index]], made, parts, written, tell)
    except KeyboardInterrupt:
        # What was being written when the user stopped is written now.
        begun = (_finished(films[number], parts, written) for number in waiting if number not in told)
        outcome.done += [done for done in begun if done is not None]
        raise
    finally:
        outcome.done.sort(key=lambda done: order[done.film.path])
        outcome.skipped.sort(key=lambda skipped: order[skipped.path])


def _count(
    outcome: Outcome, film: Film, made: Made | str | Lost, parts: Parts, written: Written, tell: Callable[[str], None]
) -> None:
    """What became of one film."""
    if isinstance(made, Lost | str):
        _skip(outcome, film, f"{film.told}: {made.reason}" if isinstance(made, Lost) else made, tell)
        return
    try:
        if not made.kept:
            parts.put(film, made.part)
    except OSError as error:  # the picture was removed meanwhile
        _skip(outcome, film, reason_of(error, film.told), tell)
        return
    for result in made.predicted.results:
        written.place.wrote(written.all_of(result.name))
    if made.predicted.notes:
        tell(f"{film.told}: {'; '.join(made.predicted.notes)}")
    outcome.done.append(made.predicted)


@dataclass(frozen=True)
class Task:
    """One film for a worker: its results keep clear of ``names`` and of files that are not ``ours`` (None: all are)."""

    film: Film
    names: frozenset[str]
    ours: frozenset[str] | None


@dataclass(frozen=True)
class Made:
    """What a worker made of a film; ``part``: what is remembered of it, ``kept``: and is already."""

    predicted: Predicted
    part: Part
    kept: bool


#: How a film ended: what was made of it, why it is skipped, or what ends the run.
Ended = Made | str | DeviceError | OutputError


def _worker(
    predictor: Loaded, written: Written, keeper: Keeper
) -> Callable[[Iterable[Task]], Generator[Made | str, None, None]]:
    """Films in, results written; why a film is skipped is handed out, an error of the device or the disk is raised."""
    loaded = predictor()
    return partial(_find_bones, loaded if written.numbers is None else replace(loaded, edges=True), written, keeper)


def _find_bones(
    predictor: Predictor, written: Written, keeper: Keeper, tasks: Iterable[Task]
) -> Generator[Made | str, None, None]:
    """While the network looks at a picture, the next ones are read and the last ones' results drawn and written."""
    ended: deque[Ended] = deque()
    readers, writers = helpers()
    finish = partial(_finish, written=written, keeper=keeper)
    with Behind(ended.append, writers) as behind:
        for task, found in read_ahead(tasks, lambda task: keeper.read(task.film), readers + 1, readers):
            behind.put(_looked_at(task, found, predictor, finish))
            yield from _taken(ended)
    yield from _taken(ended)


def _taken(ended: deque[Ended]) -> Iterator[Made | str]:
    while ended:
        end = ended.popleft()
        if isinstance(end, Exception):
            raise end
        yield end


def _looked_at(
    task: Task, found: Radiograph | Exception, predictor: Predictor, finish: Callable[..., Ended]
) -> Callable[[], Ended]:
    """What is left to do for a film once its bones are found."""
    try:
        if isinstance(found, Exception):
            raise found
        return partial(finish, task, found, predict_one(found, predictor))
    except DeviceError:
        raise
    except Exception as error:
        return partial(_failed, task, error)


def _failed(task: Task, error: Exception) -> Ended:
    # Whatever one file does, the others are done: an error nobody foresaw skips its file too.
    return error if isinstance(error, (DeviceError, OutputError)) else reason_of(error, task.film.told)


def _finish(task: Task, radiograph: Radiograph, hands: tuple[Hand, ...], *, written: Written, keeper: Keeper) -> Ended:
    """Write what was found, in a thread while the network looks at the next picture."""
    from ossa.labels.submission import submission_rows

    film = task.film
    try:
        results = apart(
            film,
            [hand.side for hand in hands],
            lambda name: name.casefold() in task.names or is_strange(written, name, task.ours),
        )
        for hand in hands:
            written.form.refuse(hand.segmentation, film.path)
        keeper.starting(film, (name for result in results for name in written.every(result.name)))
        for hand, result in zip(hands, results, strict=True):
            written.write(result, radiograph, hand.segmentation)
        rows = (submission_rows(r.image_name, h.segmentation) for r, h in zip(results, hands, strict=True))
        done = _done(film, results, hands)
        names = [[result.name, result.image_name] for result in results]
        part = Part("".join(rows), {"bones": done.bones, "notes": list(done.notes), "results": names})
        return Made(done, part, keeper.put(film, part))
    except Exception as error:
        return _failed(task, error)


def _done(film: Film, results: list[Film], hands: tuple[Hand, ...]) -> Predicted:
    """What went through: the bones of all hands together, and the notes, each once."""
    notes = dict.fromkeys(note for hand in hands for note in hand.segmentation.notes)
    return Predicted(film, sum(len(hand.segmentation) for hand in hands), tuple(notes), tuple(results))


def _skip(outcome: Outcome, film: Film, reason: str, tell: Callable[[str], None]) -> None:
    outcome.skipped.append(Skipped(film.path, reason))
    if outcome.total > 1:  # of a single file the error tells
        tell(f"skipped: {reason}")


def _drop_lost(outcome: Outcome, parts: Parts, written: Written, tell: Callable[[str], None]) -> None:
    """Count as skipped what was done, but has been removed from the folder since."""
    done, outcome.done = outcome.done, []
    for predicted in done:
        if _finished(predicted.film, parts, written) is not None:
            outcome.done.append(predicted)
        else:
            reason = f"{predicted.film.told}: its results were removed from {outcome.output} during the run"
            _skip(outcome, predicted.film, reason, tell)


def _finished(film: Film, parts: Parts, written: Written) -> Predicted | None:
    """What this run or an earlier, stopped one did for this image, when all of it is still there."""
    part = parts.get(film)
    if part is None:
        return None
    try:
        results = tuple(replace(film, name=str(name), image_name=str(image)) for name, image in part.facts["results"])
        done = Predicted(film, int(part.facts["bones"]), tuple(map(str, part.facts["notes"])), results)
        there = all(written.place.has(name) for result in results for name in written.all_of(result.name))
    except (KeyError, TypeError, ValueError, OSError):
        return None  # a damaged part: the image is done again
    return done if there else None


def predict_one(radiograph: Radiograph, predictor: Predictor) -> tuple[Hand, ...]:
    """Find the bones of one radiograph, hand by hand."""
    return predictor.predict_hands(radiograph)


def _items(outcome: Outcome, folder: Path, schema: BoneSchema) -> Iterable[Item]:
    """The labels that this run wrote picture by picture, read again for the file or folder that holds them all."""
    from ossa.labels.beside import read_truth
    from ossa.labels.item import Item
    from ossa.labels.names import bone_names

    names = bone_names(schema)
    for predicted in outcome.done:
        for result in predicted.results:
            truth = read_truth(folder / f"{result.name}.json", names)
            assert truth.shape is not None  # ossa's own labels say it
            found = truth.segmentation(schema, truth.shape)
            yield Item(result.name, result.image_name, result.path, found, frozenset(schema.names))


def _nothing_done(outcome: Outcome) -> InputError:
    if len(outcome.skipped) == 1:
        return InputError(outcome.skipped[0].reason)
    return InputError(f"none of the {len(outcome.skipped)} files could be used", remedy="The reasons are listed above")
