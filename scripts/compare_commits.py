"""Whether two commits of ossa write the same: the same commands on the same inputs, every file compared.

    python scripts/compare_commits.py OLD NEW [--keep FOLDER]

Both commits are checked out into a temporary folder and run by the Python that is active (its packages must serve
both). The inputs are phantoms drawn by OLD, so that both read the same bytes. A file is "same" when its bytes are,
"same but for" when only what belongs to a run differs (times, durations, the output's own path, versions), else
"differs", with the first place. Exit code 1 when a file differs or is missing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

#: What one and the same commit writes differently in two runs.
VOLATILE = (
    re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?(Z|[+-]\d\d:?\d\d)?"),
    re.compile(rb"\d+(\.\d+)? ?(ms|seconds|second|minutes|minute|s)\b"),
    re.compile(rb"\.\w+\.ckpt\.\w{8}"),  # a checkpoint holds the temporary name that it was written under
    re.compile(rb'"(seconds|duration|elapsed|mtime|stamp|pid)": ?[\d.\[\], ]+'),
)

TRAIN = """\
name: two-steps
data: {phantoms: {count: 8, held_out: 2, seed: 1}, size: 128}
model: {architecture: compact, widths: [16, 16, 16, 16, 16], depth: 1, head: 16}
loss: {bce: 5, dice: 1}
train: {epochs: 1, samples: 8, batch: 4, precision: '32', device: cpu}
"""


@dataclass(frozen=True)
class Step:
    """One command: ``arguments`` may name the inputs ({data}, {pictures}) and earlier outputs ({out})."""

    name: str
    arguments: str


STEPS = (
    Step("phantom", "phantom {out}/phantom -n 2 --seed 7 --size 384"),
    Step("predict", "predict {pictures} -o {out}/predict"),
    Step("predict fast", "predict {pictures} -o {out}/fast --fast"),
    Step("predict turned", "predict {turned} -o {out}/turned"),
    Step("evaluate", "evaluate {out}/predict {data} -o {out}/evaluate"),
    Step("ensemble vote", "ensemble vote {out}/predict/predictions.csv {out}/fast/predictions.csv -o {out}/vote.csv"),
    Step("data convert", "data convert {data} -o {out}/coco --to coco"),
    Step("train", "train {run} --folder {out}/train"),
)


def run_all(tree: Path, out: Path, places: dict[str, str], steps: tuple[Step, ...]) -> dict[str, str]:
    """Run every step with the sources of ``tree``; step -> its exit code and last line on standard error."""
    said = {}
    for step in steps:
        command = step.arguments.format(out=out, **places).split()
        done = subprocess.run(
            [sys.executable, "-m", "ossa", *command],
            env={**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"},
            cwd=out,
            capture_output=True,
            text=True,
            check=False,
        )
        last = done.stderr.strip().splitlines()[-1:] or [""]
        said[step.name] = f"exit {done.returncode} {last[0][:120] if done.returncode else ''}".strip()
    return said


def plain(data: bytes, out: Path) -> bytes:
    """The bytes without what belongs to a run."""
    data = data.replace(str(out).encode(), b"OUT")
    for pattern in VOLATILE:
        data = pattern.sub(b"~", data)
    return data


def verdict(old: Path, new: Path, outs: tuple[Path, Path]) -> str:
    """ "same", "same but for ..." or "differs ..." of two files."""
    a, b = old.read_bytes(), new.read_bytes()
    if a == b:
        return "same"
    a, b = plain(a, outs[0]), plain(b, outs[1])
    if a == b:
        return "same but for times and paths"
    at = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return f"differs at byte {at}: {a[max(0, at - 20) : at + 30]!r} | {b[max(0, at - 20) : at + 30]!r}"


def files_of(folder: Path) -> set[str]:
    """Every file below ``folder``, relative."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("events.out.tfevents")  # named by time and process
    }


def make_inputs(tree: Path, folder: Path) -> dict[str, str]:
    """Phantoms in the competition's layout, their pictures, one of them turned, and a run file."""
    import cv2

    folder.mkdir()
    data = folder / "data"
    run_all(tree, folder, {}, (Step("inputs", f"phantom {data} -n 3 --seed 41 --size 512"),))
    (data / "phantoms.json").unlink()  # at OLD it may hide that this is a data set
    pictures = data / "train" / "DCM"
    first = sorted(pictures.rglob("*.png"))[0]
    turned = folder / "turned.png"
    cv2.imwrite(str(turned), cv2.rotate(cv2.imread(str(first), cv2.IMREAD_GRAYSCALE), cv2.ROTATE_90_CLOCKWISE))
    run = folder / "run.yaml"
    run.write_text(TRAIN, encoding="utf-8")
    return {"data": str(data), "pictures": str(pictures), "turned": str(turned), "run": str(run)}


def main() -> int:
    """Check out, run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--keep", type=Path, help="keep everything in this folder, which must not exist yet")
    a = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        trees, outs = [], []
        for name, commit in (("old", a.old), ("new", a.new)):
            tree, out = folder / f"tree-{name}", folder / name
            subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(root), str(tree)], check=True)
            subprocess.run(["git", "-C", str(tree), "checkout", "-q", commit], check=True)
            out.mkdir()
            trees.append(tree)
            outs.append(out)
        places = make_inputs(trees[0], folder / "inputs")
        said = [run_all(tree, out, places, STEPS) for tree, out in zip(trees, outs, strict=True)]
        for step in STEPS:
            print(f"{step.name:16} {said[0][step.name]:40} | {said[1][step.name]}")
        wrong = 0
        old, new = (files_of(out) for out in outs)
        for name in sorted(old | new):
            if name in old and name in new:
                answer = verdict(outs[0] / name, outs[1] / name, (outs[0], outs[1]))
            else:
                answer = "only written by OLD" if name in old else "only written by NEW"
            wrong += not answer.startswith("same")
            print(f"{name:70} {answer}")
        print(f"{len(old | new)} files, {wrong} not the same")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
