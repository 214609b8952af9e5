"""What two CPU cores learn in a coffee break: the recipe `laptop` from its first phantom to its summary.

    python benchmarks/bench_laptop.py [--record] [--steps-only]

Runs ``ossa train laptop`` as a user would, in a process of its own, and reports the minutes it took and the mean Dice
over its 20 held-out phantoms. Then the same training step is timed with the process' memory as glibc manages it, which
is what a plain torch loop gets, and kept (training/allocator.py); the ratio is what keeping it gains.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _record import record

STEP = """
import sys, time, torch
torch.set_num_threads(2)
if sys.argv[1] == "kept":
    from ossa.training.allocator import keep_freed_memory
    assert keep_freed_memory()
from ossa.config import load_config
from ossa.models.architectures import build
from ossa.training.arithmetic import has_bf16
config = load_config("laptop")
network = build(config.model.architecture, 29, **config.model.arguments()).to(memory_format=torch.channels_last)
x = torch.randn(8, 1, 384, 384).contiguous(memory_format=torch.channels_last)
y = (torch.rand(8, 29, 192, 192) > 0.97).float()
times = []
for _ in range(10):
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16("cpu")):
        logits = network(x)
    torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), y).backward()
    times.append(time.perf_counter() - start)
print(sorted(times[3:])[3])
"""


def step_seconds(memory: str) -> float:
    """Median seconds of a step of 8 pictures at 384 px in a fresh process; ``memory``: "kept" or "given back"."""
    out = subprocess.run([sys.executable, "-c", STEP, memory], capture_output=True, text=True, check=True)
    return float(out.stdout.split()[-1])


def train(folder: Path) -> tuple[float, float, int]:
    """(minutes, best held-out Dice, steps) of ``ossa train laptop``."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "ossa", "train", "laptop", f"output={folder}"]
    subprocess.run(command, check=True, env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")})
    minutes = (time.perf_counter() - start) / 60
    with (folder / "laptop-001" / "fold0" / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    key = next(k for k in rows[0] if "dice" in k.lower() and "val" in k.lower())
    dice = max(float(row[key]) for row in rows if row[key])
    return minutes, dice, max(int(row["step"]) for row in rows if row["step"]) + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the section of RESULTS.md")
    parser.add_argument("--steps-only", action="store_true", help="only time the step")
    a = parser.parse_args()
    lines = ["`python benchmarks/bench_laptop.py --record`", ""]
    if not a.steps_only:
        with tempfile.TemporaryDirectory() as folder:
            minutes, dice, steps = train(Path(folder))
        lines += [
            f"`ossa train laptop`: 200 phantoms of flat hands at 384 px, {steps} steps of 8, {minutes:.1f} minutes "
            "from the command to the summary, phantoms included.",
            "",
            f"Mean Dice over 20 held-out phantoms: **{dice:.4f}** (asked: .80 in at most 30 minutes).",
            "",
        ]
    plain, kept = step_seconds("given back"), step_seconds("kept")
    lines.append(
        f"One step of 8 at 384 px: {plain:.2f} s with memory given back and asked for again (a plain torch loop), "
        f"{kept:.2f} s kept, {plain / kept:.2f} times as fast."
    )
    if a.record:
        record("Training on a laptop", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
