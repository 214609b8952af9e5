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
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import LabelError
from ossa.labels.case import Case, Problem, Reading, Truth, check_inside, judged
from ossa.labels.format import LabelFormat
from ossa.labels.names import BoneNames, bone_names, collect
from ossa.labels.pictures import case_of, labels_beside, pictures, unclear_problem, visible_files
from ossa.labels.polygons import Parts, Size, label_points, polygon, size_of
from ossa.labels.texts import read_label_json
from ossa.radiograph.display import png
from ossa.safety import inside, write_bytes, write_text
from ossa.schema import BoneSchema
from ossa.segmentation.origin import KEY, Origin
from ossa.segmentation.outlines import Outline, Outlines, outlines_from_region
from ossa.segmentation.segmentation import Segmentation

LAYOUT = "train/DCM/<subject>/*.png with train/outputs_json/<subject>/*.json, and/or test/DCM/<subject>/*.png"


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
    outlines = parse_label(read_label_json(where), where, bone_names(schema)).outlines
    if shape is not None:
        check_inside(outlines, shape, where)
    return outlines


def parse_label(data: object, path: Path, names: BoneNames) -> Truth:
    """The truth in the JSON of a label file; errors as ``read_label``.

    Of the published files only what is drawn counts as judged, and the size that they state is not their pictures'.
    Files that ossa wrote state their size, and speak of all bones unless they say of which.
    """
    entries = data.get("annotations") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(entries, list):
        raise LabelError(
            "is not a label of this format",
            path=path,
            found=_keys(data),
            expected='{"annotations": [{"label": ..., "points": [[x, y], ...]}, ...]}',
        )
    parts = Parts(path)
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            raise LabelError(
                f"annotation {number} has no label", path=path, found=_keys(entry), expected='"label": a bone'
            )
        label = entry["label"]
        targets = names.known(label, path)
        if targets:
            parts.add(targets, label, Outline(polygon(entry.get("points"), label, path)))
    outlines, merged = collect(parts.found(), names.schema)
    said = data.get("attributes")
    said = said if isinstance(said, dict) else {}
    known = judged(outlines, names.schema, said.get("judged", "all" if _is_own(data) else None), merged)
    notes, confidence = read_notes(data)
    size, origin = stated_size(data, path), read_origin(data)
    return Truth(outlines, known, merged, size, notes, confidence, origin=origin)


def _is_own(data: Mapping[str, Any]) -> bool:
    """Whether ossa wrote a label: the annotators' tool fills in who drew it and where it lay."""
    name = data.get("filename")
    nobody = data.get("parent_path") == data.get("last_modifier_id") == "" and data.get("last_workers") == []
    return nobody and isinstance(name, str) and data.get("file_id") == Path(name).stem


def stated_size(data: Mapping[str, Any], path: Path) -> Size | None:
    """The (H, W) that a label of ossa's own says of its picture; None for published labels, which say it wrongly."""
    if not _is_own(data):
        return None
    size = data.get("metadata")
    try:
        return size_of(size.get("height"), size.get("width")) if isinstance(size, dict) else None
    except ValueError as error:
        raise LabelError("states a size that no picture has", path=path, found=str(error)) from error


def read_notes(data: object) -> tuple[tuple[str, ...], dict[str, float]]:
    """The warnings and the confidences that ``ossa predict`` wrote into the JSON of a label; nothing in other files."""
    said = data.get("attributes") if isinstance(data, dict) else None
    if not isinstance(said, dict):
        return (), {}
    # Other programs keep things of their own under these names: what is not ours is passed over.
    notes, sure = said.get("notes"), said.get("confidence")
    return (
        tuple(note for note in notes if isinstance(note, str)) if isinstance(notes, list) else (),
        {str(n): float(v) for n, v in sure.items() if isinstance(v, float) or v in (0, 1)}
        if isinstance(sure, dict)
        else {},
    )


def read_origin(data: object) -> Origin | None:
    """Who found the bones, as ``ossa predict`` wrote it into the JSON of a label; None in other files."""
    said = data.get("attributes") if isinstance(data, dict) else None
    return Origin.from_json(said.get(KEY)) if isinstance(said, dict) else None


def write_label(
    path: str | Path, segmentation: Segmentation, image_name: str, known: frozenset[str] | None = None
) -> None:
    """Write a segmentation as a label file; ``read_label`` gives back the same pixels.

    What it holds is said by ``label_of``. Raises OutputError when the file cannot be written.
    """
    write_text(path, _text(label_of(segmentation, image_name, known)))


def label_of(segmentation: Segmentation, image_name: str, known: frozenset[str] | None = None) -> dict[str, Any]:
    """What a label file holds, as JSON values.

    ``image_name`` is stored as "filename", notes, confidences and origin under "attributes"; so are the bones that
    somebody judged, ``known``, where these are not all.
    """
    outlines = {name: outlines_from_region(region) for name, region in segmentation}
    said: dict[str, Any] = {}
    if known is not None and len(known) < len(segmentation.schema):
        said["judged"] = [name for name in segmentation.schema.names if name in known]
    if segmentation.notes:
        said["notes"] = list(segmentation.notes)
    if segmentation.confidence:
        said["confidence"] = {name: round(float(value), 4) for name, value in segmentation.confidence.items()}
    elif segmentation.probability:  # of a result that nobody judged
        said["probability"] = {name: round(float(value), 4) for name, value in segmentation.probability.items()}
    if segmentation.origin is not None:
        said[KEY] = segmentation.origin.to_json()
    return _label(outlines, segmentation.shape, image_name, said)


def write(path: Path, segmentation: Segmentation, image: Path, known: frozenset[str] | None) -> None:
    """``write_label`` for the picture that lies at ``image``."""
    write_label(path, segmentation, image.name, known)


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
    write_text(path, _text(_label(outlines, shape, image_name, attributes or {})))


def _label(
    outlines: Outlines, shape: tuple[int, int], image_name: str, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    annotations = [
        {"id": f"{name}.{number}", "type": "poly_seg", "attributes": {}, "points": label_points(part), "label": name}
        for name, parts in outlines.items()
        for number, part in enumerate(parts)
    ]
    return {
        "annotations": annotations,
        "attributes": dict(attributes),
        "file_id": Path(image_name).stem,
        "filename": image_name,
        "parent_path": "",
        "last_modifier_id": "",
        "metadata": {"height": shape[0], "width": shape[1]},
        "last_workers": [],
    }


def _text(label: Mapping[str, Any]) -> str:
    return json.dumps(label, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def write_published(path: str | Path, outlines: Outlines, image_name: str, order: Sequence[int], who: str) -> None:
    """Write outlines as the competition published its labels, traps included: for rehearsals of it.

    "metadata" says 3060x3060 and "filename" ends in .jpg, whatever the picture is; ``order`` is that in which the parts
    come (positions among all of them); ``who`` drew them (any text); nothing tells that ossa wrote it. Holes are lost.
    """
    parts = [(name, part) for name, several in outlines.items() for part in several]
    annotations = [
        {"id": f"{who}-{i}", "type": "poly_seg", "attributes": {}, "points": part.exterior.tolist(), "label": name}
        for i, (name, part) in ((i, parts[i]) for i in order)
    ]
    label = {
        "annotations": annotations,
        "attributes": {},
        "file_id": f"{who}-{Path(image_name).stem}",
        "filename": Path(image_name).with_suffix(".jpg").name,
        "parent_path": "/",
        "last_modifier_id": who,
        "metadata": {"height": 3060, "width": 3060},
        "last_workers": [who],
    }
    write_text(path, _text(label))


def _keys(value: object) -> str:
    return (
        f"an object with {', '.join(map(repr, list(value)[:6]))}" if isinstance(value, dict) else type(value).__name__
    )


# --- the folder ---------------------------------------------------------------------------------------------------


def read_case(case: Case, schema: BoneSchema, names: BoneNames) -> Truth:
    """The truth of a case."""
    del schema  # the names know it
    assert case.label is not None  # Case.truth checked it
    return parse_label(read_label_json(case.label), case.label, names)


def read(root: Path, names: BoneNames, train_images: str = "train") -> Reading:
    """All pictures of the folder with their labels, sorted by split, subject and name.

    ``train_images="train_resolx2"`` takes the training pictures from the folder of super-resolved ones. A label
    without a picture, a training picture without a label, a label that fits two pictures and a base name that occurs
    twice become problems.
    """
    cases: list[Case] = []
    problems: list[Problem] = []
    bare: list[Case] = []
    reader = partial(read_case, names=names)
    everything = frozenset(names.schema.names)
    for split, folder in (("train", train_images), ("test", "test")):
        drawn, seen = root / split / "outputs_json", root / folder / "DCM"
        images = [p.relative_to(seen) for p in pictures(seen)]
        labels = [p.relative_to(drawn) for p in visible_files(drawn) if p.suffix.lower() == ".json"]
        found, left, unclear = labels_beside(images, labels)
        problems += [unclear_problem(drawn / label, several) for label, several in unclear.items()]
        for image in images:
            label = drawn / found[image] if image in found else None
            if label is None and split == "train":
                problems.append(Problem(seen / image, "a training picture without a label"))
            cases.append(case_of(root, seen / image, label, _subject(image), everything, reader, split))
        for label in left:
            problems.append(Problem(drawn / label, "a label without a picture"))
            place = seen / label.with_suffix(".png")
            bare.append(case_of(root, place, drawn / label, _subject(label), everything, reader, split))
    first: dict[str, Path] = {}
    for case in cases:
        before = first.setdefault(case.id, case.image)
        if before is not case.image:
            problems.append(Problem(case.image, f"has the base name of {before}; a submission cannot tell them apart"))
    return Reading(tuple(cases), tuple(problems), tuple(bare))


def _subject(place: Path) -> str:
    """The subject's folder; a file that lies in none is a subject of its own."""
    folder = place.parent.as_posix()
    return place.stem if folder == "." else folder


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
    image = inside(Path(root) / split / "DCM", Path(subject) / image_name)
    if segmentation is not None:
        label = Path(root) / split / "outputs_json" / subject / (Path(image_name).stem + ".json")
        write_label(label, segmentation, image_name)
    write_bytes(image, png(pixels))
    return image


FORMATS = (LabelFormat("competition", LAYOUT, 10, detect, read, write),)
