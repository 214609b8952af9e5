"""Schemas: every shipped one is sound, and a broken one is told from a good one."""

from __future__ import annotations

from importlib.resources import files
from itertools import combinations
from math import dist
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


def verhoeff(number: str) -> bool:
    """Whether the last digit is the check digit of the others (SNOMED CT Release File Specification, 5.5)."""
    rotated = [[(i + j) % 5 for j in range(5)] + [5 + (i + j) % 5 for j in range(5)] for i in range(5)]
    turned = [[5 + (i - j) % 5 for j in range(5)] + [(i - j) % 5 for j in range(5)] for i in range(5)]
    product = rotated + turned
    row, rows = list(range(10)), []
    for _ in range(8):
        rows.append(row)
        row = [(1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit] for digit in row]
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = product[check][rows[place % 8][int(digit)]]
    return check == 0


def test_the_check_digit_finds_errors() -> None:
    assert verhoeff("2363")  # Verhoeff's own example
    assert not verhoeff("2364")
    assert not verhoeff("2633")


@pytest.mark.parametrize("name", SHIPPED)
def test_snomed_codes_are_well_formed(name: str) -> None:
    for bone in load_schema(name).bones:
        for code in (bone.snomed, bone.snomed_left, bone.snomed_right):
            assert code is None or verhoeff(code), (bone.name, code)


def test_hand29_has_a_code_of_its_own_for_every_bone_of_a_side() -> None:
    bones = load_schema().bones
    sided = [bone.snomed_of(side) for bone in bones for side in "LR"]
    assert None not in sided
    assert len(set(sided)) == 58
    assert len({bone.fma_of(side) for bone in bones for side in "LR"} - {None}) == 58
    assert load_schema().bone("Scaphoid").fma_of("R") == "24435"
    assert load_schema().bone("Scaphoid").fma_of(None) is None
    assert load_schema().bone("Radius").snomed_of(None) == "62413002"
    assert load_schema().bone("Radius").snomed_of("L") == "719464007"
    plain = Bone("a", "A", "carpal", None, (0, 0, 0), "30518006", "a")
    assert plain.snomed_of("R") == "30518006"


def linear(rgb: tuple[int, int, int]) -> tuple[float, ...]:
    """sRGB's values as light, 0 to 1 (IEC 61966-2-1)."""
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb))


def oklab(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """Bjoern Ottosson's perceptual colour space; distances there are about equally visible."""
    return oklab_of_light(linear(rgb))


def oklab_of_light(light: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = light
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.793617785 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.428592205 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.808675766 * short,
    )


def touching(schema: BoneSchema) -> list[tuple[str, str]]:
    """Bones of hand29 that touch or overlap in radiographs."""
    carpals = [bone.name for bone in schema.bones if bone.row == "carpal"]
    pairs = list(combinations(carpals, 2))
    pairs += [(f"finger-{i}", f"finger-{i + 1}") for i in range(1, 19) if i not in (3, 7, 11, 15)]
    pairs += [(f"finger-{i}", f"finger-{i + 4}") for i in (3, 7, 11, 15)]
    pairs += [("Radius", "Ulna"), ("Radius", "Scaphoid"), ("Radius", "Lunate"), ("Ulna", "Triquetrum")]
    pairs += [("finger-3", "Trapezium"), ("finger-7", "Trapezoid"), ("finger-11", "Capitate")]
    return [*pairs, ("finger-15", "Hamate"), ("finger-19", "Hamate")]


def test_neighbouring_bones_are_told_apart_by_colour() -> None:
    schema = load_schema()
    colours = {bone.name: oklab(bone.colour) for bone in schema.bones}
    for a, b in touching(schema):
        assert dist(colours[a], colours[b]) > 0.17, (a, b)
    assert all(0.5 < lightness < 0.92 for lightness, _, _ in colours.values())


#: What a dichromat sees of linear RGB, at severity 1: Machado GM, Oliveira MM, Fernandes LAF. A physiologically-based
#: model for simulation of color vision deficiency. IEEE Trans Vis Comput Graph 2009; 15: 1291-1298, table 1.
SEEN_BY = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
    ),
}  # fmt: skip


@pytest.mark.parametrize("eyes", list(SEEN_BY))
def test_neighbouring_bones_are_told_apart_by_the_colour_blind(eyes: str) -> None:
    schema = load_schema()

    def seen(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
        light = linear(rgb)
        mixed = [sum(w * c for w, c in zip(row, light, strict=True)) for row in SEEN_BY[eyes]]
        return oklab_of_light(tuple(min(1.0, max(0.0, value)) for value in mixed))

    colours = {bone.name: seen(bone.colour) for bone in schema.bones}
    for a, b in touching(schema):
        assert dist(colours[a], colours[b]) > 0.11, (a, b)


@pytest.mark.parametrize("digit", ["inf", "-inf", "nan", '"one"', "[1]", "1e400"])
def test_a_digit_that_is_no_number_is_refused(digit: str) -> None:
    with pytest.raises(SchemaError, match="is not a bone schema"):
        parse_schema(f"{HEAD}{BONE}digit = {digit}\n", "n.toml")


@pytest.mark.parametrize(
    "name", ["9" * 5000, "../schemas/hand29", "", "\0", "a/b", "maps", "x" * 300 + ".toml", "\0.toml"]
)
def test_a_name_that_no_schema_can_have_is_refused(name: str) -> None:
    """As a damaged or hostile card may hold: nothing outside of the shipped schemas is opened by it."""
    with pytest.raises(SchemaError) as caught:
        load_schema(name)
    assert len(str(caught.value)) < 1000
