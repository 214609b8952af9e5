"""Writing at once or not at all, containment, sizes, hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossa.errors import InputError, OutputError
from ossa.safety import (
    LOCK_NAME,
    clear_leftovers,
    inside,
    output_folder,
    read_json,
    refuse_inputs,
    replacing,
    replacing_folder,
    sha256,
    write_bytes,
    write_json,
    write_text,
)
from ossa.safety.apart import clear_abandoned


def test_an_error_inside_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_missing_folders_are_made_and_permissions_are_usual(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    (tmp_path / "plain.txt").write_text("x")
    mode = stat.S_IMODE((tmp_path / "a" / "b" / "c.txt").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain.txt").stat().st_mode)


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "Free some space"), (errno.EACCES, "you may write"), (errno.EROFS, "you may write")],
)
def test_a_disk_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    write_text(tmp_path / "a.txt", "old")

    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OutputError, match=words) as caught:
        write_text(tmp_path / "a.txt", "new")
    assert caught.value.path == str(tmp_path / "a.txt")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EROFS, "you may write"), (errno.ENOSPC, "Free some space"), (errno.EACCES, "may write")]
)
def test_a_disk_that_takes_no_new_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    """The error names the hidden file, which nobody has asked for."""
    opened = os.open

    def refuses(path: Any, flags: int, *more: Any, **others: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(tmp_path)):
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", refuses)
    with pytest.raises(OutputError, match=words) as caught:
        write_text(tmp_path / "a.txt", "new")
    assert caught.value.path == str(tmp_path / "a.txt")


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="A file stands where a folder is needed"):
        write_bytes(tmp_path / "file" / "a.txt", b"x")


def test_someone_elses_error_is_not_renamed(tmp_path: Path) -> None:
    """Reading another file inside the block fails: that is not a problem of the output."""
    with pytest.raises(FileNotFoundError, match="other"), replacing(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()


def test_an_existing_file_keeps_its_permissions(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("old")
    secret.chmod(0o600)
    write_text(secret, "new")
    assert secret.read_text() == "new"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    """A folder of links to pictures, as 'ossa data convert --pictures link' makes it, is written into again."""
    (tmp_path / "input.txt").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "input.txt")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    for name in ("link", "lost"):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"
    assert (tmp_path / "input.txt").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_many_threads_leave_the_umask_alone(tmp_path: Path) -> None:
    """A umask asked for by setting it would be lost where two threads do so at once."""
    before = os.umask(0o027)
    try:
        work = [threading.Thread(target=write_text, args=(tmp_path / f"{i}", "x")) for i in range(64)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        after = os.umask(before)
    assert (modes, after) == ({0o640}, 0o027)


def test_many_threads_write_the_same_file(tmp_path: Path) -> None:
    work = [threading.Thread(target=write_text, args=(tmp_path / "a", str(i) * 100_000)) for i in range(8)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    text = (tmp_path / "a").read_text()
    assert len(text) == 100_000
    assert len(set(text)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/null")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    kinds = {"pipe": "a named pipe", "folder": "a folder", "socket": "a socket", "link": "a device"}
    for name, kind in kinds.items():
        with pytest.raises(OutputError, match=f"cannot be written; found {kind}; expected a file"):
            write_text(tmp_path / name, "x")
    for device in ("/dev/full", "/dev/stdout"):
        with pytest.raises(OutputError, match=r"found a (device|named pipe)"):
            write_text(device, "x")
    server.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link", "pipe", "socket"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_read_only_file_stays(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "precious")
    (tmp_path / "a").chmod(0o444)
    with pytest.raises(OutputError, match="read-only"):
        write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "precious"


def _run(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs ``code`` with sys.argv; it says "ready" and waits."""
    head = "import sys, time\nfrom pathlib import Path\nfrom ossa import safety\n"
    tail = "\n    print('ready', flush=True)\n    time.sleep(60)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", head + code + tail, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_the_rest_of_a_killed_writer_is_used_up_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    code = "with safety.replacing(sys.argv[1]) as part:\n    part.write_text('half')"
    living = _run(code, tmp_path / "a")
    assert len(list(tmp_path.iterdir())) == 1
    write_text(tmp_path / "a", "whole")
    clear_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # the living one's file is still there
    _kill(living)
    write_text(tmp_path / "a", "again")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "again")]
    _kill(_run(code, tmp_path / "b"))
    clear_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_leftovers_of_former_versions_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".phantoms.json.ab_cd12x.part", "a.part", ".part", ".a.part", ".gitignore"):
        (tmp_path / name).write_text("x")
    with output_folder(tmp_path):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.part", ".gitignore", ".part", "a.part"]


def test_a_folder_is_replaced_at_once_or_not_at_all(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "m") as work:
        (work / "a").write_text("1")
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["a"]
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "m") as work:
        (work / "b").write_text("2")
        _ = 1 / 0
    code = "with safety.replacing_folder(sys.argv[1]) as work:\n    (work / 'c').write_text('half')"
    living = _run(code, tmp_path / "m")
    with pytest.raises(OutputError, match="another run"), replacing_folder(tmp_path / "m"):
        pass
    clear_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    _kill(living)
    assert (tmp_path / "m" / "a").read_text() == "1"
    with replacing_folder(tmp_path / "m") as work:
        (work / "d").write_text("4")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["d"]
    _kill(_run(code, tmp_path / "m"))
    clear_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_kill_between_two_renamings_loses_no_folder(tmp_path: Path) -> None:
    """The old folder has given way, the new one not yet taken its place."""
    for again in (clear_leftovers, lambda _: None):
        with replacing_folder(tmp_path / "m") as work:
            (work / "a").write_text("old")
        code = """
import os
renamed, count = os.rename, 0
def dying(*names):
    global count
    count += 1
    if count == 2:
        print('ready', flush=True)
        time.sleep(60)
    renamed(*names)
os.rename = dying
with safety.replacing_folder(sys.argv[1]) as work:
    (work / 'b').write_text('new')
while True:"""
        _kill(_run(code, tmp_path / "m"))
        assert not (tmp_path / "m").exists()
        again(tmp_path)
        with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "m") as work:
            _ = 1 / 0
        assert [p.name for p in tmp_path.iterdir()] == ["m"]
        assert (tmp_path / "m" / "a").read_text() == "old"


def test_temporary_folders_of_killed_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    _kill(_run(HOLDER, tmp_path / "ossa-x-dead"))
    living = _run(HOLDER, tmp_path / "ossa-x-living")
    for name in ("ossa-x-new", "other"):  # one that its process is about to take, and somebody's
        (tmp_path / name).mkdir()
    (tmp_path / "ossa-x-link").symlink_to(tmp_path / "other")
    clear_abandoned(tmp_path, "ossa-x-")
    left = sorted(p.name for p in tmp_path.iterdir())
    _kill(living)
    assert left == ["ossa-x-link", "ossa-x-living", "ossa-x-new", "other"]


def test_a_run_that_fails_leaves_no_empty_folder_that_it_made(tmp_path: Path) -> None:
    def fail(where: Path, name: str | None = None) -> None:
        with pytest.raises(KeyError), output_folder(where) as folder:
            if name is not None:
                (folder / name).write_text("x")
            raise KeyError

    fail(tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []
    fail(tmp_path / "new" / "deep", "result.csv")
    assert [path.name for path in (tmp_path / "new" / "deep").iterdir()] == ["result.csv"]
    (tmp_path / "was").mkdir()
    fail(tmp_path / "was")
    assert (tmp_path / "was").is_dir()
    with output_folder(tmp_path / "none"):  # nothing to write is no failure
        pass
    assert list((tmp_path / "none").iterdir()) == []


HOLDER = "with safety.output_folder(sys.argv[1]) as folder:\n    (folder / 'x').write_text('x')"


def test_a_second_run_is_refused_and_a_dead_ones_lock_is_taken_over(tmp_path: Path) -> None:
    first = _run(HOLDER, tmp_path / "o")
    with (
        pytest.raises(OutputError, match=f"another run is writing into this folder; found process {first.pid}"),
        output_folder(tmp_path / "o"),
    ):
        pass
    _kill(first)
    assert (tmp_path / "o" / LOCK_NAME).exists()
    # Even where a living process (this one) has got the number of the dead one.
    (tmp_path / "o" / LOCK_NAME).write_text(str(os.getpid()))
    with (
        output_folder(tmp_path / "o") as folder,
        pytest.raises(OutputError, match="another run"),
        output_folder(folder),
    ):
        pass
    assert [p.name for p in (tmp_path / "o").iterdir()] == ["x"]


def test_a_full_disk_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with output_folder(tmp_path / "o"):
        pass
    assert list((tmp_path / "o").iterdir()) == []


def test_a_lock_whose_folder_was_removed_harms_no_other(tmp_path: Path) -> None:
    import shutil

    with output_folder(tmp_path / "o"):
        shutil.rmtree(tmp_path / "o")
        other = _run(HOLDER, tmp_path / "o")
    assert (tmp_path / "o" / LOCK_NAME).exists()
    _kill(other)


def test_an_output_is_never_an_input(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "labels").mkdir(parents=True)
    (data / "labels" / "a.json").write_text("{}")
    (data / "a.png").write_text("x")
    (tmp_path / "link").symlink_to(data)
    os.link(data / "a.png", tmp_path / "hard.png")

    def refused(output: Path, *inputs: Path, **more: Any) -> None:
        with pytest.raises(OutputError, match="an output would be one of the inputs"):
            refuse_inputs(output, inputs, **more)

    refused(data, data)
    refused(tmp_path / "link", data)
    refused(data / "labels" / "..", data)
    refused(data, data / "labels")
    refused(tmp_path, tmp_path / "link" / "a.png")
    refused(data / "labels", data)
    refused(tmp_path / "link" / "labels", data)
    refused(data / "labels" / "a.json", data)
    refused(tmp_path / "hard.png", data / "a.png")
    refused(data / "new.png", data)
    (data / "report").mkdir()
    (data / "report" / "page.html").write_text("x")
    refused(data / "report", data)
    refuse_inputs(data / "report", [data], ["page.html"])
    refuse_inputs(data / "new", [data])
    refuse_inputs(data / "table.csv", [data])
    refuse_inputs(tmp_path / "out", [data, tmp_path / "gone", data / "*.png"])


def test_an_output_under_another_spelling_of_an_input(tmp_path: Path) -> None:
    (tmp_path / "Data").mkdir()
    if not (tmp_path / "data").exists():
        pytest.skip("this file system tells capitals apart")
    with pytest.raises(OutputError, match="one of the inputs"):
        refuse_inputs(tmp_path / "data", [tmp_path / "Data"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_values)
def test_json_comes_back(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


def test_json_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path / "gone.json")
    (tmp_path / "x.json").write_bytes(b'{"a": \xff}')
    with pytest.raises(InputError, match="is not valid JSON"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[1, -Infinity]")
    with pytest.raises(InputError, match="is not valid JSON; found -Infinity"):
        read_json(tmp_path / "x.json")
    for text in ("[1e999]", "[-1e999]", "[" + "9" * 400 + ".0]"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(InputError, match="a number larger than any"):
            read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('["1e999", 1e-999, 1E+2, "4a3121b1e636-26", "1e999, 2"]')
    assert read_json(tmp_path / "x.json") == ["1e999", 0.0, 100.0, "4a3121b1e636-26", "1e999, 2"]
    (tmp_path / "x.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="is not valid JSON"):
        read_json(tmp_path / "x.json")
    with (tmp_path / "x.json").open("wb") as stream:
        stream.truncate(900_000_000)
    with pytest.raises(InputError, match="too large; found 900,000,000 bytes"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[1, 2]")
    with pytest.raises(InputError, match=r"too large; found 6 bytes; expected at most 5"):
        read_json(tmp_path / "x.json", limit=5)
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "y.json", float("nan"))


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "x.json") == [1]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a/../.."])
def test_a_name_that_leaves_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="leaves its folder"):
        inside(tmp_path / "root", name)


def test_a_link_that_leaves_its_folder(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leaves its folder"):
        inside(tmp_path / "root", "link/x")
    assert inside(tmp_path / "root", "a/b") == (tmp_path / "root" / "a" / "b").resolve()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=5000))
def test_hashes(tmp_path: Path, data: bytes) -> None:
    write_bytes(tmp_path / "x", data)
    assert sha256(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_full_disk_in_the_words_of_another_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says "file write failed" (RuntimeError) where Python says ENOSPC."""
    free = {"bytes": 0}
    monkeypatch.setattr("ossa.safety.whole.shutil.disk_usage", lambda _: SimpleNamespace(free=free["bytes"]))
    with pytest.raises(OutputError, match=r"No space left on device.*Free some space"), replacing(tmp_path / "a.ckpt"):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
    free["bytes"] = 10**9
    # safetensors asks for all of a file's room at once: where that is not there, some is free.
    with pytest.raises(OutputError, match=r"No space left on device.*Free some space"), replacing(tmp_path / "a.ckpt"):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.ckpt"):
        raise RuntimeError("something else")
    assert list(tmp_path.iterdir()) == []
