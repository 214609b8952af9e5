"""Predict, correct, retrain: ``ossa train`` with the recipe "finetune" on the corrected pictures, and what it brought.

    JOB/data/           the corrected pictures with their labels as they were when the job was asked for
    JOB/run.yaml        the recipe for this model and these pictures
    JOB/run/            the run of ``ossa train``; the new model is JOB/run/bundle0
    JOB/old, JOB/new    what both models find in these pictures

Subjects are dealt out to folds and one fold is kept from training; old and new are compared on all pictures, and it is
told which of them the new model was trained on: only the others say how good it is.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ossa.config import check, recipes, to_yaml
from ossa.config.load import parse
from ossa.errors import ConfigError, MissingExtraError, OutputError
from ossa.labels.competition import write_outlines
from ossa.labels.results import Entry, open_results
from ossa.pages.run import read_curves
from ossa.radiograph.read import read_size
from ossa.safety import write_text
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation
from ossa.studio.collection import Picture
from ossa.studio.corrections import Corrections
from ossa.studio.index import scores_of
from ossa.studio.jobs import Job, Plan, Step

KIND = "finetune"

#: Most folds: a fifth of the subjects is kept from training.
MOST_FOLDS = 5

#: Most epochs that a page may ask for.
MOST_EPOCHS = 1000

#: Columns of a run's metrics that are shown.
CURVES = ("val/dice", "val/loss", "train/loss_epoch")

#: Gives the command line of ``ossa`` with these arguments.
Program = Callable[..., Sequence[str]]


#: ``python -m ossa`` that can be interrupted: a program that a shell starts in the background ignores SIGINT, and so
#: would all that it starts.
_OSSA = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('ossa', run_name='__main__', alter_sys=True)"
)


def ossa_program(*arguments: str) -> list[str]:
    """``ossa`` as it runs here."""
    return [sys.executable, "-c", _OSSA, *arguments]


def require_training() -> None:
    """Raise MissingExtraError where nothing can be trained here."""
    from importlib.util import find_spec

    for package in ("torch", "lightning"):
        if find_spec(package) is None:
            raise MissingExtraError.of("retraining", "train", ImportError(f"No module named '{package}'"))


class FineTuning(Plan):
    """Retrains ``model`` (None: the shipped one). ``program`` runs ossa, ``changes`` alter the recipe."""

    def __init__(
        self,
        schema: BoneSchema,
        model: Path | None,
        program: Program = ossa_program,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self.schema, self.model, self.program, self.changes = schema, model, program, dict(changes or {})

    def prepare(self, job: Job, pictures: Sequence[Picture], corrections: Corrections) -> None:
        """Fill the job's folder. Raises ConfigError for too few subjects, OutputError."""
        subjects = {_subject(one) for one in pictures}
        if len(subjects) < 2:
            raise ConfigError(
                "too few people were corrected to train on",
                found=f"{len(pictures)} corrected pictures of {len(subjects)} people",
                expected="pictures of at least 2: one is kept from training, to see what it brings",
                remedy="Correct a picture of somebody else",
            )
        taken: set[str] = set()
        for one in pictures:
            _lay_down(job.folder / "data", one, corrections, taken)
        write_text(job.folder / "run.yaml", self._recipe(job, len(subjects), len(pictures)))

    def _recipe(self, job: Job, subjects: int, pictures: int) -> str:
        from ossa.bundle.bundle import Bundle

        bundle = Bundle.load_all(self.model)[0]
        card = bundle.card
        values = parse(recipes()["finetune"], "recipe finetune")
        values["name"] = str(job.given["name"])
        values["output"] = str(job.folder)
        values["data"] |= {
            "datasets": [{"path": str(job.folder / "data")}],
            "size": card.preparation.size,
            "workers": 0,
            "cache": str(job.folder / "cache"),
        }
        values["model"] = {"architecture": card.architecture.name, **card.architecture.options}
        values["finetune"] = {"model": "default" if self.model is None else str(bundle.path)}
        values["folds"] = {"count": min(MOST_FOLDS, subjects), "run": [0], "store": False}
        values["licence"] = card.licence
        values["train"]["epochs"] = int(job.given["epochs"])
        values["train"]["batch"] = min(int(values["train"]["batch"]), max(1, pictures // 2))
        # The same bones are looked at closely, so that the two models are asked alike.
        values["closer"] = [
            {"bones": list(look.bones), "size": look.size, "margin": look.margin} for look in card.closer
        ]
        for section, keys in self.changes.items():
            values[section] = {**values.get(section, {}), **keys} if isinstance(keys, Mapping) else keys
        return to_yaml(check(values, "the studio's recipe"))

    def steps(self, job: Job) -> Sequence[Step]:
        """Train, then ask both models."""
        run, data = job.folder / "run", job.folder / "data"
        epochs = max(1, int(job.given["epochs"]))

        def trained() -> bool:
            return (run / "summary.html").is_file() and (run / "bundle0" / "card.json").is_file()

        def train() -> Sequence[str]:
            if (run / "config.yaml").is_file():
                return self.program("train", "--resume", "--folder", str(run))
            return self.program("train", str(job.folder / "run.yaml"), "--folder", str(run))

        def far() -> float:
            return len(read_curves(run / "fold0").get("val/dice")) / epochs

        def asking(model: Path | None, out: str) -> Step:
            def command() -> Sequence[str]:
                given = [] if model is None else ["--model", str(model)]
                return self.program("predict", str(data / "train" / "DCM"), "-o", str(job.folder / out), *given)

            def finished() -> bool:
                return (job.folder / out / "predictions.csv").is_file()

            return Step(f"asking the {out} model", command, finished, 0.1)

        return [
            Step("training", train, trained, 0.8, far),
            asking(self.model, "old"),
            asking(run / "bundle0", "new"),
        ]

    def curves(self, job: Job) -> Mapping[str, Any]:
        """The run's curves so far: loss and validation, not every bone's."""
        found = read_curves(job.folder / "run" / "fold0")
        told = {name: [[x, y] for x, y in found.get(name) if math.isfinite(y)] for name in CURVES}
        return {name: points for name, points in told.items() if points}

    def result(self, job: Job) -> Mapping[str, Any]:
        """The new source, and old and new compared."""
        return {"source": source_of(job), "comparison": self._compared(job)}

    def _compared(self, job: Job) -> dict[str, Any]:
        trained_on = _trained_on(job)
        truth = _by_name(job.folder / "data", self.schema)
        answers = {which: _by_name(job.folder / which, self.schema) for which in ("old", "new")}
        rows, told = [], {which: {name: [] for name in self.schema.names} for which in answers}  # type: ignore[var-annotated]
        for picture in job.given["pictures"]:
            row = {"id": picture["id"], "name": picture["name"], "trained_on": picture["subject"] in trained_on}
            own = truth[str(PurePosixPath(picture["file"]).with_suffix(""))]
            shape = read_size(own.image or Path(picture["file"]))
            drawn, judged = own.open().read(shape)
            for which, found in answers.items():
                values = _scores(found.get(own.id.rpartition(".")[0] or own.id), drawn, judged, shape)
                row[which] = values
                if values is not None and not row["trained_on"]:
                    for name, value in zip(self.schema.names, values, strict=True):
                        if value == value:
                            told[which][name].append(value)
            rows.append({**row, "old": _mean(row["old"]), "new": _mean(row["new"])})
        bones = {name: [_mean(told["old"][name]), _mean(told["new"][name])] for name in self.schema.names}

        def means(seen: bool) -> dict[str, float | None]:
            return {which: _mean([row[which] for row in rows if row["trained_on"] == seen]) for which in answers}

        return {**means(False), "bones": bones, "pictures": rows, "trained_on": means(True)}


def source_of(job: Job) -> str:
    """The id of the source that a finished job gives."""
    return f"job-{job.id}"


def model_of(job: Job) -> Path:
    """Where a finished job's model lies."""
    return job.folder / "run" / "bundle0"


def given_of(name: str, epochs: int, pictures: Sequence[Picture], corrections: Corrections) -> dict[str, Any]:
    """What a job is asked for. Raises ConfigError for a name or a number of epochs that cannot be."""
    if isinstance(epochs, bool) or not isinstance(epochs, int) or not 1 <= epochs <= MOST_EPOCHS:
        raise ConfigError("no such number of epochs", found=repr(epochs)[:40], expected=f"1 to {MOST_EPOCHS}")
    plain = "".join(c if c.isalnum() or c in "-_ " else "-" for c in str(name)).strip()[:60] or "corrected"
    taken: set[str] = set()
    listed = [
        {
            "id": one.id,
            "name": one.name,
            "subject": _subject(one),
            "revision": corrections.revision(one.name),
            "file": f"{_subject(one)}/{_file_name(one, taken)}",
        }
        for one in pictures
    ]
    return {"name": plain, "epochs": epochs, "pictures": listed}


def _subject(picture: Picture) -> str:
    """The folder of a person's pictures: a plain name."""
    plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in picture.subject or picture.id)
    return plain[:80] or picture.id


def _file_name(picture: Picture, taken: set[str]) -> str:
    """What a picture is called in the job's folder: its own name, with its id before it where that is taken."""
    name = picture.path.name
    if Path(name).stem.casefold() in taken:
        name = f"{picture.id}_{name}"
    taken.add(Path(name).stem.casefold())
    return name


def _lay_down(data: Path, picture: Picture, corrections: Corrections, taken: set[str]) -> None:
    """A picture (a link to it, a copy where links cannot be made) and its label in the competition's layout."""
    name = _file_name(picture, taken)
    image = data / "train" / "DCM" / _subject(picture) / name
    truth = corrections.read(picture.name)
    said = {"judged": [bone for bone in corrections.schema.names if bone in truth.annotated]}
    label = data / "train" / "outputs_json" / _subject(picture) / f"{Path(name).stem}.json"
    assert truth.shape is not None  # corrections say it
    write_outlines(label, truth.outlines, truth.shape, name, said)
    try:
        image.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.symlink(picture.path.resolve(), image)
        except OSError:
            shutil.copyfile(picture.path, image)
    except OSError as error:
        raise OutputError("the picture cannot be laid down to train on", path=image, found=error.strerror) from error


def _trained_on(job: Job) -> set[str]:
    """The subjects that the new model was trained on."""
    from ossa.dataset.folds import read_folds

    return {subject for subject, fold in read_folds(job.folder / "run" / "folds.json").fold_of.items() if fold != 0}


def _by_name(folder: Path, schema: BoneSchema) -> dict[str, Entry]:
    """Entries by name, and by their last part."""
    found = open_results(folder, schema).entries
    by_stem = {key.rpartition("/")[2]: entry for key, entry in found.items()}
    long = {"/".join(key.split("/")[-2:]): entry for key, entry in found.items()}
    return {**by_stem, **long, **found}


def _scores(
    entry: Entry | None, truth: Segmentation, judged: frozenset[str], shape: tuple[int, int]
) -> list[float] | None:
    """Dice of every bone; None where the model said nothing of the picture."""
    if entry is None:
        return None
    values: list[float] = scores_of(entry.read(shape), truth, judged).tolist()
    return values


def _mean(values: Sequence[float | None] | None) -> float | None:
    told = [value for value in values or () if value is not None and value == value]
    return round(sum(told) / len(told), 4) if told else None
