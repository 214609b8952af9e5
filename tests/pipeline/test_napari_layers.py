"""Radiographs and bones as napari's layers, and back: overlaps, holes and parts survive, and what is wrong is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers_clinic import bones, film, radiograph
from ossa.errors import ImageError, InputError, LabelError
from ossa.labels.competition import write_label
from ossa.pipeline import layers as room
from ossa.pipeline.layers import bones_layer, found_in, layers_at, segmentation_of, write_shapes
from ossa.radiograph.radiograph import Spacing
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()


def shapes_of(layer: room.Layer) -> tuple[Any, list[str], dict[str, Any], dict[str, Any]]:
    """A layer as napari holds it: its shapes, their kinds, features and metadata."""
    data, told, kind = layer
    assert kind == "shapes"
    return data, ["polygon"] * len(data), told["features"], told["metadata"]


def same(one: Segmentation, other: Segmentation) -> bool:
    return list(one.regions) == list(other.regions) and np.array_equal(one.planes(), other.planes())


@pytest.mark.parametrize("seed", range(5))
def test_bones_come_back_pixel_for_pixel(seed: int) -> None:
    """Random blobs: overlapping, with holes, in several parts."""
    rng = np.random.default_rng(seed)
    planes = np.zeros((len(SCHEMA), 40, 30), bool)
    for plane in planes[: 1 + 6 * seed]:
        top, left = rng.integers(0, 20, 2)
        plane[top : top + 15, left : left + 10] = rng.random((15, 10))[: 40 - top, : 30 - left] < 0.7
    found = Segmentation.from_planes(planes, SCHEMA)
    assert same(segmentation_of(*shapes_of(bones_layer(found, "hand.png"))), found)


def test_a_file_is_an_image_and_its_bones(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "hand.dcm")
    assert [kind for _, _, kind in layers_at(path)] == ["image"]
    write_label(tmp_path / "hand.json", bones(), "hand.dcm")
    (pixels, told, _), layer = layers_at(path)
    assert pixels.shape == (90, 60)
    assert (told["scale"], told["units"]) == ((0.15, 0.15), ("mm", "mm"))
    assert told["metadata"]["ossa"]["side"] == "L"
    assert told["contrast_limits"][0] < told["contrast_limits"][1]
    assert same(segmentation_of(*shapes_of(layer)), bones())
    assert layer[1]["scale"] == told["scale"]
    features = layer[1]["features"]
    assert features["bone"][0] == SCHEMA.names[0]
    assert len(features["bone"]) == len(layer[0]) == len(layer[1]["edge_color"])
    (tmp_path / "hand.json").write_text("{}")
    with pytest.raises(LabelError, match=r"hand\.json"):
        layers_at(path)


def test_what_was_corrected_is_written_and_read_again(tmp_path: Path) -> None:
    shutil.copy(radiograph(tmp_path / "film.dcm"), tmp_path / "hand.dcm")
    data, kinds, features, metadata = shapes_of(bones_layer(bones(), "hand.dcm"))
    box = np.array([[70.0, 20], [70, 29], [84, 29], [84, 20]])
    data, kinds = [*data[:-1], box, box], [*kinds[:-1], "rectangle", "ellipse"]
    names = [*features["bone"][:-1], "Radius", "Ulna"]
    assert write_shapes(tmp_path / "hand.json", data, kinds, {"bone": names}, metadata) == len(set(names))
    [_, layer] = layers_at(tmp_path / "hand.dcm")
    back = segmentation_of(*shapes_of(layer))
    assert {name for name, _ in back} == set(names)
    assert back["Ulna"].mask.sum() < back.plane("Radius")[70:85, 20:30].sum()
    assert back["Ulna"].mask.shape == (15, 10)


def test_what_is_no_layer_of_bones_is_told(tmp_path: Path) -> None:
    data, kinds, features, metadata = shapes_of(bones_layer(bones(only=2), "hand.dcm"))
    with pytest.raises(InputError, match="not one of bones"):
        segmentation_of(data, kinds, features, {})
    with pytest.raises(InputError, match="not one of bones"):
        segmentation_of(data, kinds, {}, metadata)
    with pytest.raises(LabelError, match="shape 1 has no inside; found path"):
        segmentation_of(data, ["polygon", "path"], features, metadata)
    for nobody in ("Radios", float("nan"), None):
        with pytest.raises(LabelError, match="shape 1 is no bone's"):
            segmentation_of(data, kinds, {"bone": [features["bone"][0], nobody]}, metadata)
    with pytest.raises(InputError, match=r"ends in \.json"):
        write_shapes(tmp_path / "hand.png", data, kinds, features, metadata)
    assert not list(tmp_path.iterdir())


def test_a_layer_is_a_radiograph_or_told_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def predict(picture: Any, model: Any, *, fast: bool) -> Segmentation:
        asked.append((picture, model, fast))
        region = Region.tight(np.ones((4, 4), bool), 3, 3)
        assert region is not None
        return Segmentation(SCHEMA, picture.shape, {"Radius": region}, notes=("a remark",))

    monkeypatch.setattr("ossa.inference.once.predict", predict)
    about = {"ossa": {"spacing": "PixelSpacing", "side": "R", "path": "hand.dcm"}}
    (_, told, _), notes = found_in(film(), "hand", about, scale=(0.2, 0.1), model="m", fast=True)
    picture, model, fast = asked[-1]
    assert (model, fast, picture.side) == ("m", True, "R")
    assert picture.spacing == Spacing(0.2, 0.1, "PixelSpacing")
    assert (told["name"], told["scale"], notes) == ("hand bones", (0.2, 0.1), ["a remark"])
    # A layer of somebody else's: its scale is no spacing.
    (_, told, _), _ = found_in(film() / 255.0, "hand", {}, scale=(2.0, 2.0))
    assert asked[-1][0].spacing is None
    assert asked[-1][0].pixels.dtype == np.uint16
    assert "made 16 bit" in asked[-1][0].provenance.notes[0]
    assert told["scale"] == (2.0, 2.0)
    assert "units" not in told
    colour = np.repeat(film()[:, :, None], 3, axis=2)
    found_in(colour, "hand", {}, rgb=True)
    assert np.abs(asked[-1][0].pixels.astype(int) - film()).max() <= 1
    for data in (np.zeros((3, 8, 8)), np.zeros((0, 4)), np.full((4, 4), np.inf)):
        with pytest.raises(ImageError, match="this layer"):
            found_in(data, "stack", {})
