"""Nothing is sent and nothing is written but what was asked for: every program's files and sockets are watched.

Each command runs in a process of its own with an empty home folder and without CI set (which some libraries take for a
sign to hide). An audit hook notes every file that Python opens for writing and every socket; what native code writes is
found in the home folder and the temporary folder afterwards, and by strace where that is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "samples" / "hand.png"
SRC = Path(__file__).parents[1] / "src"

HOOK = """
import os, sys
_log = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def _watch(event, args):
    if event.startswith("socket.") and event != "socket.gethostname":
        os.write(_log, f"socket {event} {args}\\n".encode("utf-8", "replace"))
    elif event == "open" and args[2] is not None and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        if isinstance(args[0], (str, bytes)):
            os.write(_log, f"write {os.path.abspath(os.fsdecode(args[0]))}\\n".encode("utf-8", "replace"))
    elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link"):
        os.write(_log, f"write {os.path.abspath(os.fsdecode(args[0]))}\\n".encode("utf-8", "replace"))
sys.addaudithook(_watch)
"""


class Watched:
    """A folder in which a program runs: its home, its temporary files, the only place it may write to."""

    def __init__(self, folder: Path) -> None:
        self.home, self.temporary, self.out = (folder / name for name in ("home", "tmp", "out"))
        hook = folder / "hook"
        for each in (self.home, self.temporary, self.out, hook):
            each.mkdir()
        (hook / "sitecustomize.py").write_text(HOOK)
        self.log, self.trace = folder / "watched.log", folder / "strace.log"
        kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "LANG") if key in os.environ}
        self.environment = {
            **kept,
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join((str(hook), str(SRC))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "WATCHED": str(self.log),
        }

    def run(self, *arguments: str) -> None:
        tracer = ["strace", "-f", "-qq", "-e", "trace=socket,openat,mkdir,rename", "-o", str(self.trace)]
        program = [sys.executable, *arguments]
        done = subprocess.run(
            [*(tracer if traceable() else []), *program],
            env=self.environment, cwd=self.out, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    def faults(self) -> list[str]:
        """Files outside the output folder and sockets; empty when the program kept to itself."""
        noted = self.log.read_text(errors="replace").splitlines()
        found = [line for line in noted if line.startswith("socket ")]
        found += [line for line in noted if line.startswith("write ") and not self._allowed(line.split(" ", 1)[1])]
        found += [f"left {path}" for path in self.home.rglob("*")]
        # torch makes an empty folder for compiled kernels, with its import.
        found += [f"left {path}" for path in self.temporary.rglob("*") if path.is_file()]
        if self.trace.exists():
            for line in self.trace.read_text(errors="replace").splitlines():
                if re.search(r"socket\(AF_INET", line):
                    found.append(line)
                written = re.search(r'(?:openat|mkdir|rename)\((?:AT_FDCWD, )?"([^"]+)"', line)
                makes = "O_CREAT" in line or "O_WRONLY" in line or "O_RDWR" in line or "mkdir(" in line
                if written and makes and " = -1 " not in line and not self._allowed(written[1]):
                    found.append(line)
        return sorted(set(found))

    def _allowed(self, path: str) -> bool:
        """Inside the output, temporary, a device, or compiled code beside its source."""
        where = Path(os.path.abspath(self.out / path))
        inside = any(where == root or root in where.parents for root in (self.out, self.temporary))
        device = where.parts[1] in ("dev", "proc", "sys")
        return inside or device or "__pycache__" in where.parts or where == self.log


def traceable() -> bool:
    """Whether strace is here and may be used."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode == 0


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_the_watch_sees_what_it_looks_for(watched: Watched) -> None:
    program = "import os, socket; open(os.path.expanduser('~/x'), 'w').close(); socket.socket().close()"
    watched.run("-c", program)
    told = "\n".join(watched.faults())
    assert f"write {watched.home}/x" in told
    assert f"left {watched.home}/x" in told
    assert "socket socket.__new__" in told


@pytest.mark.parametrize(
    "imported",
    [
        "import ossa, onnxruntime",
        "import ossa, openvino",
        "import ossa.training._lightning",
        "import ossa.models.architectures, torch, onnx, onnxscript",
    ],
)
def test_libraries_are_quiet_once_ossa_is_there(watched: Watched, imported: str) -> None:
    missing = [name for name in ("onnxruntime", "openvino", "torch", "lightning", "onnx") if find_spec(name) is None]
    if any(name in imported for name in missing):
        pytest.skip(f"{missing} are not installed")
    watched.run("-c", imported)
    assert watched.faults() == []


def test_predict(watched: Watched) -> None:
    watched.run("-m", "ossa", "predict", str(SAMPLE), "-o", "found")
    assert watched.faults() == []
    assert (watched.out / "found" / "hand.json").is_file()


def test_train(watched: Watched) -> None:
    """Two steps on a data set and on phantoms."""
    if find_spec("lightning") is None or find_spec("numba") is None:
        pytest.skip("training is not installed")
    from helpers_dataset import write_competition

    write_competition(watched.out / "data", subjects=2, size=64, tests=0)
    tiny = ["model.architecture=compact", "model.widths=[16,16,16,16,16]", "model.head=16", "model.depth=1"]
    watched.run(
        "-m", "ossa", "train", "laptop", *tiny, "output=runs", "data.size=64", "data.phantoms.count=2",
        "data.phantoms.held_out=1", "data.datasets=[{path: data}]", "folds.count=2", "folds.run=[0]", "train.epochs=1",
        "train.samples=4", "train.batch=2",
    )  # fmt: skip
    assert watched.faults() == []
    assert (watched.out / "runs" / "laptop-001" / "bundle0" / "card.json").is_file()


def test_bundle_export(watched: Watched) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("torch")
    forms = ["--int8", "--static", "64x64", *(["--openvino"] if find_spec("openvino") else [])]
    watched.run("-m", "ossa", "bundle", "export", "-o", "forms", *forms, "--image", str(SAMPLE))
    assert watched.faults() == []
    assert (watched.out / "forms" / "parity.txt").is_file()
