"""Labels of a data set in another format, and the pictures they name: the trip behind ``ossa data convert``."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import ConfigError, InputError, OutputError
from ossa.progress import Track, silent
from ossa.safety import inside, refuse_inputs, replacing
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.labels.case import Case

#: What labels can be written as.
TARGETS = ("competition", "coco", "labelme")

#: COCO keeps all labels in one file.
COCO_FILE = "_annotations.coco.json"

#: How the new labels come by their pictures: a copy, a link, or a path that leads to where they lie.
PICTURES = ("copy", "link", "none")


@dataclass(frozen=True)
class Converted:
    """``written`` labels; a sentence for every one that could not be (``skipped``) and on what was left out of others
    (``left_out``)."""

    written: int
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]


def convert(
    path: str | Path,
    output: Path,
    to: str,
    *,
    pictures: str = "copy",
    names: str | Path | None = None,
    scale_labels: bool = False,
    schema: BoneSchema | None = None,
    track: Track = silent,
) -> Converted:
    """Write the labels of a data set as "labelme", "coco" or "competition" files into ``output``.

    Labelme and competition labels are one .json per picture, in a folder per subject; COCO is one file. ``pictures``
    "copy" puts the pictures beside the labels, "link" links to them; with "none" labels name them where they lie.
    Which bones somebody judged goes along; bones that the set outlines only together with others are left out.
    ``names`` and ``scale_labels`` as in ``evaluate``. Raises ConfigError for another format, DatasetError for a set
    without labels, OutputError when ``output`` is part of the set.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.labels.coco import write_coco
    from ossa.labels.format import writer

    if to not in TARGETS:
        raise ConfigError(f"labels cannot be written as '{to}'", expected="competition, coco or labelme")
    bring = _bringing(pictures)
    refuse_inputs(output, [Path(path)])
    dataset = open_dataset(path, schema, names=names)
    if scale_labels:
        dataset = dataset.with_scaled_labels()
    places = _places(dataset.labelled, output)
    write_one = None if to == "coco" else writer(to)
    skipped: list[str] = []
    left_out: list[str] = []
    together = []
    for case, (label, picture) in track(places.items(), len(places), "converting"):
        try:
            shape = case.radiograph().shape
            truth = case.truth(dataset.schema, shape)
        except InputError as error:
            skipped.append(str(error))
            continue
        left_out += [f"{case.name}: {what}" for what in truth.left_out]
        segmentation = truth.segmentation(dataset.schema, shape)
        opened = bring(case.image, picture)
        if write_one is None:
            together.append((_seen_from(output, opened), segmentation, truth.annotated))
        else:
            write_one(label, segmentation, opened, truth.annotated)
    if write_one is None and together:
        write_coco(output / COCO_FILE, together)
    return Converted(len(places) - len(skipped), tuple(dict.fromkeys(skipped)), tuple(left_out))


def _places(cases: Sequence[Case], output: Path) -> dict[Case, tuple[Path, Path]]:
    """Case -> where its label and its picture go: a folder per subject, no two in one place.

    Raises InputError naming both pictures where nothing tells them apart.
    """
    from ossa.errors import DatasetError
    from ossa.labels.match import without_ending

    if not cases:
        raise DatasetError("has no labelled picture")
    # Some file systems take names that differ in case for one.
    short = Counter((case.subject.casefold(), without_ending(case.id).casefold()) for case in cases)
    places: dict[Case, tuple[Path, Path]] = {}
    taken: dict[str, Case] = {}
    for case in cases:
        stem = without_ending(case.id)
        if short[case.subject.casefold(), stem.casefold()] > 1:
            stem = case.id
        folder = inside(output, case.subject)
        label = folder / f"{stem}.json"
        other = taken.setdefault(str(label).casefold(), case)
        if other is not case:
            raise InputError(
                "two pictures of one subject have the same name",
                path=output,
                found=f"{other.image} and {case.image}",
                expected="names that differ",
                remedy="Convert the parts of the data set one by one",
            )
        places[case] = (label, folder / case.id)
    return places


def _bringing(pictures: str) -> Callable[[Path, Path], Path]:
    """What is done with a picture (where it lies, where it would go); it gives the path that labels are to name."""
    ways = {"copy": _copy, "link": _link, "none": lambda image, _place: image}
    if pictures not in ways:
        raise ConfigError("pictures cannot be brought along so", found=pictures, expected=", ".join(PICTURES))
    return ways[pictures]


def _copy(image: Path, place: Path) -> Path:
    with replacing(place) as temporary:
        shutil.copyfile(image, temporary)
    return place


def _link(image: Path, place: Path) -> Path:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(_seen_from(place.parent, image))
    except OSError as error:
        raise OutputError(
            "a link to a picture cannot be made",
            path=place,
            found=error.strerror or str(error),
            remedy="Have the pictures copied (--pictures copy)",
        ) from error
    return place


def _seen_from(folder: Path, path: Path) -> str:
    """A path from a folder to a file, with "/" on every system."""
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
