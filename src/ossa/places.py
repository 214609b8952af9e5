"""Where pictures come from and results go: folders of this machine, or prefixes of an object store (s3://bucket/films,
gs://..., file:///...) that fsspec reaches by a URL.

Who leads a run works in its place's ``folder``, which is on this machine; workers, on whichever machine, write through
``writing``. An object appears in a store when it is whole, as a file of ossa's does in a folder.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ossa.errors import InputError, MissingExtraError, OssaError, OutputError
from ossa.safety import output_folder
from ossa.safety.log import DONE, NOTE

#: Seconds after which a store is sent what a run has finished since.
KEEP = 30.0

#: The log of a run, in pieces: objects of a store cannot grow.
_PIECE = re.compile(rf"(.+/{re.escape(DONE)})\.\d{{6}}")


def is_url(path: object) -> bool:
    """Whether ``path`` is the text of a URL: it means a store then, not a folder."""
    return isinstance(path, str) and "://" in path


def in_store(url: str) -> Path:
    """A name for what a URL means, as if stores were folders; no file of this machine: /bucket/films/hand.png."""
    return Path("/", *url.partition("://")[2].rstrip("/").split("/"))


class Place(Protocol):
    """A place for results. It may travel to workers."""

    @property
    def folder(self) -> Path:
        """What the leader of a run reads and writes itself: its tables, the log of the run."""
        ...

    @property
    def told(self) -> str:
        """What messages call it."""
        ...

    def has(self, name: str) -> bool:
        """Whether the file ``name`` is there ("/" between folders)."""
        ...

    def names(self) -> Iterable[str]:
        """Every file that is there."""
        ...

    def writing(self) -> AbstractContextManager[Path]:
        """A folder whose files belong to the place when the block has succeeded."""
        ...

    def bring(self, names: Iterable[str]) -> None:
        """Have the files ``names`` in ``folder``, to be read."""
        ...

    def wrote(self, names: Iterable[str]) -> None:
        """The leader hears what a worker wrote."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or one that all machines of a cluster have under the same name."""

    folder: Path

    @property
    def told(self) -> str:
        """See Place."""
        return str(self.folder)

    def has(self, name: str) -> bool:
        """See Place."""
        return (self.folder / name).exists()

    def names(self) -> Iterator[str]:
        """See Place."""
        return (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """See Place: every writer of ossa moves its file into place when it is whole."""
        yield self.folder

    def bring(self, names: Iterable[str]) -> None:
        """See Place: they are there."""

    def wrote(self, names: Iterable[str]) -> None:
        """See Place: a folder knows."""


@dataclass(eq=False)
class Store:
    """A prefix ``url`` of an object store. ``folder``: what of it the leader reads and writes, on its own machine."""

    url: str
    folder: Path = Path()
    _there: set[str] | None = None
    _marks: tuple[str, ...] = ()
    _sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    _logged: dict[str, int] = field(default_factory=dict)
    _kept: float = 0.0

    @property
    def told(self) -> str:
        """See Place."""
        return self.url

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.url,)  # to a worker nothing but the address travels

    def has(self, name: str) -> bool:
        """See Place: the leader has a list, a worker asks."""
        if self._there is not None:
            return name in self._there
        system, top = file_system(self.url)
        with _told(f"{self.url}/{name}", InputError):
            return bool(system.exists(f"{top}/{name}"))

    def names(self) -> Iterable[str]:
        """See Place."""
        return self._there or ()

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """See Place: files are sent in the order in which they were written."""
        with tempfile.TemporaryDirectory(prefix="ossa-") as name:
            work = Path(name)
            yield work
            for path in sorted(_files(work), key=lambda path: path.stat().st_mtime_ns):
                self._send(path, path.relative_to(work).as_posix())

    def bring(self, names: Iterable[str]) -> None:
        """See Place."""
        for name in names:
            path = self.folder / name
            if not path.exists():
                fetch(f"{self.url}/{name}", path)
                self._sent[name] = _state(path)

    def wrote(self, names: Iterable[str]) -> None:
        """See Place; from time to time the log is sent, so that a leader's machine that is lost takes little along."""
        self._known().update(names)
        if time.monotonic() - self._kept > KEEP:
            self._keep_logs()

    def begin(self, marks: Iterable[str]) -> None:
        """Learn what is there, and bring ``marks``: the files, and the logs of runs, that the leader goes on with."""
        self._marks = tuple(marks)
        self._there = {name for name, _ in listed(self.url)}
        mine = sorted(name for name in self._there if name.split("/")[0] in self._marks)
        self.bring(name for name in mine if not _PIECE.fullmatch(name))
        for name in mine:
            if piece := _PIECE.fullmatch(name):
                with tempfile.TemporaryDirectory(prefix="ossa-") as work, (self.folder / piece[1]).open("ab") as log:
                    fetch(f"{self.url}/{name}", Path(work) / "piece")
                    log.write((Path(work) / "piece").read_bytes())
                    self._logged[piece[1]] = log.tell()
        self._kept = time.monotonic()

    def end(self) -> None:
        """Send what the leader wrote, and forget in the store the log of a run that is complete."""
        self._keep_logs()
        for path in _files(self.folder):
            name = path.relative_to(self.folder).as_posix()
            if path.name != DONE and self._sent.get(name) != _state(path):
                self._send(path, name)
        gone = [name for name in self._known() if name.split("/")[0] in self._marks and "/" in name]
        self._remove(name for name in gone if not (self.folder / name.split("/")[0]).exists())

    def _keep_logs(self) -> None:
        for note in self.folder.glob(f"*/{NOTE}"):
            name, log = note.relative_to(self.folder).as_posix(), note.with_name(DONE)
            own = log.relative_to(self.folder).as_posix()
            if self._sent.get(name) != _state(note):  # a run begins anew: pieces of another one do not belong to it
                self._remove([piece for piece in self._known() if piece.startswith(f"{own}.")])
                self._logged[own] = 0
                self._send(note, name)
            before, size = self._logged.get(own, 0), log.stat().st_size if log.exists() else 0
            if size > before:
                number = sum(1 for piece in self._known() if piece.startswith(f"{own}."))
                with tempfile.TemporaryDirectory(prefix="ossa-") as work, log.open("rb") as stream:
                    stream.seek(before)
                    (Path(work) / "piece").write_bytes(stream.read(size - before))
                    self._send(Path(work) / "piece", f"{own}.{number:06d}")
                self._logged[own] = size
        self._kept = time.monotonic()

    def _known(self) -> set[str]:
        if self._there is None:
            self._there = set()
        return self._there

    def _remove(self, names: Iterable[str]) -> None:
        system, top = file_system(self.url)
        for name in list(names):
            with _told(f"{self.url}/{name}", OutputError):
                system.rm_file(f"{top}/{name}")
            self._known().discard(name)

    def _send(self, path: Path, name: str) -> None:
        system, top = file_system(self.url)
        with _told(f"{self.url}/{name}", OutputError):
            system.makedirs(f"{top}/{name}".rpartition("/")[0], exist_ok=True)
            system.put_file(str(path), f"{top}/{name}")
        if self._there is not None:
            self._there.add(name)
        self._sent[name] = _state(path)


@contextmanager
def place_for(output: str | Path, inputs: Iterable[str | Path], marks: Iterable[str]) -> Iterator[Place]:
    """The place ``output``, a folder or a URL, for one run; ``inputs`` and ``marks``: see ``safety.output_folder``.

    A folder is held for this run alone; a store cannot be, so two runs at once into one prefix are not kept apart.
    """
    names = tuple(marks)
    if not is_url(output):
        with output_folder(output, [given for given in inputs if not is_url(given)], names) as folder:
            yield Folder(folder)
        return
    url = str(output).rstrip("/")
    for given in inputs:
        if is_url(given) and (str(given).rstrip("/") == url or str(given).startswith(f"{url}/")):
            expected = "a prefix of its own for results"
            raise OutputError("an output would be one of the inputs", path=url, found=given, expected=expected)
    with tempfile.TemporaryDirectory(prefix="ossa-") as work:
        store = Store(url, Path(work))
        store.begin(names)
        try:
            yield store
        finally:
            store.end()


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path in it. Raises MissingExtraError, InputError."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtraError.of(f"reading {url}", "s3", error) from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise MissingExtraError.of(f"reading {url}", "s3", error) from error
    except (ValueError, OSError) as error:
        raise InputError("this URL cannot be opened", path=url, found=str(error)) from error
    return system, str(path).rstrip("/")


def listed(url: str) -> list[tuple[str, str]]:
    """(name below ``url``, what tells its version) of every object there, sorted. Raises InputError."""
    system, top = file_system(url)
    with _told(url, InputError):
        system.invalidate_cache()
        found = system.find(top, detail=True)
    out = []
    for path, about in found.items():
        version = about.get("ETag") or about.get("etag") or about.get("mtime") or about.get("created")
        out.append((str(path)[len(top) :].lstrip("/"), f"{about.get('size')} {version}"))
    return sorted(out)


def head(url: str, count: int) -> bytes:
    """The first ``count`` bytes of an object. Raises InputError."""
    system, path = file_system(url)
    with _told(url, InputError):
        return bytes(system.cat_file(path, start=0, end=count))


def fetch(url: str, path: Path) -> None:
    """Copy an object to ``path``. Raises InputError."""
    system, source = file_system(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _told(url, InputError):
        system.get_file(source, str(path))


@contextmanager
def _told(url: str, kind: type[OssaError]) -> Iterator[None]:
    """What a store's library raises, whatever it is, as an error of ossa."""
    try:
        yield
    except OssaError:
        raise
    except Exception as error:
        raise kind("the store did not do it", path=url, found=f"{type(error).__name__}: {error}") from error


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
