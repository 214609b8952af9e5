"""Plants small faults, one at a time, and asks the tests whether they notice: python scripts/plant_faults.py [NAME ...]

Every fault is one exact text of a file and what stands there instead. The repository is copied once to a temporary
folder, so that nothing happens to the original. A fault whose tests still pass is a test that is missing. Exit 1 then,
or when a text is no longer found (the code has moved on: mend the entry).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

#: A table of every fault.
FAULTS = Path(__file__).with_name("planted_faults.toml")


class Fault(NamedTuple):
    """``old`` becomes ``new`` in ``file`` below src/ossa; ``tests`` below tests/ should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


def listed() -> list[Fault]:
    """Every fault of the table."""
    return [Fault(**entry) for entry in tomllib.loads(FAULTS.read_text(encoding="utf-8"))["fault"]]


def main() -> None:
    """Plant each, run its tests, tell."""
    chosen = [fault for fault in listed() if not sys.argv[1:] or fault.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ossa"
        for part in ("src", "tests", "pyproject.toml"):
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        caught = 0
        for fault in chosen:
            said = planted(fault, copy)
            caught += said == "caught"
            print(f"{said:8} {fault.name}", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    sys.exit(0 if caught == len(chosen) else 1)


def planted(fault: Fault, copy: Path) -> str:
    """ "caught", "missed", or "stale" when the text is not there exactly once."""
    file = copy / "src" / "ossa" / fault.file
    text = file.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        return "stale"
    file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    try:
        tests = [str(copy / "tests" / name) for name in fault.tests.split()]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            print(done.stdout[-2000:], file=sys.stderr)
            return "broken"
        return "caught" if done.returncode else "missed"
    finally:
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
