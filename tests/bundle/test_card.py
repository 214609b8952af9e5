"""Cards: read into types and checked once; whatever is wrong is a BundleError that names the file."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers_models import card
from ossa.bundle.bundle import Bundle
from ossa.bundle.card import UNKNOWN_LICENCE, Card, Closer
from ossa.errors import BundleError
from ossa.radiograph.prepare import Preparation
from ossa.schema import Bone, BoneSchema
from ossa.segmentation.cleanup import Cleanup, Rule

WHERE = Path("models/card.json")

FULL = card(
    thresholds={"Radius": 0.4},
    cleanup=Cleanup(Rule(part=1.0), {"finger-3": Rule()}),
    closer=(Closer(("Lunate", "Capitate"), least=1), Closer(("Radius",), 448, 0.1)),
    licence="CC-BY-4.0",
    files={"model.onnx": "0" * 64},
)


def test_the_quick_form_is_one_of_the_files() -> None:
    quick = replace(FULL, files={**FULL.files, "model_int8.onnx": "1" * 64}, quick="model_int8.onnx")
    assert Card.from_json(json.loads(json.dumps(quick.to_json())), WHERE) == quick
    assert "quick" not in FULL.to_json()
    for wrong in ("other.onnx", "../model.onnx", 3):
        with pytest.raises(BundleError, match="'quick' is"):
            Card.from_json({**FULL.to_json(), "quick": wrong}, WHERE)


def test_entries_are_read_into_types() -> None:
    back = Card.from_json(json.loads(json.dumps(FULL.to_json())), WHERE)
    assert back == FULL
    assert back.preparation == Preparation(64, 32)
    assert back.cleanup == FULL.cleanup
    assert back.closer == FULL.closer
    plain = Card.from_json(card().to_json())
    assert plain.cleanup is None
    assert plain.closer == ()


def test_nothing_is_claimed_of_a_users_model() -> None:
    assert card().licence == UNKNOWN_LICENCE
    value = card().to_json()
    del value["licence"]
    assert Card.from_json(value).licence == UNKNOWN_LICENCE


def test_the_codes_of_both_sides_travel() -> None:
    """Of a schema that no installation knows, all is in the card."""
    bone = Bone("toe", "Toe", "distal", 1, (1, 2, 3), "100", "toe", ("big toe",), "200", "300")
    schema = BoneSchema("foot_of_mine", "Foot", (bone, replace(bone, name="heel", mirror="heel", snomed_left=None)))
    back = Card.from_json(json.loads(json.dumps(card(schema=schema).to_json()))).schema
    assert back.bones == schema.bones
    assert [back.bones[0].snomed_of(side) for side in ("L", "R", None)] == ["200", "300", "100"]


WRONG: list[Any] = [
    None, True, -1, 0, 1.5, float("inf"), float("nan"), 10**400, "", "x", "0.5", [], [1], [[]], {}, {"a": 1},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every entry, nested ones too; of a list its first entry alone."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    return [path, *(p for key, below in inner for p in places(below, (*path, key)))]


def refusal(value: Any) -> str | None:
    """What the BundleError of a card says, None where the card can be read."""
    try:
        Card.from_json(value, WHERE).to_json()
    except BundleError as error:
        return str(error)
    return None


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: f"{w!r:.12}")
def test_a_wrong_entry_anywhere_is_a_bundle_error_or_no_fault(wrong: Any) -> None:
    """Free entries (training, figures, architecture's options) take anything; every other error names the card."""
    value = FULL.to_json()
    for path in places(value)[1:]:
        changed = copy.deepcopy(value)
        target = changed
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = wrong
        said = refusal(changed)
        assert said is None or (str(WHERE) in said and len(said) < 1500), path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": {"Radius": "0.5"}}, "threshold of 'Radius' is out of range; found '0.5'"),
        ({"thresholds": {"Radius": True}}, "threshold of 'Radius'"),
        ({"thresholds": {"Femur": 0.5}}, "'thresholds' speaks of a bone that the model does not have; found 'Femur'"),
        ({"cleanup": {"rule": {"part": 2}}}, "'cleanup' is wrong"),
        ({"cleanup": {"bones": {"Femur": {}}}}, "'cleanup' speaks of a bone"),
        ({"closer": {"bones": ["Femur"]}}, "'closer' speaks of a bone"),
        ({"closer": {"bones": []}}, "'closer' is wrong"),
        ({"preparation": {"size": 0, "multiple": 32}}, "'preparation' is wrong"),
        ({"preparation": {"size": 65536, "multiple": 32}}, "grid is too large"),
        ({"architecture": {}}, "'architecture' is wrong"),
        ({"architecture": {"name": "compact", "options": [1]}}, "'architecture' is wrong"),
        ({"stride": 3}, "stride or channels"),
        ({"files": {"model.onnx": 7}}, "SHA-256 of 'model.onnx'"),
        ({"bones": [1]}, "list of bones"),
        ({"bones": [{"name": "a"}]}, "list of bones"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Card.from_json({**FULL.to_json(), **change}, WHERE)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(sorted(FULL.to_json())),
)
def test_any_json_in_any_entry(value: Any, key: str) -> None:
    said = refusal({**FULL.to_json(), key: value})
    assert said is None or str(WHERE) in said


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("../shared/cases/hostile/card-*.json")))
def test_hostile_cards_that_were_found(path: Path, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_bytes(path.read_bytes())
    with pytest.raises(BundleError, match=r"card\.json"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "9" * 5000])
def test_numbers_that_json_does_not_have(number: str, tmp_path: Path) -> None:
    text = json.dumps(FULL.to_json()).replace('"colour": [206', f'"colour": [{number}', 1)
    assert number in text
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(BundleError, match=r"card\.json"):
        Bundle.load(tmp_path)


def test_an_architecture_that_nobody_knows_is_the_cards_fault(bundle: Bundle, tmp_path: Path) -> None:
    import shutil

    pytest.importorskip("torch")
    for architecture in (
        {"name": "nothing", "options": {}},
        {"name": "small_test", "options": {"depth": 3}},
        {"name": "small_test", "options": {"classes": 3}},
    ):
        folder = Path(shutil.copytree(bundle.path, tmp_path / "copy", dirs_exist_ok=True))
        value = json.loads((bundle.path / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps({**value, "architecture": architecture}))
        loaded = Bundle.load(folder)
        with pytest.raises(BundleError, match=r"card\.json: the card's 'architecture'"):
            loaded.torch_module()


def test_a_model_that_the_card_does_not_list_is_not_opened(bundle: Bundle, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(bundle.path, tmp_path / "copy"))
    value = json.loads((folder / "card.json").read_text())
    del value["files"]["model.onnx"]
    (folder / "card.json").write_text(json.dumps(value))
    with pytest.raises(BundleError, match=r"lists no model\.onnx"):
        Bundle.load(folder)


def test_whether_shafts_are_followed_is_said_by_true_or_false() -> None:
    told = replace(FULL, shafts=True).to_json()
    assert Card.from_json(told, WHERE).shafts is True
    assert Card.from_json({k: v for k, v in told.items() if k != "shafts"}, WHERE).shafts is False
    for wrong in (1, "yes", None):
        with pytest.raises(BundleError, match="'shafts'"):
            Card.from_json({**told, "shafts": wrong}, WHERE)
    with pytest.raises(BundleError, match="'stride'"):
        Card.from_json({**told, "stride": True}, WHERE)
