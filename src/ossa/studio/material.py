"""What a retraining learns from: corrected pictures, alone or with the rest of the set, laid down as they are now.

    JOB/data/       the pictures (links where these can be made) with their labels, in the competition's layout
    JOB/asked/      the corrected ones alone: both models are asked for these
    JOB/folds.json  which person is validated on: fold 0 is kept from training

What people corrected is what the new model is wanted for, so fold 0 holds some of the corrected people wherever there
are two of them, and its share of the others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ossa.dataset.folds import Folds, Stratum, make_folds, stratum_from
from ossa.errors import ConfigError, OssaError, OutputError
from ossa.labels.case import Case, Truth
from ossa.labels.competition import write_outlines
from ossa.radiograph.display import png
from ossa.radiograph.read import read_radiograph, read_size
from ossa.safety import write_bytes
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import map_outlines
from ossa.studio.collection import TRUTH, Picture
from ossa.studio.films import Box, box_of
from ossa.studio.reading import Reader

CORRECTED, ALL = "corrected", "all"

#: Which pictures may be trained on.
TAKES = (CORRECTED, ALL)

#: Most folds: a fifth of the subjects is kept from training.
MOST_FOLDS = 5

DATA, ASKED, FOLDS = "data", "asked", "folds.json"


@dataclass(frozen=True, eq=False)
class Lesson:
    """One picture to learn from. ``file``: "subject/name" in the job's folders; ``corrected``: somebody saved it."""

    picture: Picture
    subject: str
    file: str
    corrected: bool


def lessons_of(pictures: Sequence[Picture], corrected: Mapping[str, int], take: str) -> list[Lesson]:
    """The pictures of ``pictures`` that a retraining takes; ``corrected`` by name.

    Raises ConfigError for a ``take`` that is none, and for too few people: one at least must be kept from training.
    """
    if take not in TAKES:
        raise ConfigError("no such pictures to train on", found=repr(take)[:40], expected=" or ".join(TAKES))
    taken: set[str] = set()
    out = []
    for one in pictures:
        mended = one.name in corrected
        if mended or (take == ALL and one.entry(TRUTH) is not None):
            subject = _subject(one)
            out.append(Lesson(one, subject, f"{subject}/{_file_name(one, taken)}", mended))
    mended_people = {lesson.subject for lesson in out if lesson.corrected}
    people = {lesson.subject for lesson in out}
    if not mended_people or len(people) < 2:
        count = sum(lesson.corrected for lesson in out)
        alone = take == CORRECTED
        raise ConfigError(
            "too few people were corrected to train on" if alone else "there are too few people to train on",
            found=f"{count} corrected pictures of {len(mended_people)} people"
            + ("" if alone else f", {len(people)} people in all"),
            expected="pictures of at least 2" + ("" if alone else ", one of them corrected")
            + ": one is kept from training, to see what it brings",
            remedy="Correct a picture of somebody else" + (", or take the rest of the set along" if alone else ""),
        )  # fmt: skip
    return out


def lay_down(folder: Path, lessons: Sequence[Lesson], reader: Reader) -> list[str]:
    """Fill a job's ``folder``; a sentence for each label of the set that cannot be used, which is left out.

    Raises OssaError where a correction cannot be read, ConfigError where too little is left, OutputError.
    """
    strata: dict[bool, list[tuple[str, Stratum]]] = {True: [], False: []}
    problems = []
    for lesson in lessons:
        try:
            truth = _truth(lesson, reader)
        except (OssaError, OSError) as error:
            if lesson.corrected:
                raise
            problems.append(f"{lesson.picture.name} is left out: {error}")
            continue
        _lay_down(folder, lesson, truth, reader.schema)
        strata[lesson.corrected].append((lesson.subject, _stratum(lesson, truth, reader.schema)))
    from ossa.dataset.folds import write_folds

    write_folds(folder / FOLDS, deal(strata[True], strata[False]))
    return problems


def deal(corrected: Sequence[tuple[str, Stratum]], others: Sequence[tuple[str, Stratum]]) -> Folds:
    """Folds of (subject, stratum) of corrected pictures and of ``others``, whoever was corrected dealt out first.

    Raises ConfigError where nobody could be kept from training.
    """
    first = {subject for subject, _ in corrected}
    rest = [one for one in others if one[0] not in first]
    more = {subject for subject, _ in rest}
    if len(first) + len(more) < 2:
        found = f"{len(first) + len(more)} people with labels that can be read"
        raise ConfigError("there are too few people to train on", found=found, expected="at least 2")
    # One corrected person is trained on: to keep that one out would train on no correction.
    fold_of = _dealt(corrected, first) if len(first) > 1 else dict.fromkeys(first, 1)
    fold_of |= _dealt(rest, more) if len(more) > 1 else dict.fromkeys(more, 1 if len(first) > 1 else 0)
    return Folds(1 + max(fold_of.values()), 0, dict(sorted(fold_of.items())))


def _dealt(strata: Sequence[tuple[str, Stratum]], subjects: set[str]) -> dict[str, int]:
    # Every picture of these people counts, corrected or not.
    return dict(make_folds(strata, min(MOST_FOLDS, len(subjects))).fold_of)


def _truth(lesson: Lesson, reader: Reader) -> Truth:
    if lesson.corrected:
        return reader.corrections.read(lesson.picture.name)
    own = reader.own_truth(lesson.picture)
    assert own is not None  # lessons_of took labelled ones
    return own


def _stratum(lesson: Lesson, truth: Truth, schema: BoneSchema) -> Stratum:
    picture = lesson.picture
    return stratum_from(
        Case(picture.path.name, lesson.subject, picture.path, None, picture.known_side), truth.outlines, schema
    )


def _lay_down(folder: Path, lesson: Lesson, truth: Truth, schema: BoneSchema) -> None:
    """A picture and its label; a link to the picture where these are asked for. Of several hands only this one."""
    picture = lesson.picture
    said = {"judged": [bone for bone in schema.names if bone in truth.annotated]}
    place = Path(lesson.file)
    label = folder / DATA / "train" / "outputs_json" / place.with_name(f"{place.stem}.json")
    shape = truth.shape or read_size(picture.path)
    window: Box | None = None
    outlines = truth.outlines
    if picture.film is not None:  # the other hand's bones are nobody's truth here
        window = picture.film.window(box_of(truth.segmentation(schema, shape)), shape)
        left, top, right, bottom = window
        outlines = map_outlines(outlines, lambda ring: ring - (left, top))
        shape = (bottom - top, right - left)
    write_outlines(label, outlines, shape, place.name, said)
    for where in (DATA + "/train/DCM", *((ASKED,) if lesson.corrected else ())):
        _bring(picture.path, folder / where / place, window)


def _bring(picture: Path, place: Path, window: Box | None) -> None:
    """A link to the picture, a copy where links cannot be made, or a part of it as PNG."""
    if window is not None:
        left, top, right, bottom = window
        write_bytes(place, png(np.ascontiguousarray(read_radiograph(picture).pixels[top:bottom, left:right])))
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.symlink(picture.resolve(), place)
        except OSError:
            shutil.copyfile(picture, place)
    except OSError as error:
        raise OutputError("the picture cannot be laid down to train on", path=place, found=error.strerror) from error


def _subject(picture: Picture) -> str:
    """The folder of a person's pictures: a plain name."""
    plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in picture.subject or picture.id)
    return plain[:80] or picture.id


def _file_name(picture: Picture, taken: set[str]) -> str:
    """What a picture is called in the job's folder: its own name, with its id before it where that is taken."""
    name = picture.path.name
    if picture.film is not None:
        name = f"{Path(picture.film.name).stem}.png"
    if Path(name).stem.casefold() in taken:
        name = f"{picture.id}_{name}"
    taken.add(Path(name).stem.casefold())
    return name
