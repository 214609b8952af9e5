"""A model as one file to pass on: NAME.ossa, a ZIP archive of a bundle, or of several that answer together.

    ossa.json                version of the layout; the bundles' names in order, each with the SHA-256 of its card
    bundle0/card.json        the bundles as they lie in folders
    bundle0/model.onnx, ...

Nothing in it is compressed, so that it cannot unpack to more than it is, and nothing is unpacked under a name that it
gives: files are read where they lie, and only those that ``ossa.json`` and the cards tell of, each by its hash.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ossa.errors import BundleError
from ossa.safety import parse_json, replacing, sha256

#: Version of the layout.
FORMAT = 1

#: How such files are called, and what tells of their content; it stands first in the file.
ENDING, INDEX = ".ossa", "ossa.json"

#: Largest archive (bytes), most bundles in one, most files in all, largest index (bytes).
MAX_BYTES, MAX_BUNDLES, MAX_FILES, _MAX_INDEX = 8_000_000_000, 64, 1024, 1_000_000

#: Names of bundles and of their files.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A packed model whose table of contents was checked: ``cards`` gives each bundle's name its card's SHA-256."""

    path: Path
    cards: Mapping[str, str]
    sizes: Mapping[str, int]

    @classmethod
    def open(cls, path: Path) -> Archive:
        """Look at the archive ``path``. Raises BundleError for what is none, is damaged, or holds anything else."""
        with _opened(path) as archive:
            sizes = _contents(archive, path)
            with archive.open(INDEX) as stream:
                cards = _index(stream.read(_MAX_INDEX + 1), path)
        strange = [name for name in sizes if name != INDEX and name.split("/")[0] not in cards]
        if strange:
            raise _wrong(path, f"'{strange[0]}', which belongs to no bundle")
        return cls(path, cards, sizes)

    def read(self, name: str, digest: str) -> bytes:
        """The bytes of the file ``name`` ("bundle0/model.onnx"); BundleError where their SHA-256 is not ``digest``."""
        with _opened(self.path) as archive, self._entry(archive, name) as stream:
            data = stream.read()
        _compare(self.path, name, hashlib.sha256(data).hexdigest(), digest)
        return data

    def check(self, name: str, digest: str) -> None:
        """``read`` that keeps nothing."""
        found = hashlib.sha256()
        with _opened(self.path) as archive, self._entry(archive, name) as stream:
            while block := stream.read(_BLOCK):
                found.update(block)
        _compare(self.path, name, found.hexdigest(), digest)

    def _entry(self, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
        if name not in self.sizes:
            raise BundleError("a file of the packed model is missing", path=self.path, found=f"no {name}")
        return archive.open(name)


def is_packed(path: Path) -> bool:
    """Whether the file ``path`` is, or by its name should be, a packed model."""
    if path.suffix.lower() == ENDING:
        return path.is_file()
    try:
        with path.open("rb") as stream:
            head = stream.read(30 + len(INDEX))
    except OSError:
        return False
    return head.startswith(b"PK\x03\x04") and head[30:] == INDEX.encode()


def write_archive(path: Path, bundles: Sequence[tuple[str, Mapping[str, Path]]]) -> None:
    """Write the archive ``path``, whole or not at all: of each bundle its name and its files, the card among them.

    The same files give the same bytes. Raises OutputError.
    """
    index = {"format": FORMAT, "bundles": [{"name": name, "card": sha256(own["card.json"])} for name, own in bundles]}
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        import json

        archive.writestr(_entry(INDEX), json.dumps(index))
        for name, own in bundles:
            for file, source in own.items():
                with source.open("rb") as stream, archive.open(_entry(f"{name}/{file}"), "w", force_zip64=True) as to:
                    while block := stream.read(_BLOCK):
                        to.write(block)


def _entry(name: str) -> zipfile.ZipInfo:
    """Without the time, so that the same model is the same file."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, with every way in which reading one fails as BundleError."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BundleError(
                "the packed model is too large", path=path, found=f"{size:,} bytes", expected=f"at most {MAX_BYTES:,}"
            )
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        raise _wrong(path, str(error) or type(error).__name__) from error
    except OSError as error:
        raise BundleError("cannot be read", path=path, found=error.strerror or str(error)) from error


def _contents(archive: zipfile.ZipFile, path: Path) -> dict[str, int]:
    """Name -> size of every file, where all is as ``write_archive`` leaves it."""
    entries = archive.infolist()
    if len(entries) > MAX_FILES:
        raise _wrong(path, f"{len(entries):,} files")
    sizes: dict[str, int] = {}
    for entry in entries:
        name = entry.filename
        if name in sizes:
            raise _wrong(path, f"'{name:.80}' twice")
        if name != INDEX and not (name.count("/") == 1 and all(map(_NAME.fullmatch, name.split("/")))):
            raise _wrong(path, f"the name {name[:80]!r}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.flag_bits & 1:
            raise _wrong(path, f"'{name:.80}', which is compressed or encrypted")
        sizes[name] = entry.file_size
    if sum(sizes.values()) > os.stat(path).st_size:  # entries that share their bytes
        raise _wrong(path, f"{sum(sizes.values()):,} bytes of files in {os.stat(path).st_size:,}")
    if INDEX not in sizes or sizes[INDEX] > _MAX_INDEX:
        raise _wrong(path, f"no {INDEX}" if INDEX not in sizes else f"{INDEX} of {sizes[INDEX]:,} bytes")
    return sizes


def _index(data: bytes, path: Path) -> dict[str, str]:
    """Bundle -> SHA-256 of its card."""
    try:
        said: Any = parse_json(data.decode("utf-8"))
        version, listed = said["format"], said["bundles"]
        cards = {str(one["name"]): str(one["card"]) for one in listed}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _wrong(path, f"an {INDEX} that cannot be read") from error
    if version != FORMAT:
        raise BundleError(
            "was packed by another version of ossa", path=path, found=f"format {version}", expected=f"format {FORMAT}"
        )
    if not 0 < len(listed) <= MAX_BUNDLES or len(cards) != len(listed) or not all(map(_NAME.fullmatch, cards)):
        raise _wrong(path, f"an {INDEX} that names {len(listed)} bundles")
    return cards


def _compare(path: Path, name: str, found: str, expected: str) -> None:
    if found != expected:
        raise BundleError(
            "a file of the packed model is not the one that was packed",
            path=path,
            found=f"{name} with SHA-256 {found[:16]}...",
            expected=f"{expected[:16]}...",
            remedy="Copy the file again; do not use an altered model",
        )


def _wrong(path: Path, found: str) -> BundleError:
    return BundleError(
        "is no packed model, or a damaged one",
        path=path,
        found=found,
        expected="a file that 'ossa bundle pack' wrote",
        remedy="Copy the file again",
    )
