"""Splits that somebody else made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ossa.dataset.folds import Folds
from ossa.dataset.folds_import import group_k_fold, import_folds
from ossa.errors import ConfigError, DatasetError, OssaError
from ossa.labels.case import Case

CASES = [
    Case(f"{subject}{hand}.png", subject, Path(f"{subject}{hand}.png"), Path("x.json"), name=f"{subject}/{hand}.png")
    for subject in ("ID001", "ID002", "ID004")
    for hand in "ab"
]
EXPECTED = {"ID001": 0, "ID002": 1, "ID004": 1}


@pytest.mark.parametrize(
    "split",
    [
        {"ID001": 0, "ID002": 1, "ID004": 1},
        {"ID001": 1, "ID002": 2, "ID004": 2},
        {"0": ["ID001"], "1": ["ID002", "ID004"]},
        {"fold1": ["ID001"], "fold2": ["ID002", "ID004"]},
        [["ID001"], ["ID002", "ID004"]],
        [{"train": ["ID002", "ID004"], "val": ["ID001"]}, {"train": ["ID001"], "val": ["ID002", "ID004"]}],
        {"ID001a.png": 0, "ID001b.png": 0, "ID002a": 1, "ID004/a.png": 1, "ID009": 0},
        "subject,fold\nID001,0\nID002,1\nID004,1\n",
        "image_name;fold\nID001a.png;1\nID002b.png;2\nID004b.png;2\n",
    ],
)
def test_forms_of_a_split(tmp_path: Path, split: object) -> None:
    path = tmp_path / ("s.csv" if isinstance(split, str) else "s.json")
    path.write_text(split if isinstance(split, str) else json.dumps(split))
    folds, strangers = import_folds(path, CASES)
    assert (folds.count, dict(folds.fold_of)) == (2, EXPECTED)
    assert strangers == (("ID009",) if "ID009" in str(split) else ())


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"P1": 0, "P2": 1}, "of another data set"),
        ({"ID001": 0, "ID002": 1}, "in no fold; .*no fold for ID004|in no fold"),
        ({"ID001a.png": 0, "ID001b.png": 1, "ID002": 0, "ID004": 0}, "subject 'ID001' is in two folds"),
        ([["ID001", "ID002"], ["ID001", "ID004"]], "'ID001' is in two folds"),
        ({"ID001": "a", "ID002": 1}, "is no number"),
        ({"ID001": 0, "ID002": 3, "ID004": 3}, "numbered"),
        ([1, 2], "is no split"),
        ({}, "is no split"),
        ("who,when\nID001,0\n", "is no split"),
    ],
)
def test_splits_that_do_not_fit(tmp_path: Path, split: object, said: str) -> None:
    path = tmp_path / ("s.csv" if isinstance(split, str) else "s.json")
    path.write_text(split if isinstance(split, str) else json.dumps(split))
    with pytest.raises(OssaError, match=said):
        import_folds(path, CASES)


def test_group_k_fold_deals_out_as_scikit_learn_does() -> None:
    """The figures are scikit-learn's for these groups: largest first, to the fold with fewest samples."""
    folds, _ = import_folds("GroupKFold(n_splits=2)", [*CASES, *CASES[:2]])
    assert folds.fold_of["ID001"] == 0
    assert folds.fold_of["ID002"] == folds.fold_of["ID004"] == 1
    # scikit-learn 1.9.1 gives the test groups d and e, b, a and c for these.
    few, _ = import_folds("GroupKFold(3)", [Case("", s, Path("x"), None) for s in "aabbbccdeee"])
    assert few.fold_of == {"a": 2, "b": 1, "c": 2, "d": 0, "e": 0}
    held = [0] * 5
    for fold in group_k_fold([f"ID{k // 2:03d}" for k in range(800)], 5).fold_of.values():
        held[fold] += 1
    assert held == [80] * 5
    with pytest.raises(ConfigError, match="3 subjects"):
        import_folds("GroupKFold(4)", CASES)
    with pytest.raises(ConfigError, match=r"a \.json or \.csv file"):
        import_folds("KFold(4)", CASES)


def test_folds_of_another_data_set_are_told() -> None:
    with pytest.raises(DatasetError, match=r"of another data set; found they hold P1, P2, \.\.\.; the data set ID001"):
        Folds(2, 0, {"P1": 0, "P2": 1}).split(CASES, 0)
