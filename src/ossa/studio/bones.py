"""Bones of one picture as a browser sends and gets them: polygons and a state per bone, checked on the way in.

What is drawn travels as ``Truth``: outlines in px of the picture, and the bones that somebody judged. A bone is
"found" (drawn), "absent" (judged, not drawn) or "not judged".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import LabelError
from ossa.labels.case import Truth, check_inside
from ossa.labels.polygons import Parts, label_points, polygon
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, Outlines, outlines_from_segmentation
from ossa.segmentation.segmentation import Segmentation

FOUND, ABSENT, NOT_JUDGED = "found", "absent", "not judged"

#: Coordinates are kept to 1/1000 px, as label files are.
_DIGITS = 3

Polygons = list[list[list[float]]]


def truth_from(found: Segmentation, judged: frozenset[str]) -> Truth:
    """A segmentation as outlines that fill exactly its pixels."""
    outlines = outlines_from_segmentation(found)
    return Truth(outlines, judged, (), found.shape, found.notes, dict(found.confidence))


def state_of(truth: Truth, bone: str) -> str:
    """What is known of a bone."""
    if truth.outlines.get(bone):
        return FOUND
    return ABSENT if bone in truth.annotated else NOT_JUDGED


def polygons_of(parts: Sequence[Outline], simplify: float = 0.0) -> Polygons:
    """A bone's parts as rings of [x, y]; a hole is a keyhole in its ring.

    ``simplify`` > 0 leaves out points where the line moves by no more than so many px (Douglas and Peucker 1973).
    """
    return [label_points(_thinned(part, simplify) if simplify > 0 else part) for part in parts]


def _thinned(part: Outline, tolerance: float) -> Outline:
    return part.mapped(lambda ring: thinned(ring, tolerance))


def thinned(ring: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """A closed ring (N, 2) with fewer points; as it is where fewer than three would stay."""
    import cv2

    # OpenCV thins points of 32 bit: near the ring's own corner these are exact enough.
    corner = ring.min(axis=0)
    kept = cv2.approxPolyDP((ring - corner).astype(np.float32).reshape(-1, 1, 2), tolerance, True).reshape(-1, 2)
    if len(kept) < 3:
        return ring
    moved: NDArray[np.float64] = np.round(kept.astype(np.float64) + corner, _DIGITS)
    return moved


def bones_json(truth: Truth, schema: BoneSchema, simplify: float = 0.0) -> list[dict[str, Any]]:
    """One entry per bone of the schema: name, state, polygons, confidence."""
    return [
        {
            "name": name,
            "state": state_of(truth, name),
            "polygons": polygons_of(truth.outlines.get(name, ()), simplify),
            "confidence": _number(truth.confidence.get(name)),
        }
        for name in schema.names
    ]


def _number(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def truth_of_json(bones: object, schema: BoneSchema, shape: tuple[int, int], path: Path) -> Truth:
    """What was sent as ``bones``: a list of {name, state, polygons}; a bone that is left out is not judged.

    ``path`` names the picture in messages. Raises LabelError for what is none: an unknown bone, one that comes twice,
    a state that does not fit its polygons, points outside of the picture of ``shape`` (H, W).
    """
    if not isinstance(bones, list):
        raise LabelError("bones are no list", path=path, found=type(bones).__name__, expected="[{name, state, ...}]")
    parts = Parts(path)
    judged: set[str] = set()
    seen: set[str] = set()
    for entry in bones:
        name, state, polygons = _entry(entry, schema, path)
        if name in seen:
            raise LabelError(f"'{name}' comes twice", path=path, expected="every bone once")
        seen.add(name)
        if (state == FOUND) != bool(polygons):
            raise LabelError(
                f"the state of '{name}' does not fit its polygons",
                path=path,
                found=f"'{state}' with {len(polygons)} polygons",
                expected=f"'{FOUND}' with polygons, or '{ABSENT}' or '{NOT_JUDGED}' with none",
            )
        if state != NOT_JUDGED:
            judged.add(name)
        for points in polygons:
            ring = np.round(polygon(points, name, path), _DIGITS)
            parts.add((name,), name, Outline(ring))
    outlines = {targets[0]: found for targets, found in parts.found().items()}
    check_inside(outlines, shape, path)
    ordered = {name: outlines[name] for name in schema.names if name in outlines}
    return Truth(ordered, frozenset(judged), (), shape)


def _entry(entry: object, schema: BoneSchema, path: Path) -> tuple[str, str, list[Any]]:
    if not isinstance(entry, Mapping):
        raise LabelError("a bone is no object", path=path, found=repr(entry)[:60], expected="{name, state, polygons}")
    name, state, polygons = entry.get("name"), entry.get("state"), entry.get("polygons", [])
    if not isinstance(name, str):
        raise LabelError("a bone has no name", path=path, found=repr(name)[:60], expected="a bone of the schema")
    if name not in schema:
        schema.index(name)  # raises with the nearest name
    if state not in (FOUND, ABSENT, NOT_JUDGED):
        expected = f"'{FOUND}', '{ABSENT}' or '{NOT_JUDGED}'"
        raise LabelError(f"'{name}' has no state", path=path, found=repr(state)[:60], expected=expected)
    if not isinstance(polygons, list):
        raise LabelError(f"the polygons of '{name}' are no list", path=path, found=repr(polygons)[:60])
    return name, state, polygons


def changed_bones(before: Truth | None, after: Truth, schema: BoneSchema) -> list[str]:
    """The bones whose state or outline differs."""
    if before is None:
        return [name for name in schema.names if state_of(after, name) != NOT_JUDGED]
    return [
        name
        for name in schema.names
        if state_of(before, name) != state_of(after, name) or not _same(before.outlines, after.outlines, name)
    ]


def _same(before: Outlines, after: Outlines, name: str) -> bool:
    return polygons_of(before.get(name, ())) == polygons_of(after.get(name, ()))
