"""Bundles: written whole, read back the same, every alteration refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_models import MakeBundle, card, small_net
from ossa.bundle.bundle import Bundle
from ossa.bundle.card import Card
from ossa.errors import BundleError, OutputError
from ossa.schema import BoneSchema

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")


def copied(bundle: Bundle, folder: Path) -> Path:
    return Path(shutil.copytree(bundle.path, folder / "copy"))


def test_both_files_hold_the_same_16_bit_weights(bundle: Bundle) -> None:
    loaded = Bundle.load(bundle.path)
    session = ort.InferenceSession(str(loaded.onnx_path), providers=["CPUExecutionProvider"])
    module = loaded.torch_module()
    for shape in ((1, 1, 32, 64), (3, 1, 96, 32)):  # other batches and sizes than the exporter's example
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        with torch.inference_mode():
            expected = module(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(session.run(None, {"image": x})[0], expected, atol=2e-5)
    kinds = {i.name: i.data_type for i in onnx.load(str(loaded.onnx_path)).graph.initializer}
    assert kinds["second.weight.half"] == onnx.TensorProto.FLOAT16
    assert kinds["norm.running_var"] == onnx.TensorProto.FLOAT
    original = small_net().second.weight
    assert torch.equal(module.get_parameter("second.weight"), original.half().float())


def test_the_module_given_stays_as_it_is(tmp_path: Path, make_bundle: MakeBundle) -> None:
    from ossa.bundle.bundle import save_bundle

    net = small_net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    save_bundle(tmp_path / "m", net, card())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not torch.equal(before["second.weight"], before["second.weight"].half().float())


def test_card_round_trip(bundle: Bundle, few: BoneSchema) -> None:
    assert Bundle.load(bundle.path).card == bundle.card
    own = card(schema=few, thresholds={"a": 0.4}, figures={"dice": 0.9}, channels=2)
    assert Card.from_json(json.loads(json.dumps(own.to_json()))) == own


def test_no_traces_of_the_writing_machine(bundle: Bundle) -> None:
    data = bundle.onnx_path.read_bytes()
    assert b"site-packages" not in data
    assert str(Path.cwd()).encode() not in data
    assert b"helpers_models" not in data


def test_replaces_a_bundle_but_nothing_else(tmp_path: Path, make_bundle: MakeBundle) -> None:
    make_bundle(tmp_path / "m", name="one")
    make_bundle(tmp_path / "m", name="two")
    assert Bundle.load(tmp_path / "m").card.name == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    with pytest.raises(OutputError, match="no bundle"):
        make_bundle(tmp_path / "photos")
    assert (tmp_path / "photos" / "a.png").read_bytes() == b"x"


def test_nothing_is_left_when_the_export_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ossa.bundle import onnx as export_onnx
    from ossa.bundle.bundle import save_bundle

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_onnx, "write_half_onnx", broken)
    with pytest.raises(OutputError, match="No space left"):
        save_bundle(tmp_path / "m", small_net(), card())
    assert list(tmp_path.iterdir()) == []


def test_weights_beyond_16_bits_are_refused(tmp_path: Path) -> None:
    from ossa.bundle.bundle import save_bundle

    net = small_net()
    with torch.no_grad():
        net.second.weight[0] = 1e6
    with pytest.raises(BundleError, match="does not fit 16-bit"):
        save_bundle(tmp_path / "m", net, card())


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_an_altered_file_is_refused(bundle: Bundle, tmp_path: Path, name: str) -> None:
    folder = copied(bundle, tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[-5] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=name):
        Bundle.load(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match="missing"):
        Bundle.load(folder)


def test_folders_that_are_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        Bundle.load(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"no card\.json"):
        Bundle.load(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(BundleError, match="card cannot be read"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"stride": "2"}, "'stride' is missing or wrong"),
        ({"stride": 0}, "out of range"),
        ({"bones": []}, "list of bones"),
        ({"files": {}}, "lists no files"),
        ({"files": {"../outside": "0"}}, "outside the bundle"),
        ({"thresholds": {"Radius": 1.5}}, "out of range"),
        ({"thresholds": {"Femur": 0.5}}, "does not have"),
        ({"preparation": None}, "'preparation'"),
    ],
)
def test_malformed_cards(bundle: Bundle, tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder = copied(bundle, tmp_path)
    value = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**value, **change}))
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_bones_that_are_not_the_shipped_schema(bundle: Bundle) -> None:
    value = bundle.card.to_json()
    value["bones"] = value["bones"][::-1]
    with pytest.raises(BundleError, match="another order"):
        Card.from_json(value)
    value["bones"] = value["bones"][1:]
    with pytest.raises(BundleError, match="missing"):
        Card.from_json(value)


def test_new_thresholds_keep_the_files(bundle: Bundle, tmp_path: Path) -> None:
    copy = Bundle.load(copied(bundle, tmp_path))
    copy.rewrite_card(replace(copy.card, thresholds={"Ulna": 0.4}, files={}))
    again = Bundle.load(copy.path)
    assert again.card.thresholds == {"Ulna": 0.4}
    assert again.card.files == bundle.card.files


def test_weights_of_another_architecture(bundle: Bundle, tmp_path: Path) -> None:
    folder = copied(bundle, tmp_path)
    value = json.loads((folder / "card.json").read_text())
    value["channels"] = 2
    (folder / "card.json").write_text(json.dumps(value))
    with pytest.raises(BundleError, match="do not fit the architecture"):
        Bundle.load(folder).torch_module()
