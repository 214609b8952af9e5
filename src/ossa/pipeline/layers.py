"""Radiographs and bones as napari's layers, and back: the trips behind the plugin, which know nothing of napari itself.

Bones are one Shapes layer. A Labels layer gives each pixel one label, and bones overlap in every hand; a Labels layer
for each of 29 bones would hide each other and be switched one by one. Shapes keep overlaps, have their names in a table
of features that can be sorted, and their points can be moved. A hole is joined to its outline by a bridge walked there
and back (labels.keyhole), so that what was not touched is written back pixel for pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ImageError, InputError, LabelError

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph, Spacing
    from ossa.segmentation.segmentation import Segmentation

#: What napari calls a layer: data, arguments, kind.
Layer = tuple[Any, dict[str, Any], str]

#: The entry of a layer's metadata that is ossa's.
KEY = "ossa"

#: Kinds of shapes that have an inside, as napari calls them.
_FILLED = ("polygon", "rectangle", "ellipse")

#: Points that stand for an ellipse somebody drew.
_TURNS = 64


def layers_at(path: str | Path) -> list[Layer]:
    """The radiograph at ``path`` as an image layer, and its bones where a label of the same stem (.json) lies beside.

    Raises ImageError, LabelError.
    """
    from ossa.labels.beside import read_truth
    from ossa.labels.names import bone_names
    from ossa.labels.whose import schema_of
    from ossa.radiograph.read import read_radiograph

    where = Path(path)
    radiograph = read_radiograph(where)
    layers = [image_layer(radiograph, where.name)]
    label = where.with_suffix(".json")
    if label.is_file():
        schema = schema_of(label)
        bones = read_truth(label, bone_names(schema)).segmentation(schema, radiograph.shape)
        layers.append(bones_layer(bones, where.name, radiograph.spacing))
    return layers


def image_layer(radiograph: Radiograph, name: str) -> Layer:
    """An image layer, windowed to the 0.5 to 99.5 percentiles; in mm where the spacing is known."""
    low, high = np.percentile(radiograph.pixels[::4, ::4], (0.5, 99.5))
    about = {
        "path": radiograph.provenance.path,
        "side": radiograph.side,
        "spacing": None if radiograph.spacing is None else radiograph.spacing.source,
        "notes": list(radiograph.provenance.notes),
    }
    told = {
        "name": name,
        "colormap": "gray",
        "contrast_limits": (float(low), float(max(high, low + 1))),
        "metadata": {KEY: about},
        **_scale(radiograph.spacing),
    }
    return radiograph.pixels, told, "image"


def bones_layer(segmentation: Segmentation, name: str, spacing: Spacing | None = None) -> Layer:
    """A Shapes layer: a polygon (row, column) for each part of each bone, with "bone", "title" and "confidence"."""
    from ossa.labels.keyhole import keyhole_polygon
    from ossa.segmentation.outlines import outlines_from_region

    shapes: list[NDArray[np.float64]] = []
    bones: list[str] = []
    for bone, region in segmentation:
        for part in outlines_from_region(region):
            shapes.append(keyhole_polygon(part)[:, ::-1])
            bones.append(bone)
    schema = segmentation.schema
    colours = np.array([schema.bone(bone).colour for bone in bones], float).reshape(-1, 3) / 255
    told = {
        "name": f"{name} bones",
        "shape_type": "polygon",
        "features": {
            "bone": bones,
            "title": [schema.bone(bone).title for bone in bones],
            "confidence": [float(segmentation.confidence.get(bone, np.nan)) for bone in bones],
        },
        "edge_color": np.column_stack([colours, np.ones(len(bones))]),
        "face_color": np.column_stack([colours, np.full(len(bones), 0.3)]),
        "text": {"string": "{title}", "size": 8, "color": "white", "visible": False},  # napari's "display text"
        "edge_width": max(1.0, max(segmentation.shape) / 900),
        "metadata": {
            KEY: {
                "shape": list(segmentation.shape),
                "schema": schema.name,
                "image": name,
                "notes": list(segmentation.notes),
            }
        },
        **_scale(spacing),
    }
    return shapes, told, "shapes"


def _scale(spacing: Spacing | None) -> dict[str, Any]:
    return {} if spacing is None else {"scale": (spacing.row, spacing.column), "units": ("mm", "mm")}


def found_in(
    data: Any,
    name: str,
    metadata: Mapping[str, Any],
    *,
    rgb: bool = False,
    scale: Sequence[float] | None = None,
    model: str | None = None,
    fast: bool = False,
) -> tuple[Layer, list[str]]:
    """The bones of an image layer's ``data`` as a layer, and what is to be said of them.

    ``scale``: that of the layer, in mm where ``metadata`` says that the spacing is known. Raises ImageError for data
    that are no radiograph, and as ``ossa.predict`` does.
    """
    from ossa.inference.once import predict
    from ossa.radiograph.radiograph import Provenance, Radiograph, Spacing

    about = metadata.get(KEY) or {}
    pixels, notes = _grey(data, rgb)
    spacing = None
    if about.get("spacing") and scale is not None:
        spacing = Spacing(float(scale[-2]), float(scale[-1]), str(about["spacing"]))
    radiograph = Radiograph(pixels, spacing, about.get("side"), Provenance(about.get("path"), notes=tuple(notes)))
    found = predict(radiograph, model, fast=fast)
    layer = bones_layer(found, name, spacing)
    if scale is not None:
        layer[1]["scale"] = tuple(float(part) for part in scale[-2:])
    return layer, list(found.notes)


def _grey(data: Any, rgb: bool) -> tuple[Any, list[str]]:
    """The pixels of a layer as a radiograph has them, and what was done to them."""
    pixels = np.asarray(data)
    notes = []
    if rgb and pixels.ndim == 3:
        # Luma of ITU-R BT.601, as for files.
        pixels = np.asarray(pixels[:, :, :3] @ np.array([0.299, 0.587, 0.114])).astype(pixels.dtype)
    if pixels.ndim != 2 or pixels.size == 0:
        raise ImageError(
            "this layer is no radiograph",
            found=f"{pixels.ndim} dimensions, {pixels.shape}",
            expected="one grey picture (height, width)",
            remedy="Take one slice of a stack as a layer of its own",
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
        if not np.isfinite([low, high]).all():
            raise ImageError("this layer has values that are no numbers", found=f"{low} to {high}")
        scaled = (np.nan_to_num(pixels.astype(np.float64), nan=low) - low) / max(high - low, 1e-12)
        notes.append(f"values of {pixels.dtype} from {low:g} to {high:g} were made 16 bit")
        pixels = np.round(scaled * 65535).astype(np.uint16)
    return np.ascontiguousarray(pixels), notes


def segmentation_of(
    shapes: Sequence[Any], kinds: Sequence[str], features: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Segmentation:
    """The bones of a Shapes layer: ``shapes`` (N, 2) as (row, column), each with its "bone" in ``features``.

    Several shapes of one bone are its parts. Raises InputError for a layer of which nobody knows the picture's size,
    LabelError for a shape that is no bone's.
    """
    from ossa.labels.polygons import polygon
    from ossa.schema import load_schema
    from ossa.segmentation.outlines import Outline, segmentation_from_outlines

    about = metadata.get(KEY)
    if not isinstance(about, Mapping) or "shape" not in about or "bone" not in features:
        raise InputError(
            "this layer is not one of bones",
            found="shapes without the names of bones" if shapes else "no shapes",
            expected="a layer that 'Find the bones' or the reader made, corrected or not",
        )
    schema = load_schema(str(about["schema"]))
    height, width = (int(side) for side in about["shape"])
    outlines: dict[str, list[Outline]] = {}
    for number, (points, kind, bone) in enumerate(zip(shapes, kinds, list(features["bone"]), strict=True)):
        if kind not in _FILLED:
            raise LabelError(f"shape {number} has no inside", found=kind, expected=", ".join(_FILLED))
        if not isinstance(bone, str) or bone not in schema:
            raise LabelError(
                f"shape {number} is no bone's",
                found=repr(bone),
                expected="a name in the column 'bone' of the layer's features",
            )
        ring = _ellipse(np.asarray(points, float)) if kind == "ellipse" else np.asarray(points, float)
        outlines.setdefault(bone, []).append(Outline(polygon(ring[:, ::-1].tolist(), bone, Path(str(about["image"])))))
    return segmentation_from_outlines({n: tuple(parts) for n, parts in outlines.items()}, schema, (height, width))


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points of an ellipse that touches the sides of the box with these four corners."""
    centre = corners.mean(axis=0)
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    turn = np.linspace(0, 2 * np.pi, _TURNS, endpoint=False)[:, None]
    out: NDArray[np.float64] = centre + np.cos(turn) * across + np.sin(turn) * along
    return out


def write_shapes(
    path: str | Path,
    shapes: Sequence[Any],
    kinds: Sequence[str],
    features: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> int:
    """Write a Shapes layer of bones as a label (competition's JSON); how many bones it has.

    Raises as ``segmentation_of`` does, InputError for another ending than .json, OutputError.
    """
    from ossa.labels.competition import write_label

    where = Path(path)
    if where.suffix.lower() != ".json":
        raise InputError("a label's name ends in .json", path=path, found=repr(where.suffix))
    found = segmentation_of(shapes, kinds, features, metadata)
    write_label(where, found, str(metadata[KEY]["image"]))
    return len(found)
