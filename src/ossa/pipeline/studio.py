"""The trip behind ``ossa studio``: a data set, predictions and a model in, a ``Studio`` that answers a page out.

What a network is asked stands here as functions of a module, ``trip(predictor, ...)``, so that the server's worker can
do it in a process of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, MissingExtraError, OssaError, OutputError
from ossa.pipeline.several import apart
from ossa.safety import output_folder
from ossa.studio.collection import MODEL, Collection, Source, open_collection
from ossa.studio.corrections import Conflict, Missing
from ossa.studio.films import FilmHand, SeenHand, box_of
from ossa.studio.finetune import KIND, FineTuning, given_of, model_of, require_training, source_of
from ossa.studio.jobs import DONE, Job, Jobs
from ossa.studio.listing import Query
from ossa.studio.material import CORRECTED, TAKES, Lesson, lessons_of
from ossa.studio.studio import ModelFacts, Studio

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor

__all__ = ["CORRECTED", "Conflict", "Desk", "Missing", "Query", "Studio", "gradcam", "open_studio", "predict_file"]

#: By these an earlier studio's folder is known.
MARKS = ("corrections", "dropped", "cache", "jobs", "predictions", "exports", "replaced")

#: Longer side of a Grad-CAM picture, px: the maps behind it are far coarser.
HEAT_SIZE = 768

#: Further models that are kept loaded in the worker's process.
_MOST_MODELS = 2


@dataclass(eq=False)
class Desk:
    """A ``studio`` with its ``jobs``: what the routes of a page ask.

    ``write_back``: corrections may go into the data set's own files when a page asks for it.
    """

    studio: Studio
    jobs: Jobs
    tuning: FineTuning
    write_back: bool = False

    def start(self) -> None:
        """Begin to index, and go on with jobs."""
        for job in self.jobs.jobs.values():
            if job.state == DONE:
                self.welcome(job)
        self.studio.start()
        if self.studio.writable:
            self.jobs.start()

    def close(self) -> None:
        """End in good order; running jobs go on at the next start."""
        self.jobs.close()
        self.studio.close()

    def dropped(self, path: Path, hands: Sequence[SeenHand]) -> list[str]:
        """List a file that was dropped and what the model said of it; the ids of its pictures, one for each hand.

        They are called as ``ossa predict`` calls results. Raises OutputError.
        """
        from ossa.pipeline.films import Film

        boxes = [box_of(hand.bones) for hand in hands]
        several: list[FilmHand] = []
        if len(hands) > 1 and None not in boxes:
            listed = {Path(one.name).stem.casefold() for one in self.studio.pictures.values() if one.path != path}
            film = Film(path, path.stem, path.name)
            named = apart(film, [hand.side for hand in hands], lambda name: name.casefold() in listed)
            places = tuple(box for box in boxes if box is not None)
            several = [
                FilmHand(one.image_name, k, places, hand.side)
                for k, (one, hand) in enumerate(zip(named, hands, strict=True), start=1)
            ]
        ids = self.studio.welcome(path, several)
        if hands:
            self.studio.answered(ids[0], MODEL, hands)
        return list(ids)

    def finetune(self, epochs: Any, name: Any, take: Any = CORRECTED, size: Any = None) -> Job:
        """Retrain the model on the corrected pictures, or (``take`` "all") on these and the rest of the set.

        Raises MissingExtraError, ConfigError, OutputError.
        """
        studio = self.studio
        require_training()
        if not studio.writable:
            raise OutputError("this studio keeps nothing", expected="one that was started without --read-only")
        lessons = lessons_of(list(studio.pictures.values()), studio.corrected, take)
        given = given_of(str(name or ""), epochs, take, size, lessons, studio.corrections)
        return self.jobs.add(KIND, given, lambda job: self.tuning.prepare(job, lessons, studio.reader))

    def options(self) -> dict[str, Any]:
        """What a retraining could take: how many pictures of how many people, and why one cannot begin."""
        told: dict[str, Any] = {}
        for take in TAKES:
            lessons: list[Lesson] = []
            problem = None
            try:
                require_training()
                if not self.studio.writable:
                    raise OutputError("this studio keeps nothing", expected="one started without --read-only")
                lessons = lessons_of(list(self.studio.pictures.values()), self.studio.corrected, take)
            except OssaError as error:
                problem = {
                    key: None if value is None else str(value)
                    for key, value in (
                        ("message", error.what), ("found", error.found), ("expected", error.expected),
                        ("remedy", error.remedy),
                    )
                }  # fmt: skip
            told[take] = {
                "pictures": len(lessons), "people": len({one.subject for one in lessons}), "problem": problem
            }  # fmt: skip
        return told

    def welcome(self, job: Job) -> None:
        """Make a finished job's model a source, with what it said of the corrected pictures."""
        from ossa.labels.results import open_results

        if job.kind != KIND or not (model_of(job) / "card.json").is_file():
            return
        title = str(job.given.get("name") or job.id)
        self.studio.add_model(Source(source_of(job), title, "model"), model_of(job))
        answers = open_results(job.folder / "new", self.studio.collection.schema).entries
        for told in job.given["pictures"]:
            picture = self.studio.pictures.get(told["id"])
            keys = (Path(told["file"]).with_suffix("").as_posix(), Path(told["file"]).stem)
            entry = next((answers[key] for key in keys if key in answers), None)
            if picture is None or entry is None or self.studio.reader.stamp(picture, source_of(job)) is not None:
                continue
            if picture.film is not None:  # it was asked for a part of the film
                continue
            with suppress(OutputError):
                found = SeenHand(entry.read(self.studio.reader.shape(picture)))
                self.studio.answered(picture.id, source_of(job), [found])


@contextmanager
def open_studio(
    root: str | Path | None = None,
    *,
    predictions: Sequence[str | Path] = (),
    csvs: Sequence[str | Path] = (),
    images: str | Path | None = None,
    folds: str | Path | None = None,
    names: str | Path | None = None,
    model: str | Path | None = None,
    output: str | Path | None = None,
    read_only: bool = False,
    write_back: bool = False,
) -> Iterator[Desk]:
    """A studio for the data set or folder of pictures ``root``, for as long as the block lasts.

    ``predictions`` are folders of results, ``csvs`` submissions; ``images``, ``folds`` and ``names`` as the gallery
    takes them. ``write_back``: the page may put corrections into ``root``'s own label files. ``output``: where
    corrections and everything else is kept; None for ``root``'s sibling
    "<root>-studio". ``read_only``: nothing is saved. Raises InputError for what cannot be read, OutputError for a
    folder that cannot be written or that another studio holds, BundleError for a model that does not load.
    """
    facts = _model_facts(model)
    collection = open_collection(root, predictions, csvs, images=images, folds=folds, names=names)
    folder = Path(output) if output is not None else usual_output(root)
    if read_only:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="ossa-studio-") as temporary:
            yield _desk(collection, Path(temporary), root, facts, writable=False)
        return
    inputs = [path for path in (root, *predictions, *csvs, images, folds, names, model) if path is not None]
    with output_folder(folder, inputs, MARKS):
        desk = _desk(collection, folder, root, facts, writable=True)
        desk.write_back = write_back
        yield desk


def usual_output(root: str | Path | None) -> Path:
    """Where a studio keeps its things when nobody says: beside ``root``, never in it."""
    if root is None:
        return Path("ossa-studio")
    whole = Path(root).resolve()
    if whole.parent == whole:
        raise ConfigError("a whole disk has nothing beside it", found=str(root), remedy="Give --output FOLDER")
    return whole.with_name(f"{whole.name}-studio")


def _desk(collection: Collection, folder: Path, root: str | Path | None, facts: ModelFacts, writable: bool) -> Desk:
    studio = Studio(collection, folder, writable, None if root is None else Path(root), facts)
    tuning = FineTuning(collection.schema, facts.path)
    jobs = Jobs(folder, {KIND: tuning})
    desk = Desk(studio, jobs, tuning)
    jobs.finished = desk.welcome
    return desk


def _model_facts(model: str | Path | None) -> ModelFacts:
    """What the model is called and known by; every hash of its files is checked on the way."""
    import hashlib

    from ossa.bundle.bundle import Bundle

    found = Bundle.load_all(model)
    names = ", ".join(bundle.card.name for bundle in found)
    files = sorted(hash_ for bundle in found for hash_ in bundle.card.files.values())
    digest = hashlib.sha256("\n".join(files).encode()).hexdigest()[:12]
    return ModelFacts(names, digest, None if model is None else Path(model))


# --- what the worker is asked ------------------------------------------------------------------------------------

#: In the worker's process: models that were trained here, by their paths.
_others: OrderedDict[str, Predictor] = OrderedDict()


def predict_file(predictor: Predictor, picture: str, model: str | None = None) -> tuple[SeenHand, ...]:
    """The hands of a picture's file by ``predictor``, or by the bundle ``model``, from left to right."""
    from ossa.segmentation.segmentation import Segmentation

    if model is not None:
        from ossa.inference.predictor import Predictor

        if model not in _others:
            _others[model] = Predictor.load(model, device="cpu")
            while len(_others) > _MOST_MODELS:
                _others.popitem(last=False)
        _others.move_to_end(model)
        predictor = _others[model]
    out = []
    for hand in predictor.predict_hands(picture):
        found = hand.segmentation
        # Without what is only of use here, which would travel back to the server's process for nothing.
        plain = Segmentation(
            found.schema, found.shape, found.regions, found.confidence, found.notes, found.probability,
            origin=found.origin,
        )  # fmt: skip
        out.append(SeenHand(plain, hand.side, 0.0 if hand.where is None else hand.where.sure))
    return tuple(out)


def gradcam(predictor: Predictor | None, picture: str, bone: str, model: str | None = None) -> bytes:
    """Where a bundle's network looked to find ``bone``: a PNG with alpha of the picture's whole extent.

    Raises SchemaError for an unknown bone, MissingExtraError without torch.
    """
    del predictor
    from ossa.bundle.bundle import Bundle
    from ossa.export.heat import heat_layer
    from ossa.inference.explain import explain
    from ossa.radiograph.read import read_radiograph

    bundle = Bundle.load_all(model)[0]
    bundle.card.schema.index(bone)
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("Grad-CAM", "train", error) from error
    heat = explain(bundle, read_radiograph(picture), bone)
    return heat_layer(heat.values, HEAT_SIZE)


def source_model(desk: Desk, source: str) -> str | None:
    """The path of a source's model for ``predict_file``; None for the one that the studio was started with."""
    if desk.studio.source(source).kind != "model" and source != MODEL:
        return None
    path = desk.studio.models.get(source)
    return None if path is None else str(path)
