"""Schemas: every shipped one is sound, and a broken one is told from a good one."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from ossa.errors import SchemaError
from ossa.schema import Bone, BoneSchema, load_schema, parse_schema

SHIPPED = sorted(
    p.name.removesuffix(".toml") for p in files("ossa").joinpath("schemas").iterdir() if p.name.endswith(".toml")
)
ROWS = {"distal", "middle", "proximal", "metacarpal", "carpal", "forearm"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_schema_is_sound(name: str) -> None:
    schema = load_schema(name)
    assert schema.name == name
    assert len(set(schema.names)) == len(schema) > 0
    assert [schema.index(n) for n in schema.names] == list(range(len(schema)))
    assert len({bone.colour for bone in schema.bones}) == len(schema), "two bones cannot be told apart in a picture"
    for bone in schema.bones:
        assert bone.title
        assert schema.bone(schema.bone(bone.mirror).mirror) is bone
        assert all(0 <= c <= 255 for c in bone.colour)
        assert not set(bone.aliases) & set(schema.names)


def test_hand29_is_the_competitions_list() -> None:
    schema = load_schema()
    carpals = ("Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform")
    assert schema.names == (*(f"finger-{i}" for i in range(1, 20)), *carpals, "Radius", "Ulna")
    assert {bone.row for bone in schema.bones} == ROWS
    assert [bone.digit for bone in schema.bones[:19]] == [1] * 3 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4
    assert schema.bone("finger-16").row == "distal"
    assert schema.bone("finger-3").row == "metacarpal"


def test_an_unknown_bone_is_answered_with_the_nearest() -> None:
    with pytest.raises(SchemaError, match="perhaps 'Scaphoid'"):
        load_schema().index("Scafoid")
    with pytest.raises(SchemaError, match="one of finger-1"):
        load_schema().index("zzz")


def test_an_unknown_schema_lists_the_known() -> None:
    with pytest.raises(SchemaError, match="hand29"):
        load_schema("foot")
    with pytest.raises(SchemaError, match=r"gone\.toml"):
        load_schema("gone.toml")


BONE = '[[bone]]\nname = "a"\ntitle = "A"\nrow = "carpal"\ncolour = "#010203"\n'
HEAD = 'name = "x"\ntitle = "X"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "is not a bone schema"),
        (HEAD, "bone"),
        (HEAD + "bone = []\n", "at least one bone"),
        (HEAD + BONE + BONE, "unique names"),
        (HEAD + BONE.replace('title = "A"\n', ""), "title"),
        (HEAD + BONE.replace("#010203", "red"), "is not a bone schema"),
        (HEAD + BONE + 'mirror = "b"\n', "mirror partner"),
        (BONE, "is not a bone schema"),
    ],
)
def test_a_broken_schema_is_refused(text: str, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        parse_schema(text, "x.toml")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + BONE)
    schema = load_schema(str(tmp_path / "mine.toml"))
    assert schema.bone("a").colour == (1, 2, 3)
    assert schema.mirror_order() == (0,)


def test_mirroring_takes_partners() -> None:
    bones = tuple(
        Bone(n, n, "carpal", None, (i, 0, 0), None, m) for i, (n, m) in enumerate([("l", "r"), ("c", "c"), ("r", "l")])
    )
    assert BoneSchema("m", "M", bones).mirror_order() == (2, 1, 0)
