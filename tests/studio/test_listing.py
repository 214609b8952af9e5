"""The list in every order that the page offers, against the obvious way over its own rows."""

from __future__ import annotations

import pytest

from helpers_desk import SCHEMA, data_set, predictions, studio
from ossa.studio.listing import SORTS, Query
from ossa.studio.studio import Studio

PREDICTED = "predictions-1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("listing")
    root = data_set(folder)
    return studio(folder, root, predictions(folder, root))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", [sort for sort in SORTS if sort != "area"])
def test_every_order(made: Studio, sort: str, descending: bool) -> None:
    rows = made.list(Query(sort=sort, descending=descending))["rows"]
    told = [len(row["flags"]) if sort == "flags" else row[sort] for row in rows]
    there = [one for one in told if one not in (None, "")]
    assert there == sorted(there, key=lambda one: one.casefold() if isinstance(one, str) else one, reverse=descending)
    assert all(one in (None, "") for one in told[len(there) :])  # what has none comes last, either way
    assert len(told) == 8


@pytest.mark.parametrize("sort", ["score", "confidence"])
def test_the_worst_bone_of_each_picture(made: Studio, sort: str) -> None:
    rows = made.list(Query(sort=sort, bone="worst"))["rows"]
    bones = {name: {row["id"]: row[sort] for row in made.list(Query(bone=name))["rows"]} for name in SCHEMA.names}
    for row in rows:
        values = [of[row["id"]] for of in bones.values() if of[row["id"]] is not None]
        assert row[sort] == (min(values) if values else None)
    lowest = [row[sort] for row in rows if row[sort] is not None]
    assert lowest == sorted(lowest)
    assert len(set(lowest)) > 1


def test_with_and_without_warnings(made: Studio) -> None:
    rows = made.list(Query())["rows"]
    warned = [row["id"] for row in rows if row["flags"]]
    assert 0 < len(warned) < len(rows)
    assert [row["id"] for row in made.list(Query(flag="+"))["rows"]] == warned
    assert [row["id"] for row in made.list(Query(flag="-"))["rows"]] == [
        row["id"] for row in rows if row["id"] not in warned
    ]


def test_a_subject_is_found_by_the_search(made: Studio) -> None:
    made.list(Query())
    wanted = {row["id"] for row in made.list(Query())["rows"] if row["subject"] == "ID004"}
    assert {row["id"] for row in made.list(Query(search="id004"))["rows"]} == wanted
