"""Corrections out of a studio and back into the data set's own files: nothing else there changes, nothing is lost."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers_desk import SCHEMA, SIZE, data_set
from ossa.dataset.dataset import open_dataset
from ossa.errors import ConfigError, InputError, LabelError
from ossa.labels.amend import ABLE, Change, amended
from ossa.labels.case import Truth
from ossa.labels.format import formats
from ossa.labels.names import bone_names
from ossa.pipeline.convert import convert
from ossa.pipeline.studio import open_studio
from ossa.pipeline.studio_export import archive, export, exported, offers, write_back
from ossa.segmentation.outlines import Outline
from ossa.studio.corrections import Missing
from ossa.studio.studio import Studio

NAMES = bone_names(SCHEMA)

#: What is drawn instead of a bone.
TRIANGLE = [[20.0, 20.0], [60.5, 22.25], [40.0, 70.125]]


def made_set(tmp_path: Path, form: str) -> Path:
    """A data set of two people in a format, with things of other programs in its files."""
    plain = data_set(tmp_path, 2, 1)
    if form == "competition":
        return plain
    root = tmp_path / form
    convert(plain, root, "labelme" if form == "flat" else form)
    return root


def with_strangers(label: Path) -> None:
    """Things that ossa does not know, and that must be there afterwards."""
    data = json.loads(label.read_text())
    data["somebody"] = {"else": [1, 2]}
    if "shapes" in data:
        data["shapes"].append(
            {"label": "ring", "points": [[1, 1], [9, 9]], "shape_type": "rectangle", "flags": {"a": 1}}
        )
        data["shapes"][0]["description"] = "seen by two"
        data["imageData"] = "AAAA"
    elif "images" in data:
        data["info"] = {"contributor": "a clinic"}
        data["categories"].append({"id": 77, "name": "ring"})
        data["annotations"].append(
            {"id": 9999, "image_id": data["images"][0]["id"], "category_id": 77, "bbox": [1, 1, 2, 2]}
        )
    else:
        data["last_workers"] = ["kim"]
    label.write_text(json.dumps(data, indent=2))


def corrected(studio: Studio, search: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Save a correction of the first picture whose name has ``search``; its name."""
    picture = next(one for one in studio.pictures.values() if search in one.name)
    bones: dict[str, Any] = {name: {"name": name, "state": "not judged", "polygons": []} for name in SCHEMA.names}
    if picture.entry("truth"):
        for bone in studio.bones(picture.id, "truth")["bones"]:
            bones[bone["name"]] = {key: bone[key] for key in ("name", "state", "polygons")}
    change(bones)
    studio.save(picture.id, {"revision": 0, "author": "kim", "bones": list(bones.values())})
    return picture.name


def redrawn(bones: dict[str, Any]) -> None:
    bones["Lunate"] = {"name": "Lunate", "state": "found", "polygons": [TRIANGLE]}
    bones["Pisiform"] = {"name": "Pisiform", "state": "absent", "polygons": []}
    bones["Ulna"] = {"name": "Ulna", "state": "not judged", "polygons": []}


def strangers_kept(before: Path, after: Path) -> None:
    old, new = json.loads(before.read_text()), json.loads(after.read_text())
    assert new["somebody"] == {"else": [1, 2]}
    if "shapes" in old:
        assert new["imageData"] == "AAAA"
        assert [one for one in new["shapes"] if one["label"] == "ring"] == [
            one for one in old["shapes"] if one["label"] == "ring"
        ]
        assert new["shapes"][0]["description"] == "seen by two"
        assert new["imagePath"] == old["imagePath"]
    elif "images" in old:
        assert new["info"] == old["info"]
        assert [one for one in new["annotations"] if one["id"] == 9999] == old["annotations"][-1:]
        assert len({one["id"] for one in new["annotations"]}) == len(new["annotations"])
    else:
        assert new["last_workers"] == ["kim"]
    assert after.read_text().startswith("{\n  ")


@pytest.mark.parametrize("form", ["competition", "labelme", "coco"])
def test_a_correction_goes_back_into_the_sets_own_file(tmp_path: Path, form: str) -> None:
    root = made_set(tmp_path, form)
    before = open_dataset(root)
    case = before.labelled[0]
    assert case.label is not None
    with_strangers(case.label)
    old_files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    old = {one.name: one.segmentation(SCHEMA, (SIZE, SIZE)) for one in open_dataset(root).labelled}
    with open_studio(root, output=tmp_path / "out", write_back=True) as desk:
        studio = desk.studio
        told = offers(studio, desk.write_back)
        assert (told["own"], told["write_back"]["able"]) == (form, True)
        with pytest.raises(InputError, match="nothing to export"):
            export(studio)
        name = corrected(studio, case.name, redrawn)
        made = export(studio)
        assert (made.format, made.written, made.skipped) == (form, 1, [])
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == old_files
        strangers_kept(case.label, made.folder / case.label.relative_to(root))
        done = write_back(studio, desk.write_back)
        assert done.pictures == 1
        assert done.written == [case.label.relative_to(root).as_posix()]
        assert done.kept is not None
        assert (done.kept / case.label.relative_to(root)).read_bytes() == old_files[case.label]
        changed = [path for path, data in old_files.items() if path.read_bytes() != data]
        assert changed == [case.label]
        assert case.label.read_text() == (made.folder / case.label.relative_to(root)).read_text()
        again = write_back(studio, desk.write_back)
        assert (again.written, again.unchanged, again.kept) == ([], 1, None)
    after = open_dataset(root)
    for one in after.labelled:
        truth = one.truth(SCHEMA, (SIZE, SIZE))
        found = truth.segmentation(SCHEMA, (SIZE, SIZE))
        same = set(old[one.name].regions) - ({"Lunate", "Pisiform", "Ulna"} if one.name == name else set())
        for bone in same:
            assert np.array_equal(found.regions[bone].mask, old[one.name].regions[bone].mask), bone
            assert found.regions[bone].top == old[one.name].regions[bone].top
        if one.name != name:
            continue
        assert "Pisiform" in truth.annotated
        assert "Pisiform" not in found.regions
        assert "Ulna" not in truth.annotated
        triangle = Truth({"Lunate": (Outline(np.array(TRIANGLE)),)}, frozenset()).segmentation(SCHEMA, (SIZE, SIZE))
        assert np.array_equal(found.regions["Lunate"].mask, triangle.regions["Lunate"].mask)


def test_a_bone_that_another_program_changed_meanwhile_stays(tmp_path: Path) -> None:
    root = made_set(tmp_path, "competition")
    case = open_dataset(root).labelled[0]
    assert case.label is not None
    with open_studio(root, output=tmp_path / "out", write_back=True) as desk:
        corrected(desk.studio, case.name, redrawn)
        data = json.loads(case.label.read_text())
        data["annotations"] = [one for one in data["annotations"] if one["label"] != "Radius"]
        data["annotations"].append(
            {"id": "x", "type": "poly_seg", "attributes": {}, "points": TRIANGLE, "label": "Radius"}
        )
        case.label.write_text(json.dumps(data))
        write_back(desk.studio, True)
    truth = open_dataset(root).labelled[0].truth(SCHEMA)
    assert truth.outlines["Radius"][0].exterior.tolist() == TRIANGLE
    assert truth.outlines["Lunate"][0].exterior.tolist() == TRIANGLE


@pytest.mark.parametrize("form", ["labelme", "coco", "competition"])
def test_a_picture_without_a_label_gets_one(tmp_path: Path, form: str) -> None:
    root = made_set(tmp_path, form)
    case = open_dataset(root).labelled[0]
    assert case.label is not None
    if form == "coco":
        data = json.loads(case.label.read_text())
        key = next(one["id"] for one in data["images"] if one["file_name"].endswith(case.id))
        data["annotations"] = [one for one in data["annotations"] if one["image_id"] != key]
        case.label.write_text(json.dumps(data))
    else:
        case.label.unlink()
    with open_studio(root, output=tmp_path / "out", write_back=True) as desk:
        corrected(desk.studio, case.name, redrawn)
        if form == "competition":
            corrected(desk.studio, "test/", redrawn)
        done = write_back(desk.studio, True)
    assert done.pictures == 1
    assert len(done.skipped) == (1 if form == "competition" else 0)  # its test part has no labels
    truth = next(one for one in open_dataset(root).labelled if one.name == case.name).truth(SCHEMA)
    assert set(truth.outlines) == {"Lunate"}
    assert truth.annotated == {"Lunate", "Pisiform"}


def test_every_format_can_be_exported(tmp_path: Path) -> None:
    root = made_set(tmp_path, "competition")
    with open_studio(root, output=tmp_path / "out") as desk:
        studio = desk.studio
        name = corrected(studio, open_dataset(root).labelled[0].name, redrawn)
        told = offers(studio, desk.write_back)
        assert (told["corrected"], told["labelled"]) == (1, 4)
        assert "--write-back" in told["write_back"]["reason"]
        with pytest.raises(ConfigError, match="cannot go back"):
            write_back(studio, False)
        for form in ("labelme", "coco", "cvat", "masks"):
            made = export(studio, form, "all", images=True)
            assert made.written == 4, made.skipped
            again = open_dataset(made.folder)
            assert len(again.labelled) == 4
            cases = [one for one in again.labelled if Path(one.image).stem == Path(name).stem]
            found = cases[0].segmentation(SCHEMA, (SIZE, SIZE))
            assert "Pisiform" not in found.regions
        own = export(studio, None, "all", images=True)
        assert len(open_dataset(own.folder).labelled) == 4
        assert own.id.endswith("-competition")
        assert exported(studio, own.id) == own.folder
        archive(own.folder, tmp_path / "own.zip")
        assert len(zipfile.ZipFile(tmp_path / "own.zip").namelist()) == 8
        for wrong in ("../001-labelme", "nothing", "099-coco"):
            with pytest.raises(Missing):
                exported(studio, wrong)
        for asked in (("voc", "all"), ("nothing", "all"), ("coco", "some")):
            with pytest.raises(ConfigError):
                export(studio, *asked)


def test_what_cannot_be_amended_is_told(tmp_path: Path) -> None:
    root = made_set(tmp_path, "labelme")
    case = open_dataset(root).labelled[0]
    assert case.label is not None
    truth = case.truth(SCHEMA)
    with pytest.raises(LabelError, match="another size"):
        amended(case.label, [Change(case, truth, {"Lunate"}, (SIZE, SIZE + 1))], NAMES)
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(LabelError, match="cannot be amended"):
        amended(tmp_path / "other.json", [Change(case, truth, {"Lunate"}, (SIZE, SIZE))], NAMES)
    assert set(formats().table) > ABLE
