"""Which files are meant, and that no result can overwrite another."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossa.errors import InputError
from ossa.pipeline.films import find_films, name_films


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(films: list) -> list[str]:
    return [film.name for film in films]


def test_a_folder_is_searched_in_sorted_order(tmp_path: Path) -> None:
    touch(tmp_path / "b.png", tmp_path / "a.PNG", tmp_path / "sub" / "c.jpeg", tmp_path / "notes.txt")
    touch(tmp_path / ".hidden.png", tmp_path / ".cache" / "d.png", tmp_path / "a_overlay.png", tmp_path / "label.json")
    assert names(find_films([tmp_path], tmp_path / "out")) == ["a", "b", "c"]


def test_earlier_results_are_not_taken_for_input(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "out" / "a_other.png")
    assert names(find_films([tmp_path], tmp_path / "out")) == ["a"]


def test_dicom_without_an_ending_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "README").write_bytes(b"no picture")
    assert names(find_films([tmp_path], tmp_path / "out")) == ["IM0001"]


def test_dicom_of_any_name_is_found(tmp_path: Path) -> None:
    for name in ("1.2.840.113619.2", "1.2.840.113619.3", "IMG0001.IMA", "hand.bak", "image.dcm.1"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "bare.000").write_bytes(b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(120))  # no preamble
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    touch(tmp_path / "notes.txt", tmp_path / "more.txt", tmp_path / "._IMG0001.IMA")
    told: list[str] = []
    found = find_films([tmp_path], tmp_path / "out", told.append)
    assert names(found) == ["1.2.840.113619.2", "1.2.840.113619.3", "IMG0001", "bare.000", "hand", "image.dcm.1"]
    assert told == ["passed over 3 files that are no pictures: .txt 2, DICOMDIR 1"]


def test_pictures_without_an_ending_are_found(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(130))
    (tmp_path / "photo.orig").write_bytes(b"\xff\xd8\xff\xe0" + bytes(130))
    (tmp_path / "BMI values").write_bytes(b"BMI of all patients")
    assert names(find_films([tmp_path], None)) == ["photo", "scan"]


def test_a_named_file_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    touch(tmp_path / "hand.xyz")
    assert names(find_films([tmp_path / "hand.xyz", tmp_path / "gone.png"], tmp_path / "o")) == ["hand", "gone"]


def test_patterns_and_repeats(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "1.png", tmp_path / "x" / "2.png", tmp_path / "y" / "3.png", tmp_path / "x" / "n.txt")
    found = find_films([tmp_path / "*", tmp_path / "x" / "*.png", f"{tmp_path}/**/3.png"], tmp_path / "o")
    assert names(found) == ["1", "2", "3"]


def test_a_file_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    touch(tmp_path / "hand[1].png")
    assert names(find_films([tmp_path / "hand[1].png"], tmp_path / "o")) == ["hand[1]"]


def test_nothing_found_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no radiograph was found.*\.png"):
        find_films([tmp_path], tmp_path / "o")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.png", "b.png"], ["a", "b"]),
        (["hand.png", "hand.dcm"], ["hand.png", "hand.dcm"]),
        (["left/hand.png", "right/hand.png"], ["left/hand", "right/hand"]),
        (["s1/r/hand.png", "s2/r/hand.png", "x.png"], ["s1/r/hand", "s2/r/hand", "x"]),
        (["Hand.png", "hand.png"], ["Hand.png", "hand.png"]),
        (["l/h.png", "l/h.dcm", "r/h.png", "r/h.dcm"], ["l/h.png", "l/h.dcm", "r/h.png", "r/h.dcm"]),
        (["a.b.png", "a.c.png"], ["a.b", "a.c"]),
    ],
)
def test_names(tmp_path: Path, files: list[str], expected: list[str]) -> None:
    films = name_films([tmp_path / file for file in files])
    assert names(films) == expected


paths = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a", "b", "A"]), max_size=2),
        st.sampled_from(["h", "H", "k", "h.png"]),
        st.sampled_from([".png", ".dcm", ".PNG", ""]),
    ).map(lambda t: "/".join([*t[0], t[1] + t[2]])),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(paths)
def test_no_two_results_share_a_name(files: list[str]) -> None:
    """Even on a file system that does not tell upper from lower case, as long as it could hold the images."""
    if len({file.casefold() for file in files}) < len(files):
        files = sorted({file.casefold() for file in files})
    films = name_films([Path("/data") / file for file in files])
    for kind in ("name", "image_name"):
        given_names = [getattr(film, kind).casefold() for film in films]
        assert len(set(given_names)) == len(files)
    for film in films:
        assert not film.name.startswith(("/", ".."))
        assert film.image_name.endswith(film.path.name)
