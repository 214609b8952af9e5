"""The steps of a contest, each a function of a ``Contest``: ``rehearse.py`` puts them together."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ossa.config import RunConfig, load_config
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import Folds, read_folds
from ossa.errors import ConfigError, DatasetError, InputError
from ossa.pipeline.calibrate import Calibrated, calibrate
from ossa.progress import bar
from ossa.safety import read_json, renewing, write_json
from ossa.safety.whole import require_space
from ossa.schema import BoneSchema, load_schema

#: Room that a contest takes: three bundles, checkpoints and optimisers of a compact network per run, and the cache.
BYTES_PER_FOLD, BYTES_PER_PICTURE = 90_000_000, 1_500_000

#: What all runs have in common. The shipped model is the start, as for a user with few films: docs/training.md.
COMMON = ("train.batch=4", "train.ema=0.95", "train.clip=5", "train.early_stop.patience=0", "optimiser.lr=6e-4",
          "data.workers=0", "scheduler.warmup=5")  # fmt: skip
#: A contest's first run, and what the others do differently from it, so that their mistakes differ too.
FIRST = ("data.augment={p_mixup: 0, p_bend: 0.4, p_invert: 0, rotate: 25}",)
SECOND = ("seed=2", "data.augment={p_mixup: 0, p_bend: 0.6, p_invert: 0, rotate: 40}", "loss={bce: 5, dice: 1}")
THIRD = ("seed=3", *FIRST)


@dataclass(frozen=True)
class Contest:
    """Where everything lies and how much is done. ``truth`` None: nobody knows it, as in a real contest.

    ``floor``, ``min_bones``: how sure a bone's pseudo-label must be, and of how many bones a picture must have one.
    """

    data: Path
    work: Path
    truth: Path | None
    size: int = 512
    folds: int = 3
    steps: int = 120
    threads: int = 1
    start: str = "default"
    more: tuple[str, ...] = ()
    floor: float = 0.8
    min_bones: int = 20

    @property
    def schema(self) -> BoneSchema:
        """The bones."""
        return load_schema("hand29")

    @property
    def clean(self) -> Path:
        """The training set without what the audit left out."""
        return self.work / "data"

    @property
    def tests(self) -> Path:
        """The pictures of the test set."""
        return self.data / "test" / "DCM"

    def bundles(self, run: str) -> list[Path]:
        """The models of a run."""
        return [self.work / run / f"bundle{k}" for k in range(self.folds)]


Told = dict[str, Any]

#: Least gain out of fold with which a step is kept: less was seen to be lost again on the test set.
LEAST_GAIN = 5e-4


def once(contest: Contest, name: str, work: Callable[[], Told]) -> Told:
    """What ``work`` tells, and its ``seconds`` of processor time; from WORK/steps/NAME.json if it was done before."""
    file = contest.work / "steps" / f"{name}.json"
    if file.is_file():
        return dict(read_json(file))
    print(f"== {name}", flush=True)
    begun, spent = time.monotonic(), _processor()
    told = work()
    told |= {"seconds": round(_processor() - spent, 1), "wall": round(time.monotonic() - begun, 1)}
    write_json(file, told)
    print(f"   {told['seconds']:.0f} s of processor time", flush=True)
    return told


def _processor() -> float:
    return sum(os.times()[:4])


# --- before time is spent ----------------------------------------------------------------------------------------


def check(contest: Contest, folds_file: Path | None) -> None:
    """Raise for everything that can be known to go wrong: no test set, no truth, folds of another set, a full disk."""
    dataset = open_dataset(contest.data, contest.schema)
    tests = [case for case in dataset if case.split == "test"]
    labelled = dataset.split("train").labelled
    if not labelled or not tests:
        raise DatasetError(
            "is no contest",
            path=contest.data,
            found=f"{len(labelled)} labelled training pictures, {len(tests)} of a test set",
            expected="train/DCM with train/outputs_json, and test/DCM",
            remedy="Make one: ossa phantom FOLDER --rehearsal",
        )
    if contest.truth is not None:
        known = {path.stem for path in contest.truth.rglob("*.json")}
        missing = sorted(case.image.name for case in tests if case.image.stem not in known)
        if missing:
            raise InputError(
                "the truth of the test set is missing",
                path=contest.truth,
                found=f"no label for {len(missing)} of {len(tests)} test pictures, such as {missing[0]}",
                expected="a label for each of them",
                remedy="Give its folder with --truth, or --no-truth as in a real contest: nothing is scored then",
            )
    if folds_file is not None:
        same_subjects(read_folds(folds_file), {case.subject for case in labelled}, folds_file, contest)
    if not (contest.work / "steps").exists():
        disk = contest.work if contest.work.exists() else contest.work.resolve().parent
        need = 3 * contest.folds * BYTES_PER_FOLD + len(dataset) * BYTES_PER_PICTURE
        holds = f"{len(dataset)} pictures in {contest.folds} folds"
        require_space(disk, need, "the runs", holds=holds, remedy="or write to another disk")


def same_subjects(folds: Folds, subjects: set[str], file: Path, contest: Contest) -> None:
    """Raise DatasetError for folds that were made of other subjects, or of another number."""
    strange, lacking = sorted(set(folds.fold_of) - subjects), sorted(subjects - set(folds.fold_of))
    if strange or lacking:
        raise DatasetError(
            "these are folds of another set",
            path=file,
            found=f"{len(strange)} subjects that it does not have ({', '.join(strange[:3])}), "
            f"{len(lacking)} of its own in no fold ({', '.join(lacking[:3])})",
            expected=f"the {len(subjects)} subjects of {contest.data}",
            remedy="Make them from this set: ossa data folds",
        )
    if folds.count != contest.folds:
        raise ConfigError("the file has another number of folds", found=folds.count, expected=contest.folds)


# --- the steps ---------------------------------------------------------------------------------------------------


def audit(contest: Contest) -> Told:
    """Look for wrong labels, and make the training set without them."""
    from ossa.pipeline.data import audit_dataset

    found = audit_dataset(contest.data, contest.work / "audit.json", schema=contest.schema, workers=1, track=bar)
    first = {finding.case: finding.message for finding in reversed(found.findings) if finding.kind != "folder"}
    kept = 0
    for case in open_dataset(contest.data, contest.schema).split("train").labelled:
        if case.id in first or case.label is None:
            continue
        for path in (case.image, case.label):
            _link(path, contest.clean / path.relative_to(contest.data))
        kept += 1
    return {"alarms": first, "kept": kept, "checked": found.checked}


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the disk is another one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        with renewing(target) as temporary:
            shutil.copyfile(source, temporary)


def folds(contest: Contest, given: Path | None) -> Told:
    """The split by subject; the given one without the subjects that the audit left out altogether."""
    from ossa.dataset.folds import write_folds
    from ossa.pipeline.data import make_folds_file

    file = contest.work / "folds.json"
    if given is None:
        made = make_folds_file(contest.clean, file, contest.folds, schema=contest.schema, track=bar)
        return {"hash": made.hash, "table": made.table}
    ours = read_folds(given)
    left = {case.subject for case in open_dataset(contest.clean, contest.schema).labelled}
    kept = Folds(ours.count, ours.seed, {s: k for s, k in ours.fold_of.items() if s in left})
    write_folds(file, kept)
    return {"hash": kept.hash, "table": {}}


def run_config(contest: Contest, run: str, changes: Sequence[str]) -> RunConfig:
    """The settings of a run: a few steps from the shipped model, the contest's folds, ``changes``."""
    epochs = max(1, min(4, contest.steps // 60))  # each is validated on pictures of full size, which costs 20 steps
    start = "null" if contest.start == "none" else contest.start
    return load_config(
        "finetune",
        [
            f"name={run}", f"output={contest.work}", f"data.datasets=[{{path: {contest.clean}}}]",
            f"data.cache={contest.work / 'cache'}", f"data.size={contest.size}", f"finetune.model={start}",
            f"folds.count={contest.folds}", f"folds.file={contest.work / 'folds.json'}",
            f"train.epochs={epochs}", f"train.samples={4 * max(1, contest.steps // epochs)}",
            f"train.threads={contest.threads}", *COMMON, *changes, *contest.more,
        ],
    )  # fmt: skip


def train(contest: Contest, run: str, changes: Sequence[str]) -> Told:
    """Train all folds of a run; one that was stopped is resumed."""
    from ossa.pipeline.train import train as train_run

    folder = contest.work / run
    settings = run_config(contest, run, changes)
    done = train_run(settings, folder=folder, resume=(folder / "config.yaml").exists(), track=bar, tell=_tell)
    return {"dice": list(done.dice)}


def pseudo_labels(contest: Contest, runs: Sequence[str]) -> tuple[str, ...]:
    """The settings by which a run trains on the test set too, labelled by the models of ``runs``."""
    models = ", ".join(str(bundle) for run in runs for bundle in contest.bundles(run))
    sure = f"floor: {contest.floor}, min_bones: {contest.min_bones}"
    return (f"pseudo={{images: [{contest.tests}], models: [{models}], {sure}, weight: 0.5}}",)


def train_if_sure(contest: Contest, run: str, changes: Sequence[str]) -> Told:
    """``train``; where no pseudo-label is sure enough, only why it was "skipped"."""
    try:
        return train(contest, run, changes)
    except ConfigError as error:
        if "pseudo-label" not in error.what:
            raise
        return {"skipped": str(error).splitlines()[0][:200]}


def pseudo_note(contest: Contest) -> str:
    """How many test pictures got pseudo-labels."""
    index = read_json(contest.work / "pseudo" / "pseudo" / "pseudo.json")
    kept, left = len(index["pictures"]), len(index["left_out"])
    return f"{kept} of {kept + left} test pictures labelled by the models so far"


def look_at_tests(contest: Contest, run: str) -> Told:
    """Save every model's probabilities of the test set."""
    from ossa.pipeline.ensemble import load_models, save_probabilities

    for bundle in contest.bundles(run):
        predictor = load_models([bundle], "auto", None, "none", None)
        saved = save_probabilities([contest.tests], store_of(contest, run, bundle), predictor, track=bar, tell=_tell)
        if saved.skipped:
            raise InputError("test pictures could not be used", found="; ".join(saved.skipped[:3]))
    return {}


def store_of(contest: Contest, run: str, bundle: Path) -> Path:
    """Where a model's probabilities of the test set are kept."""
    return contest.work / "stores" / f"{run}-{bundle.name}"


def _tell(sentence: str) -> None:
    print(f"   {sentence}", file=sys.stderr, flush=True)


def submit(
    contest: Contest,
    name: str,
    runs: Sequence[str],
    fitted: Calibrated | None = None,
    *,
    first: int = 0,
    rules: bool = True,
) -> Told:
    """Write WORK/submissions/NAME.csv from the first ``first`` models (0: all) of ``runs``, and score it."""
    from ossa.ensemble.vote import soft_vote
    from ossa.labels.store import Store
    from ossa.labels.submission import write_submission
    from ossa.segmentation.compare import dice_per_bone

    bundles = [(k, run, bundle) for k, run in enumerate(runs) for bundle in contest.bundles(run)]
    bundles = bundles[:first] if first else bundles
    stores = [Store.open(store_of(contest, run, bundle), contest.schema) for _, run, bundle in bundles]
    shares = None
    if fitted is not None and fitted.weights is not None:
        shares = np.stack([fitted.weights.weights[k] for k, _, _ in bundles])
    found = fitted.calibration if fitted is not None and rules else None
    known = truths(contest)
    scores = []

    def rows() -> Any:
        at = [found.thresholds if found is not None else {}]
        for image, (bones,) in soft_vote(stores, shares, at):
            tidy = found.cleanup(bones) if found is not None else bones
            if contest.truth is not None:
                scores.append(dice_per_bone(tidy, known[Path(image).stem](tidy.shape)))
            yield image, tidy

    count = write_submission(contest.work / "submissions" / f"{name}.csv", rows())
    if not scores:
        return {"test": None, "per_bone": {}, "pictures": count}
    mean = np.mean(scores, axis=0)
    per_bone = {bone: round(float(v), 6) for bone, v in zip(contest.schema.names, mean, strict=True)}
    return {"test": round(float(mean.mean()), 6), "per_bone": per_bone, "pictures": count}


def truths(contest: Contest) -> dict[str, Callable[[tuple[int, int]], Any]]:
    """Picture's stem -> its true bones in a picture of a shape."""
    from ossa.labels.competition import read_label
    from ossa.segmentation.outlines import segmentation_from_outlines

    def read(path: Path, shape: tuple[int, int]) -> Any:
        return segmentation_from_outlines(read_label(path, contest.schema), contest.schema, shape)

    return {} if contest.truth is None else {p.stem: partial(read, p) for p in sorted(contest.truth.rglob("*.json"))}


def fit(contest: Contest, runs: Sequence[str]) -> Calibrated:
    """Thresholds, clean-up and, of several runs, weights per bone: out of fold."""
    return calibrate([contest.work / run for run in runs], contest.clean, track=bar)


def fitted_and_submitted(contest: Contest, name: str, runs: Sequence[str], rules: bool = True) -> Told:
    """``fit``, and the submission with it; tells the out-of-fold Dice at .5 and with everything fitted.

    Without ``rules`` only the weights of several runs are used, and .5 everywhere.
    """
    done = fit(contest, runs)
    plain, _, both = done.calibration.means()
    chosen = sum(max(c.gain, 0.0) if c.threshold != 0.5 or c.rule.part or c.rule.hole else 0.0 for c in _choices(done))
    used = plain + (chosen / max(1, len(_choices(done))) if rules else 0.0)
    per_bone = {c.bone: round(c.plain, 6) for c in done.calibration.choices}
    told = {"plain": round(plain, 6), "fitted": round(both, 6), "held_out": round(used, 6), "oof": per_bone}
    if done.weights is not None:
        told["weights"] = done.weights.to_json()["bones"]
    return told | submit(contest, name, runs, done, rules=rules)


def _choices(done: Calibrated) -> list[Any]:
    return [choice for choice in done.calibration.choices if choice.images]
