"""Long runs over many images: the next image is read while the network works, and a killed run goes on.

``run_batch`` reads, predicts and hands every result to a ``Sink``; ``Parts`` is the memory of a
run: one small file per finished image, written last, so that an image's outputs are complete or
count as absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ossa.errors import DeviceError, InputError, OutputError
from ossa.safety import read_json, replacing, write_json, write_text

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor
    from ossa.radiograph.radiograph import Radiograph
    from ossa.segmentation.segmentation import Segmentation

T = TypeVar("T")
R = TypeVar("R")

#: Images read ahead: one in the making and one waiting keep the network fed, and memory flat.
AHEAD = 2


@dataclass(frozen=True)
class Job:
    """One image of a run; ``name`` is unique in the run."""

    path: Path
    name: str


class Sink(Protocol):
    """Where results go."""

    def has(self, job: Job) -> bool:
        """Whether an earlier run finished this image (the same file, the same settings)."""
        ...

    def put(self, job: Job, radiograph: Radiograph, segmentation: Segmentation) -> None:
        """Write everything of one image; the mark that ``has`` looks for comes last."""
        ...


@dataclass(frozen=True, eq=False)
class Done:
    """One image that went through; ``segmentation`` is None when an earlier run had finished it."""

    job: Job
    segmentation: Segmentation | None


@dataclass(frozen=True, eq=False)
class Failed:
    """One image that could not be used, and why."""

    job: Job
    error: Exception


def run_batch(jobs: Sequence[Job], predictor: Predictor, sink: Sink, ahead: int = AHEAD) -> Iterator[Done | Failed]:
    """Find the bones in every image; yields one Done or Failed per job, in order.

    Images that the sink already has are not read again. A file that cannot be used is a Failed and
    the run goes on; DeviceError and OutputError end it (what was done stays done), and so does
    closing the generator.
    """
    from ossa.radiograph.read import read_radiograph

    def read(job: Job) -> Radiograph | None:
        return None if sink.has(job) else read_radiograph(job.path)

    for job, outcome in read_ahead(jobs, read, ahead):
        if isinstance(outcome, Exception):
            if isinstance(outcome, (DeviceError, OutputError)):
                raise outcome
            yield Failed(job, outcome)
            continue
        if outcome is None:
            yield Done(job, None)
            continue
        try:
            segmentation = predictor.predict(outcome)
            sink.put(job, outcome, segmentation)
        except (DeviceError, OutputError):
            raise
        except Exception as error:  # whatever one file does, the others are done
            yield Failed(job, error)
            continue
        yield Done(job, segmentation)


def read_ahead(items: Iterable[T], work: Callable[[T], R], ahead: int = AHEAD) -> Iterator[tuple[T, R | Exception]]:
    """``work(item)`` for every item, computed in one thread up to ``ahead`` items before it is asked for.

    An exception of ``work`` is handed out as the result of its item. OpenCV and file reading free
    the interpreter's lock, so a network in the calling thread runs at the same time.
    """
    pending: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ossa-read") as pool:
        try:
            for item in items:
                pending.append((item, pool.submit(work, item)))
                if len(pending) > max(1, ahead):
                    first, future = pending.popleft()
                    yield first, _outcome(future)
            while pending:
                first, future = pending.popleft()
                yield first, _outcome(future)
        finally:
            for _, future in pending:
                future.cancel()


def _outcome(future: Future[Any]) -> Any:
    """The result, or the exception as a value; what is no Exception (an interrupt) is raised."""
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, Exception):
        raise error
    return error


@dataclass(frozen=True, eq=False)
class Part:
    """What is remembered of a finished image: ``text`` (its CSV rows) and ``facts`` (bones found, notes)."""

    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Parts:
    """The finished images of a run in ``folder``, kept until the run is complete.

    A part belongs to the settings of the run and to its image file (path, size, time of change):
    when either changes, the image is done again.
    """

    folder: Path

    @classmethod
    def begin(cls, folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> Parts:
        """The parts in ``folder`` for a run with ``settings`` (JSON values); parts of other settings are dropped."""
        where = Path(folder)
        wanted = json.loads(json.dumps(dict(settings), sort_keys=True))
        note = where / "run.json"
        try:
            found = read_json(note) if note.is_file() else None
        except InputError:
            found = None
        if found != wanted:
            shutil.rmtree(where, ignore_errors=True)
            write_json(note, wanted)
        return cls(where)

    def get(self, job: Job) -> Part | None:
        """The part of an image, or None when it is not done, or was done from another file."""
        path = self._path(job)
        if not path.is_file():
            return None
        try:
            head, _, text = path.read_text(encoding="utf-8").partition("\n")
            value = json.loads(head)
            if value["stamp"] != _stamp(job.path):
                return None
            return Part(text, value["facts"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, job: Job, part: Part) -> None:
        """Remember a finished image, at once or not at all."""
        head = json.dumps({"name": job.name, "stamp": _stamp(job.path), "facts": dict(part.facts)}, ensure_ascii=False)
        write_text(self._path(job), f"{head}\n{part.text}")

    def assemble(self, path: str | os.PathLike[str], header: str, jobs: Iterable[Job]) -> int:
        """Write ``header`` and the texts of all finished ``jobs`` to ``path``; how many there were."""
        count = 0
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(header)
            for job in jobs:
                part = self.get(job)
                if part is not None:
                    stream.write(part.text)
                    count += 1
        return count

    def remove(self) -> None:
        """Forget the run: its results are complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, job: Job) -> Path:
        # Names may hold folders or be too long for a file name; a hash never is.
        return self.folder / f"{hashlib.sha256(job.name.encode()).hexdigest()[:32]}.part"


def _stamp(path: Path) -> list[Any]:
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]
