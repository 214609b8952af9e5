"""How long ``ossa --help`` takes, against the same program that imports its libraries at the start.

python benchmarks/bench_startup.py

Target: below 0.3 s warm.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from _record import record

EAGER = "import cv2, numpy, onnxruntime, pydicom, pydantic, rich, yaml"
CALL = "import sys; sys.argv = ['ossa', '--help']; from ossa.cli import main; main()"


def seconds(code: str, repeats: int = 9) -> float:
    """Median wall time of a Python process that runs ``code``, after one run to warm the disk cache."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    bare, lazy, eager = seconds("pass"), seconds(CALL), seconds(f"{EAGER}\n{CALL}")
    with_torch = seconds(f"import torch\n{EAGER}\n{CALL}", repeats=3)
    record(
        "Start-up (bench_startup.py)",
        [
            "| | ms |",
            "|---|---|",
            f"| python itself | {1000 * bare:.0f} |",
            f"| ossa --help | {1000 * lazy:.0f} |",
            f"| the same with the core libraries imported at the start | {1000 * eager:.0f} |",
            f"| the same with torch as well | {1000 * with_torch:.0f} |",
            "",
            f"{eager / lazy:.1f} and {with_torch / lazy:.0f} times as long. "
            f"Target 300 ms: {'met' if lazy < 0.3 else 'NOT met'}.",
        ],
    )


if __name__ == "__main__":
    main()
