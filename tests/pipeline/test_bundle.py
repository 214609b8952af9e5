"""The export trip: files, parity, honest about what is not the same model."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_models import MakeBundle, small_net
from helpers_pictures import hand_picture, save
from ossa.bundle.bundle import Bundle, save_bundle
from ossa.errors import BundleError, ConfigError, MissingExtraError
from ossa.inference.engine import open_engine, runs_quick
from ossa.inference.predictor import Predictor
from ossa.pipeline import bundle as module
from ossa.pipeline.bundle import QUICK_LIMIT, asked_of, export_bundle
from ossa.radiograph.prepare import Preparation, prepare
from ossa.radiograph.radiograph import Radiograph

pytest.importorskip("onnx")
pytest.importorskip("torch")


def test_export_with_its_parity(bundle: Bundle, tmp_path: Path) -> None:
    images = [save(tmp_path / "in" / f"{i}.png", hand_picture(180 + 40 * i, 150)) for i in range(2)]
    exported = export_bundle(bundle.path, tmp_path / "out", static=[(64, 64)], eight_bit=True, images=images)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "card.json", "model.onnx", "model_64x64.onnx", "model_int8.onnx", "parity.json", "parity.txt",
    }  # fmt: skip
    parity = json.loads((tmp_path / "out" / "parity.json").read_text())
    forms = {form["form"]: form for form in parity["forms"]}
    for name in ("dynamic", "static"):
        assert forms[name]["same_model"]
        assert forms[name]["logits_max"] <= 1e-3
        assert forms[name]["dice_mean"] >= 0.999
    assert not forms["8-bit"]["same_model"]  # 8 bit is close, not the same, and the table says so
    assert forms["8-bit"]["logits_max"] > 1e-3
    assert parity["images"] == ["0.png", "1.png"]
    assert exported.to_text() == (tmp_path / "out" / "parity.txt").read_text()
    again = Bundle.load(tmp_path / "out")
    assert set(again.card.files) == {"model.onnx", "model_64x64.onnx", "model_int8.onnx"}
    # In 8 bits it stands for the model on CPUs where it finds the same bones, and only there.
    assert bool(again.card.quick) is (forms["8-bit"]["dice_mean"] >= QUICK_LIMIT)
    assert replace(again.card, files=bundle.card.files, quick="").to_json() == bundle.card.to_json()


@pytest.mark.parametrize("limit", [0.0, 1.1])
def test_the_form_of_8_bits_stands_for_the_model_where_it_is_good_enough(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    monkeypatch.setattr(module, "QUICK_LIMIT", limit)
    image = save(tmp_path / "in" / "a.png", hand_picture(180, 150))
    export_bundle(bundle.path, tmp_path / "out", eight_bit=True, images=[image])
    found = Bundle.load(tmp_path / "out")
    assert found.card.quick == ("model_int8.onnx" if limit == 0.0 else "")
    assert runs_quick(found, "cpu") <= bool(found.card.quick)


def test_what_goes_with_a_model_goes_with_its_export(tmp_path: Path, make_bundle: MakeBundle) -> None:
    from ossa.bundle.companions import FINDER, REFINER, add_companion, companions
    from ossa.models.finder import FinderNet
    from ossa.models.refiner import RefinerNet

    given = make_bundle(tmp_path / "given")
    given = add_companion(add_companion(given, FINDER, FinderNet()), REFINER, RefinerNet())
    images = [save(tmp_path / "in" / "hand.png", hand_picture(180, 150))]
    export_bundle(given.path, tmp_path / "out", images=images)
    assert companions(Bundle.load(tmp_path / "out")) == companions(given)
    predictor = Predictor.load(tmp_path / "out")
    assert predictor.finder is not None
    assert predictor.refiner is not None


def test_what_calibrates_is_what_predictions_ask(bundle: Bundle) -> None:
    radiographs = [Radiograph(hand_picture(180, 150)), Radiograph(hand_picture(240, 200))]
    asked = list(asked_of(bundle, radiographs))
    assert len(asked) >= 2
    first = prepare(radiographs[0], bundle.card.preparation)[0]
    np.testing.assert_array_equal(asked[0], first)


def test_another_network_is_found_out(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison notices when the reference is another model."""
    other = save_bundle(tmp_path / "other", small_net(seed=5), bundle.card)
    monkeypatch.setattr(module, "_reference", lambda _: (open_engine(other, "cpu"), "another"))
    image = save(tmp_path / "in" / "a.png", hand_picture(180, 150))
    exported = export_bundle(bundle.path, tmp_path / "out", images=[image])
    assert not exported.forms[0].exact
    assert exported.forms[0].dice_mean < 0.99


def test_refusals(bundle: Bundle, tmp_path: Path) -> None:
    image = save(tmp_path / "in" / "a.png", hand_picture(180, 150))
    with pytest.raises(BundleError, match="fixed size"):
        export_bundle(bundle.path, tmp_path / "out", static=[(50, 50)], images=[image])
    two = save_bundle(tmp_path / "two", small_net(channels=2), replace(bundle.card, channels=2))
    with pytest.raises(ConfigError, match="context channel"):
        export_bundle(two.path, tmp_path / "out", images=[image])


def test_everything_that_is_missing_is_named_at_once(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("onnx", "numba", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtraError, match=r"no onnx, no openvino, no numba.*ossa\[export,openvino,phantom\]"
    ) as told:
        export_bundle(bundle.path, tmp_path / "out", openvino=True)
    assert "--image" in str(told.value)
    with pytest.raises(MissingExtraError, match=r"ossa\[export\]'$"):
        export_bundle(bundle.path, tmp_path / "out", images=["a.png"])
    assert not (tmp_path / "out").exists()


def test_a_fixed_size_below_the_pictures_is_compared_on_what_it_sees(tmp_path: Path, make_bundle: MakeBundle) -> None:
    made = make_bundle(tmp_path / "m", preparation=Preparation(128))
    image = save(tmp_path / "in" / "a.png", hand_picture(180, 150))
    exported = export_bundle(made.path, tmp_path / "out", static=[(64, 64), (256, 160)], images=[image])
    assert [form.exact for form in exported.forms] == [True, True, True]
