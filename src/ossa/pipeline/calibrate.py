"""``ossa calibrate``: thresholds and clean-up of a run's models, from predictions that no model had trained for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, DatasetError, InputError
from ossa.progress import Track, silent
from ossa.safety import output_folder
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.dataset.folds import Folds
    from ossa.ensemble.calibrate import Calibration, OutOfFold
    from ossa.labels.case import Case
    from ossa.labels.store import Store
    from ossa.pipeline.ensemble import Fitted

#: What the result is called inside a run's folder.
RESULT = "calibration.json"

#: What a training run writes into ``source`` of its out-of-fold store.
OUT_OF_FOLD = "out of fold"


@dataclass(frozen=True, eq=False)
class Calibrated:
    """``bundles`` whose cards got the thresholds and rules; ``file`` with everything that was found; ``weights`` per
    bone when several runs were given.
    """

    calibration: Calibration
    weights: Fitted | None
    bundles: tuple[Path, ...]
    file: Path


def calibrate(
    runs: Sequence[str | Path],
    dataset: str | Path,
    *,
    schema: BoneSchema | None = None,
    track: Track = silent,
) -> Calibrated:
    """Fit thresholds and clean-up on the out-of-fold predictions of ``runs`` against the labels of ``dataset``.

    One run's bundles get the result in their cards. Of several runs of the same folds, weights per bone are fitted
    too, thresholds are those of the weighted mean, and everything is written to the first run's calibration.json.
    Raises DatasetError when an image was predicted by a model that had its subject in training, or when that cannot
    be ruled out; InputError when images have no label; ConfigError with fewer than two subjects; OutputError when
    another run is writing into the folder.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.ensemble.calibrate import calibrate as fit
    from ossa.ensemble.vote import same_images
    from ossa.labels.store import Store
    from ossa.pipeline.ensemble import fit_weights

    if not runs:
        raise ConfigError("no run was named", expected="the folder of a training run")
    bones = load_schema() if schema is None else schema
    folders = [Path(run) for run in runs]
    stores = [Store.open(_store_of(folder), bones) for folder in folders]
    found_in = open_dataset(dataset, bones)
    cases = found_in.labelled_by_image(list(dict.fromkeys(image for store in stores for image in store.images())))
    for folder, store in zip(folders, stores, strict=True):
        refuse_seen(folder, store, cases)
    images = same_images({str(store.path): store.images() for store in stores})
    missing = [image for image in images if image not in cases]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise InputError(
            "images without a label",
            path=dataset,
            found=", ".join(missing[:5]) + more,
            expected="a label for every image of the out-of-fold predictions",
        )
    weights = None
    if len(stores) > 1:
        weights = fit_weights([store.path for store in stores], dataset, schema=schema, track=track)
    readers = [_reader(stores, image, cases[image], bones, weights) for image in images]
    found = fit(readers, [cases[image].subject for image in images], bones, track=track)
    file = folders[0] / RESULT
    with output_folder(folders[0]):
        bundles = _into_bundles(folders[0], found) if len(folders) == 1 else ()
        _write(file, found, weights, folders)
    return Calibrated(found, weights, bundles, file)


def _store_of(run: Path) -> Path:
    for folder in (run / "oof", run):
        if (folder / "store.json").is_file():
            return folder
    raise InputError(
        "holds no out-of-fold predictions",
        path=run,
        expected="the folder of a run of 'ossa train' with its oof/ folder",
        remedy="Train with folds.store=true, which writes them",
    )


def refuse_seen(run: Path, store: Store, cases: Mapping[str, Case]) -> None:
    """Raise DatasetError unless every image of the store was predicted by a model that never trained on its subject.

    That is known from the run's folds (with their hash) and from the table of which fold predicted which image.
    """
    if store.source.get("kind") != OUT_OF_FOLD:
        raise DatasetError(
            "these probabilities are not out-of-fold: their model may have trained on the same images",
            path=store.path,
            found=f"written by {_who(store.source)}",
            expected="the oof/ folder of a training run",
            remedy="Thresholds fitted on training images would promise too much; give the run's folder",
        )
    folds = _folds(run)
    predicted_by = _predicted_by(run)
    for image in store.images():
        case = cases.get(image)
        if case is None:
            continue
        held_out, used = folds.fold_of.get(case.subject), predicted_by.get(image)
        if held_out is None or used is None or held_out != used:
            known = f"predicted in fold {used}" if used is not None else "no fold's table names it"
            subject = f"its subject {case.subject} is held out in fold {held_out}"
            if held_out is None:
                subject = f"its subject {case.subject} is in no fold: it was trained on in every fold, or renamed"
            raise DatasetError(
                f"'{image}' may have been predicted by a model that trained on it",
                path=run,
                found=f"{known}; {subject}",
                expected="every image predicted in the fold that holds its subject out",
                remedy="Calibrate with the data set that the run was trained on",
            )


def _who(source: Mapping[str, Any]) -> str:
    models = source.get("models")
    if isinstance(models, list) and models and isinstance(models[0], dict):
        return ", ".join(str(model.get("name", "?")) for model in models)
    return str(source.get("run", "an unknown model"))


def _folds(run: Path) -> Folds:
    """The run's folds: its own file, or the one that its settings name."""
    from ossa.config import load_config
    from ossa.dataset.folds import read_folds

    if (run / "folds.json").is_file():
        return read_folds(run / "folds.json")
    if (run / "config.yaml").is_file():
        named = load_config(run / "config.yaml").folds.file
        if named is not None:
            return read_folds(named)
    raise DatasetError(
        "the run's folds are not known, so it is not known which model trained on which subject",
        path=run,
        expected="folds.json in the run's folder",
    )


def _predicted_by(run: Path) -> dict[str, int]:
    """Image -> the fold whose model predicted it, from fold*/oof.csv."""
    out: dict[str, int] = {}
    for path in sorted(run.glob("fold*/oof.csv")):
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                try:
                    image, fold = row["image"], int(row["fold"])
                except (KeyError, TypeError, ValueError) as error:
                    raise DatasetError("is not a table of out-of-fold scores", path=path, found=repr(error)) from error
                if out.setdefault(image, fold) != fold:
                    raise DatasetError(f"'{image}' was predicted in two folds", path=path)
    return out


def _reader(
    stores: Sequence[Store], image: str, case: Case, schema: BoneSchema, weights: Fitted | None
) -> Callable[[], OutOfFold]:
    def read() -> OutOfFold:
        import numpy as np

        from ossa.ensemble.calibrate import OutOfFold
        from ossa.ensemble.vote import mean_logits

        if weights is None:
            saved = stores[0].read(image)
            logits, placement = saved.logits(), saved.placement
        else:
            logits, placement = mean_logits(stores, image, np.asarray(weights.weights, np.float32))
        shape = placement.image_shape
        truth = case.truth(schema, shape)
        return OutOfFold(logits, placement, truth.segmentation(schema, shape), truth.annotated)

    return read


def _into_bundles(run: Path, found: Calibration) -> tuple[Path, ...]:
    """Put thresholds and rules into the cards of the run's bundles."""
    from ossa.bundle.bundle import Bundle

    plain, _, both = found.means()
    figures = {
        "images": found.images,
        "subjects": found.subjects,
        "dice_at_half": round(plain, 5),
        "dice_calibrated": round(both, 5),
        "note": "out of fold, fitted and judged on different subjects",
    }
    done = []
    for path in sorted(p.parent for p in run.glob("bundle*/card.json")):
        bundle = Bundle.load(path)
        card = replace(
            bundle.card,
            thresholds=found.thresholds,
            cleanup=found.cleanup if found.cleanup.bones else None,
            figures={**bundle.card.figures, "calibration": figures},
        )
        bundle.rewrite_card(card)
        done.append(path)
    return tuple(done)


def _write(path: Path, found: Calibration, weights: Fitted | None, runs: Sequence[Path]) -> None:
    from dataclasses import asdict

    from ossa.safety import write_json

    plain, threshold, both = found.means()
    write_json(
        path,
        {
            "runs": [run.name for run in runs],
            "schema": found.schema.name,
            "images": found.images,
            "subjects": found.subjects,
            "note": "every Dice was measured on subjects on which what it judges had not been fitted",
            "mean": {"dice_at_half": plain, "with_threshold": threshold, "with_cleanup": both},
            "thresholds": found.thresholds,
            "cleanup": found.cleanup.to_json(),
            "bones": {
                c.bone: {
                    "images": c.images,
                    "dice_at_half": c.plain,
                    "with_threshold": c.with_threshold,
                    "with_cleanup": c.with_rule,
                    "gain": c.gain,
                    "threshold": c.threshold,
                    "rule": asdict(c.rule),
                }
                for c in found.choices
            },
            **({"weights": weights.to_json()} if weights is not None else {}),
        },
    )
