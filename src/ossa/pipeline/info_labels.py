"""What a label file is, whatever program wrote it: a part of the trip behind ``ossa info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import LabelError
from ossa.pipeline.facts import Facts

if TYPE_CHECKING:
    from ossa.labels.case import Truth
    from ossa.schema import BoneSchema

#: Endings of label files beside .json.
LABEL_ENDINGS = (".xml", ".txt", ".npz", ".npy")


def label_file(path: Path, user: str | Path | None, schema: BoneSchema) -> Facts:
    """Facts about a label file, or a folder of masks; ``user``: a file that maps names to bones of the
    ``schema``.

    Raises LabelError that names it for what is none.
    """
    ending = path.suffix.lower()
    if ending == ".xml":
        return _cvat(path, user, schema)
    if ending == ".txt":
        return _yolo(path, user, schema)
    from ossa.labels.names import bone_names

    names = bone_names(schema, user)
    if path.is_dir():
        from ossa.labels.masks import read_masks

        return _one(path, "masks", schema, read_masks(path, names))
    if ending == ".npz":
        from ossa.labels.bits import parse

        return _one(path, "bit planes", schema, parse(path, names))
    if ending == ".npy":
        from ossa.labels.case import Case
        from ossa.labels.ramw600 import read_case

        return _one(path, "RAM-W600", schema, read_case(Case(path.name, path.stem, path, path), names.schema))
    from ossa.labels.beside import read_truth, stated_size
    from ossa.labels.texts import read_label_json

    data = read_label_json(path)
    form = "labelme" if isinstance(data, dict) and "shapes" in data else "competition"
    return _one(path, form, schema, read_truth(path, names), stated_size(data, path))


def _one(path: Path, form: str, schema: BoneSchema, truth: Truth, size: tuple[int, int] | None = None) -> Facts:
    """Facts about the label of one picture."""
    found = truth.outlines
    size = size or truth.shape
    missing = [name for name in schema.names if name not in found]
    parts = {name: len(outlines) for name, outlines in found.items()}
    points = sum(len(part.exterior) + sum(map(len, part.holes)) for outlines in found.values() for part in outlines)
    rows = [
        ("file", str(path)),
        ("format", form),
        ("picture", "its size is not said" if size is None else f"{size[1]} x {size[0]} px"),
        ("bones", f"{len(found)} of {len(schema)}, {points} points"),
        ("missing", ", ".join(missing) or "none"),
        ("in parts", ", ".join(f"{name} ({count})" for name, count in parts.items() if count > 1) or "none"),
    ]
    rows.extend(("together", " and ".join(sorted(one.bones))) for one in truth.merged)
    rows.extend(("left out", what) for what in truth.left_out)
    values = {
        "file": str(path),
        "format": form,
        "size": None if size is None else list(size),
        "bones": parts,
        "missing": missing,
        "points": points,
        "left_out": list(truth.left_out),
    }
    return Facts("label", tuple(rows), values)


def coco_file(path: Path, data: Mapping[str, Any], user: str | Path | None, schema: BoneSchema) -> Facts:
    """Facts about a COCO file, whose JSON is ``data``."""
    images, annotations, categories = (data.get(key, []) for key in ("images", "annotations", "categories"))
    if not all(isinstance(part, list) for part in (images, annotations, categories)):
        raise LabelError("is no COCO file", path=path, expected="lists of images, annotations and categories")
    called = [str(c.get("name", "")) for c in categories if isinstance(c, dict)]
    return _many(path, "COCO", len(images), len(annotations), called, user, schema)


def _cvat(path: Path, user: str | Path | None, schema: BoneSchema) -> Facts:
    from ossa.labels.cvat import labels_of, load

    labels = labels_of(path)
    return _many(path, "CVAT XML", len(load(path)), sum(labels.values()), list(labels), user, schema)


def _yolo(path: Path, user: str | Path | None, schema: BoneSchema) -> Facts:
    """Rows of a text of YOLO; which bones they are is told where a file above it names the classes."""
    from ossa.labels.yolo import find_classes, rows_of

    folders = [path.parent, *path.absolute().parents[1:4]]
    classes = next((found for folder in folders if (found := find_classes(folder)) is not None), None)
    counts = Counter(rows_of(path))
    named = {} if classes is None else classes.names
    called = [named.get(n, f"class {n}") for n in sorted(counts)]
    facts = _many(path, "YOLO", 1, sum(counts.values()), called, user, schema)
    return Facts(
        facts.kind, (*facts.rows, ("classes", str(classes.path) if classes else "no file names them")), facts.values
    )


def _many(
    path: Path,
    form: str,
    images: int,
    annotations: int,
    called: list[str],
    user: str | Path | None,
    schema: BoneSchema,
) -> Facts:
    """Facts about a file that holds labels by names of its own."""
    from ossa.labels.names import bone_names

    names = bone_names(schema, user)
    bones = {bone for name in called for bone in names.targets(name) or ()}
    strange = [name for name in called if not names.targets(name)]
    rows = (
        ("file", str(path)),
        ("format", form),
        ("images", str(images)),
        ("annotations", str(annotations)),
        ("categories", f"{len(called)}, for {len(bones)} of {len(names.schema)} bones"),
        ("no bones", ", ".join(strange) or "none"),
    )
    values = {
        "file": str(path),
        "format": form,
        "images": images,
        "annotations": annotations,
        "categories": called,
        "bones": sorted(bones, key=names.schema.index),
        "no_bones": strange,
    }
    return Facts("label", rows, values)
