"""Attacks: texts and objects made to run code or to fill the memory, and a watch on what happens meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Written by any attack that gets code to run.
MARK = "attacked"

_CHANGES = ("os.mkdir", "os.rename", "os.symlink", "os.link", "os.remove", "shutil.rmtree")
_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn")


class Watch:
    """What the audit hook of this process saw since it was last cleared."""

    def __init__(self) -> None:
        self.on = False
        self.written: list[str] = []
        self.started: list[str] = []
        sys.addaudithook(self._hook)  # there is no way to take one off again

    def _hook(self, event: str, args: Any) -> None:
        if not self.on:
            return
        opened = event == "open" and isinstance(args[0], (str, bytes)) and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if opened or event in _CHANGES:
            self.written.append(os.path.abspath(os.fsdecode(args[0])))
        elif event in _STARTS or event.startswith("socket.connect"):
            self.started.append(event)


WATCH = Watch()


class Evil:
    """Unpickled, it writes the mark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (open, (str(self.folder / MARK), "w"))


def bomb(levels: int = 9) -> str:
    """YAML of a few hundred bytes that unfolds to 9 to the power of ``levels`` words."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * 9) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def yamls(folder: Path) -> dict[str, str]:
    """What it is -> a YAML text that no reader may follow. ``folder`` is where code would leave its mark."""
    last = "names: [*a8, *a8]\n"
    merges = "m0: &m0 {x: y}\n" + "".join(
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
    )
    return {
        "a call": f"names: !!python/object/apply:os.system ['touch {folder / MARK}']\n",
        "a module": "names: !!python/module:os\n",
        "an object": "names: !!python/object/new:subprocess.Popen [[id]]\n",
        "laughs": bomb() + last,
        "merged laughs": merges,
        "itself": "names: &a [*a]\n",
        "deep": "names: " + "[" * 5_000,
        "deep blocks": "- " * 5_000 + "a",
        "base 60": "names: 1" + ":59" * 100_000,
        "many digits": "names: " + "9" * 100_000,
    }
