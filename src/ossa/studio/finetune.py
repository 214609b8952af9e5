"""Predict, correct, retrain: ``ossa train`` with the recipe "finetune" on what was corrected, and what it brought.

    JOB/data/, JOB/asked/, JOB/folds.json    the pictures with their labels (studio.material)
    JOB/run.yaml        the recipe for this model and these pictures
    JOB/run/            the run of ``ossa train``; the new model is JOB/run/bundle0
    JOB/old, JOB/new    what both models find in the corrected pictures

One fold is kept from training; old and new are compared on all corrected pictures, and it is told which of them the new
model was trained on: only the others say how good it is (studio.compared).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ossa.config import check, recipes, to_yaml
from ossa.config.load import parse
from ossa.errors import ConfigError, MissingExtraError
from ossa.pages.run import read_curves
from ossa.safety import write_text
from ossa.schema import BoneSchema
from ossa.studio.compared import compared
from ossa.studio.corrections import Corrections
from ossa.studio.jobs import LOG, Job, Plan, Step
from ossa.studio.material import ASKED, DATA, FOLDS, Lesson, lay_down
from ossa.studio.reading import Reader

KIND = "finetune"

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

    def prepare(self, job: Job, lessons: Sequence[Lesson], reader: Reader) -> None:
        """Fill the job's folder. Raises ConfigError for too few people, OutputError."""
        left_out = lay_down(job.folder, lessons, reader)
        if left_out:
            write_text(job.folder / LOG, "".join(f"{line}\n" for line in left_out))
        write_text(job.folder / "run.yaml", self._recipe(job, len(lessons) - len(left_out)))

    def _recipe(self, job: Job, pictures: int) -> str:
        from ossa.bundle.bundle import Bundle
        from ossa.dataset.folds import read_folds

        bundle = Bundle.load_all(self.model)[0]
        card = bundle.card
        values = parse(recipes()["finetune"], "recipe finetune")
        values["name"] = str(job.given["name"])
        values["output"] = str(job.folder)
        values["data"] |= {
            "datasets": [{"path": str(job.folder / DATA)}],
            "size": job.given.get("size") or card.preparation.size,
            "workers": 0,
            "cache": str(job.folder / "cache"),
        }
        values["model"] = {"architecture": card.architecture.name, **card.architecture.options}
        values["finetune"] = {"model": "default" if self.model is None else str(bundle.path)}
        folds = job.folder / FOLDS
        values["folds"] = {"count": read_folds(folds).count, "run": [0], "store": False, "file": str(folds)}
        values["licence"] = card.licence
        values["train"]["epochs"] = int(job.given["epochs"])
        values["train"]["batch"] = min(int(values["train"]["batch"]), max(1, pictures // 2))
        # The same bones are looked at closely, so that the two models are asked alike.
        values["closer"] = [
            {"bones": list(look.bones), "size": look.size, "margin": look.margin} for look in card.closer
        ]
        values["shafts"] = card.shafts
        for section, keys in self.changes.items():
            values[section] = {**values.get(section, {}), **keys} if isinstance(keys, Mapping) else keys
        return to_yaml(check(values, "the studio's recipe"))

    def steps(self, job: Job) -> Sequence[Step]:
        """Train, then ask both models."""
        run, asked = job.folder / "run", job.folder / ASKED
        if not asked.is_dir():  # of a job that an earlier version of ossa laid down
            asked = job.folder / DATA / "train" / "DCM"
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
                return self.program("predict", str(asked), "-o", str(job.folder / out), *given)

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
        told = compared(job.folder, job.given["pictures"], self.schema)
        return {"source": source_of(job), "comparison": told}


def source_of(job: Job) -> str:
    """The id of the source that a finished job gives."""
    return f"job-{job.id}"


def model_of(job: Job) -> Path:
    """Where a finished job's model lies."""
    return job.folder / "run" / "bundle0"


def given_of(
    name: str, epochs: Any, take: str, size: Any, lessons: Sequence[Lesson], corrections: Corrections
) -> dict[str, Any]:
    """What a job is asked for, as JSON values; ``size`` of the grid in px, None for the model's own.

    Raises ConfigError for a number of epochs or a size that cannot be.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or not 1 <= epochs <= MOST_EPOCHS:
        raise ConfigError("no such number of epochs", found=repr(epochs)[:40], expected=f"1 to {MOST_EPOCHS}")
    if size is not None and (
        isinstance(size, bool) or not isinstance(size, int) or not 64 <= size <= 4096 or size % 32
    ):
        raise ConfigError("no such grid", found=repr(size)[:40], expected="64 to 4096 px, a multiple of 32")
    plain = "".join(c if c.isalnum() or c in "-_ " else "-" for c in str(name)).strip()[:60] or "corrected"
    listed = [
        {
            "id": one.picture.id,
            "name": one.picture.name,
            "subject": one.subject,
            "revision": corrections.revision(one.picture.name),
            "file": one.file,
        }
        for one in lessons
        if one.corrected
    ]
    others = len(lessons) - len(listed)
    return {"name": plain, "epochs": epochs, "take": take, "size": size, "pictures": listed, "others": others}
