"""Output folders: apart from what is read, free of what killed runs left, one run's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from ossa.errors import OutputError
from ossa.safety.lock import LOCK_NAME, hold, identity, is_at, lock
from ossa.safety.pictures import ENDINGS
from ossa.safety.whole import TEMPORARY, put_back, remove


@contextmanager
def output_folder(
    path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = (), marks: Iterable[str] = ()
) -> Iterator[Path]:
    """A folder that this run alone writes into: apart from ``inputs``, there, writable, free of a killed run's rests.

    ``marks`` are names by which the result of an earlier run is known; see ``refuse_inputs``. A run that fails leaves
    no folder behind that it made and wrote nothing into. Raises OutputError when an input lies there, when another
    run is at work there, or when nothing can be written.

    >>> from ossa.safety import output_folder, write_text
    >>> with output_folder("out", inputs=["hand.png"]) as folder:
    ...     write_text(folder / "figures.csv", "bone,dice")
    >>> sorted(path.name for path in Path("out").iterdir())  # the lock is gone
    ['figures.csv']
    """
    folder = Path(path)
    refuse_inputs(folder, inputs, marks)
    new = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = hold(folder)
    except OSError as error:
        raise OutputError(
            "the output folder cannot be written",
            path=folder,
            found=error.strerror or str(error),
            remedy="Give a folder that you may write to",
        ) from error
    try:
        clear_leftovers(folder)
        yield folder
    except BaseException:
        _release(folder, handle)
        with suppress(OSError):  # the first that is not empty ends it
            for one in new:
                one.rmdir()
        raise
    _release(folder, handle)


def _release(folder: Path, handle: int) -> None:
    """Let go of a folder that is held."""
    if is_at(handle, folder / LOCK_NAME):  # else the folder was removed, and the lock there is another run's
        with suppress(OSError):
            (folder / LOCK_NAME).unlink()
    os.close(handle)


def refuse_inputs(
    output: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]], marks: Iterable[str] = ()
) -> None:
    """Raise OutputError where writing ``output`` (a file or a folder) could replace one of ``inputs``, or become one.

    Files and folders are told by what they are on the disk, so links, hard links and another spelling do not hide
    them. Refused are: an input itself; a folder that holds an input; what exists below an input folder, since it
    counts as a part of it, except a folder in which one of ``marks`` shows that an earlier run made it; and a new
    picture below an input folder, which the next run would read.

    >>> from ossa.safety import refuse_inputs
    >>> refuse_inputs("results.csv", ["hand.png"])
    >>> refuse_inputs("hand.png", ["hand.png"])
    Traceback (most recent call last):
    ossa.errors.OutputError: hand.png: an output would be one of the inputs; ...
    """
    target = Path(output)
    here = identity(target)
    above = _identities(_resolved(target).parents)
    for given in inputs:
        source = Path(given)
        known = identity(source)
        if known is None:
            continue
        if known == here:
            _refuse(target, source, "it is what is read")
        if here is not None and here in _identities(_resolved(source).parents):
            _refuse(target, source, f"what is read lies in it: {source}")
        if known not in above:
            continue
        if here is None:
            if target.suffix.lower() in ENDINGS:
                _refuse(target, source, f"a picture in the folder that is read, {source}")
        elif not target.is_dir() or (contents(target) and not any((target / m).exists() for m in marks)):
            _refuse(target, source, f"a part of what is read, {source}")


def _refuse(output: Path, source: Path, found: str) -> NoReturn:
    beside = _resolved(source).parent / "results"
    raise OutputError(
        "an output would be one of the inputs",
        path=output,
        found=found,
        expected="a place of its own for results",
        remedy=f"Give another output, for instance {beside if output.suffix == '' else beside / output.name}",
    )


def contents(folder: str | os.PathLike[str]) -> list[str]:
    """The sorted names of what a folder holds, without the lock and what killed runs left half-written.

    >>> from ossa.safety import contents
    >>> contents(".")
    ['data', 'hand.png']
    """
    names = sorted(path.name for path in Path(folder).iterdir())
    return [name for name in names if not TEMPORARY.fullmatch(name) and name != LOCK_NAME]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()


def _identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    return {known for path in paths if (known := identity(path)) is not None}


def clear_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what killed runs left of the files and folders that they were writing directly in ``folder``.

    A folder that was about to be replaced, and has no successor, is put back.

    >>> from ossa.safety import clear_leftovers
    >>> _ = Path(".hand.json.ossa-part").write_text("half of a")
    >>> clear_leftovers(".")
    >>> Path(".hand.json.ossa-part").exists()
    False
    """
    with suppress(OSError):
        for path in [p for p in Path(folder).iterdir() if TEMPORARY.fullmatch(p.name)]:
            with suppress(OSError, OutputError):  # OutputError: its writer lives
                put_back(path)
                handle = hold(path) if path.is_dir() else os.open(path, os.O_RDWR)
                try:
                    if path.is_dir() or lock(handle):
                        remove(path)
                finally:
                    os.close(handle)


def clear_abandoned(folder: Path, prefix: str) -> None:
    """Remove folders of this user in ``folder`` that ``output_folder`` held for a process that was killed.

    Their names begin with ``prefix``. One without a lock is left alone: its process may be about to take it.
    """
    with suppress(OSError):
        for path in sorted(folder.glob(f"{prefix}*")):
            with suppress(OSError, OutputError):  # OutputError: it is in use
                owner = path.lstat()
                mine = not hasattr(os, "getuid") or owner.st_uid == os.getuid()
                if not (mine and stat.S_ISDIR(owner.st_mode) and (path / LOCK_NAME).is_file()):
                    continue
                handle = hold(path)
                try:
                    remove(path)
                finally:
                    os.close(handle)
