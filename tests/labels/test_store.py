"""Saved probabilities: what goes in comes out, damage is noticed, names stay inside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.errors import ConfigError, InputError, SchemaError
from ossa.labels.store import BOX_LOGIT, FLOOR, Store
from ossa.radiograph.prepare import Placement, Preparation, place
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.decode import decode


def placed(height: int = 50, width: int = 70) -> Placement:
    return place((height, width), Preparation(64, 32))


def logits_for(bones: int, placement: Placement, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (bones, placement.grid_shape[0] // 2, placement.grid_shape[1] // 2)
    return rng.normal(-6, 5, shape).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(4, 90), width=st.integers(4, 90))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, few: BoneSchema, seed: int, height: int, width: int
) -> None:
    placement = placed(height, width)
    logits = logits_for(3, placement, seed)
    logits[1] = -20 if seed % 3 == 0 else logits[1]
    store = Store.create(tmp_path_factory.mktemp("s") / "store", few, {"seed": seed})
    store.write("hand.png", logits, placement)
    saved = Store.open(store.path, few).read("hand.png")
    assert saved.placement == placement
    back = saved.logits()
    assert np.array_equal(back > 0, logits > 0)  # the sign is kept, so the pixels are
    near = np.abs(logits) < 3
    assert np.abs(back - logits)[near].max(initial=0) < 0.06
    inside = (logits > BOX_LOGIT) & (logits < 11)
    assert np.abs(back - logits)[inside].max(initial=0) < 1.5
    outside = np.ones_like(near)
    for i, box in enumerate(saved.boxes):
        if box is not None:
            outside[i, box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = False
    assert (logits[outside] <= BOX_LOGIT).all()
    assert (back[outside] == FLOOR).all()


def test_a_logit_of_exactly_0_is_no_bone_before_and_after(tmp_path: Path, few: BoneSchema) -> None:
    placement = placed(16, 16)
    logits = np.zeros((3, 16, 16), np.float32)
    logits[0, 4:8, 4:8] = 1e-6
    store = Store.create(tmp_path / "store", few, {})
    store.write("a", logits, placement)
    back = decode(store.read("a").logits(), placement, few)
    assert np.array_equal(back.planes(), decode(logits, placement, few).planes())
    assert list(back.regions) == ["a"]


def test_decoded_bones_are_nearly_the_same(tmp_path: Path) -> None:
    schema = load_schema()
    placement = place((500, 400), Preparation(128, 32))
    import cv2

    rng = np.random.default_rng(1)
    logits = np.stack([cv2.GaussianBlur(rng.normal(-0.2, 25, (64, 64)), (0, 0), 3) for _ in schema.names]).astype(
        np.float32
    )
    store = Store.create(tmp_path / "s", schema, {})
    store.write("a", logits, placement)
    before = decode(logits, placement, schema).planes()
    after = decode(store.read("a").logits(), placement, schema).planes()
    dice = 2 * (before & after).sum() / (before.sum() + after.sum())
    assert dice > 0.998


def test_resuming(tmp_path: Path, few: BoneSchema) -> None:
    placement = placed()
    source = {"models": [{"name": "m", "sha256": "0"}], "views": 2}
    store = Store.create(tmp_path / "s", few, source)
    store.write("b.png", logits_for(3, placement), placement)
    store.write("folder/a.png", logits_for(3, placement), placement)
    again = Store.create(tmp_path / "s", few, source)
    assert "b.png" in again
    assert "c.png" not in again
    assert list(again) == ["b.png", "folder/a.png"]
    with pytest.raises(ConfigError, match="another model"):
        Store.create(tmp_path / "s", few, {"models": []})


def test_no_other_files_are_left(tmp_path: Path, few: BoneSchema) -> None:
    store = Store.create(tmp_path / "s", few, {})
    store.write("b.png", logits_for(3, placed()), placed())
    assert sorted(p.name for p in (tmp_path / "s").rglob("*")) == ["b.png.prob", "images", "store.json"]


def test_names_stay_inside(tmp_path: Path, few: BoneSchema) -> None:
    store = Store.create(tmp_path / "s", few, {})
    with pytest.raises(InputError, match="leaves its folder"):
        store.write("../../out", logits_for(3, placed()), placed())


def test_damage_is_noticed(tmp_path: Path, few: BoneSchema) -> None:
    store = Store.create(tmp_path / "s", few, {})
    store.write("a", logits_for(3, placed()), placed())
    path = tmp_path / "s" / "images" / "a.prob"
    good = path.read_bytes()

    def altered(old: bytes, new: bytes) -> bytes:
        assert old in good
        return good.replace(old, new)

    broken = {
        "empty": b"",
        "short": good[:-7],
        "long": good + b"x",
        "magic": b"X" + good[1:],
        "header length": good[:8] + b"\xff\xff\xff\x7f" + good[12:],
        "shape": altered(b'"shape":[', b'"shapf":['),
        "larger than its grid": altered(b'"shape":[32', b'"shape":[99'),
    }
    for data in broken.values():
        path.write_bytes(data)
        with pytest.raises(InputError, match="is damaged"):
            store.read("a")
    path.write_bytes(good[:-40] + bytes(40))
    with pytest.raises(InputError, match="is damaged"):
        store.read("a").logits()
    with pytest.raises(InputError, match="no probabilities"):
        store.read("b")


def test_stores_that_do_not_fit(tmp_path: Path, few: BoneSchema) -> None:
    with pytest.raises(InputError, match="not a store"):
        Store.open(tmp_path, few)
    Store.create(tmp_path / "s", few, {})
    with pytest.raises(SchemaError, match="other bones"):
        Store.open(tmp_path / "s", load_schema())
    value = json.loads((tmp_path / "s" / "store.json").read_text())
    (tmp_path / "s" / "store.json").write_text(json.dumps({**value, "format": 7}))
    with pytest.raises(InputError, match="format 7"):
        Store.open(tmp_path / "s", few)
    with pytest.raises(SchemaError, match="do not fit"):
        Store(tmp_path, few, {}).write("a", np.zeros((2, 8, 8), np.float32), placed())
