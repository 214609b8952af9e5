"""The commands that are killed: how each is begun, how it is gone on with, and what its folder must hold at the end."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import inputs

#: A folder's files by their names below it ("" for folders, which end with "/").
Tree = Mapping[str, bytes]


@dataclass(frozen=True)
class Trip:
    """A command that fills a folder. ``words``: (inputs, output) -> what is typed, also to go on with it; ``modules``:
    what it imports, to be read once for all rounds.

    ``differs``: patterns of files whose bytes tell times or how often a run was begun: those need only be there.
    ``extra``: files that a run which was begun again may have besides. ``work``: what only a run at work may have; the
    others have their names only when they are whole. ``keeps``: patterns of files that, once there, are not made again.
    ``several``: other processes do its work.
    """

    name: str
    words: Callable[[Path, Path], list[str]]
    modules: tuple[str, ...]
    differs: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    several: bool = False


def tree(folder: Path) -> dict[str, bytes]:
    """All that a folder holds."""
    out = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            out[f"{name}/"] = b""
        else:
            out[name] = path.read_bytes()
    return out


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file's name fits one of ``patterns``."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


#: What writers call a file or a folder that is not whole yet, and the lock.
AT_WORK = re.compile(r"(^|/)\.([^/]+\.ossa-part|ossa-lock)(/|$)")


def half_written(trip: Trip, found: Tree, whole: Tree) -> list[str]:
    """Files of a killed command that have their names and are not what they become."""
    return [
        name
        for name, data in found.items()
        if not AT_WORK.search(name)
        and not matches(name, (*trip.work, *trip.extra, *trip.differs))
        and not (matches(name, trip.grows) and _is_part(data, whole.get(name, b"")))
        and whole.get(name) != data
    ]


def _is_part(data: bytes, whole: bytes) -> bool:
    """Whether every line of a table is one of the whole table's."""
    return data.endswith(b"\n") and set(data.splitlines()) <= set(whole.splitlines())


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a folder at the end, by names: ``lost``, ``corrupt``, ``left`` behind."""

    lost: tuple[str, ...]
    corrupt: tuple[str, ...]
    left: tuple[str, ...]


def judged(trip: Trip, found: Tree, whole: Tree) -> Verdict:
    """A folder of a command that was killed and gone on with, beside that of one that was not."""
    lost = [name for name in whole if name not in found and not matches(name, trip.extra)]
    left = [name for name in found if name not in whole and not matches(name, trip.extra)]
    corrupt = [
        name
        for name, data in found.items()
        if name in whole and whole[name] != data and not matches(name, (*trip.extra, *trip.differs))
    ]
    return Verdict(tuple(lost), tuple(corrupt), tuple(left))


def _train(root: Path, out: Path) -> list[str]:
    """Resume where a run has begun; else the same command again.

    Its pictures are decoded once for all rounds, in processes that start anew each time: rounds of the cache are those
    of "cache-j2".
    """
    run = out / "run"
    if (run / "config.yaml").exists():
        return ["train", "--resume", "--folder", str(run)]
    return ["train", str(root / "run.yaml"), f"data.cache={root / 'cache'}", "--folder", str(run)]


def _written(text: str) -> Callable[[Path, Path], list[str]]:
    """A command line, in which IN and OUT stand for the folders."""

    def words(root: Path, out: Path) -> list[str]:
        return [word.replace("IN", str(root)).replace("OUT", str(out)) for word in text.split()]

    return words


CACHING = ("ossa.dataset.cache", "ossa.dataset.dataset", "ossa.labels.competition")
SHOWING = ("ossa.pipeline.gallery", "ossa.pages.gallery", *CACHING)
DRAWING = ("ossa.pipeline.phantom", "ossa.phantom.scene", "ossa.labels.competition")
PREDICTING = (
    "ossa.pipeline.predict",
    "ossa.inference.predictor",
    "ossa.export.overlay",
    "ossa.export.measured",
    "ossa.measurement.files",
    "ossa.labels.coco",
    "onnxruntime",
)

TRAINING = (
    "ossa.cli.train",
    "ossa.pipeline.train",
    "ossa.training.deadline",
    "ossa.training.run",
    "ossa.training.sheet",
    "ossa.models.compact",
    "ossa.pages.run",
    "ossa.bundle.bundle",
    "torch._dynamo",  # which an optimiser's first step imports
    "torch.utils.tensorboard",
    "rich.progress",
    *CACHING,
)

_RUN_AT_WORK = (".ossa-run/", ".ossa-run/*")

TRIPS = {
    trip.name: trip
    for trip in (
        Trip(
            "predict",
            _written("predict IN/films -o OUT --model IN/model --fast --measure --draw --format coco"),
            PREDICTING,
            work=_RUN_AT_WORK,
            grows=("predictions.csv",),
        ),
        Trip("phantom", _written("phantom OUT -n 3 --size 64 -j 1"), DRAWING, keeps=("*.png",)),
        Trip("phantom-j2", _written("phantom OUT -n 3 --size 64 -j 2"), DRAWING, keeps=("*.png",), several=True),
        Trip(
            "rehearsal",
            _written("phantom OUT --rehearsal --train 4 --test 1 --size 64 -j 1"),
            DRAWING,
            keeps=("*.png",),
        ),
        Trip("cache", _written("inputs:cache IN OUT 1"), CACHING, keeps=("*.json",)),
        Trip("cache-j2", _written("inputs:cache IN OUT 2"), CACHING, keeps=("*.json",), several=True),
        Trip("gallery", _written("gallery IN/set -o OUT --size 64"), SHOWING),
        Trip(
            "train",
            _train,
            TRAINING,
            differs=("run/run.log", "run/provenance.json", "run/summary.html", "*/*.ckpt"),
            extra=("*/tensorboard/*",),
            work=("*/metrics.csv",),
        ),
    )
}


def write_run(root: Path) -> None:
    """The run file of ``_train``, once the data set is there."""
    (root / "run.yaml").write_text(inputs.RUN.replace("SET", str(root / "set")), encoding="utf-8")
