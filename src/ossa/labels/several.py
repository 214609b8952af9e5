"""One submission file at each of several thresholds, written in one go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ossa import safety
from ossa.labels.submission import COLUMNS, submission_rows
from ossa.segmentation.segmentation import Segmentation


def named(path: str | Path, thresholds: Sequence[Mapping[str, float]]) -> tuple[Path, ...]:
    """``out.csv`` at several thresholds for every bone ("*"): ``out_0.3.csv``, ``out_0.5.csv``, ..."""
    file = Path(path)
    return tuple(file.with_name(f"{file.stem}_{one['*']:g}{file.suffix}") for one in thresholds)


def write_submissions(files: Sequence[Path], rows: Iterable[tuple[str, Sequence[Segmentation]]]) -> int:
    """Write ``files`` at once, each as ``write_submission`` does; the number of images.

    ``rows`` yields (image name, one Segmentation per file); one image is held at a time. When something goes wrong
    none of the files is left. Raises SubmissionError for a name that would break a file, OutputError.
    """
    count = 0
    with ExitStack() as stack:
        parts = [stack.enter_context(safety.replacing(file)) for file in files]
        streams = [stack.enter_context(part.open("w", encoding="utf-8", newline="")) for part in parts]
        for stream in streams:
            stream.write(",".join(COLUMNS) + "\n")
        for image, found in rows:
            count += 1
            for stream, file, segmentation in zip(streams, files, found, strict=True):
                stream.write(submission_rows(image, segmentation, file))
    return count
