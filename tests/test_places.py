"""Stores reached by URLs: what is there, what is sent, and trips whose pictures and results lie in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'ossa[s3]'")

from helpers_pictures import hand_picture, save
from ossa.errors import InputError, OutputError
from ossa.pipeline.asked import fast_predictor
from ossa.pipeline.films import find_films
from ossa.pipeline.measure import measure
from ossa.pipeline.measured import Numbers
from ossa.pipeline.predict import predict_with
from ossa.places import Folder, Store, is_url, place_for
from ossa.safety import write_text
from ossa.safety.log import Log


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/films")
    assert is_url("memory://x")
    assert not is_url("films/hand.png")
    assert not is_url(Path("s3://bucket/films"))


@pytest.mark.parametrize("kind", [Folder, Store])
def test_what_a_worker_writes_is_there(kind: type, tmp_path: Path) -> None:
    place = Folder(tmp_path) if kind is Folder else Store(f"file://{tmp_path}")
    with place.writing() as folder:
        write_text(folder / "left" / "hand.json", "{}")
    assert files(tmp_path) == {"left/hand.json": b"{}"}
    assert place.has("left/hand.json")
    assert not place.has("right/hand.json")
    with pytest.raises(ValueError, match="oh"), place.writing() as folder:
        raise ValueError("oh")
    assert files(tmp_path) == {"left/hand.json": b"{}"}


def test_a_log_outlives_its_leader_in_pieces(tmp_path: Path) -> None:
    """Three leaders one after the other, of which two are lost with their machines; the third ends."""
    url, marks = f"file://{tmp_path}/out", ("all.csv", ".run")
    for leader in range(3):
        store = Store(url, tmp_path / f"leader{leader}")
        store.begin(marks)
        log = Log.begin(store.folder / ".run", {"model": 1})
        assert log.keys() == [f"hand {k}" for k in range(2 * leader)]
        for k in (2 * leader, 2 * leader + 1):
            log.put(f"hand {k}", {"k": k})
            store._keep_logs()
    pieces = [name for name in files(tmp_path / "out") if "done.jsonl" in name]
    assert len(pieces) == 6
    assert Log(store.folder / ".run").get("hand 1") == {"k": 1}
    write_text(store.folder / "all.csv", "table")
    log.remove()
    store.end()
    assert files(tmp_path / "out") == {"all.csv": b"table"}


def test_a_log_of_other_settings_is_forgotten(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/out"
    for leader, model in enumerate((1, 2)):
        store = Store(url, tmp_path / f"leader{leader}")
        store.begin([".run"])
        log = Log.begin(store.folder / ".run", {"model": model})
        assert log.keys() == []
        log.put(f"hand {model}", {"text": "x" * 10 * model})
        store._keep_logs()
    store = Store(url, tmp_path / "third")
    store.begin([".run"])
    assert Log.begin(store.folder / ".run", {"model": 2}).keys() == ["hand 2"]


def test_results_do_not_fall_among_what_is_read(tmp_path: Path) -> None:
    for output in ("file:///a/films", "file:///a"):
        with pytest.raises(OutputError, match="one of the inputs"), place_for(output, ["file:///a/films/"], []):
            pass


def test_pictures_below_a_url(tmp_path: Path) -> None:
    for name in ("b/hand.png", "a/hand.png", "a/hand_overlay.png", "a/.hidden.png", "out/x.png"):
        save(tmp_path / "in" / name, hand_picture(24, 20))
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / "IM01").write_bytes(bytes(128) + b"DICM")
    url, said = f"file://{tmp_path}/in", list[str]()
    films = find_films([url], f"{url}/out", said.append)
    local = find_films([tmp_path / "in"], tmp_path / "in" / "out")
    assert [(film.name, film.image_name) for film in films] == [(film.name, film.image_name) for film in local]
    assert [film.url for film in films] == [f"{url}/IM01", f"{url}/a/hand.png", f"{url}/b/hand.png"]
    assert said == ["passed over 1 file that is no picture: .txt 1"]
    (single,) = find_films([f"{url}/b/hand.png"], None)
    assert (single.name, single.url) == ("hand", f"{url}/b/hand.png")
    with pytest.raises(InputError, match="no radiograph was found"):
        find_films([f"{url}/nothing"], None)


def test_predict_and_measure_through_a_store_give_the_same_bytes(bright_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "left/c", "right/c"):
        save(tmp_path / "in" / f"{name}.png", hand_picture(240, 200))
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    fast, url = (lambda: fast_predictor(bright_model, "auto")), f"file://{tmp_path}"
    local = predict_with(fast, [tmp_path / "in"], tmp_path / "o1", numbers=Numbers())

    def stops(items: Iterable, total: int, what: str) -> Iterator:
        yield from islice(items, 3)
        raise KeyboardInterrupt

    assert predict_with(fast, [f"{url}/in"], f"{url}/o2", numbers=Numbers(), track=stops).interrupted
    assert (tmp_path / "o2" / ".ossa-run" / "run.json").exists()
    said: list[str] = []
    again = predict_with(fast, [f"{url}/in"], f"{url}/o2", numbers=Numbers(), tell=said.append)
    assert files(tmp_path / "o2") == files(tmp_path / "o1")
    assert [done.bones for done in again.done] == [done.bones for done in local.done]
    assert f"{url}/in/bad.png" in again.skipped[0].reason
    measure([tmp_path / "in"], tmp_path / "m1", load=fast)
    measure([f"{url}/in"], f"{url}/m2", load=fast)
    assert files(tmp_path / "m2") == files(tmp_path / "m1")
