"""COCO instance files, in and out, wherever annotation tools put them.

    ROOT/Segmentation/{train,val,test}/_annotations_bone_rle.coco.json      RAM-H1200, pictures beside it
    ROOT/{train,valid,test}/_annotations.coco.json                          Roboflow
    ROOT/annotations/instances_default.json with ROOT/images                CVAT
    ROOT/result.json with ROOT/images                                       Label Studio

Category names are read as bones of the schema, through the user's map and through ``schemas/maps/ram-h1200.toml``;
categories that are no bone are left out and counted once. Bones that a set outlines as one (triquetrum and pisiform)
are not annotated on their own: their common outline is in ``Truth.merged``. Segmentations may be polygons, plain run
lengths or compressed ones; masks are those of the COCO API, pixel for pixel. A box alone draws no bone, and a region of
a crowd is none.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ossa.errors import DatasetError, LabelError
from ossa.labels.case import Case, Problem, Reading, Truth, judged
from ossa.labels.catalogue import Catalogue, Mention
from ossa.labels.coco_case import Drawing
from ossa.labels.coco_rle import compress_counts, counts_from_region
from ossa.labels.format import LabelFormat
from ossa.labels.item import Item
from ossa.labels.names import BoneNames
from ossa.labels.pictures import below
from ossa.labels.polygons import size_of
from ossa.labels.texts import mentions, read_label_json
from ossa.safety import write_text
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation

LAYOUT = "a COCO file (_annotations.coco.json, annotations/instances_*.json, result.json) with the pictures it names"

#: What ossa calls the file that it writes.
FILE = "_annotations.coco.json"

#: Largest COCO file, in bytes: one describes a whole set.
MAX_BYTES = 400_000_000

#: A folder of more JSON files than these holds one label per picture, none of which is looked into.
_MANY = 50

_SPLITS = re.compile(r"(train|val|test)", re.IGNORECASE)


def detect(root: Path) -> bool:
    """Whether a file in ``root``, or a folder in it, says that it is COCO."""
    return bool(_label_files(root))


def _label_files(root: Path) -> list[Path]:
    """COCO files, the most likely one of every folder first (RAM-H1200 has files of joints beside those of bones)."""
    base = root / "Segmentation" if (root / "Segmentation").is_dir() else root
    chosen: list[Path] = []
    for folder in (base, *sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith("."))):
        files = sorted(p for p in folder.glob("*.json") if not p.name.startswith("."))
        named = sorted((p for p in files if p.name.endswith(".coco.json")), key=lambda p: "bone" not in p.name.lower())
        others = [p for p in files if p not in named] if len(files) - len(named) <= _MANY else []
        chosen += named[:1]
        chosen += [p for p in (*named[1:], *others) if mentions(p, "images", "annotations", "categories")]
    return chosen


@dataclass(frozen=True)
class _Picture:
    """One entry of "images". ``judged`` is ossa's own: the bones that somebody judged, where the file says so."""

    key: str
    file_name: str
    size: tuple[int, int] | None
    judged: object


@dataclass(frozen=True)
class _File:
    categories: Mapping[str, str]
    pictures: Mapping[str, _Picture]
    annotations: Mapping[str, Sequence[Mapping[str, Any]]]  # key of a picture -> its annotations


def _load(path: Path) -> _File:
    stat = path.stat()
    return _parse(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _parse(path: Path, _mtime: int, _size: int) -> _File:
    data = read_label_json(path, MAX_BYTES)
    try:
        categories = {id_text(c["id"]): str(c["name"]) for c in data["categories"]}
        pictures = [
            _Picture(id_text(i["id"]), str(i["file_name"]), size_of(i.get("height"), i.get("width")), i.get("judged"))
            for i in data["images"]
        ]
        annotations: dict[str, list[Mapping[str, Any]]] = {picture.key: [] for picture in pictures}
        for entry in data["annotations"]:
            annotations.setdefault(id_text(entry["image_id"]), []).append(entry)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(
            "is not a COCO file",
            path=path,
            found=f"{type(error).__name__}: {error}",
            expected='"images", "categories" and "annotations" with their ids',
        ) from error
    twice = [key for key, count in Counter(picture.key for picture in pictures).items() if count > 1]
    if twice:
        names = [picture.file_name for picture in pictures if picture.key == twice[0]]
        raise LabelError(f"two pictures have the id {twice[0]}", path=path, found=" and ".join(names[:2]))
    return _File(categories, {picture.key: picture for picture in pictures}, annotations)


def id_text(value: object) -> str:
    """An id of any kind as text: 7, 7.0 and "7" are one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} as an id")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def read_case(case: Case, schema: BoneSchema, names: BoneNames) -> Truth:
    """The truth of a case out of its COCO file."""
    assert case.label is not None  # Case.truth checked it
    file = _load(case.label)
    picture = file.pictures.get(case.key)
    if picture is None:
        raise LabelError(f"does not speak of '{case.name}' any more", path=case.label, remedy="Open the data set again")
    drawing = Drawing(case.name, case.label, picture.size, case.scale_labels)
    for entry in file.annotations.get(case.key, []):
        category = _category(entry, file, case)
        targets = names.targets(category)
        if targets:
            drawing.add(targets, category, entry)
    outlines, merged = drawing.outlines(schema)
    known = judged(outlines, schema, picture.judged, merged)
    return Truth(outlines, known, merged, drawing.size, left_out=drawing.left_out())


def _category(entry: Mapping[str, Any], file: _File, case: Case) -> str:
    """The name of an annotation's category. Raises LabelError for one that the file does not list."""
    try:
        number = id_text(entry["category_id"])
    except (KeyError, ValueError) as error:
        found = "no category_id" if isinstance(error, KeyError) else str(error)
        raise LabelError(f"an annotation of '{case.name}' is incomplete", path=case.label, found=found) from error
    if number in file.categories:
        return file.categories[number]
    listed = [f"{key} {name}" for key, name in file.categories.items()]
    raise LabelError(
        f"an annotation of '{case.name}' has a category that the file does not list",
        path=case.label,
        found=f"category_id {number}" + (f" in annotation {entry['id']}" if "id" in entry else ""),
        expected="one of " + ", ".join(listed[:40]) + (f" and {len(listed) - 40} more" if len(listed) > 40 else ""),
        remedy="Add the category to the file's categories, or correct the annotation",
    )


def read(root: Path, names: BoneNames) -> Reading:
    """All pictures that the COCO files name. One without annotations is unlabelled; a missing picture is a problem."""
    files = _label_files(root)
    if not files:
        raise DatasetError("holds no COCO file", path=root, expected=LAYOUT)
    catalogue = Catalogue(root, "COCO file", names, partial(read_case, names=names))
    for path in files:
        file = _load(path)
        catalogue.problems += [*_no_bones(path, file, names), *_of_no_picture(path, file)]
        if len(files) > 1 and not any(names.targets(name) for name in file.categories.values()):
            catalogue.problems.append(Problem(path, "no category of this COCO file is a bone: left out"))
            continue
        targets = [names.targets(name) or () for name in file.categories.values()]
        annotated = frozenset(t[0] for t in targets if len(t) == 1)
        mentioned = [Mention(p.file_name, p.key, bool(file.annotations.get(p.key))) for p in file.pictures.values()]
        catalogue.add(path, mentioned, annotated, _split(path, root))
    return catalogue.reading()


def _no_bones(path: Path, file: _File, names: BoneNames) -> list[Problem]:
    """The categories that are no bone, with how often they are annotated, in one sentence for the whole file."""
    others = {key: name for key, name in file.categories.items() if not names.targets(name)}
    if not others:
        return []
    counts: Counter[str] = Counter()
    for entry in (entry for entries in file.annotations.values() for entry in entries):
        with suppress(KeyError, ValueError):  # told where the picture is read
            counts[id_text(entry["category_id"])] += 1
    told = ", ".join(f"'{name}' ({counts[key]} annotations)" for key, name in others.items())
    strange = next((name for name in others.values() if names.targets(name) is None), None)
    near = f"; the bone nearest to '{strange}' is '{names.nearest(strange)}', --map tells others" if strange else ""
    return [Problem(path, f"what is no bone is left out: {told}{near}")]


def _of_no_picture(path: Path, file: _File) -> list[Problem]:
    """The annotations of pictures that the file does not list, in one sentence for the whole file."""
    strays = {key: len(entries) for key, entries in file.annotations.items() if key not in file.pictures}
    if not strays:
        return []
    several = f"{', '.join(list(strays)[:5])}{', ...' if len(strays) > 5 else ''}"
    told = f"annotations of pictures that it does not list: left out: {sum(strays.values())} (image_id {several})"
    return [Problem(path, told)]


def _split(path: Path, root: Path) -> str:
    """The published part that a file belongs to, by its folder or (instances_val2017.json) its name."""
    for text in (path.parent.name if path.parent != root else "", path.stem):
        match = _SPLITS.match(text) or re.search(r"_(train|val|test)", text)
        if match:
            return match.group(1).lower()
    return "train"


def write_coco(path: str | Path, items: Iterable[tuple[str, Segmentation, frozenset[str]]]) -> None:
    """Write (picture's name, segmentation, judged bones) of one schema as a COCO file with compressed run lengths.

    A name is a path as seen from the file. Categories carry the schema's names, ids from 1 in schema order. Every
    picture says under "judged" which bones somebody judged, since COCO cannot: what it does not draw may be absent, or
    not looked for. Raises OutputError when the file cannot be written.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: tuple[str, ...] = ()
    for number, (file_name, segmentation, known) in enumerate(items, start=1):
        names = names or segmentation.schema.names
        height, width = segmentation.shape
        said = [name for name in names if name in known]
        images.append({"id": number, "file_name": file_name, "height": height, "width": width, "judged": said})
        for name, region in segmentation:
            box = [region.left, region.top, region.mask.shape[1], region.mask.shape[0]]
            counts = compress_counts(counts_from_region(region, segmentation.shape))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(name) + 1,
                    "segmentation": {"size": [height, width], "counts": counts},
                    "area": region.area,
                    "bbox": box,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name, "supercategory": "bone"} for i, name in enumerate(names, start=1)]
    value = {"images": images, "annotations": annotations, "categories": categories}
    write_text(path, json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def write_set(root: Path, items: Iterable[Item]) -> None:
    """``write_coco`` for all of a set, as one file in ``root`` that names pictures by paths from there."""
    rows = (
        (below(root.absolute(), item.brought(root / item.file).absolute()), item.segmentation, item.judged)
        for item in items
    )
    write_coco(root / FILE, rows)


def file_of(root: Path, case: Case) -> Path | None:
    """The COCO file that names the picture of a case without annotations; None where none does."""
    for path in _label_files(root):
        picture = _load(path).pictures.get(case.key)
        if picture is not None and picture.file_name.replace("\\", "/").rpartition("/")[2] == case.image.name:
            return path
    return None


FORMATS = (LabelFormat("coco", LAYOUT, 20, detect, read, write_set=write_set, mark=FILE),)
