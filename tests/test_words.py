"""Rooms that serve every body part know no hand: none of its words stands in them, in code, comments or messages.

A hand's words are at home in ``hand/`` and ``schemas/``; CONTRIBUTING lists the other rooms that keep some, and why.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ossa.schema import load_schema

SRC = Path(__file__).parents[1] / "src" / "ossa"

#: Rooms below src/ossa that hold no hand's word.
ROOMS = ("phantom",)
#: Files of these that keep some: what users write, under the names that they write.
KEPT = {"phantom/options.py"}

#: A hand's bones and parts, also inside of names (``DrawnHand``, ``wrist_only``). Radius, a word of geometry too,
#: counts where it is written as the bone.
WORDS = {
    "hand", "hands", "finger", "fingers", "thumb", "thumbs", "wrist", "wrists", "palm", "palms", "knuckle", "knuckles",
    "carpal", "carpals", "carpus", "metacarpal", "metacarpals", "midcarpal", "forearm", "forearms", "elbow", "elbows",
    "ulna", "ulnar", "myohand", *(name.lower() for name in load_schema("hand29").names if name.isalpha()),
} - {"radius"}  # fmt: skip

#: What means no hand: idioms, and the example file of all docstrings. Examples that run use the schema that is there
#: without being asked for, and its bones.
IDIOMS = re.compile(
    r"\b(by|at|in|on) hand\b|\bat_hand\b|\bhand-made\b|\bhand(_[a-z]+)?\.(dcm|jpe?g|json|npz|png|txt)\b", re.IGNORECASE
)


EXAMPLE = re.compile(r'^ *>>> .*?(?=^ *$|""")', re.MULTILINE | re.DOTALL)


def words_of(text: str) -> set[str]:
    """The words of a text, those of names apart, in lower case."""
    plain = IDIOMS.sub("", text)
    found = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", plain)}
    return found | ({"Radius"} if re.search(r"\bRadius\b", plain) else set())


def files() -> list[str]:
    paths = [path for room in ROOMS for path in (SRC / room).rglob("*.py")] + [
        SRC / r for r in ROOMS if r[-3:] == ".py"
    ]
    return sorted({path.relative_to(SRC).as_posix() for path in paths})


@pytest.mark.parametrize("name", files())
def test_a_room_for_every_part_knows_no_hand(name: str) -> None:
    text = EXAMPLE.sub(lambda found: "\n" * found.group().count("\n"), (SRC / name).read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), start=1):
        found = words_of(line) & (WORDS | {"Radius"})
        assert name in KEPT or not found, f"{name}:{number}: {', '.join(sorted(found))} belongs into hand/ or schemas/"


def test_every_room_and_every_exception_is_there() -> None:
    assert all((SRC / room).exists() for room in ROOMS)
    assert set(files()) >= KEPT
    needless = [name for name in KEPT if not words_of((SRC / name).read_text(encoding="utf-8")) & WORDS]
    assert not needless, "these need no exception any more"


def test_examples_are_left_out_and_what_follows_is_not() -> None:
    text = (
        '"""Bones.\n\n    >>> schema.index("Radius")\n    27\n\n    Of a hand.\n    """\n    >>> hand"""; wrist = 1\n'
    )
    assert words_of(EXAMPLE.sub("", text)) & (WORDS | {"Radius"}) == {"hand", "wrist"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("class DrawnHand:", {"hand"}),
        ("options.wrist_only, HAND_WORDS", {"wrist", "hand"}),
        ('if bone == "Capitate": ...', {"capitate"}),
        ("the thumb's metacarpal", {"thumb", "metacarpal"}),
        ("the Radius, of a radius of 3 px", {"Radius"}),
        ("a right-handed frame, beforehand, by hand; handle the thumbnail of hand.png", set()),
    ],
)
def test_the_test_sees_a_word(text: str, found: set[str]) -> None:
    assert words_of(text) & (WORDS | {"Radius"}) == found
