"""Names that mean the same picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossa.labels.match import pair, without_ending


def test_endings_of_pictures_are_dropped_and_no_other_dots() -> None:
    for name, stem in (
        ("a/hand.png", "a/hand"),
        ("hand.PNG", "hand"),
        ("1.2.840.10008.5", "1.2.840.10008.5"),
        ("1.2.840.dcm", "1.2.840"),
        ("hand.v2", "hand.v2"),
        (".png", ".png"),
    ):
        assert without_ending(name) == stem


@pytest.mark.parametrize(
    ("names", "others", "found"),
    [
        (["train/DCM/ID001/a.png"], ["a.png"], {0: 0}),
        (["train/DCM/ID001/a.png"], ["ID001/a"], {0: 0}),
        (["a.png"], ["a.PNG"], {0: 0}),
        (["a.jpg"], ["a.png"], {0: 0}),  # the competition's labels call their .png pictures .jpg
        (["A/a.png", "B/a.png"], ["B/a", "A/a"], {0: 1, 1: 0}),
        (["x/A/a.png", "x/B/a.png"], ["B/a"], {1: 0}),
        (["a.png", "a.jpg"], ["a.jpg", "a.png"], {0: 1, 1: 0}),
        (["one/a.png"], ["two/a.png"], {0: 0}),  # the only ones of this name
        (["one/a.png", "two/a.png"], ["three/a.png"], {}),
        (["1.2.3"], ["1.2.3.dcm"], {0: 0}),
        (["a"], ["b"], {}),
    ],
)
def test_what_belongs_together(names: list[str], others: list[str], found: dict[int, int]) -> None:
    pairs = pair(names, others)
    assert dict(pairs.found) == found
    assert not pairs.unclear
    assert not pairs.shared


def test_a_choice_is_left_to_the_caller() -> None:
    assert dict(pair(["hand.json"], ["a/hand.json", "b/hand.json"]).unclear) == {0: (0, 1)}
    both = pair(["a/hand.png", "b/hand.png"], ["hand.png"])
    assert dict(both.shared) == {0: (0, 1)}
    assert not both.found
    assert dict(pair(["a.png", "a.jpg"], ["a"]).shared) == {0: (0, 1)}


NAMES = st.lists(
    st.builds("/".join, st.lists(st.sampled_from(["a", "b", "hand.png", "hand.jpg", "hand"]), min_size=1, max_size=4)),
    unique=True,
    max_size=8,
)


@given(NAMES, NAMES)
def test_nothing_is_given_twice(names: list[str], others: list[str]) -> None:
    pairs = pair(names, others)
    assert len(set(pairs.found.values())) == len(pairs.found)
    assert not set(pairs.found) & set(pairs.unclear)
    assert not set(pairs.found.values()) & set(pairs.shared)


@given(NAMES)
def test_a_set_of_paths_with_folders_finds_itself(names: list[str]) -> None:
    named = [f"{i}/{name}.png" for i, name in enumerate(names)]
    assert dict(pair(named, named).found) == {i: i for i in range(len(named))}
