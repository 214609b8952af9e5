"""What the programs of a job said, read piece by piece while they go on; and how they ended."""

from __future__ import annotations

import codecs
import os
import signal
from pathlib import Path

#: Longest piece of a log that is handed out, bytes.
MOST_LOG = 65_536


def piece_of(path: Path, start: int, most: int = MOST_LOG) -> tuple[str, int, bool]:
    """(text, where the next piece begins, whether there is one) of a log from byte ``start``, at most ``most`` bytes.

    A character that the end cuts is left for the next piece. A negative ``start`` is so many bytes before the end,
    from the next line on.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            begin = min(size, start) if start >= 0 else max(0, size + start)
            stream.seek(begin)
            data = stream.read(most)
    except OSError:
        return "", 0, False
    more = begin + len(data) < size
    if start < 0 and begin > 0:
        cut = data.find(b"\n") + 1
        begin, data = begin + cut, data[cut:]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    return text, begin + len(data) - len(decoder.getstate()[0]), more


def told_by(path: Path) -> str:
    """What a log says last, and how its program ended."""
    lines = last_lines(path)
    ended = lines[-1] if lines and lines[-1].startswith("the program ") else ""
    said = [line for line in lines if line != ended]
    return "; ".join(text for text in (said[-1] if said else "", ended) if text)[:500]


def last_lines(path: Path, most: int = 20_000) -> list[str]:
    """The lines at the end of a log that say something."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - most))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.strip()[:500] for line in lines if line.strip() and not line.startswith("$ ")]


def ending(code: int) -> str:
    """How a program ended, in words: one that is killed says nothing itself."""
    if code >= 0:
        return f"the program ended with {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    short = ", as happens where memory runs short" if name == "SIGKILL" else ""
    return f"the program was ended by {name}{short}"
