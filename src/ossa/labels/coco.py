"""COCO instance files, as RAM-H1200 has them: one JSON per split beside its pictures.

    ROOT/Segmentation/{train,val,test}/_annotations_bone_rle.coco.json
    ROOT/Segmentation/train/JP_SCGH_P0029_20121201_5835_L.bmp
    ROOT/{train,valid,test}/_annotations.coco.json                       the same without the outer folder

Category names are read as bones of the schema, else through the map ``schemas/maps/ram-h1200.toml``. Bones that the
set outlines as one (triquetrum and pisiform) are not annotated on their own: their common outline is in
``Truth.merged``. Segmentations may be polygons, plain run lengths or compressed ones. COCO puts (0, 0) at the corner
of the first pixel (cocoapi maskApi.c, rleFrPoly), so polygons move by half a pixel; run lengths go column by column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ossa.dataset.dataset import Dataset, Problem
from ossa.errors import DatasetError, LabelError
from ossa.labels._cases import RASTER_SUFFIXES, case_of
from ossa.labels.case import Case, Truth
from ossa.labels.coco_rle import compress_counts, counts_from_region, decompress_counts, region_from_counts
from ossa.labels.competition import polygon, read_label_json
from ossa.labels.schema_map import SchemaMap, collect, load_map
from ossa.safety import write_text
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Segmentation

NAME = "coco"
LAYOUT = "Segmentation/{train,val,test}/_annotations_bone_rle.coco.json with the pictures beside it"
PRIORITY = 20


def detect(root: Path) -> bool:
    """Whether ``root`` has this layout."""
    return bool(_label_files(root))


def _label_files(root: Path) -> list[Path]:
    """One COCO file per folder: of several, the one that says "bone" (RAM-H1200 also has joints and erosions)."""
    base = root / "Segmentation" if (root / "Segmentation").is_dir() else root
    chosen = []
    for folder in (base, *sorted(p for p in base.iterdir() if p.is_dir())):
        files = sorted(folder.glob("*.coco.json"), key=lambda p: ("bone" not in p.name.lower(), p.name))
        chosen.extend(files[:1])
    return chosen


@dataclass(frozen=True)
class _File:
    categories: dict[int, str]
    pictures: tuple[tuple[str, str], ...]  # (image id, file name)
    annotations: dict[str, list[dict[str, Any]]]  # image id -> its annotations
    sizes: dict[str, tuple[int, int]]  # image id -> (H, W)


def _load(path: Path) -> _File:
    stat = path.stat()
    return _parse(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _parse(path: Path, _mtime: int, _size: int) -> _File:
    data = read_label_json(path)
    try:
        categories = {int(c["id"]): str(c["name"]) for c in data["categories"]}
        pictures = tuple((str(i["id"]), str(i["file_name"])) for i in data["images"])
        sizes = {str(i["id"]): (int(i["height"]), int(i["width"])) for i in data["images"]}
        annotations: dict[str, list[dict[str, Any]]] = {key: [] for key, _ in pictures}
        for entry in data["annotations"]:
            annotations.setdefault(str(entry["image_id"]), []).append(entry)
    except (KeyError, TypeError, ValueError) as error:
        raise LabelError(
            "is not a COCO file",
            path=path,
            found=f"{type(error).__name__}: {error}",
            expected='"images", "categories" and "annotations" with their ids',
        ) from error
    return _File(categories, pictures, annotations, sizes)


def read_case(case: Case, schema: BoneSchema) -> Truth:
    """The truth of a case out of its COCO file."""
    assert case.label is not None  # Case.truth checked it
    where = case.label
    file = _load(where)
    naming = load_map("ram-h1200", schema)
    found: dict[tuple[str, ...], tuple[Outline, ...]] = {}
    for entry in file.annotations.get(case.key, []):
        try:
            category = file.categories[int(entry["category_id"])]
            segmentation = entry["segmentation"]
        except (KeyError, TypeError, ValueError) as error:
            raise LabelError(f"an annotation of '{case.id}' is incomplete", path=where, found=repr(error)) from error
        targets = _targets(category, schema, naming, where)
        if targets:
            parts = _parts(segmentation, f"{category}' in '{case.id}", file.sizes.get(case.key, (0, 0)), where)
            found[targets] = found.get(targets, ()) + parts
    outlines, merged = collect(found, schema)
    return Truth(outlines, case.annotated, merged)


def _targets(category: str, schema: BoneSchema, naming: SchemaMap, path: Path) -> tuple[str, ...]:
    return (category,) if category in schema else naming.targets(category, path)


def _parts(value: object, what: str, size: tuple[int, int], path: Path) -> tuple[Outline, ...]:
    """Outlines of one "segmentation" value."""
    if isinstance(value, list):
        return tuple(Outline(polygon(_pairs(flat), what, path) - 0.5, ()) for flat in value)
    if isinstance(value, dict) and "counts" in value:
        shape = tuple(value.get("size", size))
        counts = value["counts"]
        try:
            runs = decompress_counts(counts) if isinstance(counts, str) else counts
            region = region_from_counts(runs, (int(shape[0]), int(shape[1])))
        except (LabelError, ValueError, TypeError, IndexError, OverflowError) as error:
            raise LabelError(f"the run lengths of '{what}' are malformed", path=path, found=str(error)) from error
        return () if region is None else outlines_from_region(region)
    raise LabelError(
        f"the segmentation of '{what}' is neither polygons nor run lengths", path=path, found=type(value).__name__
    )


def _pairs(flat: object) -> object:
    """[x0, y0, x1, y1, ...] as pairs; anything else as it is, for ``polygon`` to refuse."""
    if isinstance(flat, list) and len(flat) % 2 == 0 and not any(isinstance(v, list) for v in flat):
        return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    return flat


def read_dataset(root: Path, schema: BoneSchema) -> Dataset:
    """All pictures of all splits. A picture without annotations is unlabelled; a missing picture is a problem."""
    cases: list[Case] = []
    problems: list[Problem] = []
    files = _label_files(root)
    if not files:
        raise DatasetError("holds no COCO file", path=root, expected=LAYOUT)
    naming = load_map("ram-h1200", schema)
    for path in files:
        file = _load(path)
        targets = [_targets(name, schema, naming, path) for name in file.categories.values()]
        annotated = frozenset(t[0] for t in targets if len(t) == 1)
        split = {"valid": "val"}.get(path.parent.name, path.parent.name) if path.parent != root else "train"
        named = set()
        for key, file_name in sorted(file.pictures, key=lambda p: p[1]):
            image = path.parent / Path(file_name).name
            named.add(image.name)
            if not image.is_file():
                problems.append(Problem(path, f"names a picture that is not there: {file_name}"))
                continue
            label = path if file.annotations.get(key) else None
            if label is None:
                problems.append(Problem(image, "a picture without annotations"))
            cases.append(case_of(image, label, naming.subject_of(image.stem), annotated, read_case, split, key))
        pictures = (p for p in sorted(path.parent.glob("*")) if p.suffix.lower() in RASTER_SUFFIXES)
        strangers = [p for p in pictures if p.name not in named]
        problems.extend(Problem(p, "a picture that the COCO file does not name") for p in strangers)
    return Dataset(root, schema, NAME, tuple(cases), tuple(problems))


def write_coco(path: str | Path, items: Iterable[tuple[str, Segmentation]]) -> None:
    """Write (picture name, segmentation) pairs of one schema as a COCO file with compressed run lengths.

    Categories carry the schema's names, ids from 1 in schema order. Raises OutputError when it cannot be written.
    """
    import json

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: tuple[str, ...] = ()
    for number, (file_name, segmentation) in enumerate(items, start=1):
        names = names or segmentation.schema.names
        height, width = segmentation.shape
        images.append({"id": number, "file_name": file_name, "height": height, "width": width})
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
