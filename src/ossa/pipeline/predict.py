"""Radiographs in, results out: the trip behind ``ossa predict``.

OUT/<name>.json           outlines, in a label format (others than JSON end as they do: <name>.npz, <name>_masks/)
OUT/<name>_overlay.png    the bones drawn over the radiograph
OUT/predictions.csv       run lengths of all images
OUT/...                   all labels together, where the format keeps a set so (COCO, YOLO, CVAT, nnU-Net)

With measurements also what pipeline.measured names. A film with several hands has results for each: <name>_left and
<name>_right, or <name>_1, <name>_2, ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import DeviceError, InputError, OutputError, reason_of
from ossa.parallel import Behind, begin, cores, read_ahead
from ossa.pipeline.earlier import is_strange, kept_rows, own_names, refuse_strangers, settle
from ossa.pipeline.films import Film, check_name, find_films
from ossa.pipeline.measured import Numbers, write_tables
from ossa.pipeline.parts import CSV_NAME, RUN_FOLDER, Part, Parts
from ossa.pipeline.several import apart
from ossa.pipeline.written import Written
from ossa.progress import Track, silent
from ossa.safety import output_folder

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


#: How a film ended: what was found, or what went wrong.
Ended = tuple[Film, Predicted | Exception]


@dataclass
class Outcome:
    """What a run of ``predict`` did. ``interrupted``: the user stopped it; what was done is written."""

    output: Path
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
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Find the bones in every radiograph of ``paths`` (files, folders, glob patterns) and write the results.

    ``model`` is the folder of a bundle (None: the shipped one). ``looks``: test-time augmentation as
    ``inference.views.parse_views`` reads it, or "auto": mirrored too where a bone's outline is taken.
    ``thresholds``: bone -> probability from which a pixel is bone, "*" for every bone; those of the model where
    nothing is said. ``tile``: side of sliding windows in grid px, for networks of a grid too large for the memory;
    without the closer look and the finder. Results are judged (confidences, warnings, "no hand found");
    ``predict_with`` and ``fast_predictor`` leave that out. ``label_format``: one that can be written;
    a format that keeps a set together (COCO, YOLO, CVAT, nnU-Net) is written at the end, for the pictures of this run,
    and each picture has the competition's label besides. ``numbers``: measure the hands too, like ``ossa measure``. A
    file that cannot be used is skipped, and the others are still done; ``tell`` hears of it at once, and of the
    warnings of a picture in one line. Results are written image by image; the CSV at the end, also when the user
    interrupts. It lists what the folder holds: rows of earlier runs stay as long as their results do; tables of
    measurements list this run's. A run that was stopped, by whatever, goes on when it is started again with the same
    model, settings and output folder.

    Raises InputError when no file could be used at all; OutputError when results cannot be written, would replace
    what is read or what no run of ossa wrote, or when another run is writing there; ConfigError, SchemaError,
    BundleError, DeviceError or MissingExtraError when the run cannot begin.
    """
    return predict_with(
        lambda: with_thresholds(usual_predictor(model, device, looks, tile), thresholds or {}),
        paths,
        output,
        label_format=label_format,
        numbers=numbers,
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
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """``predict`` with any predictor; ``load`` is called once images and output folder are known to be usable."""
    from ossa.labels.format import writable

    given = [Path(path) for path in paths]
    folder = Path(output)
    films = find_films(given, folder, tell)
    form = writable(label_format)
    # Of a format that keeps a set together, each picture has the competition's label until the set is written.
    single = form if form.write is not None else writable(ALONE)
    inputs = [*given, *(film.path for film in films)]
    with output_folder(folder, inputs, (CSV_NAME, RUN_FOLDER)):
        ours = own_names(folder)
        written = Written(folder, single, form, numbers)
        refuse_strangers(written, films, ours)
        from ossa.radiograph import read  # noqa: F401  (here, so that no two threads import the same at once)

        early = {film: begin(partial(_read, film)) for film in films[:1]}
        predictor = load()
        settings: dict[str, Any] = {"format": label_format, "predictor": predictor.settings()}
        if numbers is not None:
            predictor = replace(predictor, edges=True)
            settings["numbers"] = asdict(numbers)
        settle(folder, films, settings, tell)
        parts = Parts.begin(folder / RUN_FOLDER, settings)
        outcome = Outcome(folder, len(films))
        try:
            _predict_all(outcome, films, predictor, parts, ours, written, track, tell, early)
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
            form.write_set(folder, _items(outcome, predictor.schema))
        if numbers is not None:
            write_tables(folder, [[result.name for result in one.results] for one in outcome.done])
        if not outcome.interrupted:
            parts.remove()
    return outcome


def _predict_all(
    outcome: Outcome,
    films: list[Film],
    predictor: Predictor,
    parts: Parts,
    ours: set[str] | None,
    written: Written,
    track: Track,
    tell: Callable[[str], None],
    early: dict[Film, Callable[[], Radiograph]],
) -> None:
    """Fill ``outcome`` picture by picture; those that are read already are in ``early``."""
    names = {film.name.casefold() for film in films}

    def taken(name: str) -> bool:
        return name.casefold() in names or is_strange(written, name, ours)

    def read(film: Film) -> Radiograph | Predicted:
        reading = early.pop(film, partial(_read, film))
        return _finished(film, parts, written) or reading()

    def ended(end: Ended) -> None:
        film, done = end
        if isinstance(done, (DeviceError, OutputError)):
            raise done
        if isinstance(done, Exception):
            # Whatever one file does, the others are done: an error nobody foresaw skips its file too.
            _skip(outcome, film, reason_of(done, film.path), tell)
            return
        if done.notes and film not in earlier:
            tell(f"{film.path}: {'; '.join(done.notes)}")
        outcome.done.append(done)

    earlier: set[Film] = set()
    finish = partial(_finish, parts=parts, written=written, taken=taken)
    readers, writers = _helpers()
    with Behind(ended, writers) as behind:
        for film, found in track(read_ahead(films, read, readers + 1, readers), len(films), "Finding bones"):
            if isinstance(found, Predicted):
                earlier.add(film)
            behind.put(_looked_at(film, found, predictor, finish))


def _read(film: Film) -> Radiograph:
    from ossa.radiograph.read import read_radiograph

    check_name(film)
    return read_radiograph(film.path)


def _looked_at(
    film: Film, found: Radiograph | Predicted | Exception, predictor: Predictor, finish: Callable[..., Ended]
) -> Callable[[], Ended]:
    """What is left to do for a film once its bones are found."""
    if isinstance(found, (Exception, Predicted)):
        return lambda: (film, found)
    try:
        hands = predict_one(found, predictor)
    except DeviceError:
        raise
    except Exception as error:
        failed = error
        return lambda: (film, failed)
    return partial(finish, film, found, hands)


def _finish(
    film: Film,
    found: Radiograph,
    hands: tuple[Hand, ...],
    *,
    parts: Parts,
    written: Written,
    taken: Callable[[str], bool],
) -> Ended:
    """Write what was found, in a worker while the network looks at the next picture."""
    try:
        results = apart(film, [hand.side for hand in hands], taken)
        for hand in hands:
            written.form.refuse(hand.segmentation, film.path)
        parts.starting(film, (path for result in results for path in written.every(result.name)))
        for hand, result in zip(hands, results, strict=True):
            written.write(result, found, hand.segmentation)
        done = _done(film, results, hands)
        _remember(done, parts, hands)
    except Exception as error:
        return film, error
    return film, done


def _helpers() -> tuple[int, int]:
    """Threads that read and threads that write beside the network: one each on two cores, more where there are more.

    A 2048 px picture takes some 50 ms to read and 150 ms to draw and write, each in one thread.
    """
    count = cores()
    return max(1, min(3, count // 4)), max(1, min(8, count // 2))


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
            reason = f"{predicted.film.path}: its results were removed from {outcome.output} during the run"
            _skip(outcome, predicted.film, reason, tell)


def _finished(film: Film, parts: Parts, written: Written) -> Predicted | None:
    """What this run or an earlier, stopped one did for this image, when all of it is still there."""
    part = parts.get(film)
    if part is None:
        return None
    try:
        results = tuple(replace(film, name=str(name), image_name=str(image)) for name, image in part.facts["results"])
        done = Predicted(film, int(part.facts["bones"]), tuple(map(str, part.facts["notes"])), results)
        there = all(path.exists() for result in results for path in written.all_of(result.name))
    except (KeyError, TypeError, ValueError, OSError):
        return None  # a damaged part: the image is done again
    return done if there else None


def _remember(done: Predicted, parts: Parts, hands: tuple[Hand, ...]) -> None:
    from ossa.labels.submission import submission_rows

    names = [[result.name, result.image_name] for result in done.results]
    facts = {"bones": done.bones, "notes": list(done.notes), "results": names}
    rows = (submission_rows(r.image_name, h.segmentation) for r, h in zip(done.results, hands, strict=True))
    parts.put(done.film, Part("".join(rows), facts))


def predict_one(radiograph: Radiograph, predictor: Predictor) -> tuple[Hand, ...]:
    """Find the bones of one radiograph, hand by hand."""
    return predictor.predict_hands(radiograph)


def usual_predictor(model: str | Path | None, device: str, looks: str, tile: int | None = None) -> Predictor:
    """What ``predict`` asks: every look, the closer one at the wrist, and a judge of the result."""
    from ossa.inference.predictor import Predictor
    from ossa.inference.tiles import Tiles
    from ossa.inference.views import parse_views

    views = None if looks == "auto" else parse_views(looks)
    return Predictor.load(model, device=device, views=views, tiles=None if tile is None else Tiles(tile))


def fast_predictor(model: str | Path | None, device: str, tile: int | None = None) -> Predictor:
    """One look at each picture, none closer, and no judge."""
    from ossa.inference.predictor import Predictor
    from ossa.inference.tiles import Tiles

    return Predictor.load(model, device=device, fast=True, tiles=None if tile is None else Tiles(tile))


def asked_predictor(
    model: str | Path | None,
    device: str,
    looks: str,
    thresholds: Mapping[str, float],
    *,
    fast: bool,
    tile: int | None = None,
) -> Predictor:
    """The predictor that a command's options ask for: the usual one or the fast one, with ``thresholds``."""
    loaded = fast_predictor(model, device, tile) if fast else usual_predictor(model, device, looks, tile)
    return with_thresholds(loaded, thresholds)


def with_thresholds(predictor: Predictor, thresholds: Mapping[str, float]) -> Predictor:
    """The same predictor with other ``thresholds`` (bone -> probability, "*" for every bone) than its model's."""
    from ossa.segmentation.decode import per_bone

    given = per_bone(predictor.schema, thresholds)
    return replace(predictor, thresholds={**predictor.thresholds, **given}) if given else predictor


def _items(outcome: Outcome, schema: BoneSchema) -> Iterable[Item]:
    """The labels that this run wrote picture by picture, read again for the file or folder that holds them all."""
    from ossa.labels.beside import read_truth
    from ossa.labels.item import Item
    from ossa.labels.names import bone_names

    names = bone_names(schema)
    for predicted in outcome.done:
        for result in predicted.results:
            truth = read_truth(outcome.output / f"{result.name}.json", names)
            assert truth.shape is not None  # ossa's own labels say it
            found = truth.segmentation(schema, truth.shape)
            yield Item(result.name, result.image_name, result.path, found, frozenset(schema.names))


def _nothing_done(outcome: Outcome) -> InputError:
    if len(outcome.skipped) == 1:
        return InputError(outcome.skipped[0].reason)
    return InputError(f"none of the {len(outcome.skipped)} files could be used", remedy="The reasons are listed above")
