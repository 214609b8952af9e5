"""labelme files as they come: any order of keys, any code, pictures elsewhere, shapes that are no bones."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers_dataset import SCHEMA, draw, save_image, save_json, schematic_hand, segmentation
from ossa.dataset.dataset import open_dataset
from ossa.errors import LabelError
from ossa.labels.labelme import write_labelme

SIZE = 96
OUTLINES = schematic_hand(SIZE, seed=5)
ALL = frozenset(SCHEMA.names)


def labelme(image: str = "hand_L.png", labels: Any = str, **changes: Any) -> dict[str, Any]:
    """All bones of one hand as labelme 5.4 writes them; ``labels`` spells a bone's name."""
    shapes = [
        {
            "label": labels(name),
            "points": part.exterior.tolist(),
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for name, parts in OUTLINES.items()
        for part in parts
    ]
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": SIZE,
        "imageWidth": SIZE,
    } | changes


def picture(path: Path) -> None:
    save_image(path, draw(OUTLINES, SIZE))


def opened(root: Path) -> Any:
    """The one case's truth, of a set without problems."""
    dataset = open_dataset(root)
    assert dataset.format == "labelme"
    assert not dataset.problems
    (case,) = dataset.cases
    return case.truth(SCHEMA, (SIZE, SIZE))


def test_the_picture_may_come_first_in_its_file(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    data = labelme()
    del data["imageData"]
    noise = base64.b64encode(np.random.default_rng(0).bytes(300_000)).decode()
    save_json(tmp_path / "hand_L.json", {"imageData": noise} | data)
    assert opened(tmp_path).annotated == ALL


@pytest.mark.parametrize(
    ("label", "image", "path"),
    [
        ("labels/hand_L.json", "images/hand_L.png", "../images/hand_L.png"),
        ("labels/hand_L.json", "images/hand_L.png", "..\\images\\hand_L.png"),
        ("labels/hand_L.json", "images/hand_L.png", "C:\\films\\hand_L.png"),
        ("labels/0001.json", "images/hand_L.png", "hand_L.png"),
        ("0001.json", "hand_L.png", "hand_L.png"),
        ("hand_L.json", "hand_L.JPG", "hand_L.JPG"),
        ("hand_L.jpg.json", "hand_L.jpg", "hand_L.jpg"),
    ],
)
def test_labels_apart_from_their_pictures(tmp_path: Path, label: str, image: str, path: str) -> None:
    picture(tmp_path / image)
    save_json(tmp_path / label, labelme(path))
    assert opened(tmp_path).annotated == ALL


@pytest.mark.parametrize(
    "code", ["utf-8", "utf-8-sig", "cp949", "gb2312", "gb18030", "shift_jis", "utf-16", "utf-16-le"]
)
def test_codes_of_other_computers(tmp_path: Path, code: str) -> None:
    picture(tmp_path / "hand_L.png")
    words = {"cp949": "검수", "gb2312": "已检查", "gb18030": "已检查", "shift_jis": "確認"}.get(code, "검수 é")
    text = json.dumps(labelme(flags={words: True}), ensure_ascii=False)
    (tmp_path / "hand_L.json").write_bytes(text.encode(code))
    assert opened(tmp_path).annotated == ALL


def test_blanks_case_and_other_names(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    spelt = {"finger-1": " DP1", "finger-4": "Finger_4 ", "Radius": "RADIUS", "Ulna": "ulna"}
    save_json(tmp_path / "hand_L.json", labelme(labels=lambda name: spelt.get(name, name)))
    assert opened(tmp_path).annotated == ALL


@pytest.mark.parametrize("kind", ["circle", "point", "line", "linestrip", "points", "ai_box"])
def test_shapes_without_an_inside_are_left_out_and_told(tmp_path: Path, kind: str) -> None:
    picture(tmp_path / "hand_L.png")
    data = labelme()
    data["shapes"][0] |= {"shape_type": kind, "points": [[3, 3], [9, 9]]}
    save_json(tmp_path / "hand_L.json", data)
    truth = opened(tmp_path)
    assert truth.annotated == ALL - {"finger-1"}
    (sentence,) = truth.left_out
    assert f"{kind} of 'finger-1'" in sentence


def test_labels_that_are_no_bones_are_left_out_and_told(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    data = labelme()
    data["shapes"] += [
        {"label": label, "points": [[1, 1], [9, 1], [9, 9]]} for label in ("Hammate", "ring_", "Hammate")
    ]
    data["shapes"].append({"label": "Metal implant", "points": [[1, 1], [9, 1], [9, 9]]})
    save_json(tmp_path / "hand_L.json", data)
    truth = opened(tmp_path)
    assert truth.annotated == ALL
    (sentence,) = truth.left_out  # rings and implants are known to be none
    assert sentence.startswith("2 x 'Hammate'")
    assert "nearest is 'Hamate'" in sentence


def test_hidden_files_of_macos_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    save_json(tmp_path / "hand_L.json", labelme())
    for name in ("._hand_L.json", "._hand_L.png", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert opened(tmp_path).annotated == ALL


def test_an_empty_file_says_nothing_of_any_bone(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    save_json(tmp_path / "hand_L.json", labelme(shapes=[]))
    assert opened(tmp_path).annotated == frozenset()


def test_what_was_judged_comes_back(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    few = segmentation({name: OUTLINES[name] for name in ("Radius", "Ulna")}, SIZE)
    for known, want in ((None, ALL), (frozenset({"Lunate", "Ulna", "Radius"}), {"Lunate", "Ulna", "Radius"})):
        write_labelme(tmp_path / "hand_L.json", few, "hand_L.png", known)
        truth = opened(tmp_path)
        assert truth.annotated == want
        assert set(truth.outlines) == {"Radius", "Ulna"}


def test_a_label_of_another_size_is_refused_or_scaled(tmp_path: Path) -> None:
    picture(tmp_path / "hand_L.png")
    data = labelme(imageHeight=2 * SIZE, imageWidth=2 * SIZE)
    for shape in data["shapes"]:
        shape["points"] = [[2 * x, 2 * y] for x, y in shape["points"]]
    save_json(tmp_path / "hand_L.json", data)
    dataset = open_dataset(tmp_path)
    with pytest.raises(LabelError, match="another size than its picture has; found 192x192; expected 96x96"):
        dataset.cases[0].truth(SCHEMA, (SIZE, SIZE))
    truth = dataset.with_scaled_labels().cases[0].truth(SCHEMA, (SIZE, SIZE))
    got, want = truth.segmentation(SCHEMA, (SIZE, SIZE)), segmentation(OUTLINES, SIZE)
    assert (got.planes() != want.planes()).mean() < 0.003


@pytest.mark.parametrize("other", ["hand_L.jpg", "hand_L.bmp"])
def test_a_label_that_may_belong_to_two_pictures_belongs_to_the_one_it_names_or_to_none(
    tmp_path: Path, other: str
) -> None:
    for name in ("hand_L.png", other):
        picture(tmp_path / name)
    save_json(tmp_path / "hand_L.json", labelme(other))
    dataset = open_dataset(tmp_path)
    assert [(case.id, case.label is not None) for case in dataset] == [(other, True), ("hand_L.png", False)]
    data = labelme()
    del data["imagePath"]
    save_json(tmp_path / "hand_L.json", data)
    dataset = open_dataset(tmp_path)
    assert not dataset.labelled
    assert f"may be the label of {other} or hand_L.png" in str(dataset.problems[0])


# --- masks ------------------------------------------------------------------------------------------------------------


def mask_shape(mask: np.ndarray, corners: list[list[float]]) -> dict[str, Any]:
    data = cv2.imencode(".png", mask)[1].tobytes()
    return {"label": "Ulna", "shape_type": "mask", "points": corners, "mask": base64.b64encode(data).decode()}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_masks_of_any_depth(tmp_path: Path, channels: int) -> None:
    picture(tmp_path / "hand_L.png")
    mask = np.zeros((6, 5, channels), np.uint8)
    mask[1:, 2:, -2 if channels == 4 else -1] = 255
    save_json(tmp_path / "hand_L.json", labelme(shapes=[mask_shape(mask, [[10, 20], [14, 25]])]))
    region = opened(tmp_path).segmentation(SCHEMA, (SIZE, SIZE)).get("Ulna")
    assert (region.top, region.left, region.area) == (21, 12, 15)


@pytest.mark.parametrize(
    ("side", "corners", "words"),
    [
        (6, [[10, 20], [40, 25]], "another size than its box"),
        (6, [[93, 20], [98, 25]], "leaves the picture"),
        (6, [[-1, 20], [4, 25]], "leaves the picture"),
        (6, [[10, 20]], "two corners"),
        (6, [[10, 20], ["x", 25]], "not a list of points"),
    ],
)
def test_masks_that_do_not_fit(tmp_path: Path, side: int, corners: list[list[float]], words: str) -> None:
    picture(tmp_path / "hand_L.png")
    save_json(tmp_path / "hand_L.json", labelme(shapes=[mask_shape(np.ones((side, side), np.uint8), corners)]))
    with pytest.raises(LabelError, match=words) as caught:
        opened(tmp_path)
    assert "hand_L.json" in str(caught.value)
