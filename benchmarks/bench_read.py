"""Reading one 2048 x 2048 radiograph and preparing it for the network: the usual way and this package's.

    python benchmarks/bench_read.py [--repeats 7]

The usual way: cv2.imread to three channels, to float32, resize with bilinear interpolation, mean and SD per channel,
channels first. Both start from the same files and run in processes of their own, so that peak memory is their own.
Target: reading costs little more than the decoder alone, with every check of the file and of its polarity.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIDE = 512
SIZE = 2048


def write_files(folder: Path) -> dict[str, Path]:
    """The same phantom as PNG (grey, three equal channels, 16 bit), JPEG and DICOM."""
    import cv2

    from ossa.phantom.scene import generate

    picture = generate(3, SIZE)[0].pixels
    found = {}
    for name, pixels in (
        ("PNG, grey", picture),
        ("PNG, three channels", np.repeat(picture[:, :, None], 3, axis=2)),
        ("PNG, 16 bit", picture.astype(np.uint16) * 16),
        ("JPEG", picture),
    ):
        ending = "jpg" if name == "JPEG" else "png"
        found[name] = folder / f"{len(found)}.{ending}"
        cv2.imwrite(str(found[name]), pixels)
    return found


def usual(path: Path) -> np.ndarray:
    """(3, 512, 512) float32."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_COLOR).astype(np.float32) / 255
    small = cv2.resize(picture, (SIDE, SIDE))
    return np.ascontiguousarray(((small - small.mean((0, 1))) / (small.std((0, 1)) + 1e-6)).transpose(2, 0, 1))


def decoder(path: Path) -> np.ndarray:
    import cv2

    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)


def reader(path: Path) -> object:
    from ossa.radiograph.read import read_radiograph

    return read_radiograph(path)


def ours(path: Path) -> object:
    from ossa.radiograph.prepare import Preparation, prepare
    from ossa.radiograph.read import read_radiograph

    return prepare(read_radiograph(path), Preparation(SIDE))


WAYS: dict[str, Callable[[Path], object]] = {"usual": usual, "decoder": decoder, "read": reader, "ours": ours}


def peak_mb() -> float:
    """Peak memory of this process (its own, unlike ru_maxrss, which a child takes over from its parent)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(way: str, path: Path, repeats: int) -> dict[str, float]:
    """Median and least milliseconds of processor time, and how much the peak memory rose, in this process."""
    import cv2

    import ossa.radiograph.prepare
    import ossa.radiograph.raster  # noqa: F401

    cv2.setNumThreads(1)
    before = peak_mb()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        WAYS[way](path)
        times.append((time.process_time() - began) * 1e3)
    return {"ms": statistics.median(times), "least": min(times), "mb": peak_mb() - before}


def main() -> None:
    from _record import record

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], Path(options.one[1]), options.repeats)))
        return
    lines = [
        f"One {SIZE}x{SIZE} picture; median (least) processor time in ms, rise of the peak memory in MB.",
        "",
        "| file | usual, to the grid | ossa, to the grid | ratio | decoder alone | ossa, read | usual, MB | ossa, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write_files(Path(folder)).items():
            result = {}
            for way in WAYS:
                command = [sys.executable, __file__, "--one", way, str(path), "--repeats", str(options.repeats)]
                result[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            cells = [
                f"{result[way]['ms']:.1f} ({result[way]['least']:.1f})" for way in ("usual", "ours", "decoder", "read")
            ]
            ratio = result["usual"]["ms"] / result["ours"]["ms"]
            lines.append(
                f"| {name} | {cells[0]} | {cells[1]} | {ratio:.1f}x | {cells[2]} | {cells[3]} "
                f"| {result['usual']['mb']:.0f} | {result['ours']['mb']:.0f} |"
            )
    record("Reading (bench_read.py)", lines)


if __name__ == "__main__":
    main()
