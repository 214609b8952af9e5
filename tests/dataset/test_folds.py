import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_dataset import SCHEMA, write_competition
from helpers_known import known
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import (
    Folds,
    Stratum,
    make_folds,
    read_folds,
    refuse_leak,
    strata_of,
    stratum_of,
    table,
    write_folds,
)
from ossa.errors import ConfigError, DatasetError


def competition_like(subjects=400, share=0.115, seed=0):
    """Two hands each; the bent ones mostly on both sides of the same person."""
    rng = np.random.default_rng(seed)
    strata = []
    for k in range(subjects):
        bent = rng.random() < share
        strata += [(f"ID{k:03d}", Stratum(bool(bent and rng.random() < 0.9), side)) for side in "LR"]
    return strata


def test_bent_wrists_and_sides_are_spread_evenly():
    strata = competition_like()
    folds = make_folds(strata, 5)
    counts = table(strata, folds)
    for name, row in counts.items():
        assert sum(row) == sum(s.name == name or name == "all" for _, s in strata)
        assert max(row) - min(row) <= 2, name


@pytest.mark.parametrize("seed", range(6))
def test_a_rare_kind_is_in_every_fold_as_often(seed):
    """Ten of forty subjects bent, one hand each: two in each of five folds, which chance alone hardly ever gives."""
    strata = [(f"ID{k:03d}", Stratum(k % 4 == 0, "L" if k % 2 else "R")) for k in range(40)]
    counts = table(strata, make_folds(strata, 5, seed))
    assert counts["bent R"] == [2] * 5
    assert counts["straight R"] == [2] * 5
    assert counts["straight L"] == [4] * 5


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(6, 60), st.floats(0, 1), st.integers(0, 99))
def test_every_subject_is_in_one_fold_and_folds_are_of_like_size(count, subjects, share, seed):
    strata = competition_like(subjects, share, seed)
    folds = make_folds(strata, count, seed)
    assert set(folds.fold_of) == {s for s, _ in strata}
    sizes = np.bincount(list(folds.fold_of.values()), minlength=count)
    assert sizes.max() - sizes.min() <= 2
    assert folds == make_folds(strata[::-1], count, seed)


def test_strata_are_measured_from_the_labels(tmp_path):
    dataset = open_dataset(write_competition(tmp_path, subjects=4, tests=1, size=160))
    found = [stratum_of(case, SCHEMA) for case in dataset.labelled]
    assert [s.bent for s in found] == [False] * 6 + [True] * 2
    assert [s.side for s in found].count("L") == 4
    assert abs(known(found[-1].angle)) == pytest.approx(30, abs=5)
    assert stratum_of(dataset.unlabelled[0], SCHEMA) == Stratum(False, dataset.unlabelled[0].side or "?")
    known(dataset.labelled[2].label).write_text("broken")
    assert not stratum_of(dataset.labelled[2], SCHEMA).bent


def test_folds_split_a_data_set_by_subject(tmp_path):
    dataset = open_dataset(write_competition(tmp_path, subjects=6, tests=0, size=64))
    folds = make_folds(strata_of(dataset.labelled, SCHEMA), 3)
    seen: list[Any] = []
    for k in range(3):
        training, validation = folds.split(dataset.cases, k)
        assert len(training) == 8
        assert len(validation) == 4
        assert not {c.subject for c in training} & {c.subject for c in validation}
        seen += validation
    assert sorted(c.id for c in seen) == sorted(c.id for c in dataset)
    with pytest.raises(ConfigError, match="no such fold"):
        folds.split(dataset.cases, 3)
    stranger = replace(dataset.cases[0], subject="ID999")
    with pytest.raises(DatasetError, match="ID999"):
        folds.split([*dataset.cases, stranger], 0)


def test_leaks_are_refused(tmp_path):
    cases = open_dataset(write_competition(tmp_path, subjects=3, tests=0, size=48)).cases
    with pytest.raises(DatasetError, match=cases[0].subject):
        refuse_leak(cases[:1], cases[1:2])
    twin = replace(cases[0], subject="somebody else")
    with pytest.raises(DatasetError, match="a picture is in the training and in the validation set"):
        refuse_leak([cases[0]], [twin])
    refuse_leak(cases[:2], cases[2:])
    # A split looks for leaks itself: one picture under the names of two subjects, who are in different folds.
    with pytest.raises(DatasetError, match="a picture is in the training and in the validation set"):
        Folds(2, 0, {cases[0].subject: 0, "somebody else": 1}).split([cases[0], twin], 0)


def test_a_split_is_written_once_and_edits_are_noticed(tmp_path):
    path = tmp_path / "folds.json"
    folds = make_folds(competition_like(20), 4)
    write_folds(path, folds)
    before = path.read_bytes()
    write_folds(path, folds)
    assert read_folds(path) == folds
    with pytest.raises(DatasetError, match="holds another split"):
        write_folds(path, make_folds(competition_like(20), 5))
    assert path.read_bytes() == before
    data = json.loads(before)
    data["subjects"]["ID003"] = (data["subjects"]["ID003"] + 1) % 4
    path.write_text(json.dumps(data))
    with pytest.raises(DatasetError, match="was edited"):
        read_folds(path)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not valid JSON"),
        ("[]", "not a file of folds"),
        ('{"count": 2, "seed": 0, "hash": "x", "subjects": {"a": 5}}', "does not exist"),
        ('{"count": 2, "seed": 0, "hash": "x", "subjects": {"a": 0, "a": 1}}', "'a' is listed twice"),
        ('{"count": 2, "seed": 0, "hash": "x", "subjects": 3}', "not a file of folds"),
        ('{"count": Infinity, "seed": 0, "hash": "x", "subjects": {}}', "which JSON does not have"),
        ('{"count": 1e999, "seed": 0, "hash": "x", "subjects": {}}', "larger than any"),
        ('{"count": 2.0, "seed": 0, "hash": "x", "subjects": {}}', "not a file of folds"),
        ('{"count": 2, "seed": 0, "hash": [[0, 0]], "subjects": {"a": 0, "b": 1}}', "not a file of folds"),
        ('{"count": 2, "seed": 0, "hash": "x", "subjects": {"a": true, "b": 0}}', "does not exist"),
        ('{"count": 2, "seed": 0, "hash": "x", "subjects": {"a": "0", "b": 1}}', "does not exist"),
        ('{"count": 2, "seed": 0, "hash": "x", "subjects": {"a": -1, "b": 1}}', "does not exist"),
        ('{"count": 1000000000000, "seed": 0, "hash": "x", "subjects": {"a": 0, "b": 1}}', "that no split has"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_files_that_are_no_folds(tmp_path, text, word):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(DatasetError, match=word) as caught:
        read_folds(tmp_path / "f.json")
    assert str(tmp_path / "f.json") in str(caught.value)


def test_impossible_numbers_of_folds():
    with pytest.raises(ConfigError, match="too few folds"):
        make_folds(competition_like(5), 1)
    with pytest.raises(DatasetError, match="fewer subjects than folds"):
        make_folds(competition_like(3), 4)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_folds("/nowhere/folds.json")
