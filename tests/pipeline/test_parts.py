"""The memory of a long run: what counts as done, and the table that is made of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ossa.pipeline.films import Film
from ossa.pipeline.parts import HEADER, Part, Parts, is_table, rows_by_image
from ossa.safety.log import Log


@pytest.fixture
def films(tmp_path: Path) -> list[Film]:
    out = []
    for i in range(8):
        path = tmp_path / "in" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(i))
        out.append(Film(path, f"hand/{i}", f"hand/{i}.png"))
    return out


def test_the_table_holds_what_is_done_behind_what_is_kept(films: list[Film], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {})
    for film in films[::2]:
        parts.put(film, Part(f'"{film.image_name}",Ulna,1 2\n{film.image_name},Radius,\n'))
    table = tmp_path / "all.csv"
    parts.write_csv(table, films, ['"a, ""b"".png",Ulna,\n'])
    assert is_table(table)
    rows = list(rows_by_image(table))
    assert [image for image, _ in rows] == ['a, "b".png', *(s.image_name for s in films[::2] for _ in range(2))]
    assert table.read_text() == HEADER + "".join(row for _, row in rows)
    parts.remove()
    assert not (tmp_path / "parts").exists()


def test_another_file_is_no_table(tmp_path: Path) -> None:
    for content in (b"", b"earlier", HEADER.encode()[:-1], b"\xff" * 100):
        (tmp_path / "x.csv").write_bytes(content)
        assert not is_table(tmp_path / "x.csv")
        assert list(rows_by_image(tmp_path / "x.csv")) == []
    assert list(rows_by_image(tmp_path / "gone.csv")) == []


def test_what_was_begun_and_is_not_done_goes_and_nothing_else(films: list[Film], tmp_path: Path) -> None:
    out = tmp_path / "out"
    parts = Parts.begin(out / "parts", {})
    labels = [out / f"{film.name}.json" for film in films[:3]]
    for label, film in zip(labels, films, strict=False):
        parts.starting(film, [f"{film.name}.json", f"{film.name}_overlay.png", f"{film.name}_masks"])
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("{}")
    (out / f"{films[1].name}_masks").mkdir()
    (out / f"{films[1].name}_masks" / "Ulna.png").write_text("")
    parts.put(films[0], Part("x\n"))
    others = out / "hand" / "other.json"
    others.write_text("somebody's")
    [note] = [p for p in (out / "parts").glob("*.begun") if films[2].name in p.read_text()]
    told = json.loads(note.read_text())
    note.write_text(json.dumps({**told, "files": ["../in/0.png"]}))  # a name that leaves the folder
    Parts(Log(out / "parts")).drop_unfinished()
    assert sorted(p.name for p in (out / "hand").iterdir()) == ["0.json", "2.json", "other.json"]
    assert films[0].path.exists()
    assert not list((out / "parts").glob("*.begun"))


def test_other_settings_or_another_file_start_again(films: list[Film], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {"model": 1})
    for film in films:
        parts.put(film, Part("x\n", {"notes": ["few bones"]}))
    again = Parts.begin(tmp_path / "parts", {"model": 1})
    found = again.get(films[0])
    assert found is not None
    assert found.text == "x\n"
    assert found.facts == {"notes": ["few bones"]}
    status = films[0].path.stat()
    os.utime(films[0].path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert again.get(films[0]) is None
    assert again.get(films[1]) is not None
    other = Parts.begin(tmp_path / "parts", {"model": 2})
    assert all(other.get(film) is None for film in films)


def test_a_damaged_part_counts_as_absent(films: list[Film], tmp_path: Path) -> None:
    parts = Parts.begin(tmp_path / "parts", {})
    parts.put(films[0], Part("x\n"))
    (path,) = (tmp_path / "parts").glob("*.jsonl")
    whole = path.read_text()
    for damaged in (b"\xff\xff", b"[" * 100_000, b"{}", b"2", b"", whole.replace("{}", "2").encode()):
        path.write_bytes(damaged)
        assert parts.get(films[0]) is None
    path.write_text(whole)
    assert parts.get(films[0]) is not None
    (tmp_path / "parts" / "run.json").write_text("{")
    assert Parts.begin(tmp_path / "parts", {}).get(films[0]) is None
