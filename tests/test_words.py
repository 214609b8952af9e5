"""Rooms that serve every body part know no hand: none of its words stands in them, in code, comments or messages.

A hand's words are at home in ``hand/`` and ``schemas/``; CONTRIBUTING lists the other rooms that keep some, and why.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ossa.schema import load_schema

SRC = Path(__file__).parents[1] / "src" / "ossa"

#: Rooms and files below src/ossa where a hand's words may stand; everywhere else they may not.
KEPT = (
    "hand/",  # their home
    "phantom/options.py", "config/keys.py",  # names that run files hold
    "schema.py", "__init__.py", "cli/",  # the schema that nobody has to ask for, and what ossa says that it is for
    "models/finder.py", "models/finder_maps.py", "inference/", "training/",  # networks that know hands
    "measurement/", "export/measured.py", "pages/report/",  # numbers of a whole hand
    "dataset/", "labels/", "export/dicom/",  # names in files: folds, label formats, codes
    "pipeline/", "studio/", "apps/", "client.py",  # the hands of a film
    "pages/viewer.py",  # the groups of bones that the page's script knows
)  # fmt: skip

#: A hand's bones and parts, also inside of names (``DrawnHand``, ``wrist_only``). Radius, a word of geometry too,
#: counts where it is written as the bone.
WORDS = {
    "hand", "hands", "finger", "fingers", "thumb", "thumbs", "wrist", "wrists", "palm", "palms", "knuckle", "knuckles",
    "carpal", "carpals", "carpus", "metacarpal", "metacarpals", "midcarpal", "forearm", "forearms", "elbow", "elbows",
    "ulna", "ulnar", "myohand", *(name.lower() for name in load_schema("hand29").names if name.isalpha()),
} - {"radius"}  # fmt: skip

#: What means no hand: idioms, thumbnails, and the example file of all docstrings.
IDIOMS = re.compile(
    r"\b(by|at|in|on) hand\b|\bat_hand\b|\bhand-made\b|\bthumbs(?=[/\"])"
    r"|\bhand(_[a-z]+)?\.(dcm|jpe?g|json|npz|png|txt)\b",
    re.IGNORECASE,
)
#: Examples that run use the schema that is there without being asked for, and its bones.
EXAMPLE = re.compile(r'^ *>>> .*?(?=^ *$|""")', re.MULTILINE | re.DOTALL)


def words_of(text: str) -> set[str]:
    """The words of a text, those of names apart, in lower case."""
    plain = IDIOMS.sub("", text)
    found = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", plain)}
    return found | ({"Radius"} if re.search(r"\bRadius\b", plain) else set())


def told(path: Path) -> str:
    """A file's text without the examples of its docstrings, on its own lines."""
    return EXAMPLE.sub(lambda found: "\n" * found.group().count("\n"), path.read_text(encoding="utf-8"))


FILES = {path.relative_to(SRC).as_posix(): path for path in sorted(SRC.rglob("*.py"))}


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(KEPT)])
def test_a_room_for_every_part_knows_no_hand(name: str) -> None:
    for number, line in enumerate(told(FILES[name]).splitlines(), start=1):
        found = words_of(line) & (WORDS | {"Radius"})
        assert not found, f"{name}:{number}: {', '.join(sorted(found))} belongs into hand/ or schemas/"


def test_rooms_that_need_no_exception_have_none() -> None:
    for room in KEPT:
        texts = [told(path) for name, path in FILES.items() if name.startswith(room)]
        assert words_of("\n".join(texts)) & WORDS, f"{room} needs no exception any more"


def test_what_serves_every_part_is_looked_at() -> None:
    rooms = ("phantom/", "segmentation/", "radiograph/", "bundle/", "models/", "ensemble/", "config/", "safety/")
    assert all(any(name.startswith(room) for name in FILES if not name.startswith(KEPT)) for room in rooms)


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
