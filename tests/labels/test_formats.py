"""COCO (RAM-H1200), RAM-W600, labelme and plain folders, on files written exactly as those sets are."""

import base64
import json
from typing import Any

import cv2
import numpy as np
import pytest

from helpers_dataset import (
    RAM_NAMES,
    SCHEMA,
    draw,
    save_image,
    save_json,
    schematic_hand,
    segmentation,
    write_prediction_folder,
    write_ram_h1200,
    write_ram_w600,
)
from helpers_known import known
from ossa.cli.options import FORMATS
from ossa.dataset.dataset import open_dataset
from ossa.errors import LabelError, SchemaError
from ossa.labels.coco import write_coco
from ossa.labels.format import formats
from ossa.labels.labelme import read_labelme, write_labelme
from ossa.labels.names import load_map
from ossa.schema import Bone, BoneSchema
from ossa.segmentation.compare import dice
from ossa.segmentation.outlines import region_from_outlines, segmentation_from_outlines

MERGED = frozenset({"Triquetrum", "Pisiform"})


# --- RAM-H1200 ----------------------------------------------------------------------------------------------------


def test_ram_h1200_is_recognised_and_read(tmp_path):
    dataset = open_dataset(write_ram_h1200(tmp_path, per_split=2))
    assert dataset.format == "coco"
    assert len(dataset) == 6
    assert len(dataset.problems) == 3
    for problem in dataset.problems:
        assert "left out: 'Background' (2 annotations), 'Ring' (2 annotations), 'Metal Implant' (0" in problem.message
    assert [c.split for c in dataset] == ["train"] * 2 + ["val"] * 2 + ["test"] * 2 or len(
        {c.split for c in dataset}
    ) == 3
    for case in dataset:
        number = int(case.id.split("_")[2][1:])
        outlines = schematic_hand(128, seed=100 * (number // 100) + number % 100, side=known(case.side))
        truth, expected = case.truth(SCHEMA, (128, 128)), segmentation(outlines, 128)
        assert case.annotated == truth.annotated == frozenset(SCHEMA.names) - MERGED
        assert set(truth.outlines) == set(SCHEMA.names) - MERGED
        read = truth.segmentation(SCHEMA, (128, 128))
        drawn = api_masks(case)
        for name, region in read:
            np.testing.assert_array_equal(region.plane((128, 128)), drawn[frozenset({name})], err_msg=name)
            assert dice(region, expected.get(name)) > 0.7, name  # bones of some 20 px
        (merged,) = truth.merged
        assert merged.bones == MERGED
        union = known(region_from_outlines(merged.parts, (128, 128))).plane((128, 128))
        np.testing.assert_array_equal(union, drawn[MERGED])
        assert case.subject == f"JP_HKD_P{number:04d}"


def api_masks(case):
    """Bones -> the mask that the COCO API gives for the case's annotations."""
    mask = pytest.importorskip("pycocotools.mask")
    data = json.loads(case.label.read_text())
    naming = load_map("ram-h1200", SCHEMA)
    names = {c["id"]: c["name"] for c in data["categories"]}
    found = {}
    for entry in (a for a in data["annotations"] if str(a["image_id"]) == case.key):
        targets = naming.targets(names[entry["category_id"]])
        value = entry["segmentation"]
        if isinstance(value, list) or isinstance(value["counts"], list):
            value = mask.frPyObjects(value, 128, 128)
        value = mask.merge(value) if isinstance(value, list) else value
        if targets:
            found[frozenset(targets)] = mask.decode(value) > 0
    return found


def test_ram_h1200_strangers(tmp_path):
    write_ram_h1200(tmp_path)
    base = tmp_path / "Segmentation" / "train"
    path = base / "_annotations_bone_rle.coco.json"
    data = json.loads(path.read_text())
    data["images"] += [
        {"id": 77, "file_name": "gone.bmp", "height": 9, "width": 9},
        {"id": 78, "file_name": "bare.bmp", "height": 9, "width": 9},
    ]
    save_image(base / "bare.bmp", np.zeros((9, 9), np.uint8))
    save_image(base / "stranger.bmp", np.zeros((9, 9), np.uint8))
    save_json(path, data)
    dataset = open_dataset(tmp_path)
    text = "\n".join(map(str, dataset.problems))
    assert "gone.bmp" in text
    assert "without annotations" in text
    assert "stranger.bmp: a picture that no COCO file names" in text
    assert dataset.case("bare.bmp").label is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d["annotations"][0]["segmentation"].update(counts="~~"), "malformed"),
        (lambda d: d["annotations"][0]["segmentation"].update(counts="11"), "malformed"),
        (lambda d: d["annotations"][0].update(segmentation=7), "neither polygons nor run lengths"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3]]), "not a list of points"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3, 4]]), "too few points"),
        (
            lambda d: d["annotations"][0].update(category_id=999),
            "does not list; found category_id 999",
        ),
        (lambda d: d.pop("categories"), "not a COCO file"),
    ],
)
def test_malformed_coco_names_the_file(tmp_path, change, word):
    write_ram_h1200(tmp_path)
    path = tmp_path / "Segmentation" / "train" / "_annotations_bone_rle.coco.json"
    data = json.loads(path.read_text())
    change(data)
    save_json(path, data)
    with pytest.raises(LabelError) as caught:
        [case.truth(SCHEMA) for case in open_dataset(tmp_path)]
    assert word in str(caught.value)
    assert "_annotations_bone_rle.coco.json" in str(caught.value)


def test_written_coco_comes_back(tmp_path):
    items = []
    for k in range(3):
        outlines = schematic_hand(100, seed=k)
        save_image(tmp_path / f"s{k}_R.png", draw(outlines, 100, k))
        items.append((f"s{k}_R.png", segmentation(outlines, 100), frozenset(SCHEMA.names)))
    write_coco(tmp_path / "_annotations.coco.json", items)
    dataset = open_dataset(tmp_path)
    assert dataset.format == "coco"
    for name, truth, _ in items:
        case = dataset.case(name)
        assert case.annotated == frozenset(SCHEMA.names)
        np.testing.assert_array_equal(case.segmentation(SCHEMA, (100, 100)).planes(), truth.planes())


def test_every_h1200_name_maps_to_the_bone_it_means():
    naming = load_map("ram-h1200", SCHEMA)
    for bone, name in RAM_NAMES.items():
        assert naming.targets(name) == (bone,)
        title = SCHEMA.bone(bone).title.lower()
        if name[:2] in ("DP", "MP", "PP", "MC"):
            assert SCHEMA.bone(bone).digit == int(name[2])
            assert {"D": "distal", "P": "proximal"}.get(name[0], "m") in SCHEMA.bone(bone).row
        else:
            assert bone.lower() in title.lower() or bone in naming.annotated
    assert naming.targets("intravenous_Cannula") == ()
    assert naming.annotated == frozenset(SCHEMA.names) - MERGED
    foot = BoneSchema("foot", "Foot", (Bone("talus", "Talus", "tarsal", None, (1, 2, 3), None, "talus"),))
    with pytest.raises(SchemaError, match="made for schema 'hand29'"):
        load_map("ram-h1200", foot)


# --- RAM-W600 -----------------------------------------------------------------------------------------------------


def test_ram_w600_is_recognised_and_read(tmp_path):
    dataset = open_dataset(write_ram_w600(tmp_path, per_split=2))
    assert dataset.format == "ramw600"
    assert len(dataset) == 6
    case = dataset.split("val").cases[1]
    assert case.subject == "0101"
    assert case.side == "R"
    masks = np.load(known(case.label))
    truth = case.truth(SCHEMA)
    planes = truth.segmentation(SCHEMA, masks.shape[1:])
    order = ["Capitate", "Radius", "Ulna", "Hamate", "Lunate", None, "Scaphoid", "Trapezium", "Trapezoid"]
    for mask, name in zip(masks, [*order, "finger-3", "finger-7", "finger-11", "finger-15", "finger-19"], strict=True):
        if name is not None:
            np.testing.assert_array_equal(planes.plane(name), mask > 0, err_msg=name)
    assert truth.annotated == case.annotated
    assert len(truth.annotated) == 13
    assert not MERGED & truth.annotated
    union = known(region_from_outlines(truth.merged[0].parts, masks.shape[1:]))
    np.testing.assert_array_equal(union.plane(masks.shape[1:]), masks[5] > 0)


@pytest.mark.parametrize(
    "value",
    [np.zeros((13, 8, 8), np.uint8), np.full((14, 8, 8), 3), np.array([{"a": 1}], dtype=object), b"not numpy", b""],
)
def test_malformed_masks_name_the_file(tmp_path, value):
    write_ram_w600(tmp_path)
    path = next((tmp_path / "BoneSegmentation/masks/train").glob("*.npy"))
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        np.save(path, value, allow_pickle=True)
    with pytest.raises(LabelError, match=path.name):
        open_dataset(tmp_path).split("train").cases[0].truth(SCHEMA)


def test_w600_pairs_that_do_not_match(tmp_path):
    write_ram_w600(tmp_path)
    next((tmp_path / "BoneSegmentation/masks/train").glob("*.npy")).unlink()
    next((tmp_path / "BoneSegmentation/images/test").glob("*.bmp")).unlink()
    dataset = open_dataset(tmp_path)
    assert sorted(p.message for p in dataset.problems) == ["a picture without masks", "masks without a picture"]
    assert len(dataset.labelled) == 1
    assert len(dataset.unlabelled) == 1


# --- labelme and plain folders ------------------------------------------------------------------------------------


def test_labelme_comes_back(tmp_path):
    truth = segmentation(schematic_hand(120, seed=2), 120)
    save_image(tmp_path / "P1" / "a_R.png", draw(schematic_hand(120, seed=2), 120))
    write_labelme(tmp_path / "P1" / "a_R.json", truth, "a_R.png")
    dataset = open_dataset(tmp_path)
    assert dataset.format == "labelme"
    assert dataset.cases[0].subject == "P1"
    assert dataset.cases[0].side == "R"
    np.testing.assert_array_equal(dataset.cases[0].segmentation(SCHEMA, (120, 120)).planes(), truth.planes())


def test_labelme_rectangles_masks_and_the_rest(tmp_path):
    mask = np.zeros((4, 5), np.uint8)
    mask[1:, 2:] = 1
    text = base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()
    shapes = [
        {"label": "Ulna", "points": [[2, 3], [6, 9]], "shape_type": "rectangle"},
        {"label": "Radius", "points": [[10, 20], [14, 23]], "shape_type": "mask", "mask": text},
    ]
    save_json(tmp_path / "s.json", {"shapes": shapes})
    read = segmentation_from_outlines(read_labelme(tmp_path / "s.json", SCHEMA), SCHEMA, (40, 40))
    ulna, radius = known(read.get("Ulna")), known(read.get("Radius"))
    assert ulna.area == 5 * 7
    assert ulna.top == 3
    assert (radius.top, radius.left, radius.area) == (21, 12, 9)
    broken: tuple[dict[str, Any], ...] = (
        {"label": "Radius", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "###"},
        {"points": []},
    )
    for bad in broken:
        save_json(tmp_path / "bad.json", {"shapes": [bad]})
        with pytest.raises(LabelError, match=r"bad\.json"):
            read_labelme(tmp_path / "bad.json", SCHEMA)


def test_plain_folder_with_and_without_labels(tmp_path):
    write_prediction_folder(tmp_path, count=2)
    save_image(tmp_path / "more" / "x_L.png", np.zeros((9, 9), np.uint8))
    dataset = open_dataset(tmp_path)
    assert dataset.format == "flat"
    assert [(c.subject, c.side, c.label is not None) for c in dataset] == [
        ("hand0", None, True), ("hand1", None, True), ("more", "L", False),
    ]  # fmt: skip
    assert len(dataset.labelled[0].outlines(SCHEMA, (128, 128))) == 29


def test_the_table_of_formats():
    table = list(formats().table)
    assert not formats().problems
    assert table[0] == "competition"
    assert table[-1] == "flat"
    able = {one.name for one in formats().table.values() if one.writable}
    assert {"voc", "via", "flat"}.isdisjoint(able)
    assert set(FORMATS.split(", ")) <= able
