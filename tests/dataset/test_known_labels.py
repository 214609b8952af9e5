"""What is known of labels from an earlier start: used for the same label, and for nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import helpers_dataset as data
from ossa import load_schema
from ossa.config import check
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import Stratum
from ossa.dataset.known_labels import KnownLabels, label_hash
from ossa.errors import DatasetError
from ossa.labels.case import Case, Truth
from ossa.pipeline import train_data
from ossa.progress import silent

SCHEMA = load_schema()
SHAPE = (128, 128)


@pytest.fixture
def hands(tmp_path: Path) -> Path:
    return data.write_competition(tmp_path / "set", subjects=3, size=128, tests=0)


def other_reader(case: Case, schema: object, names: object) -> Truth:
    raise AssertionError


def test_what_was_put_is_known_after_it_was_saved(tmp_path, hands):
    case = open_dataset(hands).labelled[0]
    known = KnownLabels.load(tmp_path)
    key = known.key(case, SCHEMA, SHAPE)
    assert known.get(key) is None
    known.put(key, Stratum(True, "L", 31.5))
    known.save()
    again = KnownLabels.load(tmp_path)
    assert again.get(again.key(case, SCHEMA, SHAPE)) == Stratum(True, "L", 31.5)


def test_a_label_is_another_one_when_anything_that_decides_its_reading_is(tmp_path, hands):
    case = open_dataset(hands).labelled[0]
    assert case.label is not None
    known = KnownLabels.load(tmp_path)
    keys = {
        known.key(case, SCHEMA, SHAPE),
        known.key(case, SCHEMA, (128, 127)),
        known.key(case, replace(SCHEMA, title="other"), SHAPE),
        known.key(replace(case, scale_labels=True), SCHEMA, SHAPE),
        known.key(replace(case, side="L" if case.side != "L" else "R"), SCHEMA, SHAPE),
        known.key(replace(case, key="2"), SCHEMA, SHAPE),
    }
    case.label.write_text(case.label.read_text().replace("1", "2", 1))
    keys.add(KnownLabels.load(tmp_path).key(case, SCHEMA, SHAPE))
    assert len(keys) == 7
    assert None not in keys


def test_other_names_for_bones_make_it_another_label(tmp_path, hands):
    words = tmp_path / "names.json"
    words.write_text(json.dumps({"thumb": "finger-1"}))
    known = KnownLabels.load(tmp_path)
    plain, mapped = (open_dataset(hands, SCHEMA, None, names).labelled[0] for names in (None, words))
    assert known.key(plain, SCHEMA, SHAPE) != known.key(mapped, SCHEMA, SHAPE)


def test_readers_that_may_ask_other_files_are_never_remembered(tmp_path, hands):
    case = open_dataset(hands).labelled[0]
    known = KnownLabels.load(tmp_path)
    known_reader: Any = case.reader
    assert known.key(replace(case, reader=partial(other_reader, names=None)), SCHEMA, SHAPE) is None
    assert known.key(replace(case, reader=partial(known_reader, root=hands)), SCHEMA, SHAPE) is None
    known.put(None, Stratum(False, "?"))
    known.save()
    assert not (tmp_path / "labels.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 1}',
        '{"version": 9, "labels": {}}',
        '{"version": 1, "labels": {"a": [1, "L", null]}}',
        '{"version": 1, "labels": {"a": [true, "X", 1]}}',
        '{"version": 1, "labels": {"a": [true, "L", "x"]}}',
    ],
)
def test_a_damaged_file_means_that_labels_are_read_again(tmp_path, text):
    (tmp_path / "labels.json").write_text(text)
    assert KnownLabels.load(tmp_path).get("a") is None


def test_a_folder_of_masks_has_a_hash_of_its_names_and_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_text(name)
    first = label_hash(tmp_path)
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    second = label_hash(tmp_path)
    (tmp_path / "c.png").write_text("x")
    assert len({first, second, label_hash(tmp_path)}) == 3


def test_a_second_start_reads_no_label_but_a_changed_one(tmp_path, hands, monkeypatch):
    pytest.importorskip("torch")
    config = check(
        {
            "data": {"size": 64, "datasets": [{"path": str(hands)}], "cache": str(tmp_path / "cache")},
            "folds": {"count": 2},
        }
    )
    read: list[str] = []
    truth = Case.truth

    def counted(case, schema, shape=None):
        read.append(case.id)
        return truth(case, schema, shape)

    monkeypatch.setattr(Case, "truth", counted)

    def start():
        read.clear()
        groups = train_data.read_groups(config, SCHEMA, print)
        strata = train_data.first_look(config, SCHEMA, groups, silent, print)
        folds = train_data.folds_of(config, SCHEMA, groups, tmp_path / "run", False, silent, strata)
        return [case for group in groups for case in group.cases], strata, folds

    cases, strata, folds = start()
    assert sorted(read) == sorted(case.id for case in cases)
    assert start()[1:] == (strata, folds)
    assert read == []
    changed = cases[1]
    changed.label.write_text(changed.label.read_text() + " ")
    start()
    assert read == [changed.id]
    changed.label.write_text("{}")
    with pytest.raises(DatasetError):
        start()
    assert read == [changed.id]
    with pytest.raises(DatasetError):  # a bad label is never known
        start()


def test_a_set_of_mask_folders_is_known_and_has_a_fingerprint(tmp_path, hands):
    pytest.importorskip("torch")
    from ossa.labels import masks
    from ossa.safety.pictures import MASKS_SUFFIX
    from ossa.training.material import fingerprint_lines

    root = tmp_path / "masks"
    for case in open_dataset(hands).labelled[:2]:
        (root / case.id).parent.mkdir(exist_ok=True)
        (root / case.id).write_bytes(case.image.read_bytes())
        folder = (root / case.id).with_name(case.image.stem + MASKS_SUFFIX)
        masks.write(folder, case.segmentation(SCHEMA, SHAPE), case.image, None)
    cases = open_dataset(root).labelled
    known = KnownLabels.load(tmp_path)
    keys = {known.key(case, SCHEMA, SHAPE) for case in cases}
    assert len(keys) == 2
    assert None not in keys
    config = check({"data": {"size": 64, "datasets": [{"path": str(root)}]}})
    assert len(set(fingerprint_lines(config, [cases]))) == 2
