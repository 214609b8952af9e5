"""What names in label files mean, and maps that users give."""

from __future__ import annotations

from pathlib import Path

import pytest

from ossa.errors import SchemaError
from ossa.labels.names import bone_names
from ossa.schema import load_schema, parse_schema

SCHEMA = load_schema()


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("finger-1", ("finger-1",)),
        (" Finger_1 ", ("finger-1",)),
        ("finger 11", ("finger-11",)),
        ("SCAPHOID", ("Scaphoid",)),
        ("MC1", ("finger-3",)),
        ("Pisiform_Triquetrum", ("Triquetrum", "Pisiform")),
        ("background", ()),
        ("hand", None),
        ("", None),
    ],
)
def test_spellings(name: str, targets: tuple[str, ...] | None) -> None:
    assert bone_names(SCHEMA).targets(name) == targets


def test_every_bone_and_title_means_itself_and_a_near_miss_is_named() -> None:
    names = bone_names(SCHEMA)
    for bone in SCHEMA.bones:
        assert names.only(bone.name) == names.only(bone.title) == bone.name
    assert names.only("background") is names.only("Pisiform_Triquetrum") is None
    assert names.nearest("Hammate") == "Hamate"


def test_another_schema_has_its_own_names_only() -> None:
    text = (
        'name="f"\ntitle="F"\n[[bone]]\nname="talus"\ntitle="Talus"\nrow="tarsal"\ncolour="#010203"\naliases=["ankle"]'
    )
    names = bone_names(parse_schema(text, "x"))
    assert names.only("Ankle") == "talus"
    assert names.targets("MC1") is None


MAPS = {
    "m.toml": 'thumb_tip = "finger-1"\nwrist = ["Lunate", "Capitate"]\nRadius = []\n',
    "m.json": '{"thumb_tip": "finger-1", "wrist": ["Lunate", "Capitate"], "Radius": null}',
    "m.yaml": "thumb_tip: finger-1\nwrist: [Lunate, capitate]\nRadius:\n",
    "n.toml": 'skip = ["Radius"]\n[bones]\n"Thumb-Tip" = "finger-1"\nwrist = ["Lunate", "Capitate"]\n',
}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_of_the_user_comes_first(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(MAPS[name], encoding="utf-8")
    names = bone_names(SCHEMA, tmp_path / name)
    assert names.targets("Thumb tip") == ("finger-1",)
    assert names.targets("wrist") == ("Lunate", "Capitate")
    assert names.targets("Radius") == ()
    assert names.targets("Ulna") == ("Ulna",)


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("m.toml", 'a = "Scafoid"', "perhaps 'Scaphoid'"),
        ("m.toml", "a = 3", "no bone"),
        ("m.toml", "a = ", "is no map of names"),
        ("m.toml", "a = " + "[" * 5000, "is no map of names"),
        ("m.json", "[1]", "is no map of names"),
        ("m.json", "{", "is no map of names"),
        ("m.yaml", "a: [", "is no map of names"),
        ("m.yaml", "just words", "is no map of names"),
        ("m.yaml", "a: " + "x" * 1_000_001, "is no map of names"),
        ("m.yaml", "\udcff", "is no map of names"),
    ],
)
def test_a_wrong_map_names_its_file(tmp_path: Path, name: str, text: str, word: str) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SchemaError, match=name) as caught:
        bone_names(SCHEMA, tmp_path / name)
    assert word in str(caught.value)


def test_a_map_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"m\.toml: cannot be read"):
        bone_names(SCHEMA, tmp_path / "m.toml")
