"""labelme files: one JSON of shapes beside each picture, in and out.

    ROOT/**/name.png   ROOT/**/name.json      {"shapes": [{"label": ..., "points": [[x, y], ...],
                                               "shape_type": "polygon"}, ...], "imagePath": ..., ...}

Polygons, rectangles and masks are read; a whole-number point is a pixel's centre, as in labelme's own rasteriser
(labelme/utils/shape.py, shape_to_mask). Shapes of the same label are parts of one bone; a hole is written as a
keyhole (``ossa.labels.keyhole``). The subject is the folder a picture lies in, or its stem without the side.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any

import numpy as np

from ossa.dataset.dataset import Dataset
from ossa.errors import LabelError
from ossa.labels._beside import pictures_with_labels
from ossa.labels.case import Case, Truth, check_inside
from ossa.labels.competition import bone_called, label_points, polygon, read_label_json
from ossa.safety import write_text
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, Outlines, outlines_from_region, outlines_from_segmentation
from ossa.segmentation.segmentation import Region, Segmentation

NAME = "labelme"
LAYOUT = 'pictures with a .json of "shapes" beside each'
PRIORITY = 40


def detect(root: Path) -> bool:
    """Whether one of the first JSON files under ``root`` has "shapes"."""
    return any(_is_labelme(path) for path in sorted(root.rglob("*.json"))[:20])


def _is_labelme(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8") as stream:
            head = stream.read(4096)
    except (OSError, ValueError):
        return False
    return '"shapes"' in head and '"categories"' not in head


def read_labelme(path: str | Path, schema: BoneSchema, shape: tuple[int, int] | None = None) -> Outlines:
    """The outlines of one labelme file, in schema order. Raises LabelError that names the file."""
    where = Path(path)
    data = read_label_json(where)
    shapes = data.get("shapes") if isinstance(data, dict) else None
    if not isinstance(shapes, list):
        raise LabelError("is not a labelme file", path=where, found=type(data).__name__, expected='{"shapes": [...]}')
    parts: dict[str, tuple[Outline, ...]] = {}
    for number, entry in enumerate(shapes):
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            raise LabelError(f"shape {number} has no label", path=where, found=repr(entry)[:60])
        name = bone_called(entry["label"], schema, where)
        parts[name] = parts.get(name, ()) + _outlines(entry, name, where)
    outlines = {name: parts[name] for name in schema.names if name in parts}
    if shape is not None:
        check_inside(outlines, shape, where)
    return outlines


def _outlines(entry: dict[str, Any], name: str, path: Path) -> tuple[Outline, ...]:
    kind = entry.get("shape_type", "polygon")
    points = entry.get("points")
    if kind == "polygon":
        return (Outline(polygon(points, name, path)),)
    if kind == "rectangle" and isinstance(points, list) and len(points) == 2:
        (x0, y0), (x1, y1) = polygon([*points, points[0]], name, path)[:2]
        return (Outline(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])),)
    if kind == "mask" and isinstance(points, list) and len(points) == 2:
        return _mask(entry, polygon([*points, points[0]], name, path)[0], name, path)
    raise LabelError(
        f"a shape of '{name}' cannot be filled", path=path, found=repr(kind), expected="polygon, rectangle or mask"
    )


def _mask(entry: dict[str, Any], corner: Any, name: str, path: Path) -> tuple[Outline, ...]:
    """A mask shape: a base64 PNG of the box whose first pixel is the first point."""
    import cv2

    try:
        data = np.frombuffer(base64.b64decode(entry["mask"], validate=True), dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except (KeyError, TypeError, ValueError, binascii.Error, cv2.error):
        image = None
    if image is None:
        raise LabelError(f"the mask of '{name}' is not a picture", path=path, expected="a PNG in base64")
    region = Region.tight(np.asarray(image), round(float(corner[1])), round(float(corner[0])))
    return () if region is None else outlines_from_region(region)


def write_labelme(path: str | Path, segmentation: Segmentation, image_name: str) -> None:
    """Write a segmentation as a labelme file; ``read_labelme`` gives back the same pixels.

    ``image_name`` is stored as "imagePath" (labelme opens it relative to the file). Raises OutputError when the
    file cannot be written.
    """
    shapes: list[dict[str, Any]] = [
        {
            "label": name,
            "points": label_points(part),
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for name, parts in outlines_from_segmentation(segmentation).items()
        for part in parts
    ]
    value: dict[str, Any] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image_name,
        "imageData": None,
        "imageHeight": segmentation.shape[0],
        "imageWidth": segmentation.shape[1],
    }
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def read_case(case: Case, schema: BoneSchema) -> Truth:
    """The truth of a case: every bone counts as annotated."""
    assert case.label is not None  # Case.truth checked it
    return Truth(read_labelme(case.label, schema), frozenset(schema.names))


def read_dataset(root: Path, schema: BoneSchema) -> Dataset:
    """All pictures under ``root``; a JSON without a picture is a problem."""
    cases, problems = pictures_with_labels(root, schema, read_case)
    return Dataset(root, schema, NAME, cases, problems)
