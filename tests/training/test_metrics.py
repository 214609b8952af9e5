"""metrics.csv: one table, whatever was added when, cut where a checkpoint stands."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

from ossa.errors import OutputError
from ossa.training.metrics import Table, read_rows

#: A row's figures; any row may lack any of them, or bring a new one.
figures = st.dictionaries(st.sampled_from("bdkx"), st.floats().map(repr), max_size=3)


def written(path: Path, *rows: dict[str, str]) -> Table:
    table = Table(path)
    for row in rows:
        table.add(row)
    return table


@settings(max_examples=60, deadline=None)
@given(st.lists(figures, min_size=1, max_size=8), st.data())
def test_a_table_that_is_cut_and_gone_on_with_is_the_one_that_was_not(
    rows: list[dict[str, str]], data: st.DataObject
) -> None:
    steps = [{"step": str(number), **row} for number, row in enumerate(rows)]
    at, further = data.draw(st.integers(0, len(rows))), data.draw(st.integers(0, len(rows)))
    with TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole.csv", Path(folder) / "killed.csv"
        written(whole, *steps)
        written(killed, *steps[: max(at, further)])  # more was written than the checkpoint at ``at`` knows of
        again = Table(killed)
        again.cut(at)
        assert [row["step"] for row in read_rows(killed)] == [str(number) for number in range(at)]
        for row in steps[at:]:
            again.add(row)
        assert killed.read_bytes() == whole.read_bytes()
        found = [{name: value for name, value in row.items() if value} for row in read_rows(whole)]
        assert found == steps


def test_a_row_that_a_kill_cut_short_is_dropped(tmp_path: Path) -> None:
    table = written(tmp_path / "m.csv", {"step": "1", "loss": "0.5"}, {"step": "123", "loss": "0.25"})
    whole = table.path.read_bytes()
    table.path.write_bytes(whole[:-2])  # as if step 12 stood there
    table.cut(200)
    assert [row["step"] for row in read_rows(table.path)] == ["1"]
    table.add({"step": "123", "loss": "0.25"})
    assert table.path.read_bytes() == whole


def test_a_table_of_which_nothing_is_kept_is_begun_anew(tmp_path: Path) -> None:
    table = written(tmp_path / "m.csv", {"step": "0", "old": "1"})
    table.cut(0)
    assert not table.path.exists()
    table.to_disk()
    table.add({"step": "0", "new": "2"})
    assert table.path.read_text() == "new,step\n2,0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    table = written(tmp_path / "m.csv", {"step": "0"})
    table.path.unlink()
    os.symlink("/dev/full", table.path)
    with pytest.raises(OutputError, match=r"m\.csv.*No space left"):
        table.add({"step": "1"})
