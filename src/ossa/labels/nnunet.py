"""nnU-Net's raw data sets, in and out: a label map per picture, and one JSON that says what its numbers mean.

    ROOT/dataset.json   ROOT/imagesTr/hand_0000.png   ROOT/labelsTr/hand.png   (ROOT/imagesTs/other_0000.png)

    "labels": {"background": 0, "Radius": 1, "Ulna": 2, ...}                            one bone per pixel
    "labels": {"background": 0, "Radius": [1, 30], "Ulna": [2, 30], ...}                regions: 30 is both
    "regions_class_order": [1, 2, ...]

Format: documentation/dataset_format.md and region_based_training.md of MIC-DKFZ/nnUNet (v2). Bones overlap in every
radiograph of a hand, so the plain layout ("nnunet") refuses most; the layout of regions ("nnunet-regions") gives every
set of bones that meet in a pixel a number of its own and keeps the overlap. What a network trained on it predicts is a
label map again, in which nnU-Net lets later bones cover earlier ones: ``--save_probabilities`` keeps both.

nnU-Net holds every class of the JSON for looked for. Where that is not so, and whom a picture shows, ossa writes under
"ossa", which nnU-Net passes over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import InputError, LabelError, OutputError
from ossa.labels.case import Case, Problem, Reading, Truth, judged
from ossa.labels.format import LabelFormat
from ossa.labels.item import Item, flat_name, refuse_overlap
from ossa.labels.names import BoneNames, collect
from ossa.labels.pictures import case_of, pictures, subject_of
from ossa.labels.texts import mentions, read_label_json
from ossa.radiograph.display import png
from ossa.radiograph.read import read_radiograph
from ossa.safety import write_bytes, write_text
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Region, Segmentation

LAYOUT = "dataset.json, imagesTr/NAME_0000.png and labelsTr/NAME.png (nnU-Net raw)"

FILE = "dataset.json"

#: Numbers of a map are looked up in a table of this many: PNG holds no larger ones.
_NUMBERS = 65_536


def detect(root: Path) -> bool:
    """Whether ``root`` has a dataset.json of nnU-Net's, and folders of labels or pictures beside it."""
    there = (root / "labelsTr").is_dir() or (root / "imagesTr").is_dir()
    return there and mentions(root / FILE, "labels", "file_ending")


@dataclass(frozen=True)
class Numbers:
    """``regions``: name -> the numbers of its pixels. ``ignored``: numbers of pixels of which nothing is said.

    ``judged``: case -> bones that somebody judged, where these are not all; ``subjects``: case -> whom it shows.
    """

    regions: Mapping[str, tuple[int, ...]]
    ending: str
    ignored: tuple[int, ...] = ()
    judged: Mapping[str, Any] = field(default_factory=dict)
    subjects: Mapping[str, Any] = field(default_factory=dict)


def load(path: Path) -> Numbers:
    """What a dataset.json says. Raises LabelError that names the file."""
    return _parse(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=4)
def _parse(path: Path, _mtime: int) -> Numbers:
    data = read_label_json(path)
    try:
        regions: dict[str, tuple[int, ...]] = {}
        ignored: tuple[int, ...] = ()
        for name, value in data["labels"].items():
            numbers = tuple(_number(n) for n in (value if isinstance(value, list) else [value]))
            if name == "ignore":
                ignored = numbers
            elif numbers != (0,):
                regions[str(name)] = numbers
        ending = str(data["file_ending"])
        own = data.get("ossa", {})
        known, subjects = own.get("judged", {}), own.get("subjects", {})
        if not isinstance(known, dict) or not isinstance(subjects, dict):
            raise TypeError("what ossa says of cases is no object")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(
            "is no dataset.json of nnU-Net v2",
            path=path,
            found=f"{type(error).__name__}: {error}"[:100],
            expected='"labels": {"background": 0, name: number or numbers, ...} and "file_ending"',
        ) from error
    return Numbers(regions, ending, ignored, known, subjects)


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _NUMBERS:
        raise ValueError(f"{value!r} as the number of a class")
    return value


def read_case(case: Case, schema: BoneSchema, names: BoneNames, root: Path) -> Truth:
    """The truth of a case out of its label map."""
    del schema  # the names know it
    assert case.label is not None  # Case.truth checked it
    return read_map(case.label, load(root / FILE), names, case.key)


def read_map(path: Path, numbers: Numbers, names: BoneNames, key: str = "") -> Truth:
    """The truth in a label map. Raises LabelError for a file that is none, and for a number that means nothing."""
    try:
        values = read_radiograph(path).pixels
    except InputError as error:
        raise LabelError(f"the label map cannot be read: {error.what}", path=path, found=error.found) from error
    present = np.flatnonzero(np.bincount(values.ravel(), minlength=1))
    named = {0, *numbers.ignored, *(n for several in numbers.regions.values() for n in several)}
    strange = [int(n) for n in present.tolist() if n not in named]
    if strange:
        raise LabelError(
            "the label map holds a number that dataset.json does not name",
            path=path,
            found=", ".join(map(str, strange[:5])),
            expected=f"0 to {max(named)}",
        )
    found: dict[tuple[str, ...], tuple[Outline, ...]] = {}
    left_out = []
    for name, several in numbers.regions.items():
        targets = names.targets(name)
        if not targets:
            near = "" if targets is not None else f" (the nearest is '{names.nearest(name)}')"
            left_out.append(f"'{name}', which is no bone{near}: left out")
            continue
        region = _region(values, several)
        if region is not None:
            found[targets] = found.get(targets, ()) + outlines_from_region(region)
    if set(numbers.ignored) & set(present.tolist()):
        left_out.append("pixels of the class 'ignore' are taken for background")
    outlines, merged = collect(found, names.schema)
    listed = [targets[0] for name in numbers.regions if (targets := names.targets(name)) and len(targets) == 1]
    known = judged(outlines, names.schema, numbers.judged.get(key, listed), merged)
    return Truth(outlines, known, merged, (int(values.shape[0]), int(values.shape[1])), left_out=tuple(left_out))


def _region(values: NDArray[np.uint8] | NDArray[np.uint16], numbers: tuple[int, ...]) -> Region | None:
    table = np.zeros(_NUMBERS, dtype=np.bool_)
    table[list(numbers)] = True
    return Region.tight(table[values])


def read(root: Path, names: BoneNames) -> Reading:
    """All pictures of imagesTr and imagesTs; maps without a picture, and training pictures without a map, are told."""
    numbers = load(root / FILE)
    maps = {path.stem: path for path in pictures(root / "labelsTr")}
    cases: list[Case] = []
    problems: list[Problem] = []
    reader = partial(read_case, names=names, root=root)
    shown = frozenset(t[0] for name in numbers.regions if (t := names.targets(name)) and len(t) == 1)

    def case(image: Path, label: Path | None, key: str, split: str) -> Case:
        subject = str(numbers.subjects.get(key) or subject_of(key))
        return case_of(root, image, label, subject, shown, reader, split, key)

    for folder, split in (("imagesTr", "train"), ("imagesTs", "test")):
        for image in pictures(root / folder):
            key, channel = image.stem[:-5], image.stem[-5:]
            if channel != "_0000":
                if not (channel.startswith("_") and channel[1:].isdigit()):
                    problems.append(Problem(image, "its name does not end in a channel (_0000): left out"))
                continue  # further channels of one picture
            label = maps.pop(key, None) if split == "train" else None
            if label is None and split == "train":
                problems.append(Problem(image, "a training picture without a label map"))
            cases.append(case(image, label, key, split))
    problems += [Problem(path, "a label map without a picture") for path in maps.values()]
    bare = tuple(case(root / "imagesTr" / f"{key}_0000.png", path, key, "train") for key, path in maps.items())
    return Reading(tuple(cases), tuple(problems), bare)


class _Combinations:
    """Sets of bones that meet in a pixel -> numbers: bone i alone is i + 1, sets follow as they are met."""

    def __init__(self, schema: BoneSchema) -> None:
        self.schema = schema
        self.met: dict[tuple[int, ...], int] = {(i,): i + 1 for i in range(len(schema))}

    def label_map(self, found: Segmentation) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """(H, W) numbers of one picture, of 8 bits where they fit."""
        out = np.zeros(found.shape, np.uint16)
        several = np.zeros(found.shape, np.uint8)
        for name, region in found:
            box = (slice(region.top, region.bottom), slice(region.left, region.right))
            out[box][region.mask] = self.schema.index(name) + 1
            several[box] += region.mask
        rows, columns = np.nonzero(several > 1)
        if rows.size:
            planes = np.zeros((rows.size, len(self.schema)), bool)
            for name, region in found:
                inside = (rows >= region.top) & (rows < region.bottom)
                inside &= (columns >= region.left) & (columns < region.right)
                at = np.flatnonzero(inside)
                planes[at, self.schema.index(name)] = region.mask[rows[at] - region.top, columns[at] - region.left]
            sets, which = np.unique(planes, axis=0, return_inverse=True)
            codes = [self._number(tuple(np.flatnonzero(row).tolist())) for row in sets]
            out[rows, columns] = np.array(codes, np.uint16)[which.ravel()]
        return out.astype(np.uint8) if int(out.max(initial=0)) < 256 else out

    def _number(self, bones: tuple[int, ...]) -> int:
        number = self.met.setdefault(bones, len(self.met) + 1)
        if number >= _NUMBERS:
            raise OutputError("more sets of bones overlap than a label map can number", found=f"{number:,}")
        return number

    def regions(self) -> dict[str, list[int]]:
        """Bone -> the numbers of its pixels, its own first."""
        out: dict[str, list[int]] = {name: [] for name in self.schema.names}
        for bones, number in self.met.items():
            for i in bones:
                out[self.schema.names[i]].append(number)
        return out


def write_regions(root: Path, items: Iterable[Item]) -> None:
    """Write a set in the layout of regions; pictures become grey PNGs. Raises OutputError."""
    _write(root, items, regions=True)


def write_plain(root: Path, items: Iterable[Item]) -> None:
    """Write a set of label maps. Raises LabelError where bones overlap, OutputError as other writers."""
    _write(root, items, regions=False)


def _write(root: Path, items: Iterable[Item], regions: bool) -> None:
    numbers: _Combinations | None = None
    known: dict[str, list[str]] = {}
    subjects: dict[str, str] = {}
    count = 0
    for item in items:
        found = item.segmentation
        numbers = numbers or _Combinations(found.schema)
        if not regions:
            refuse_overlap(found, item.image, "nnunet", "nnunet-regions")
        key = flat_name(item.name)
        if item.bring is not None:  # a copy of the file may have colours, or be of another kind
            write_bytes(root / "imagesTr" / f"{key}_0000.png", png(read_radiograph(item.image).pixels))
        write_bytes(root / "labelsTr" / f"{key}.png", png(numbers.label_map(found)))
        if not item.everything_judged:
            known[key] = [name for name in found.schema.names if name in item.judged]
        if item.subject:
            subjects[key] = item.subject
        count += 1
    if numbers is None:
        return
    named: dict[str, Any] = {"background": 0}
    names = numbers.schema.names
    named |= numbers.regions() if regions else {name: i + 1 for i, name in enumerate(names)}
    value = {
        "channel_names": {"0": "radiograph"},
        "labels": named,
        **({"regions_class_order": [i + 1 for i in range(len(names))]} if regions else {}),
        "numTraining": count,
        "file_ending": ".png",
        "ossa": {"judged": known, "subjects": subjects},
    }
    # The order of the classes says which covers which: it must not be sorted.
    write_text(root / FILE, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


FORMATS = (
    LabelFormat("nnunet", LAYOUT, 25, detect, read, write_set=write_plain, mark=FILE, keeps_overlap=False),
    LabelFormat("nnunet-regions", LAYOUT + " with regions", 26, detect, read, write_set=write_regions, mark=FILE),
)
