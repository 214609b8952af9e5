"""How long ``ossa --help`` takes, against the same program that imports its libraries at the start.

python benchmarks/bench_startup.py

Target: below 0.3 s warm.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from _record import record

EAGER = "import cv2, numpy, onnxruntime, pydicom, pydantic, rich, yaml"
CALL = "import sys; sys.argv = ['ossa', '--help']; from ossa.cli import main; main()"


def cost(code: str, repeats: int = 15) -> tuple[float, float]:
    """Shortest wall time and shortest processor time, in ms, of a Python process that runs ``code``.

    The shortest of many: whatever else runs on the machine only adds.
    """
    wall, processor = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall.append(1000 * (time.perf_counter() - start))
        processor.append(1000 * (usage.ru_utime + usage.ru_stime))
        if process.returncode:
            raise SystemExit(f"failed: {code}")
    return min(wall), min(processor)


def main() -> None:
    rows = {
        "python itself": cost("pass"),
        "ossa --help": cost(CALL),
        "the same with the core libraries imported at the start": cost(f"{EAGER}\n{CALL}"),
        "the same with torch as well": cost(f"import torch\n{EAGER}\n{CALL}", repeats=3),
    }
    lazy, eager, with_torch = (rows[name][0] for name in list(rows)[1:])
    record(
        "Start-up (bench_startup.py)",
        [
            "| | ms | processor ms |",
            "|---|---|---|",
            *(f"| {name} | {wall:.0f} | {processor:.0f} |" for name, (wall, processor) in rows.items()),
            "",
            f"{eager / lazy:.1f} and {with_torch / lazy:.0f} times as long. "
            f"Target 300 ms: {'met' if lazy < 300 else 'NOT met'}.",
        ],
    )


if __name__ == "__main__":
    main()
