"""Corrections: what is saved reads back, nothing is ever lost, two people are told of each other."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.errors import LabelError, OssaError, OutputError
from ossa.labels.case import Truth
from ossa.labels.results import open_results
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation
from ossa.studio.bones import bones_json, state_of, thinned, truth_from, truth_of_json
from ossa.studio.corrections import Conflict, Corrections, Missing

SCHEMA = load_schema()
SHAPE = (60, 80)
NAME = "ID001/hand.png"

points = st.tuples(st.floats(-0.5, 79.5), st.floats(-0.5, 59.5)).map(list)
rings = st.lists(points, min_size=3, max_size=12)


@st.composite
def sent_bones(draw: Any) -> list[dict[str, Any]]:
    """Bones as a browser sends them: any states, any polygons in the picture."""
    out = []
    for name in draw(st.lists(st.sampled_from(SCHEMA.names), unique=True, max_size=6)):
        state = draw(st.sampled_from(["found", "absent", "not judged"]))
        polygons = draw(st.lists(rings, min_size=1, max_size=3)) if state == "found" else []
        out.append({"name": name, "state": state, "polygons": polygons})
    return out


def sent(*entries: tuple[str, str, list[Any]]) -> Truth:
    bones = [{"name": n, "state": s, "polygons": p} for n, s, p in entries]
    return truth_of_json(bones, SCHEMA, SHAPE, Path(NAME))


def square(x: float, y: float = 5.0, side: float = 10.0) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]


RADIUS = sent(("Radius", "found", [square(5)]), ("Ulna", "absent", []))


def save(store: Corrections, truth: Truth, opened: int, author: str = "kim", note: str = "") -> int:
    done = store.save(NAME, truth, SHAPE, opened=opened, former=None, author=author, note=note)
    return done.revision


@given(sent_bones())
@settings(max_examples=60, deadline=None)
def test_a_saved_correction_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, bones: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("studio")
    try:
        truth = truth_of_json(bones, SCHEMA, SHAPE, Path(NAME))
    except LabelError:
        return  # a scribble, or one over and over: refused as in every label
    save(Corrections(folder, SCHEMA), truth, 0)
    back = Corrections(folder, SCHEMA).read(NAME)
    assert bones_json(back, SCHEMA) == bones_json(truth, SCHEMA)
    assert back.annotated == truth.annotated
    assert back.shape == SHAPE
    states = {entry["name"]: entry["state"] for entry in bones}
    assert all(state_of(back, name) == states.get(name, "not judged") for name in SCHEMA.names)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_prediction_goes_out_and_back_pixel_for_pixel(seed: int) -> None:
    """Holes and several parts too."""
    generator = np.random.default_rng(seed)
    region = Region.tight(generator.random((12, 14)) < 0.7, 9, 11)
    assert region is not None
    found = Segmentation(SCHEMA, SHAPE, {"Lunate": region})
    sent_back = bones_json(truth_from(found, frozenset(SCHEMA.names)), SCHEMA)
    for entry in sent_back:
        entry.pop("confidence")
    back = truth_of_json(sent_back, SCHEMA, SHAPE, Path(NAME)).segmentation(SCHEMA, SHAPE)
    assert list(back.regions) == ["Lunate"]
    assert np.array_equal(back.plane("Lunate"), found.plane("Lunate"))


def test_thinning_keeps_the_line() -> None:
    ring = np.array([[x, 3.0] for x in range(50)] + [[49.0, y] for y in range(4, 40)] + [[0.0, 39.0]])
    assert len(thinned(ring, 0.5)) == 4
    assert len(thinned(np.array([[0.0, 0], [1, 0], [0, 1]]), 5.0)) == 3


@pytest.mark.parametrize(
    ("bones", "words"),
    [
        ({"name": "Radius"}, "no list"),
        ([7], "no object"),
        ([{"name": "Radios", "state": "absent"}], "perhaps 'Radius'"),
        ([{"name": "Radius", "state": "gone"}], "no state"),
        ([{"name": "Radius", "state": "found", "polygons": []}], "does not fit"),
        ([{"name": "Radius", "state": "absent", "polygons": [square(5)]}], "does not fit"),
        ([{"name": "Radius", "state": "absent"}, {"name": "Radius", "state": "absent"}], "twice"),
        ([{"name": "Radius", "state": "found", "polygons": [square(90)]}], "outside"),
        ([{"name": "Radius", "state": "found", "polygons": [[[1, 2], [3, 4]]]}], "too few"),
        ([{"name": "Radius", "state": "found", "polygons": [[["a", 2], [3, 4], [5, 6]]]}], "not a list of points"),
        ([{"name": "Radius", "state": "found", "polygons": "all"}], "no list"),
        ([{"name": "Radius", "state": "found", "polygons": [[[float("nan"), 2], [3, 4], [5, 6]]]}], "no position"),
    ],
)
def test_what_is_no_label_is_refused(bones: Any, words: str) -> None:
    with pytest.raises(OssaError, match=words):
        truth_of_json(bones, SCHEMA, SHAPE, Path(NAME))


def test_two_people_on_one_file_are_told(tmp_path: Path) -> None:
    store = Corrections(tmp_path, SCHEMA)
    assert save(store, RADIUS, 0, "kim", "the styloid") == 1
    with pytest.raises(Conflict, match="kim") as caught:
        save(store, sent(("Ulna", "found", [square(40)])), 0, "lee")
    assert caught.value.theirs.author == "kim"
    assert caught.value.theirs.revision == 1
    assert store.read(NAME).outlines.keys() == {"Radius"}
    assert save(store, sent(("Ulna", "found", [square(40)])), 1, "lee") == 2
    assert [(one.author, one.note, tuple(one.changed)) for one in store.history(NAME)] == [
        ("kim", "the styloid", ("Radius", "Ulna")),
        ("lee", "", ("Radius", "Ulna")),
    ]
    assert store.read(NAME, 1).outlines.keys() == {"Radius"}


def test_a_restored_revision_is_a_new_one(tmp_path: Path) -> None:
    store = Corrections(tmp_path, SCHEMA)
    save(store, RADIUS, 0)
    save(store, sent(("Radius", "absent", [])), 1)
    assert save(store, store.read(NAME, 1), 2, note="restored") == 3
    assert bones_json(store.read(NAME), SCHEMA) == bones_json(RADIUS, SCHEMA)
    assert len(store.history(NAME)) == 3


def test_the_corrections_are_a_folder_of_labels(tmp_path: Path) -> None:
    store = Corrections(tmp_path, SCHEMA)
    save(store, RADIUS, 0)
    save(store, RADIUS, 1)
    entries = open_results(tmp_path / "corrections").entries
    assert list(entries) == ["ID001/hand"]
    assert entries["ID001/hand"].read(SHAPE).regions.keys() == {"Radius"}


@pytest.mark.parametrize("name", ["../../etc/hand.png", "/etc/hand.png", "a/../../hand.png", "..", "elsewhere/h.png"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "studio"
    store = Corrections(folder, SCHEMA)
    store.save(name, RADIUS, SHAPE, opened=0, former=None, author="", note="")
    assert {path.name for path in tmp_path.iterdir()} == {"studio"}
    assert store.label(name).is_relative_to(folder)
    assert Corrections(folder, SCHEMA).revision(name) == 1


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    store = Corrections(tmp_path, SCHEMA)
    assert store.revision(NAME) == 0
    assert store.history(NAME) == []
    for revision in (None, 0, 1, 7):
        with pytest.raises(Missing, match="no revision"):
            store.read(NAME, revision)
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """The program ends here, nothing is tidied up."""


@pytest.mark.parametrize("step", range(8))
def test_a_killed_program_loses_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Planted: the program dies before, or right after, the n-th file is moved to its place."""
    store = Corrections(tmp_path, SCHEMA)
    save(store, RADIUS, 0)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.json")}
    count, real = 0, os.replace

    def dying(source: Any, target: Any) -> None:
        nonlocal count
        if count == step:
            count += 1
            raise Killed
        count += 1
        real(source, target)
        if count == step:
            count += 1
            raise Killed

    monkeypatch.setattr("ossa.studio.corrections.Corrections._restore", lambda *_: None)
    monkeypatch.setattr("ossa.safety.whole.os.replace", dying)
    monkeypatch.setattr(Path, "unlink", lambda *_args, **_options: None)  # the dead tidy nothing up
    try:
        save(store, sent(("Ulna", "found", [square(40)])), 1)
        saved = True
    except Killed:
        saved = False
    monkeypatch.undo()

    again = Corrections(tmp_path, SCHEMA)
    number = again.revision(NAME)
    assert number in ((2,) if saved else (1, 2))
    assert bones_json(again.read(NAME, 1), SCHEMA) == bones_json(RADIUS, SCHEMA)
    assert (tmp_path / "history" / NAME / "0001.json").read_bytes() == before[tmp_path / "history" / NAME / "0001.json"]
    assert [one.revision for one in again.history(NAME)] == list(range(1, number + 1))
    assert again.label(NAME).read_bytes() == (tmp_path / "history" / NAME / f"{number:04d}.json").read_bytes()
    assert save(again, RADIUS, number) == number + 1


@pytest.mark.parametrize("step", range(3))
def test_a_full_disk_leaves_the_former_label_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    store = Corrections(tmp_path, SCHEMA)
    save(store, RADIUS, 0)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.json")}
    count, real = 0, os.replace

    def full(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count == step + 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr("ossa.safety.whole.os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        save(store, sent(("Ulna", "found", [square(40)])), 1)
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.json")} == before
    assert store.revision(NAME) == Corrections(tmp_path, SCHEMA).revision(NAME) == 1
    assert save(store, RADIUS, 1) == 2


def test_a_label_that_another_program_changed_becomes_a_revision(tmp_path: Path) -> None:
    store = Corrections(tmp_path, SCHEMA)
    save(store, RADIUS, 0, "kim")
    save(store, sent(("Radius", "absent", [])), 1, "lee")
    label = store.label(NAME)
    label.write_text(label.read_text().replace('"judged":["Radius"]', '"judged":["Radius","Ulna"]'))
    again = Corrections(tmp_path, SCHEMA)
    assert again.revision(NAME) == 3
    assert again.read(NAME).annotated == {"Radius", "Ulna"}
    assert again.read(NAME, 2).annotated == {"Radius"}
    told = again.history(NAME)[-1]
    assert (told.author, told.note, tuple(told.changed)) == ("", "changed outside of the studio", ("Ulna",))
    (tmp_path / "history" / NAME / "journal.json").unlink()
    assert [one.revision for one in Corrections(tmp_path, SCHEMA).history(NAME)] == [1, 2, 3]
    assert save(Corrections(tmp_path, SCHEMA), RADIUS, 3) == 4
    label.write_text("{half of a")  # no label at all: the newest revision stands
    last = Corrections(tmp_path, SCHEMA)
    assert last.revision(NAME) == 4
    assert last.read(NAME).outlines.keys() == {"Radius"}


def test_a_lost_journal_is_made_again(tmp_path: Path) -> None:
    store = Corrections(tmp_path, SCHEMA)
    save(store, RADIUS, 0, "kim", "one")
    save(store, RADIUS, 1, "lee\nwith a line break", "two")
    told = store.history(NAME)
    journal = tmp_path / "history" / NAME / "journal.json"
    for damage in (journal.unlink, lambda: journal.write_text("{half"), lambda: journal.write_text("[1]")):
        damage()
        assert Corrections(tmp_path, SCHEMA).history(NAME) == told
    assert json.loads(journal.read_text())[1]["author"] == "lee with a line break"
