"""A label file with other outlines for some bones, and everything else in it as it was.

What other programs keep there (flags, shapes that are no bones, pictures inside the file, other people's entries) stays
in its place: this is how a correction goes back into the file that it was made from. Three forms can be amended: the
competition's, labelme's and COCO's; the others are written anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ossa.errors import LabelError
from ossa.labels import coco, competition, labelme
from ossa.labels.case import Case, Truth
from ossa.labels.coco_rle import compress_counts, counts_from_region
from ossa.labels.names import BoneNames
from ossa.labels.polygons import label_points
from ossa.labels.texts import read_label_json
from ossa.segmentation.segmentation import Segmentation

#: The formats whose files can be amended.
ABLE = frozenset({"competition", "labelme", "coco", "flat"})


@dataclass(frozen=True, eq=False)
class Change:
    """``bones`` of the picture of ``case``, of ``shape`` (H, W), are as ``truth`` says; the others as the file does."""

    case: Case
    truth: Truth
    bones: Collection[str]
    shape: tuple[int, int]


def amended(path: Path, changes: Sequence[Change], names: BoneNames) -> str:
    """The text of the label file ``path`` with these changes made; reading it gives them back.

    Coordinates are kept to 1/1000 px; in a COCO file changed bones are run lengths, exact to the pixel. Raises
    LabelError for a file that cannot be read, is of another form, or was drawn at another size than its picture has.
    """
    data = read_label_json(path, coco.MAX_BYTES)
    if not isinstance(data, dict):
        raise LabelError("cannot be amended", path=path, found=type(data).__name__, expected="a label file")
    if isinstance(data.get("shapes"), list):
        for change in changes:
            _labelme(data, path, change, names)
    elif isinstance(data.get("images"), list) and isinstance(data.get("categories"), list):
        _coco(data, path, changes, names)
    elif isinstance(data.get("annotations"), list):
        for change in changes:
            _competition(data, path, change, names)
    else:
        raise LabelError(
            "cannot be amended", path=path, found="another form", expected="a file of the competition, labelme or COCO"
        )
    # As it was laid out: a program's own files stay comparable line by line.
    begin = re.match(r"\s*\{\r?\n( +|\t)", path.read_text(encoding="utf-8-sig")[:200])
    if begin is None:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    indent: int | str = "\t" if begin[1] == "\t" else len(begin[1])
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent) + "\n"


def _replaced(
    entries: list[Any],
    change: Change,
    targets: Callable[[Any], tuple[str, ...] | None],
    made: Callable[[str, Mapping[str, Any] | None], list[dict[str, Any]]],
) -> list[Any]:
    """``entries`` without those of the changed bones, the new ones in the place of the first of each.

    ``targets``: the bones that an entry outlines. One that outlines several bones together goes when all of them are
    changed. ``made``: the new entries of a bone, given the first of its former ones.
    """
    bones = [name for name in names_in_order(change) if name in set(change.bones)]
    out: list[Any] = []
    put: set[str] = set()
    for entry in entries:
        outlined = targets(entry)
        if not outlined or not set(outlined) <= set(bones):
            out.append(entry)
            continue
        for name in outlined if len(outlined) == 1 else ():
            if name not in put:
                out += made(name, entry)
                put.add(name)
    for name in bones:
        if name not in put:
            out += made(name, None)
    return out


def names_in_order(change: Change) -> list[str]:
    """The changed bones: those drawn in the order of the truth, then the others."""
    return [*change.truth.outlines, *(name for name in change.bones if name not in change.truth.outlines)]


def _said(change: Change, before: Truth, schema_names: Sequence[str]) -> list[str]:
    """The bones that the amended file is to call judged, in the schema's order."""
    bones = set(change.bones)
    known = (before.annotated - bones) | (change.truth.annotated & bones)
    return [name for name in schema_names if name in known]


def _refuse_size(said: tuple[int, int] | None, change: Change, path: Path) -> None:
    if said is not None and said != change.shape:
        raise LabelError(
            f"the label of '{change.case.name}' was drawn at another size than its picture has",
            path=path,
            found="{}x{}".format(*said),
            expected="{}x{}".format(*change.shape),
            remedy="Write the labels anew in another folder (export), or scale this one first",
        )


def _competition(data: dict[str, Any], path: Path, change: Change, names: BoneNames) -> None:
    before = competition.parse_label(data, path, names)
    _refuse_size(competition.stated_size(data, path), change, path)
    ids = {str(entry.get("id")) for entry in data["annotations"]}

    def made(name: str, former: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        out = []
        for number, part in enumerate(change.truth.outlines.get(name, ())):
            own = str(former.get("id", "")) if former is not None and number == 0 else _free(f"{name}.{number}", ids)
            label = name if former is None else former["label"]
            said = {} if former is None else former.get("attributes", {})
            out.append(
                {"id": own, "type": "poly_seg", "attributes": said, "points": label_points(part), "label": label}
            )
        return out

    data["annotations"] = _replaced(data["annotations"], change, lambda entry: names.targets(entry["label"]), made)
    said = data.get("attributes")
    said = dict(said) if isinstance(said, dict) else {}
    if isinstance(said.get("confidence"), dict):  # a model's, of what it drew
        said["confidence"] = {name: value for name, value in said["confidence"].items() if name not in change.bones}
    said["judged"] = _said(change, before, names.schema.names)
    data["attributes"] = said


def _free(name: str, taken: set[str]) -> str:
    """A name that nothing has yet; it is taken from now on."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free)
    return free


def _labelme(data: dict[str, Any], path: Path, change: Change, names: BoneNames) -> None:
    before = labelme.parse_labelme(data, path, names)
    _refuse_size(labelme.stated_size(data, path), change, path)

    def targets(entry: Any) -> tuple[str, ...] | None:
        kind = entry.get("shape_type") or "polygon"
        return names.targets(entry["label"]) if kind in labelme.FILLED else None

    def made(name: str, former: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        kept = {"group_id": None, "description": "", "flags": {}} | dict(former or {})
        shape = {**kept, "label": kept.get("label", name), "shape_type": "polygon", "mask": None}
        return [{**shape, "points": label_points(part)} for part in change.truth.outlines.get(name, ())]

    data["shapes"] = _replaced(data["shapes"], change, targets, made)
    data["judged"] = _said(change, before, names.schema.names)


def _coco(data: dict[str, Any], path: Path, changes: Sequence[Change], names: BoneNames) -> None:
    pictures = {coco.id_text(one["id"]): one for one in data["images"]}
    entries: dict[str, list[Any]] = {}
    for entry in data["annotations"]:
        entries.setdefault(coco.id_text(entry["image_id"]), []).append(entry)
    categories = _Categories(data["categories"], names)
    number = max((one["id"] for one in data["annotations"] if isinstance(one.get("id"), int)), default=0)
    for change in changes:
        picture = pictures.get(change.case.key)
        if picture is None:
            found = f"{change.case.key} among {len(pictures)} pictures"
            raise LabelError(f"does not speak of '{change.case.name}' any more", path=path, found=found)
        if picture.get("height") and picture.get("width"):
            _refuse_size((int(picture["height"]), int(picture["width"])), change, path)
        before = Truth({}, frozenset())
        if change.case.reader is not None:
            before = change.case.reader(change.case, names.schema)
        regions = change.truth.segmentation(names.schema, change.shape)

        def made(
            name: str,
            former: Mapping[str, Any] | None,
            change: Change = change,
            picture: Mapping[str, Any] = picture,
            regions: Segmentation = regions,
        ) -> list[dict[str, Any]]:
            nonlocal number
            region = regions.get(name)
            if region is None:
                return []
            if former is None:
                number += 1
                former = {"id": number, "image_id": picture["id"], "category_id": categories.id_of(name)}
            counts = compress_counts(counts_from_region(region, change.shape))
            new = {
                "segmentation": {"size": list(change.shape), "counts": counts},
                "area": region.area,
                "bbox": [region.left, region.top, region.mask.shape[1], region.mask.shape[0]],
                "iscrowd": 0,
            }
            return [{**former, **new}]

        own = entries.setdefault(change.case.key, [])
        entries[change.case.key] = _replaced(own, change, categories.targets, made)
        picture["judged"] = _said(change, before, names.schema.names)
        picture.setdefault("height", change.shape[0])
        picture.setdefault("width", change.shape[1])
    data["annotations"] = [entry for several in entries.values() for entry in several]


class _Categories:
    """The categories of a COCO file, to which bones are added that it does not have."""

    def __init__(self, listed: list[Any], names: BoneNames) -> None:
        self._listed = listed
        self._meaning = {coco.id_text(one["id"]): names.targets(str(one["name"])) for one in listed}
        self._ids = {targets[0]: one["id"] for one in listed if len(targets := self._of(one) or ()) == 1}

    def _of(self, category: Mapping[str, Any]) -> tuple[str, ...] | None:
        return self._meaning[coco.id_text(category["id"])]

    def targets(self, entry: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The bones that an annotation outlines; None for a region of a crowd, which is left alone."""
        return None if entry.get("iscrowd") else self._meaning.get(coco.id_text(entry["category_id"]))

    def id_of(self, bone: str) -> Any:
        """The id of the category of one bone."""
        if bone not in self._ids:
            new = 1 + max((one["id"] for one in self._listed if isinstance(one["id"], int)), default=0)
            self._listed.append({"id": new, "name": bone, "supercategory": "bone"})
            self._meaning[coco.id_text(new)] = (bone,)
            self._ids[bone] = new
        return self._ids[bone]
