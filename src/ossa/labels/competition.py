"""The hand-bone competition's files: one folder per subject, one JSON of polygons per picture.

    ROOT/train/DCM/ID001/image1661130828152_R.png
    ROOT/train/outputs_json/ID001/image1661130828152_R.json
    ROOT/test/DCM/ID040/image1661319116107.png
    ROOT/meta_data.xlsx                                   optional

A label's points live in the picture's own frame, whatever its "metadata" says (the published files say 3060x3060 of
2048x2048 pictures), and its "filename" may end in .jpg while the picture is a .png: a label belongs to the picture
of the same subject folder and stem. Order is arbitrary, and annotations that share a label are parts of one bone.

Written labels keep to the same format. A bone in several parts becomes several annotations of the same label; a hole
becomes a keyhole: the ring of the hole is joined to the ring around it by a bridge walked there and back
(``ossa.labels.keyhole``). What ``write_label`` wrote, ``read_label`` gives back pixel for pixel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.dataset.dataset import Dataset, Problem
from ossa.errors import InputError, LabelError, OutputError, SchemaError
from ossa.labels._cases import case_of
from ossa.labels.case import Case, Truth, check_inside
from ossa.labels.keyhole import keyhole_polygon
from ossa.safety import inside, read_json, write_bytes, write_text
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import MAX_COORDINATE, Outline, Outlines, outlines_from_region
from ossa.segmentation.segmentation import Segmentation

NAME = "competition"
LAYOUT = "train/DCM/<subject>/*.png with train/outputs_json/<subject>/*.json, and/or test/DCM/<subject>/*.png"
PRIORITY = 10

#: File name endings that are taken for pictures.
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm"})


def detect(root: Path) -> bool:
    """Whether ``root`` has this layout."""
    return any((root / part / "DCM").is_dir() for part in ("train", "test"))


# --- labels -------------------------------------------------------------------------------------------------------


def read_label(path: str | Path, schema: BoneSchema, shape: tuple[int, int] | None = None) -> Outlines:
    """The outlines of one label file: bone name -> parts, in schema order, points in px of the picture.

    Raises LabelError that names the file for: wrong JSON, an unknown bone (with the nearest name), fewer than three
    points, coordinates that are not finite numbers and, when ``shape`` (H, W) is given, points outside the picture.
    """
    where = Path(path)
    data = read_label_json(where)
    entries = data.get("annotations") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise LabelError(
            "is not a label of this format",
            path=where,
            found=_keys(data),
            expected='{"annotations": [{"label": ..., "points": [[x, y], ...]}, ...]}',
        )
    parts: dict[str, list[Outline]] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            raise LabelError(
                f"annotation {number} has no label", path=where, found=_keys(entry), expected='"label": a bone'
            )
        name = bone_called(entry["label"], schema, where)
        parts.setdefault(name, []).append(Outline(polygon(entry.get("points"), name, where), ()))
    outlines = {name: tuple(parts[name]) for name in schema.names if name in parts}
    if shape is not None:
        check_inside(outlines, shape, where)
    return outlines


def read_label_json(path: Path) -> Any:
    """The JSON of a label file; LabelError when it is missing, too large or not JSON."""
    try:
        return read_json(path)
    except InputError as error:
        raise LabelError(
            error.what, path=path, found=error.found, expected="a JSON label file", remedy=error.remedy
        ) from error


def bone_called(label: str, schema: BoneSchema, path: Path) -> str:
    """The schema's name for ``label`` (a name or an alias). LabelError names the nearest bone."""
    if label in schema:
        return label
    for bone in schema.bones:
        if label in bone.aliases:
            return bone.name
    try:
        schema.index(label)
    except SchemaError as error:
        raise LabelError(
            f"an unknown bone '{label}'", path=path, expected=error.expected, remedy="Correct the label in the file"
        ) from None
    return label


def polygon(points: object, name: str, path: Path) -> NDArray[np.float64]:
    """Points of a label file as (N, 2) float64; LabelError for what is no polygon."""
    try:
        ring = np.array(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        ring = np.empty(0)
    if ring.ndim != 2 or ring.shape[1] != 2:
        few = isinstance(points, list) and not points
        raise LabelError(
            f"the outline of '{name}' has no points" if few else f"the outline of '{name}' is not a list of points",
            path=path,
            found=repr(points)[:60],
            expected="[[x, y], [x, y], [x, y], ...]",
        )
    if len(ring) < 3:
        raise LabelError(
            f"the outline of '{name}' has too few points", path=path, found=f"{len(ring)} points", expected="at least 3"
        )
    usable = (np.abs(ring) <= MAX_COORDINATE).all(axis=1)  # False for NaN too
    if not usable.all():
        at = int(np.argmin(usable))
        raise LabelError(
            f"point {at} of the outline of '{name}' is no position in a picture",
            path=path,
            found=f"({ring[at, 0]}, {ring[at, 1]})",
            expected="finite coordinates",
        )
    return ring


def write_label(path: str | Path, segmentation: Segmentation, image_name: str) -> None:
    """Write a segmentation as a label file; ``read_label`` gives back the same pixels.

    ``image_name`` is stored as "filename", notes and confidences under "attributes". Raises OutputError when the
    file cannot be written.
    """
    outlines = {name: outlines_from_region(region) for name, region in segmentation}
    said: dict[str, Any] = {}
    if segmentation.notes:
        said["notes"] = list(segmentation.notes)
    if segmentation.confidence:
        said["confidence"] = {name: round(float(value), 4) for name, value in segmentation.confidence.items()}
    write_outlines(path, outlines, segmentation.shape, image_name, said)


def write_outlines(
    path: str | Path,
    outlines: Outlines,
    shape: tuple[int, int],
    image_name: str,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write outlines (points in px of a picture of ``shape``) as a label file, coordinates kept to 1/1000 px.

    ``attributes``: JSON values that stand beside the annotations (warnings, confidences); readers pass over them.
    """
    annotations = [
        {"id": f"{name}.{number}", "type": "poly_seg", "attributes": {}, "points": label_points(part), "label": name}
        for name, parts in outlines.items()
        for number, part in enumerate(parts)
    ]
    label = {
        "annotations": annotations,
        "attributes": dict(attributes or {}),
        "file_id": Path(image_name).stem,
        "filename": image_name,
        "parent_path": "",
        "last_modifier_id": "",
        "metadata": {"height": shape[0], "width": shape[1]},
        "last_workers": [],
    }
    write_text(path, json.dumps(label, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")


def label_points(part: Outline) -> list[list[float]]:
    """One polygon as a label file holds it: keyholes for holes, whole numbers where they are whole."""
    ring = np.round(keyhole_polygon(part), 3)
    whole = ring.astype(np.int64)
    points: list[list[float]] = (whole if np.array_equal(ring, whole) else ring).tolist()
    while len(points) < 3:  # a single pixel or a line of pixels is a polygon too
        points.append(points[-1])
    return points


def _keys(value: object) -> str:
    return (
        f"an object with {', '.join(map(repr, list(value)[:6]))}" if isinstance(value, dict) else type(value).__name__
    )


# --- the folder ---------------------------------------------------------------------------------------------------


def read_case(case: Case, schema: BoneSchema) -> Truth:
    """The truth of a case: every bone counts as annotated."""
    assert case.label is not None  # Case.truth checked it
    return Truth(read_label(case.label, schema), frozenset(schema.names))


def read_dataset(root: Path, schema: BoneSchema, train_images: str = "train") -> Dataset:
    """All pictures of the folder with their labels, sorted by split, subject and name.

    ``train_images="train_resolx2"`` takes the training pictures from the folder of super-resolved ones. A label
    without a picture, a training picture without a label and a base name that occurs twice become problems.
    """
    cases: list[Case] = []
    problems: list[Problem] = []
    for split, folder in (("train", train_images), ("test", "test")):
        labels = _files(root / split / "outputs_json", {".json"})
        images = _files(root / folder / "DCM", IMAGE_SUFFIXES)
        unused = dict(labels)
        for (subject, stem), image in images.items():
            label = unused.pop((subject, stem), None)
            if label is None and split == "train":
                problems.append(Problem(image, "a training picture without a label"))
            cases.append(case_of(image, label, subject, frozenset(schema.names), read_case, split))
        problems.extend(Problem(label, "a label without a picture") for label in unused.values())
    seen: dict[str, Path] = {}
    for case in cases:
        first = seen.setdefault(case.id, case.image)
        if first is not case.image:
            problems.append(Problem(case.image, f"has the base name of {first}; a submission cannot tell them apart"))
    return Dataset(root, schema, NAME, tuple(cases), tuple(problems))


def _files(folder: Path, suffixes: Iterable[str]) -> Mapping[tuple[str, str], Path]:
    """(subject, stem) -> file, sorted. A file that lies in no subject folder is a subject of its own."""
    wanted = frozenset(suffixes)
    found = {}
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in wanted and not path.name.startswith(".") and path.is_file():
                subject = path.parent.relative_to(folder).as_posix()
                found[(path.stem if subject == "." else subject, path.stem)] = path
    return found


def write_case(
    root: str | Path,
    subject: str,
    image_name: str,
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    segmentation: Segmentation | None,
    split: str = "train",
) -> Path:
    """Add one picture (H, W; a .png name), with its label when there is one, to a folder of this layout.

    The label is written first: a picture in the folder always has the label it should have. Returns the picture's
    path. Raises InputError when a name would leave the folder, OutputError when something cannot be written.
    """
    import cv2

    image = inside(Path(root) / split / "DCM", Path(subject) / image_name)
    if segmentation is not None:
        label = Path(root) / split / "outputs_json" / subject / (Path(image_name).stem + ".json")
        write_label(label, segmentation, image_name)
    ok, encoded = cv2.imencode(".png", pixels)
    if not ok:
        raise OutputError("the picture could not be encoded", path=image, found=f"{pixels.dtype} {pixels.shape}")
    write_bytes(image, encoded.tobytes())
    return image
