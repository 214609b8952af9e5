"""Labels of a data set in another format, and the pictures they name: the trip behind ``ossa data convert``."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import ConfigError, DatasetError, InputError, OutputError
from ossa.progress import Track, silent
from ossa.safety import inside, refuse_inputs, replacing
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.labels.case import Case
    from ossa.labels.item import Item

#: How the new labels come by their pictures: a copy, a link, or a path that leads to where they lie.
PICTURES = ("copy", "link", "none")


@dataclass(frozen=True)
class Converted:
    """``written`` labels; a sentence for every one that could not be (``skipped``) and on what was left out of others
    (``left_out``); a ``remark`` on what the new format has no room for."""

    written: int
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]
    remark: str = ""


def writable_formats() -> tuple[str, ...]:
    """The names of the formats that labels can be written in."""
    from ossa.labels.format import formats

    return tuple(one.name for one in formats().table.values() if one.writable)


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
    """Write the labels of a data set in the format called ``to`` (``writable_formats``) into ``output``.

    Labels that stand alone go into a folder per subject; a format that keeps a set together has folders of its own.
    ``pictures`` "copy" puts the pictures beside the labels, "link" links to them; with "none" labels name them where
    they lie, if they can. Which bones somebody judged goes along where the format can say it; bones that the set
    outlines only together with others are left out; a label whose bones overlap is skipped where the format has one
    bone per pixel. ``names`` and ``scale_labels`` as in ``evaluate``. Raises ConfigError for another format,
    DatasetError for a set without labels or of which none can be written, OutputError when ``output`` is part of the
    set.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.labels.format import writable

    writable(to)
    bringing(pictures)
    refuse_inputs(output, [Path(path)])
    dataset = open_dataset(path, schema, names=names)
    if scale_labels:
        dataset = dataset.with_scaled_labels()
    return convert_cases(dataset.labelled, dataset.schema, output, to, pictures=pictures, track=track, source=path)


def convert_cases(
    cases: Sequence[Case],
    schema: BoneSchema,
    output: Path,
    to: str,
    *,
    pictures: str = "copy",
    track: Track = silent,
    source: str | Path | None = None,
) -> Converted:
    """``convert`` for labelled ``cases``, wherever they come from; ``source`` is named in errors."""
    from ossa.labels.format import writable

    form = writable(to)
    bring = bringing(pictures)
    places = _places(cases, output)
    skipped: list[str] = []
    left_out: list[str] = []

    def items() -> Iterator[Item]:
        for case, name in track(places.items(), len(places), "converting"):
            try:
                item, told = _item(case, name, schema, bring)
                form.refuse(item.segmentation, case.image)
            except InputError as error:
                skipped.append(str(error))
                continue
            left_out.extend(told)
            yield item
        if len(skipped) == len(places):  # told before an empty set is written
            raise DatasetError(f"no label can be written as '{to}'", path=source, found=skipped[0])

    if form.write_set is not None:
        form.write_set(output, items())
    elif form.write is not None:
        for item in items():
            label = output / f"{item.name}{form.ending}"
            form.write(label, item.segmentation, item.brought(output / item.file), item.judged)
    return Converted(len(places) - len(skipped), tuple(dict.fromkeys(skipped)), tuple(left_out), form.loses)


def _item(
    case: Case, name: str, schema: BoneSchema, bring: Callable[[Path, Path], Path] | None
) -> tuple[Item, list[str]]:
    """A case as it is written, and what of its label is left out. Raises InputError for a label that cannot be used."""
    from ossa.labels.item import Item
    from ossa.radiograph.read import read_size

    shape = read_size(case.image)
    truth = case.truth(schema, shape)
    item = Item(
        name,
        f"{name.rpartition('/')[0]}/{case.id}",
        case.image,
        truth.segmentation(schema, shape),
        truth.annotated,
        case.split,
        case.subject,
        None if bring is None else partial(bring, case.image),
    )
    return item, [f"{case.name}: {what}" for what in truth.left_out]


def _places(cases: Sequence[Case], output: Path) -> dict[Case, str]:
    """Case -> what it is called in the new set ("ID001/hand"): a folder per subject, no two of one name.

    Raises InputError naming both pictures where nothing tells them apart.
    """
    from ossa.labels.match import without_ending

    if not cases:
        raise DatasetError("has no labelled picture")
    # Some file systems take names that differ in case for one.
    short = Counter((case.subject.casefold(), without_ending(case.id).casefold()) for case in cases)
    places: dict[Case, str] = {}
    taken: dict[str, Case] = {}
    for case in cases:
        stem = without_ending(case.id)
        if short[case.subject.casefold(), stem.casefold()] > 1:
            stem = case.id
        name = (inside(output, case.subject).relative_to(output.resolve()) / stem).as_posix()
        other = taken.setdefault(name.casefold(), case)
        if other is not case:
            raise InputError(
                "two pictures of one subject have the same name",
                path=output,
                found=f"{other.image} and {case.image}",
                expected="names that differ",
                remedy="Convert the parts of the data set one by one",
            )
        places[case] = name
    return places


def bringing(pictures: str) -> Callable[[Path, Path], Path] | None:
    """What is done with a picture (where it lies, where it would go); it gives the path that labels are to name."""
    ways = {"copy": _copy, "link": _link, "none": None}
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
