"""The memory of a long run: what counts as done, and the table that is made of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ossa.pipeline.parts import HEADER, Part, Parts, is_table, rows_by_image
from ossa.pipeline.sources import Source


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    out = []
    for i in range(8):
        path = tmp_path / "in" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(i))
        out.append(Source(path, f"hand/{i}", f"hand/{i}.png"))
    return out


def test_the_table_holds_what_is_done_behind_what_is_kept(sources: list[Source], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {})
    for source in sources[::2]:
        parts.put(source, Part(f'"{source.image_name}",Ulna,1 2\n{source.image_name},Radius,\n'))
    table = tmp_path / "all.csv"
    parts.write_csv(table, sources, ['"a, ""b"".png",Ulna,\n'])
    assert is_table(table)
    rows = list(rows_by_image(table))
    assert [image for image, _ in rows] == ['a, "b".png', *(s.image_name for s in sources[::2] for _ in range(2))]
    assert table.read_text() == HEADER + "".join(row for _, row in rows)
    parts.remove()
    assert not (tmp_path / "parts").exists()


def test_another_file_is_no_table(tmp_path: Path) -> None:
    for content in (b"", b"earlier", HEADER.encode()[:-1], b"\xff" * 100):
        (tmp_path / "x.csv").write_bytes(content)
        assert not is_table(tmp_path / "x.csv")
        assert list(rows_by_image(tmp_path / "x.csv")) == []
    assert list(rows_by_image(tmp_path / "gone.csv")) == []


def test_other_settings_or_another_file_start_again(sources: list[Source], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {"model": 1})
    for source in sources:
        parts.put(source, Part("x\n", {"notes": ["few bones"]}))
    again = Parts.begin(tmp_path / "parts", {"model": 1})
    found = again.get(sources[0])
    assert found is not None
    assert found.text == "x\n"
    assert found.facts == {"notes": ["few bones"]}
    status = sources[0].path.stat()
    os.utime(sources[0].path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert again.get(sources[0]) is None
    assert again.get(sources[1]) is not None
    other = Parts.begin(tmp_path / "parts", {"model": 2})
    assert all(other.get(source) is None for source in sources)


def test_a_damaged_part_counts_as_absent(sources: list[Source], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {})
    parts.put(sources[0], Part("x\n"))
    (path,) = (tmp_path / "parts").glob("*.part")
    whole = path.read_text()
    for damaged in (b"\xff\xff", b"[" * 100_000, b"{}", b"2", b"", whole.replace("{}", "2").encode()):
        path.write_bytes(damaged)
        assert parts.get(sources[0]) is None
    path.write_text(whole)
    assert parts.get(sources[0]) is not None
    (tmp_path / "parts" / "run.json").write_text("{")
    assert Parts.begin(tmp_path / "parts", {}).get(sources[0]) is None
