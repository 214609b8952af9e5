"""labelme files: one JSON of shapes per picture, in and out.

    {"shapes": [{"label": ..., "points": [[x, y], ...], "shape_type": "polygon"}, ...], "imagePath": ..., ...}

Polygons, rectangles and masks are read; a whole-number point is a pixel's centre, as in labelme's own rasteriser
(labelme/utils/shape.py, shape_to_mask). Shapes of the same label are parts of one bone; a hole is written as a
keyhole (``ossa.labels.keyhole``). Other shapes, and labels that are no bone, are left out and told.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ossa.errors import LabelError
from ossa.labels.case import Truth, check_inside, judged
from ossa.labels.names import BoneNames, bone_names, collect
from ossa.labels.pictures import below, visible_files
from ossa.labels.polygons import Parts, Size, check_box, label_points, polygon, size_of
from ossa.labels.texts import mentions, read_label_json
from ossa.radiograph.raster import png
from ossa.radiograph.raster.header import Damaged
from ossa.safety import write_text
from ossa.schema import BoneSchema
from ossa.segmentation.origin import KEY, Origin
from ossa.segmentation.outlines import Outline, Outlines, outlines_from_region, outlines_from_segmentation
from ossa.segmentation.segmentation import Region, Segmentation

LAYOUT = 'pictures and for each a .json of "shapes", beside it or naming it'

#: Shapes that have an inside.
FILLED = ("polygon", "rectangle", "mask")

#: JSON files that are looked into to see whether a folder is labelme's.
_LOOKS = 50


def detect(root: Path) -> bool:
    """Whether one of the first JSON files under ``root`` has "shapes"."""
    files = [path for path in visible_files(root) if path.suffix.lower() == ".json"]
    return any(mentions(path, "shapes") for path in files[:_LOOKS])


def read_labelme(path: str | Path, schema: BoneSchema, shape: Size | None = None) -> Outlines:
    """The outlines of one labelme file, in schema order. Raises LabelError that names the file."""
    where = Path(path)
    outlines = parse_labelme(read_label_json(where), where, bone_names(schema)).outlines
    if shape is not None:
        check_inside(outlines, shape, where)
    return outlines


def parse_labelme(data: object, path: Path, names: BoneNames) -> Truth:
    """The truth in the JSON of a labelme file. Raises LabelError that names the file for what is malformed."""
    shapes = data.get("shapes") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(shapes, list):
        raise LabelError("is not a labelme file", path=path, found=type(data).__name__, expected='{"shapes": [...]}')
    size = stated_size(data, path)
    parts = Parts(path)
    foreign: Counter[str] = Counter()
    for number, entry in enumerate(shapes):
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            raise LabelError(f"shape {number} has no label", path=path, found=repr(entry)[:60])
        label, kind = entry["label"], entry.get("shape_type") or "polygon"
        targets = names.targets(label)
        if targets is None:
            foreign[f"'{label}', which is no bone (the nearest is '{names.nearest(label)}')"] += 1
        elif targets and kind not in FILLED:
            foreign[f"{kind} of '{label}', which has no inside that is read"] += 1
        elif targets:
            for outline in _outlines(entry, kind, label, size, path):
                parts.add(targets, label, outline)
    outlines, merged = collect(parts.found(), names.schema)
    left_out = tuple(f"{count} x {what}: left out" for what, count in foreign.items())
    known = judged(outlines, names.schema, data.get("judged"), merged)
    return Truth(outlines, known, merged, size, left_out=left_out, origin=Origin.from_json(data.get(KEY)))


def stated_size(data: Mapping[str, Any], path: Path) -> Size | None:
    """The (H, W) that the JSON of a labelme file says of its picture."""
    try:
        return size_of(data.get("imageHeight"), data.get("imageWidth"))
    except ValueError as error:
        raise LabelError("states a size that no picture has", path=path, found=str(error)) from error


def _outlines(entry: dict[str, Any], kind: str, name: str, size: Size | None, path: Path) -> tuple[Outline, ...]:
    points = entry.get("points")
    if kind == "polygon":
        return (Outline(polygon(points, name, path)),)
    if not isinstance(points, list) or len(points) != 2:
        raise LabelError(f"a {kind} of '{name}' has not two corners", path=path, found=repr(points)[:60])
    (x0, y0), (x1, y1) = polygon([*points, points[0]], name, path)[:2]
    if kind == "rectangle":
        return (Outline(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])),)
    return _mask(entry, (round(x0), round(y0), round(x1), round(y1)), name, size, path)


def _mask(
    entry: dict[str, Any], box: tuple[int, int, int, int], name: str, size: Size | None, path: Path
) -> tuple[Outline, ...]:
    """A mask shape: a base64 PNG whose first and last pixel are the two points; its sizes are asked first."""
    left, top, right, bottom = box
    height, width = bottom - top + 1, right - left + 1
    try:
        data = base64.b64decode(entry["mask"], validate=True)
        if not data.startswith(b"\x89PNG\r\n\x1a\n"):
            raise Damaged("no PNG")
        header = png.read_header(BytesIO(data), len(data))
    except (KeyError, TypeError, ValueError, struct.error, Damaged) as error:
        raise _no_picture(name, path, error) from error
    # Other programs leave out the last row and column.
    if abs(header.height - height) > 1 or abs(header.width - width) > 1:
        raise LabelError(
            f"the mask of '{name}' has another size than its box",
            path=path,
            found=f"{header.height}x{header.width}",
            expected=f"{height}x{width}",
        )
    check_box(header.height, header.width, name, path)
    if size is not None and (left < 0 or top < 0 or left + header.width > size[1] or top + header.height > size[0]):
        raise LabelError(
            f"the mask of '{name}' leaves the picture",
            path=path,
            found=f"{header.height}x{header.width} from ({left}, {top})",
            expected=f"inside {size[0]}x{size[1]}",
        )
    try:
        pixels = png.decode(BytesIO(data), header)
    except Damaged as error:
        raise _no_picture(name, path, error) from error
    if pixels.ndim == 3:  # colours, perhaps with an opacity behind them
        pixels = pixels[..., : 1 if pixels.shape[2] < 3 else 3].max(axis=2)
    region = Region.tight(pixels, top, left)
    return () if region is None else outlines_from_region(region)


def _no_picture(name: str, path: Path, error: Exception) -> LabelError:
    what = f"the mask of '{name}' is not a picture"
    return LabelError(what, path=path, found=str(error) or type(error).__name__, expected="a PNG in base64")


def write_labelme(
    path: str | Path, segmentation: Segmentation, image_name: str, known: frozenset[str] | None = None
) -> None:
    """Write a segmentation as a labelme file; ``read_labelme`` gives back the same pixels.

    ``image_name`` is stored as "imagePath" (labelme opens it relative to the file), and the bones that somebody judged,
    ``known`` (None: all), as "judged", which labelme keeps; so is who found them. Raises
    OutputError when the file cannot be written.
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
        "judged": [name for name in segmentation.schema.names if known is None or name in known],
    }
    if segmentation.origin is not None:
        value[KEY] = segmentation.origin.to_json()
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def write(path: Path, segmentation: Segmentation, image: Path, known: frozenset[str] | None) -> None:
    """``write_labelme`` for the picture that lies at ``image``, by a path that labelme opens."""
    write_labelme(path, segmentation, below(path.absolute().parent, image.absolute()), known)
