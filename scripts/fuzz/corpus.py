"""Small sound files of every kind that ossa reads, made by the tests' own helpers."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import helpers_dataset as made
import helpers_dicom as dicom

SIZE = 96
_GREY = made.draw(made.schematic_hand(SIZE, seed=1), SIZE, 1)


def _encoded(ending: str, *pictures: np.ndarray, options: tuple[int, ...] = ()) -> list[bytes]:
    return [cv2.imencode(ending, picture, list(options))[1].tobytes() for picture in pictures]


def png() -> list[bytes]:
    colour = cv2.merge([_GREY, _GREY, _GREY])
    return _encoded(".png", _GREY, _GREY.astype(np.uint16) * 250, colour, cv2.merge([colour, _GREY]))


def jpeg() -> list[bytes]:
    progressive = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    return _encoded(".jpg", _GREY, cv2.merge([_GREY] * 3)) + _encoded(".jpg", _GREY, options=progressive)


def tiff() -> list[bytes]:
    out = []
    for compression in (1, 5, 8, 32773):  # none, LZW, deflate, PackBits
        out += _encoded(
            ".tif", _GREY, _GREY.astype(np.uint16) * 250, options=(cv2.IMWRITE_TIFF_COMPRESSION, compression)
        )
    return out


def bmp() -> list[bytes]:
    return _encoded(".bmp", _GREY, cv2.merge([_GREY] * 3))


def dicom_files() -> list[bytes]:
    plain = dicom.dataset(_GREY.astype(np.uint16) * 16, bits=12)
    packings = ("rle", "jpeg", "lossless", "jls", "j2k")
    files = [plain, dicom.dataset(_GREY), *(dicom.packed(dicom.dataset(_GREY), packing) for packing in packings)]
    return [_written(lambda path, data=data: dicom.save(path, data), "a.dcm") for data in files]


def _written(write: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def competition() -> list[bytes]:
    return [
        json.dumps(made.competition_json(made.schematic_hand(SIZE, seed=k), "a.png", seed=k)).encode() for k in range(2)
    ]


def coco() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        root = made.write_ram_h1200(Path(folder), size=64)
        return [p.read_bytes() for p in sorted(root.rglob("_annotations_bone_rle.coco.json"))]


def labelme() -> list[bytes]:
    from ossa.labels.labelme import write_labelme

    truth = made.segmentation(made.schematic_hand(SIZE, seed=1), SIZE)
    return [_written(lambda path: write_labelme(path, truth, "a.png"), "a.json")]


def ramw600() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        root = made.write_ram_w600(Path(folder), size=32)
        arrays = [p.read_bytes() for p in sorted(root.rglob("*.npy"))]
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((14, 8, 8), bool))
    return [*arrays, buffer.getvalue()]


def _converted(to: str, pattern: str) -> list[bytes]:
    """The files that ossa writes of two labels in another format."""
    from ossa.labels.labelme import write_labelme
    from ossa.pipeline.convert import convert

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        for k in range(2):
            made.save_image(root / f"{k}.png", _GREY)
            write_labelme(root / f"{k}.json", made.segmentation(made.schematic_hand(SIZE, seed=k), SIZE), f"{k}.png")
        convert(root, Path(folder) / "out", to)
        return [path.read_bytes() for path in sorted((Path(folder) / "out").rglob(pattern))]


def cvat() -> list[bytes]:
    polygons = (
        b'<annotations><version>1.1</version><image id="0" name="a.png" width="96" height="96"><polygon label="Radius" '
        b'points="1.5,2;40,3.25;30,60;2,50" z_order="0"><attribute name="a">b</attribute></polygon><box label="Ulna" '
        b'xtl="1" ytl="1" xbr="9" ybr="9"/></image></annotations>'
    )
    return [_converted("cvat", "annotations.xml")[0].replace(b"0/0.png", b"a.png"), polygons]


def yolo() -> list[bytes]:
    return [*_converted("yolo", "*.txt"), b"0 .1 .1 .2 .1 .2 .2\n3 .5 .5 .1 .1\n"]


def yolo_classes() -> list[bytes]:
    return [*_converted("yolo", "data.yaml"), b"names: [Radius, Ulna]\n", b"names:\n  0: Radius\n  1: Ulna\n"]


def mask() -> list[bytes]:
    return _encoded(".png", (_GREY > 99).astype(np.uint8) * 255, (_GREY > 50).astype(np.uint8))


def bits() -> list[bytes]:
    return _converted("bits", "*.npz")


def nnunet() -> list[bytes]:
    return _converted("nnunet-regions", "dataset.json")


def nnunet_map() -> list[bytes]:
    return _encoded(".png", _GREY // 9, _GREY // 30)


def seg() -> list[bytes]:
    """DICOM Segmentations of two bones with who found them: deflated as ossa writes them, and plain."""
    import pydicom

    from ossa.export.dicom.hands import BonesOfHand
    from ossa.export.dicom.seg import segmentation_object, write_object
    from ossa.export.dicom.source import source_of
    from ossa.radiograph.read import read_radiograph
    from ossa.segmentation.origin import Model, Origin
    from ossa.segmentation.segmentation import Segmentation

    with tempfile.TemporaryDirectory() as folder:
        picture, path = Path(folder) / "a.png", Path(folder) / "a_seg.dcm"
        picture.write_bytes(png()[0])
        whole = made.segmentation(made.schematic_hand(SIZE, seed=1), SIZE)
        few = {name: whole[name] for name in ("Radius", "Lunate")}
        found = Segmentation(whole.schema, whole.shape, few, origin=Origin("1.0", (Model("mine"),)))
        write_object(
            path, segmentation_object(source_of(picture, read_radiograph(picture)), (BonesOfHand(found, "R"),))
        )
        data = pydicom.dcmread(path)
        deflated = path.read_bytes()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.save_as(path)
        return [deflated, path.read_bytes(), path.read_bytes()]


def submission() -> list[bytes]:
    from ossa.labels.submission import write_submission

    rows = [(f"i{k}.png", made.segmentation(made.schematic_hand(SIZE, seed=k), SIZE)) for k in range(2)]
    return [_written(lambda path: write_submission(path, rows), "a.csv")]


def store() -> list[bytes]:
    from ossa.labels.store import Store
    from ossa.radiograph.prepare import Preparation, place

    logits = np.random.default_rng(0).normal(-4, 3, (len(made.SCHEMA), 16, 16)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        saved = Store.create(folder, made.SCHEMA, {})
        saved.write("a", logits, place((64, 64), Preparation(32, 16)))
        return [p.read_bytes() for p in Path(folder).rglob("*.prob")]


def folds() -> list[bytes]:
    from ossa.dataset.folds import Stratum, make_folds, write_folds

    split = make_folds([(f"ID{k}", Stratum(False, "R")) for k in range(6)], 3)
    return [_written(lambda path: write_folds(path, split), "folds.json")]


def card() -> list[bytes]:
    from ossa.bundle.bundle import default_bundle

    return [(default_bundle() / "card.json").read_bytes()]


def schema() -> list[bytes]:
    root = Path(__file__).parents[2] / "src" / "ossa" / "schemas"
    return [(root / "hand29.toml").read_bytes()]


def run_file() -> list[bytes]:
    from ossa.config.load import recipes

    return [text.encode() for text in recipes().values()]


def cache_array() -> list[bytes]:
    return [_cached("*.npy")]


def cache_note() -> list[bytes]:
    return [_cached("*.json")]


def _cached(pattern: str) -> bytes:
    from ossa.dataset.cache import GreyCache
    from ossa.radiograph.prepare import Preparation

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "a.png"
        cv2.imwrite(str(picture), _GREY)
        GreyCache(Path(folder) / "cache", Preparation(64)).get(picture)
        return next((Path(folder) / "cache").rglob(pattern)).read_bytes()


def parts() -> list[bytes]:
    return [b'{"name": "a.png", "stamp": ["/a.png", 1, 2], "facts": {"found": 2}}\na.png,finger-1,1 2\n']


def stl() -> list[bytes]:
    from ossa.phantom.mesh import ellipsoid

    mesh = ellipsoid((4.0, 5.0, 9.0), 6)
    corners = mesh.vertices[mesh.faces].astype("<f4")
    record = np.zeros(len(corners), np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("attribute", "<u2")]))
    record["corner"] = corners
    return [b"\0" * 80 + len(corners).to_bytes(4, "little") + record.tobytes()]


@cache
def seeds(name: str) -> list[bytes]:
    """The sound files of a reader."""
    return list(_MAKERS[name]())


_MAKERS: dict[str, Callable[[], list[bytes]]] = {
    "png": png, "jpeg": jpeg, "tiff": tiff, "bmp": bmp, "dicom": dicom_files, "competition": competition, "coco": coco,
    "labelme": labelme, "ramw600": ramw600, "submission": submission, "store": store, "folds": folds, "card": card,
    "schema": schema, "run-file": run_file, "cache-array": cache_array, "cache-note": cache_note, "parts": parts,
    "stl": stl, "cvat": cvat, "yolo": yolo, "yolo-classes": yolo_classes, "mask": mask, "bits": bits, "nnunet": nnunet,
    "nnunet-map": nnunet_map, "seg": seg, "label": competition,
}  # fmt: skip
