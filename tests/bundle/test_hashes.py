"""Hashes that are begun ahead are those of the files as they are when somebody asks."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from ossa.bundle import hashes
from ossa.bundle.bundle import Bundle
from ossa.bundle.hashes import SHIPPED, ahead, ahead_of, digest
from ossa.errors import BundleError


def plain(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("block", [1, 1000, 1_000_000])
def test_begun_or_not_it_is_the_hash(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_BLOCK", block)
    files = []
    for k in range(6):
        files.append(tmp_path / f"{k}.bin")
        files[-1].write_bytes(os.urandom(1 + 1000 * k))
    ahead([*files[:4], tmp_path / "none.bin", files[0]])
    assert [digest(path) for path in files] == [plain(path) for path in files]
    assert [digest(path) for path in files] == [plain(path) for path in files]  # what was begun is gone by now
    with pytest.raises(OSError, match="none"):
        digest(tmp_path / "none.bin")


def test_a_file_that_changes_meanwhile_is_hashed_anew(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"as it was")
    before = path.stat()
    ahead([path])
    path.write_bytes(b"otherwise")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as somebody does who wants it to look the same
    assert digest(path) == plain(path)


def test_an_altered_model_is_refused_though_its_hash_was_begun(bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle.path, tmp_path / "altered"))
    ahead_of(folder)
    with (folder / "model.onnx").open("r+b") as stream:
        stream.seek(200)
        stream.write(b"\0\1\2\3")
    with pytest.raises(BundleError, match="not the one that the card describes"):
        Bundle.load(folder)


def test_no_file_is_hashed_twice_however_its_folder_is_written(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = hashes._hashed

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return real(path)

    def again(path: Path) -> str:
        hashed.append(f"{path} again")
        return real(path)

    monkeypatch.setattr(hashes, "_hashed", counted)
    monkeypatch.setattr(hashes, "sha256", again)
    monkeypatch.chdir(bundle.path.parent)
    ahead_of(Path(bundle.path.name))
    Bundle.load(Path("..") / bundle.path.parent.name / bundle.path.name)
    assert sorted(hashed) == sorted(bundle.card.files)


def test_the_shipped_model_is_where_it_is_looked_for() -> None:
    ahead_of(None)
    assert Bundle.load().path == SHIPPED
    ahead_of(SHIPPED / "nowhere")
