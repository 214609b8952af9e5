"""Radiographs in, results out: the trip behind ``ossa predict``.

OUT/<name>.json           outlines, in a label format
OUT/<name>_overlay.png    the bones drawn over the radiograph
OUT/predictions.csv       run lengths of all images
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, DeviceError, InputError, OssaError, OutputError
from ossa.pipeline.sources import OVERLAY_SUFFIX, Source, check_name, find_sources
from ossa.progress import Track, silent

if TYPE_CHECKING:
    from ossa.inference.batch import Job, Parts
    from ossa.inference.predictor import Predictor
    from ossa.radiograph.radiograph import Radiograph
    from ossa.segmentation.segmentation import Segmentation

#: Below this share of the schema's bones the reader is told that few were found.
FEW_BONES = 0.5

CSV_NAME = "predictions.csv"

#: Inside the output folder: what a run has finished, until it is complete.
RUN_FOLDER = ".ossa-run"


@dataclass(frozen=True)
class Predicted:
    """One image that went through: ``notes`` are the warnings that came with it."""

    source: Source
    bones: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Skipped:
    """One file that could not be used, and why."""

    path: Path
    reason: str


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
    looks: str = "flip",
    label_format: str = "competition",
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Find the bones in every radiograph of ``paths`` (files, folders, glob patterns) and write the results.

    ``model`` is the folder of a bundle (None: the shipped one). ``looks``: test-time augmentation as
    ``inference.tta.parse_views`` reads it. Results are judged (confidences, warnings, "no hand found");
    ``predict_with`` and ``fast_predictor`` leave that out. A file that cannot be used is skipped, and the others
    are still done; ``tell`` hears of it at once, and of every warning. Results are written image by image; the CSV at
    the end, also when the user interrupts. A run that was stopped, by whatever, goes on when it is started again with
    the same model, settings and output folder.

    Raises InputError when no file could be used at all, OutputError when results cannot be written, ConfigError,
    BundleError, DeviceError or MissingExtraError when the run cannot begin.
    """
    return predict_with(
        lambda: usual_predictor(model, device, looks), paths, output, label_format=label_format, track=track, tell=tell
    )


def predict_with(
    load: Callable[[], Predictor],
    paths: Iterable[str | Path],
    output: str | Path,
    *,
    label_format: str = "competition",
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """``predict`` with any predictor; ``load`` is called once images and output folder are known to be usable."""
    from ossa.inference.batch import Job, Parts, read_ahead
    from ossa.radiograph.read import read_radiograph

    folder = Path(output)
    sources = find_sources(paths, folder)
    write_label = label_writer(label_format)
    _check_output(folder, sources)
    predictor = load()
    parts = Parts.begin(folder / RUN_FOLDER, {"format": label_format, "predictor": predictor.settings()})
    jobs = {source: Job(source.path, source.image_name) for source in sources}
    outcome = Outcome(folder, len(sources))

    def read(source: Source) -> Radiograph | Predicted:
        check_name(source)
        return _finished(source, jobs[source], parts, folder) or read_radiograph(source.path)

    try:
        for source, found in track(read_ahead(sources, read), len(sources), "Finding bones"):
            try:
                if isinstance(found, Exception):
                    raise found
                if isinstance(found, Predicted):
                    outcome.done.append(found)
                    continue
                segmentation = predict_one(found, predictor)
                _write(folder, source, found, segmentation, write_label)
                _remember(jobs[source], parts, segmentation)
            except (DeviceError, OutputError):
                raise
            except Exception as error:
                # Whatever one file does, the others are done: an error nobody foresaw skips its file too.
                reason = str(error) if isinstance(error, OssaError) else f"{source.path}: {_unforeseen(error)}"
                outcome.skipped.append(Skipped(source.path, reason))
                tell(f"skipped: {reason}")
                continue
            for note in segmentation.notes:
                tell(f"{source.path}: {note}")
            outcome.done.append(Predicted(source, len(segmentation), segmentation.notes))
    except KeyboardInterrupt:
        outcome.interrupted = True
    if not outcome.done and not outcome.interrupted:
        parts.remove()
        raise _nothing_done(outcome)
    _write_csv(folder, parts, [jobs[done.source] for done in outcome.done])
    if not outcome.interrupted:
        parts.remove()
    return outcome


def _finished(source: Source, job: Job, parts: Parts, folder: Path) -> Predicted | None:
    """What an earlier, stopped run did for this image, when all of it is still there."""
    part = parts.get(job)
    if part is None or not all(path.is_file() for path in _outputs(folder, source)):
        return None
    return Predicted(source, int(part.facts["bones"]), tuple(part.facts["notes"]))


def _remember(job: Job, parts: Parts, segmentation: Segmentation) -> None:
    from ossa.inference.batch import Part
    from ossa.labels.submission import submission_rows

    facts = {"bones": len(segmentation), "notes": list(segmentation.notes)}
    parts.put(job, Part(submission_rows(job.name, segmentation), facts))


def _write_csv(folder: Path, parts: Parts, jobs: list[Job]) -> None:
    from ossa.labels.submission import COLUMNS

    parts.assemble(folder / CSV_NAME, ",".join(COLUMNS) + "\n", jobs)


def predict_one(radiograph: Radiograph, predictor: Predictor) -> Segmentation:
    """Find the bones of one radiograph; a note says so when they are few."""
    segmentation = predictor.predict(radiograph)
    return replace(segmentation, notes=(*segmentation.notes, *_few_bones(segmentation)))


def _few_bones(segmentation: Segmentation) -> tuple[str, ...]:
    found, of = len(segmentation), len(segmentation.schema)
    if found >= FEW_BONES * of:
        return ()
    names = ", ".join(segmentation.regions) or "none"
    return (f"few bones found: {found} of {of} ({names}). Is this a radiograph of one hand, and is all of it in view?",)


def label_writer(label_format: str) -> Callable[[Path, Segmentation, str], None]:
    """The ``write_label(path, segmentation, image_name)`` of a format. ConfigError lists those that have one."""
    from ossa.dataset.dataset import formats

    writers: dict[str, Any] = {n: m.write_label for n, m in formats().items() if hasattr(m, "write_label")}
    if label_format not in writers:
        raise ConfigError(
            f"no label format called '{label_format}' can be written", expected="one of " + ", ".join(sorted(writers))
        )
    writer: Callable[[Path, Segmentation, str], None] = writers[label_format]
    return writer


def usual_predictor(model: str | Path | None, device: str, looks: str) -> Predictor:
    """What ``predict`` asks: every look, the closer one at the wrist, and a judge of the result."""
    from ossa.inference.predictor import Predictor
    from ossa.inference.views import parse_views

    return Predictor.load(model, device=device, views=parse_views(looks)).examined()


def fast_predictor(model: str | Path | None, device: str) -> Predictor:
    """One look at each picture, none closer, and no judge."""
    from dataclasses import replace

    from ossa.inference.predictor import Predictor

    return replace(Predictor.load(model, device=device), closer=None)


def _check_output(folder: Path, sources: list[Source]) -> None:
    """Refuse, before any work is done, a folder that cannot be written or in which results would replace labels."""
    own = {source.path.resolve().parent for source in sources}
    if folder.resolve() in own:
        raise OutputError(
            "the output folder holds the radiographs themselves",
            path=folder,
            found="results named <image>.json there could replace your labels",
            remedy="Give another output folder, for instance " + str(folder / "out"),
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            "the output folder cannot be written",
            path=folder,
            found=error.strerror or str(error),
            remedy="Give a folder that you may write to",
        ) from error


def _write(
    folder: Path,
    source: Source,
    radiograph: Radiograph,
    segmentation: Segmentation,
    write_label: Callable[[Path, Segmentation, str], None],
) -> None:
    from ossa.export.overlay import write_overlay

    label, overlay = _outputs(folder, source)
    write_label(label, segmentation, source.path.name)
    write_overlay(overlay, radiograph, segmentation)


def _outputs(folder: Path, source: Source) -> tuple[Path, Path]:
    return folder / f"{source.name}.json", folder / f"{source.name}{OVERLAY_SUFFIX}"


def _unforeseen(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this image"
    return f"unforeseen {type(error).__name__}: {error} (a defect in ossa: please report it)"


def _nothing_done(outcome: Outcome) -> InputError:
    if len(outcome.skipped) == 1:
        return InputError(outcome.skipped[0].reason)
    return InputError(f"none of the {len(outcome.skipped)} files could be used", remedy="The reasons are listed above")
