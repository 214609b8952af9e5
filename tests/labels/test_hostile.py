"""Label files made to do harm: each is refused by an error that names it, at once and in little memory."""

from __future__ import annotations

import base64
import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers_dataset import SCHEMA, save_image, save_json
from ossa.dataset.dataset import open_dataset
from ossa.errors import OssaError, SchemaError
from ossa.labels import polygons
from ossa.labels.ramw600 import read_mask
from ossa.labels.store import Store
from ossa.labels.texts import MAX_LABEL_BYTES, read_label_json
from ossa.schema import load_schema

MOST_BYTES = 200_000_000
MOST_POINTS = 50_000
MOST_SECONDS = 2.0  # twice what is promised: the machines that run tests are busy


@pytest.fixture(autouse=True)
def fewer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large inputs cost these tests more than the readers."""
    monkeypatch.setattr(polygons, "MAX_POINTS", MOST_POINTS)


def refused(call: Callable[[], object], name: str, error: type[OssaError] = OssaError) -> None:
    """``call`` raises an error of ossa that names the file, at once, and in little memory."""
    start = time.process_time()
    with pytest.raises(error) as caught:
        call()
    assert time.process_time() - start < MOST_SECONDS
    assert name in str(caught.value)
    tracemalloc.start()
    try:
        with pytest.raises(error):
            call()
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def read_all(root: Path) -> None:
    for case in open_dataset(root).labelled:
        case.segmentation(SCHEMA, (48, 40))


def square(left: float = 4, top: float = 4, side: float = 20) -> list[list[float]]:
    return [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]


ZIGZAG = [[float(x), float(40 * (x % 2))] for x in range(MOST_POINTS + 1)]
SCRIBBLE = [[(7919 * i) % 39, (104_729 * i) % 47] for i in range(MOST_POINTS)]


def png(width: int, height: int, data: bytes = b"", length: int | None = None) -> str:
    """A PNG whose header and data say what they like."""

    def chunk(kind: bytes, body: bytes, said: int | None = None) -> bytes:
        size = struct.pack(">I", len(body) if said is None else said)
        return size + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", data, length) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def mask(code: str, width: int, height: int) -> dict[str, Any]:
    return {"label": "Ulna", "shape_type": "mask", "points": [[0, 0], [width - 1, height - 1]], "mask": code}


LABELME: dict[str, Callable[[], Any]] = {
    "a mask of another size": lambda: [mask(png(30_000, 30_000), 9, 9)],
    "a mask larger than its picture": lambda: [mask(png(30_000, 30_000), 30_000, 30_000)],
    "a chunk without end": lambda: [mask(png(9, 9, zlib.compress(bytes(90)), 1_400_000_000), 9, 9)],
    "data that stop": lambda: [mask(png(9, 9, zlib.compress(bytes(20))), 9, 9)],
    "too many points": lambda: [{"label": "Ulna", "points": ZIGZAG}],
    "a scribble": lambda: [{"label": "Ulna", "points": SCRIBBLE}],
    "3,000 outlines": lambda: [{"label": "Ulna", "points": square(0, 0, 38)}] * 3_000,
    "far away": lambda: [{"label": "Ulna", "points": [[0, 0], [1e8, 0], [1e8, 1e8]]}],
    "beyond numbers": lambda: [{"label": "Ulna", "points": [[0, 0], [10**400, 0], [9, 9]]}],
    "deep points": lambda: [{"label": "Ulna", "points": json.loads("[" * 200 + "]" * 200)}],
}


@pytest.mark.parametrize("what", LABELME)
def test_labelme(tmp_path: Path, what: str) -> None:
    save_image(tmp_path / "a.png", np.zeros((48, 40), np.uint8))
    size = {"imageHeight": 48, "imageWidth": 40}
    save_json(tmp_path / "a.json", {"shapes": LABELME[what](), "imagePath": "a.png"} | size)
    refused(lambda: read_all(tmp_path), "a.json")


def test_labelme_mask_of_a_picture_larger_than_any(tmp_path: Path) -> None:
    """Also where the label says that its picture has that size."""
    save_image(tmp_path / "a.png", np.zeros((48, 40), np.uint8))
    size = {"imageHeight": 30_000, "imageWidth": 30_000}
    shapes = [mask(png(30_000, 30_000), 30_000, 30_000)]
    save_json(tmp_path / "a.json", {"shapes": shapes, "imagePath": "a.png"} | size)
    refused(lambda: read_all(tmp_path), "a.json")


@pytest.mark.parametrize("what", ["too many points", "a scribble", "3,000 outlines", "far away", "beyond numbers"])
def test_competition(tmp_path: Path, what: str) -> None:
    save_image(tmp_path / "a.png", np.zeros((48, 40), np.uint8))
    save_json(tmp_path / "a.json", {"annotations": LABELME[what]()})
    refused(lambda: read_all(tmp_path), "a.json")


def rle(size: Any, counts: Any) -> dict[str, Any]:
    return {"segmentation": {"size": size, "counts": counts}}


COCO: dict[str, Callable[[], Any]] = {
    "runs of 10^10": lambda: [rle([100_000, 100_000], [0, 10**10])],
    "a count of 10^10": lambda: [rle([48, 40], [10**10])],
    "a count of 10^30": lambda: [rle([48, 40], [10**30])],
    "a size of null": lambda: [rle(None, [0, 1920])],
    "a size of 0": lambda: [rle(0, [0, 1920])],
    "sides of text": lambda: [rle(["48", "40"], [0, 1920])],
    "a side below 0": lambda: [rle([-48, -40], [0, 1920])],
    "counts of text": lambda: [rle([48, 40], ["0", "1920"])],
    "nested counts": lambda: [rle([48, 40], [[0, 1920]])],
    "counts that end within a number": lambda: [rle([48, 40], "11Q")],
    "too many points": lambda: [{"segmentation": [[v for p in ZIGZAG for v in p]]}],
    "a scribble": lambda: [{"segmentation": [[v for p in SCRIBBLE for v in p]]}],
    "3,000 masks": lambda: [rle([48, 40], [0, 1920])] * 3_000,
    "3,000 polygons": lambda: [{"segmentation": [[v for p in square(0, 0, 38) for v in p]]}] * 3_000,
    "far away": lambda: [{"segmentation": [[0, 0, 1e8, 0, 1e8, 1e8]]}],
    "beyond numbers": lambda: [{"segmentation": [[0, 0, 10**400, 0, 9, 9]]}],
    "text": lambda: [{"segmentation": "all of it"}],
}


@pytest.mark.parametrize("what", COCO)
@pytest.mark.parametrize("sized", [True, False])
def test_coco(tmp_path: Path, what: str, sized: bool) -> None:
    save_image(tmp_path / "a.png", np.zeros((48, 40), np.uint8))
    image = {"id": 1, "file_name": "a.png"} | ({"height": 48, "width": 40} if sized else {})
    entries = [{"id": i, "image_id": 1, "category_id": 1} | entry for i, entry in enumerate(COCO[what]())]
    value = {"images": [image], "categories": [{"id": 1, "name": "Radius"}], "annotations": entries}
    save_json(tmp_path / "result.json", value)
    refused(lambda: read_all(tmp_path), "result.json")


@pytest.mark.parametrize(
    "change",
    [
        {"images": [{"id": 1, "file_name": "a.png", "height": float("inf"), "width": 40}]},
        {"images": [{"id": 1, "file_name": "a.png", "height": "tall", "width": 40}]},
        {"images": [{"id": [1], "file_name": "a.png"}]},
        {"images": [{"id": True, "file_name": "a.png"}]},
        {"images": 3},
        {"images": [3]},
        {"categories": {"id": 1}},
        {"categories": [{"id": None, "name": "Radius"}]},
        {"annotations": [[]]},
        {"annotations": [{"image_id": None}]},
        {"annotations": [{"image_id": 1, "category_id": {}}]},
    ],
)
def test_coco_of_wrong_kinds(tmp_path: Path, change: dict[str, Any]) -> None:
    save_image(tmp_path / "a.png", np.zeros((48, 40), np.uint8))
    whole = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "Radius"}],
        "annotations": [],
    }
    save_json(tmp_path / "_annotations.coco.json", whole | change)
    refused(lambda: read_all(tmp_path), "_annotations.coco.json")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "NaN", "[1e999]", "[-1e999]", "[" + "9" * 400 + ".0]", '{"a": Infinity}', "{"],
)
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    refused(lambda: read_label_json(tmp_path / "a.json"), "a.json")


def test_json_as_large_as_a_disk(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as stream:
        stream.truncate(MAX_LABEL_BYTES + 1)
    refused(lambda: read_label_json(tmp_path / "a.json"), "a.json")


NPY_HEADS = [
    "{'descr': 8|u1', 'fortran_order': False, 'shape': (14, 20, 16), ",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (14, 100000, 100000), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (14, -1, 16), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (14, 0, 16), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (14, 2, 2), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (14, 2, 2), }",
    "(" * 3000,
    "\0" * 40,
]


@pytest.mark.parametrize("head", NPY_HEADS)
def test_mask_arrays(tmp_path: Path, head: str) -> None:
    data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(head) + 1) + head.encode() + b"\n"
    (tmp_path / "a.npy").write_bytes(data + bytes(14 * 20 * 16))
    refused(lambda: read_mask(tmp_path / "a.npy", 0), "a.npy")


def test_a_mask_array_larger_than_the_memory_is_read_mask_by_mask(tmp_path: Path) -> None:
    """Nothing of 14 x 36 Mpx is on the disk; a mask of zeros is no region."""
    head = "{'descr': '|u1', 'fortran_order': False, 'shape': (14, 6000, 6000), }"
    with (tmp_path / "a.npy").open("wb") as stream:
        stream.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head) + 1) + head.encode() + b"\n")
        stream.truncate(stream.tell() + 14 * 6000 * 6000)
    tracemalloc.start()
    assert not read_mask(tmp_path / "a.npy", 13).any()
    assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    tracemalloc.stop()


GRID = {
    "image": "a", "image_shape": [48, 40], "grid_shape": [12, 10], "content_shape": [12, 10], "scale": [0.25, 0.25],
    "shape": [12, 10], "bones": [None] * 29,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [16384, 16384]},
        {"shape": [16384, 16384], "grid_shape": [16384, 16384]},
        {"image_shape": [10**6, 10**6]},
        {"image_shape": [48]},
        {"image_shape": None},
        {"image_shape": [48.5, 40]},
        {"grid_shape": [12, 1e308]},
        {"grid_shape": [0, 0]},
        {"content_shape": ["12", "10"]},
        {"scale": [0, 0.25]},
        {"scale": [1e400, 0.25]},
        {"scale": ["fast", 0.25]},
        {"shape": [12, True]},
        {"bones": 3},
        {"bones": [None]},
        {"bones": [[0, 0, 12, 10, 10**9]] + [None] * 28},
        {"bones": [[0, 0, 12, 10, 1e400]] + [None] * 28},
        {"bones": [[0, 0, 13, 10, 0]] + [None] * 28},
    ],
)
def test_saved_probabilities(tmp_path: Path, change: dict[str, Any]) -> None:
    text = json.dumps(GRID | change)
    assert_prob_refused(tmp_path, text.encode())


@pytest.mark.parametrize("head", [b"[" * 100_000, b"\xff\xfe", b"{}", b"3", b""])
def test_saved_probabilities_without_a_header(tmp_path: Path, head: bytes) -> None:
    assert_prob_refused(tmp_path, head)


def assert_prob_refused(root: Path, head: bytes) -> None:
    store = Store.create(root / "s", SCHEMA, {})
    (root / "s" / "images").mkdir()
    (root / "s" / "images" / "a.prob").write_bytes(b"OSSAPRB1" + struct.pack("<I", len(head)) + head)
    refused(lambda: store.read("a").logits(), "a.prob")


def test_the_store_of_these_tests_is_sound(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "s", SCHEMA, {})
    (tmp_path / "s" / "images").mkdir()
    head = json.dumps(GRID).encode()
    (tmp_path / "s" / "images" / "a.prob").write_bytes(b"OSSAPRB1" + struct.pack("<I", len(head)) + head)
    assert store.read("a").logits().shape == (29, 12, 10)


@pytest.mark.parametrize(
    "data", [b"a=" + b"[" * 100_000, b"\xff\xfe", b"x" * 1_000_001, b"name = 3", b"bone = 3\nname='a'\ntitle='b'"]
)
def test_schemas(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s.toml").write_bytes(data)
    refused(lambda: load_schema(str(tmp_path / "s.toml")), "s.toml", SchemaError)
