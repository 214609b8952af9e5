"""The memory of a long run: a line is whole or absent, the last one counts, and settings decide whose it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ossa.errors import OutputError
from ossa.safety.log import DONE, Log, stamp


def test_a_second_run_reads_what_the_first_one_put(tmp_path: Path) -> None:
    log = Log.begin(tmp_path / "run", {"model": (1, 2)})
    for k in range(20):
        log.put(f"hand {k}", {"k": k, "text": "ö\n" * k})
    log.put("hand 3", {"k": "again"})
    assert log.get("hand 4") == {"k": 4, "text": "ö\n" * 4}
    again = Log.begin(tmp_path / "run", {"model": [1, 2]})
    assert again.keys() == sorted(f"hand {k}" for k in range(20))
    assert again.get("hand 3") == log.get("hand 3") == {"k": "again"}
    assert again.get("hand 19") == {"k": 19, "text": "ö\n" * 19}
    assert again.get("hand 20") is None
    assert Log.begin(tmp_path / "run", {"model": 3}).keys() == []
    assert Log.begin(tmp_path / "run", {"model": 3}).agree({"model": 3})


def test_a_line_that_a_kill_cut_short_anywhere_is_absent_and_harms_no_other(tmp_path: Path) -> None:
    log = Log.begin(tmp_path / "run", {})
    log.put("a", {"text": "first"})
    start = (tmp_path / "run" / DONE).stat().st_size
    log.put("b", {"text": "second"})
    whole = (tmp_path / "run" / DONE).read_bytes()
    for end in range(start, len(whole)):
        (tmp_path / "run" / DONE).write_bytes(whole[:end])
        cut = Log(tmp_path / "run")
        assert cut.keys() == ["a"]
        cut.put("c", {"text": "third"})
        assert [cut.get(key) for key in "abc"] == [{"text": "first"}, None, {"text": "third"}]
        again = Log(tmp_path / "run")
        second = {"text": "second"} if end == len(whole) - 1 else None  # only the end of line lacked
        assert [again.get(key) for key in "abc"] == [{"text": "first"}, second, {"text": "third"}]


@pytest.mark.parametrize("line", [b"[" * 100_000, b"\xff\xfe", b"[1, {}]", b'["a"]', b'["a", []]', b"{}", b"null"])
def test_a_damaged_line_is_passed_over(tmp_path: Path, line: bytes) -> None:
    log = Log.begin(tmp_path / "run", {})
    log.put("a", {"k": 1})
    with (tmp_path / "run" / DONE).open("ab") as stream:
        stream.write(line + b"\n" + json.dumps(["b", {"k": 2}]).encode() + b"\n")
    again = Log(tmp_path / "run")
    assert again.keys() == ["a", "b"]
    assert again.get("a") == {"k": 1}
    assert again.get("b") == {"k": 2}


def test_a_folder_that_is_removed_takes_what_was_in_it_and_no_more(tmp_path: Path) -> None:
    log = Log.begin(tmp_path / "run", {})
    log.put("a", {"k": 1})
    shutil.rmtree(tmp_path / "run")
    assert log.get("a") is None
    log.put("b", {"k": 2})
    assert log.get("a") is None
    assert log.get("b") == {"k": 2}
    log.remove()
    assert log.keys() == []
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OutputError, match=r"done\.jsonl: cannot be written"):
        Log(tmp_path / "run").put("a", {})


def test_a_stamp_tells_another_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("1")
    before = stamp(path)
    assert stamp(path) == before
    path.write_text("12")
    assert stamp(path) != before
