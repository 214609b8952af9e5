"""COCO as annotation tools write it: where the file lies, what it calls pictures, ids, categories, sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_dataset import SCHEMA, draw, save_image, save_json, schematic_hand, segmentation
from ossa.dataset.dataset import open_dataset
from ossa.errors import LabelError
from ossa.labels.coco import write_coco
from ossa.labels.coco_polygon import region_from_polygon
from ossa.labels.coco_rle import compress_counts, counts_from_region
from ossa.segmentation.segmentation import Region

SIZE = 96
OUTLINES = schematic_hand(SIZE, seed=4)
ALL = frozenset(SCHEMA.names)


def coco(file_name: str = "hand_L.png", **changes: Any) -> dict[str, Any]:
    """All bones of one hand as polygons, ids from 1; ``changes`` replace whole lists."""
    return {
        "images": [{"id": 1, "file_name": file_name, "height": SIZE, "width": SIZE}],
        "categories": [{"id": i, "name": n, "supercategory": "bone"} for i, n in enumerate(SCHEMA.names, 1)],
        "annotations": [
            {
                "id": i,
                "image_id": 1,
                "category_id": i,
                "segmentation": [(part.exterior + 0.5).ravel().tolist() for part in OUTLINES[name]],
                "bbox": [0, 0, 9, 9],
                "iscrowd": 0,
            }
            for i, name in enumerate(SCHEMA.names, 1)
        ],
    } | changes


def picture(path: Path, size: int = SIZE) -> None:
    save_image(path, draw(schematic_hand(size, seed=4), size))


def counts(root: Path) -> list[tuple[int, int]]:
    """Per case: bones outlined, bones judged."""
    found = [case.truth(SCHEMA, (SIZE, SIZE)) for case in open_dataset(root).labelled]
    return [(len(truth.outlines), len(truth.annotated)) for truth in found]


@pytest.mark.parametrize(
    ("label", "image", "file_name"),
    [
        ("_annotations.coco.json", "hand_L.png", "hand_L.png"),
        ("train/_annotations.coco.json", "train/hand_L.png", "hand_L.png"),
        ("annotations/instances_default.json", "images/hand_L.png", "hand_L.png"),
        ("annotations/instances_default.json", "images/default/hand_L.png", "hand_L.png"),
        ("annotations/instances_val2017.json", "images/val2017/hand_L.png", "hand_L.png"),
        ("result.json", "images/7/hand_L.png", "images/7/hand_L.png"),
        ("result.json", "hand_L.png", "images\\hand_L.png"),
        ("result.json", "images/hand_L.png", "/data/local-files/films/images/hand_L.png"),
        ("result.json", "images/hand_L.png", "C:\\films\\images\\hand_L.png"),
        ("labels.json", "pictures/hand_L.PNG", "hand_L.png"),
        ("labels.json", "hand_L.jpg", "hand_L.png"),
    ],
)
def test_wherever_a_tool_puts_it(tmp_path: Path, label: str, image: str, file_name: str) -> None:
    picture(tmp_path / image)
    save_json(tmp_path / label, coco(file_name))
    dataset = open_dataset(tmp_path)
    assert dataset.format == "coco"
    assert not dataset.problems
    assert [case.name for case in dataset] == [image]
    assert counts(tmp_path) == [(29, 29)]
    assert dataset.cases[0].split == ("val" if "val" in label else "train")


@pytest.mark.parametrize("ids", [str, lambda i: 10**17 + i, lambda i: float(i), lambda i: f"img-{i}"])
def test_ids_of_any_kind(tmp_path: Path, ids: Any) -> None:
    picture(tmp_path / "hand_L.png")
    data = coco()
    for entry in (*data["images"], *data["categories"]):
        entry["id"] = ids(entry["id"])
    for entry in data["annotations"]:
        entry["category_id"], entry["image_id"] = ids(entry["category_id"]), ids(entry["image_id"])
    save_json(tmp_path / "result.json", data)
    assert counts(tmp_path) == [(29, 29)]
    data["images"].append(data["images"][0] | {"file_name": "other.png"})
    save_json(tmp_path / "result.json", data)
    with pytest.raises(LabelError, match=r"two pictures have the id.*hand_L\.png and other\.png"):
        open_dataset(tmp_path)


def test_what_is_no_bone_is_left_out_and_counted_once(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    data = coco()
    data["categories"] += [{"id": i, "name": n} for i, n in ((0, "hands-Xy7"), (90, "Watch"), (91, "unused"))]
    shape = data["annotations"][0]["segmentation"]
    data["annotations"] += [
        {"id": 100 + i, "image_id": 1, "category_id": c, "segmentation": shape} for i, c in enumerate((0, 90, 90))
    ]
    save_json(tmp_path / "_annotations.coco.json", data)
    (problem,) = open_dataset(tmp_path).problems
    assert "'hands-Xy7' (1 annotations), 'Watch' (2 annotations), 'unused' (0 annotations)" in problem.message
    assert counts(tmp_path) == [(29, 29)]


def test_names_of_the_user(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "hand_L.png")
    data = coco(categories=[{"id": i, "name": f"bone {i:02}"} for i in range(1, 30)])
    save_json(tmp_path / "set" / "_annotations.coco.json", data)
    assert counts(tmp_path / "set") == [(0, 0)]
    save_json(tmp_path / "map.json", {f"Bone_{i:02}": name for i, name in enumerate(SCHEMA.names, 1)})
    dataset = open_dataset(tmp_path / "set", names=tmp_path / "map.json")
    assert dataset.cases[0].truth(SCHEMA).annotated == ALL
    assert not dataset.problems


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segmentation": []}, "boxes only"),
        ({"segmentation": None}, "boxes only"),
        ({"segmentation": [[]]}, "boxes only"),
        ({"segmentation": {"size": [SIZE, SIZE], "counts": [SIZE * SIZE]}}, "without a pixel"),
        ({"iscrowd": 1, "segmentation": {"size": [SIZE, SIZE], "counts": [0, SIZE * SIZE]}}, "crowd"),
    ],
)
def test_what_draws_no_bone_says_nothing_of_it(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    picture(tmp_path / "hand_L.png")
    data = coco()
    data["annotations"][4].update(change)
    save_json(tmp_path / "_annotations.coco.json", data)
    truth = open_dataset(tmp_path).cases[0].truth(SCHEMA, (SIZE, SIZE))
    assert truth.annotated == set(truth.outlines) == ALL - {"finger-5"}
    (sentence,) = truth.left_out
    assert words in sentence
    assert sentence.startswith("1 ")


def test_a_mask_of_another_size_is_refused_or_scaled(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    large = segmentation(schematic_hand(2 * SIZE, seed=4), 2 * SIZE)
    data = coco()
    for entry, name in zip(data["annotations"], SCHEMA.names, strict=True):
        runs = compress_counts(counts_from_region(large.get(name), large.shape))
        entry["segmentation"] = {"size": list(large.shape), "counts": runs}
    save_json(tmp_path / "_annotations.coco.json", data)
    dataset = open_dataset(tmp_path)
    with pytest.raises(LabelError, match=r"another size; found 192x192; expected 96x96.*--scale-labels"):
        dataset.cases[0].truth(SCHEMA)
    scaled = dataset.with_scaled_labels().cases[0].truth(SCHEMA, (SIZE, SIZE))
    assert scaled.annotated == ALL
    got, want = scaled.segmentation(SCHEMA, (SIZE, SIZE)), segmentation(OUTLINES, SIZE)
    both = sum((got.plane(n) & want.plane(n)).sum() for n in SCHEMA.names)
    assert 2 * both / sum((got.plane(n).sum() + want.plane(n).sum()) for n in SCHEMA.names) > 0.85


def test_a_label_of_a_picture_of_another_size_is_refused_or_scaled(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png", 2 * SIZE)
    save_json(tmp_path / "_annotations.coco.json", coco())
    dataset = open_dataset(tmp_path)
    with pytest.raises(LabelError, match=r"another size than its picture has; found 96x96; expected 192x192"):
        dataset.cases[0].truth(SCHEMA, (2 * SIZE, 2 * SIZE))
    assert dataset.with_scaled_labels().cases[0].truth(SCHEMA, (2 * SIZE, 2 * SIZE)).annotated == ALL


def test_two_files_in_a_folder(tmp_path: Path) -> None:
    """Parts of a set are both read; a picture that both name is taken from the first, and told."""
    for name in ("a.png", "b.png"):
        picture(tmp_path / "images" / name)
    save_json(tmp_path / "annotations" / "instances_train.json", coco("a.png"))
    save_json(tmp_path / "annotations" / "instances_val.json", coco("b.png"))
    dataset = open_dataset(tmp_path)
    assert [(case.id, case.split) for case in dataset] == [("a.png", "train"), ("b.png", "val")]
    assert not dataset.problems
    save_json(tmp_path / "annotations" / "more.json", coco("a.png"))
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 2
    assert [p.message for p in dataset.problems] == ["1 of its pictures are named before, here or in another COCO file"]


def test_a_name_that_fits_two_pictures_is_told(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        picture(tmp_path / folder / "hand_L.png")
    picture(tmp_path / "z.png")
    data = coco()
    data["images"].append({"id": 2, "file_name": "z.png", "height": SIZE, "width": SIZE})
    save_json(tmp_path / "labels.json", data)
    dataset = open_dataset(tmp_path)
    assert [case.id for case in dataset] == ["z.png"]
    assert any("'hand_L.png' may be x/hand_L.png or y/hand_L.png" in p.message for p in dataset.problems)


def test_folders_tell_pictures_of_one_name_apart(tmp_path: Path) -> None:
    items = []
    for subject in ("A", "B"):
        picture(tmp_path / subject / "hand_L.png")
        items.append((f"{subject}/hand_L.png", segmentation(OUTLINES, SIZE), ALL if subject == "A" else frozenset()))
    write_coco(tmp_path / "_annotations.coco.json", items)
    dataset = open_dataset(tmp_path)
    assert [(case.name, case.subject) for case in dataset] == [("A/hand_L.png", "A"), ("B/hand_L.png", "B")]
    assert counts(tmp_path) == [(29, 29), (29, 29)]
    (tmp_path / "A/hand_L.png").unlink()
    dataset = open_dataset(tmp_path)
    assert [case.name for case in dataset] == ["B/hand_L.png"]
    assert any("not there: A/hand_L.png" in p.message for p in dataset.problems)


def test_which_bones_were_judged_comes_back(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    few = segmentation({name: OUTLINES[name] for name in ("Radius", "Ulna")}, SIZE)
    judged = frozenset({"Radius", "Ulna", "Lunate"})
    write_coco(tmp_path / "_annotations.coco.json", [("hand_L.png", few, judged)])
    truth = open_dataset(tmp_path).cases[0].truth(SCHEMA)
    assert truth.annotated == judged
    assert set(truth.outlines) == {"Radius", "Ulna"}


# --- the COCO API's pixels ------------------------------------------------------------------------------------------

COORDINATES = st.one_of(
    st.floats(-6, 70, allow_nan=False), st.integers(-3, 70), st.integers(-30, 700).map(lambda tenths: tenths / 10)
)


@given(st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=14), st.integers(1, 60), st.integers(1, 60))
def test_polygons_are_filled_as_the_api_fills_them(points: list[tuple[float, float]], height: int, width: int) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    flat = [float(value) for point in points for value in point]
    want = mask.decode(mask.merge(mask.frPyObjects([flat], height, width))) > 0
    region = region_from_polygon(np.array(flat).reshape(-1, 2), (height, width))
    got = np.zeros((height, width), bool) if region is None else region.plane((height, width))
    np.testing.assert_array_equal(got, want)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:pycocotools")
def test_a_whole_file_is_what_the_api_makes_of_it(tmp_path: Path) -> None:
    """Read: several parts united. Written: the same pixels again."""
    tools = pytest.importorskip("pycocotools.coco")
    picture(tmp_path / "hand_L.png")
    data = coco(info={})
    data["annotations"][3]["segmentation"] += data["annotations"][4]["segmentation"]
    for number, entry in enumerate(data["annotations"]):
        entry["area"] = number
    path = tmp_path / "_annotations.coco.json"
    save_json(path, data)
    case = open_dataset(tmp_path).cases[0]
    found = case.truth(SCHEMA, (SIZE, SIZE)).segmentation(SCHEMA, (SIZE, SIZE))
    write_coco(tmp_path / "again.json", [("hand_L.png", found, ALL)])
    save_json(tmp_path / "again.json", json.loads((tmp_path / "again.json").read_text()) | {"info": {}})
    for where in (path, tmp_path / "again.json"):
        api = tools.COCO(str(where))
        for entry in api.loadAnns(api.getAnnIds()):
            name = api.loadCats(entry["category_id"])[0]["name"]
            np.testing.assert_array_equal(found.plane(name), api.annToMask(entry) > 0, err_msg=name)


def test_a_polygon_costs_what_its_own_box_costs() -> None:
    import tracemalloc

    square = np.array([[10, 10], [30, 10], [30, 30], [10, 30]], float) + 11_000
    tracemalloc.start()
    region = region_from_polygon(square, (12_000, 12_000))
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert isinstance(region, Region)
    assert (region.top, region.left, region.area) == (11_010, 11_010, 400)


def test_annotations_of_pictures_that_are_not_listed_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    data = coco()
    for entry, other in zip(data["annotations"], (7, 7, "old"), strict=False):
        entry["image_id"] = other
    save_json(tmp_path / "_annotations.coco.json", data)
    (problem,) = open_dataset(tmp_path).problems
    assert problem.message == "annotations of pictures that it does not list: left out: 3 (image_id 7, old)"
    assert counts(tmp_path) == [(26, 26)]
