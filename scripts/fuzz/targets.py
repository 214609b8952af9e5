"""One function per reader: takes a file's bytes, reads them the way ossa's commands do, and returns or raises."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import corpus
import mutate
from corpus import seeds

from ossa.schema import load_schema

__all__ = ["TARGETS", "Target", "input_bytes", "open_target", "seeds"]

Target = Callable[[bytes], None]

SCHEMA = load_schema()
SHAPE = (corpus.SIZE, corpus.SIZE)


def input_bytes(name: str, number: int) -> bytes:
    """Input ``number`` of a reader."""
    return mutate.mutated(seeds(name), random.Random(f"{name} {number}"))


def open_target(name: str, folder: Path) -> Target:
    """The reader ``name``, which writes its inputs into ``folder``."""
    return TARGETS[name](folder)


def _picture(ending: str) -> Callable[[Path], Target]:
    def opened(folder: Path) -> Target:
        from ossa.radiograph.read import read_radiograph

        path = folder / f"a{ending}"

        def read(data: bytes) -> None:
            path.write_bytes(data)
            read_radiograph(path)

        return read

    return opened


def _dataset(name: str, form: str, picture: str | None = "a.png") -> Callable[[Path], Target]:
    """A data set of one label file, read as ``ossa data`` and training read it."""

    def opened(folder: Path) -> Target:
        from ossa.dataset.dataset import open_dataset

        label = folder / name
        label.parent.mkdir(parents=True, exist_ok=True)
        if picture is not None:
            (label.parent / picture).write_bytes(seeds("png")[0])

        def read(data: bytes) -> None:
            label.write_bytes(data)
            for case in open_dataset(folder, SCHEMA, form).labelled:
                truth = case.truth(SCHEMA)
                truth.segmentation(SCHEMA, truth.shape or SHAPE)

        return read

    return opened


def _coco(folder: Path) -> Target:
    import json

    base = folder / "Segmentation" / "train"
    base.mkdir(parents=True)
    for seed in seeds("coco"):
        for image in json.loads(seed)["images"]:
            (base / image["file_name"]).write_bytes(seeds("bmp")[0])
    return _dataset("Segmentation/train/_annotations_bone_rle.coco.json", "coco", None)(folder)


def _ramw600(folder: Path) -> Target:
    from ossa.labels.ramw600 import read_mask

    path = folder / "a.npy"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_mask(path, 3)

    return read


def _yolo(damaged: str) -> Callable[[Path], Target]:
    """A set of YOLO with one damaged file."""

    def opened(folder: Path) -> Target:
        (folder / "data.yaml").write_bytes(seeds("yolo-classes")[0])
        (folder / "a.txt").write_bytes(seeds("yolo")[0])
        return _dataset(damaged, "yolo")(folder)

    return opened


def _nnunet(damaged: str) -> Callable[[Path], Target]:
    """A set of nnU-Net with one damaged file."""

    def opened(folder: Path) -> Target:
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir()
        (folder / "imagesTr" / "a_0000.png").write_bytes(seeds("png")[0])
        (folder / "labelsTr" / "a.png").write_bytes(seeds("nnunet-map")[0])
        (folder / "dataset.json").write_bytes(seeds("nnunet")[0])
        return _dataset(damaged, "nnunet", None)(folder)

    return opened


def _masks(folder: Path) -> Target:
    (folder / "a.png").write_bytes(seeds("png")[0])
    return _dataset("a_masks/Radius.png", "masks", None)(folder)


def _label(folder: Path) -> Target:
    """One label file by itself, as ``ossa measure`` opens it."""
    from ossa.labels.results import open_results

    path = folder / "a.json"
    (folder / "a.png").write_bytes(seeds("png")[0])

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for entry in open_results(path, SCHEMA).entries.values():
            opened = entry.open()
            opened.read(opened.size or SHAPE)

    return read


def _submission(folder: Path) -> Target:
    from ossa.labels.submission import read_submission

    path = folder / "a.csv"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = read_submission(path, SCHEMA, SHAPE)
        for image in found:
            found[image]

    return read


def _store(folder: Path) -> Target:
    from ossa.labels.store import Store
    from ossa.segmentation.decode import decode

    saved = Store.create(folder, SCHEMA, {})
    path = folder / "images" / "a.prob"
    path.parent.mkdir(exist_ok=True)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = saved.read("a")
        decode(found.logits(), found.placement, SCHEMA)

    return read


def _file(name: str, reader: Callable[[], Callable[[Path], object]]) -> Callable[[Path], Target]:
    def opened(folder: Path) -> Target:
        path, function = folder / name, reader()

        def read(data: bytes) -> None:
            path.write_bytes(data)
            function(path)

        return read

    return opened


def _folds_reader() -> Callable[[Path], object]:
    from ossa.dataset.folds import read_folds

    return read_folds


def _card_reader() -> Callable[[Path], object]:
    from ossa.bundle.card import Card
    from ossa.safety import read_json

    return lambda path: Card.from_json(read_json(path), path)


def _schema_reader() -> Callable[[Path], object]:
    return lambda path: load_schema.__wrapped__(str(path))


def _run_file_reader() -> Callable[[Path], object]:
    from ossa.config.load import load_config

    return load_config


def _stl_reader() -> Callable[[Path], object]:
    from ossa.phantom.mesh import closed, read_stl

    return lambda path: closed(read_stl(path, 1.0)).outward().normals()


def _cache(pattern: str) -> Callable[[Path], Target]:
    """A cache of one picture with a damaged file: it must give the picture all the same."""

    def opened(folder: Path) -> Target:
        import numpy as np

        from ossa.dataset.cache import GreyCache
        from ossa.radiograph.prepare import Preparation

        picture = folder / "a.png"
        picture.write_bytes(seeds("png")[0])
        right, _ = GreyCache(folder / "cache", Preparation(64)).get(picture)
        path = next((folder / "cache").rglob(pattern))

        def read(data: bytes) -> None:
            path.write_bytes(data)
            grey, _ = GreyCache(folder / "cache", Preparation(64)).get(picture)
            if not np.array_equal(grey, right):
                raise AssertionError("another picture came out of the cache")

        return read

    return opened


def _parts(folder: Path) -> Target:
    from ossa.pipeline.films import find_films
    from ossa.pipeline.parts import Parts

    picture = folder / "a.png"
    picture.write_bytes(seeds("png")[0])
    (film,) = find_films([picture], folder / "out")
    kept = Parts.begin(folder / "run", {})
    path = kept._path(film)
    path.parent.mkdir(parents=True, exist_ok=True)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        kept.get(film)
        kept.write_csv(folder / "out.csv", [film])

    return read


TARGETS: dict[str, Callable[[Path], Target]] = {
    "png": _picture(".png"),
    "jpeg": _picture(".jpg"),
    "tiff": _picture(".tif"),
    "bmp": _picture(".bmp"),
    "dicom": _picture(".dcm"),
    "competition": _dataset("a.json", "flat"),
    "coco": _coco,
    "labelme": _dataset("a.json", "labelme"),
    "ramw600": _ramw600,
    "cvat": _dataset("annotations.xml", "cvat"),
    "yolo": _yolo("a.txt"),
    "yolo-classes": _yolo("data.yaml"),
    "mask": _masks,
    "bits": _dataset("a.npz", "bits"),
    "nnunet": _nnunet("dataset.json"),
    "nnunet-map": _nnunet("labelsTr/a.png"),
    "seg": _dataset("a_seg.dcm", "dicom-seg"),
    "label": _label,
    "submission": _submission,
    "store": _store,
    "folds": _file("folds.json", _folds_reader),
    "card": _file("card.json", _card_reader),
    "schema": _file("a.toml", _schema_reader),
    "run-file": _file("a.yaml", _run_file_reader),
    "cache-array": _cache("*.npy"),
    "cache-note": _cache("*.json"),
    "parts": _parts,
    "stl": _file("a.stl", _stl_reader),
}
