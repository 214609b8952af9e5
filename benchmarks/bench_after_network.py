"""From a network's logits to run lengths of 29 bones at 2048 x 2048: the usual way and this package's.

    python benchmarks/bench_after_network.py [--repeats 3]

The usual way: up-sample 29 planes (torch, bilinear), sigmoid, threshold .5, numpy run lengths of each plane. Both ways
start from the same logits of a phantom's bones and run in processes of their own, so that peak memory is their own.
Targets: 60x faster from logits at 1024, 100x from 512, 20x less memory, identical run lengths at any scale.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SEED = 7
SIZE = 2048

#: Logits' longer side, picture (H, W): two powers of two, and scales that are none.
CASES = ((1024, (2048, 2048)), (512, (2048, 2048)), (256, (2048, 2048)), (352, (2048, 1650)), (480, (1999, 1531)))


def made_logits(side: int, shape: tuple[int, int]) -> np.ndarray:
    """Logits (29, h, w) of a phantom's true bones: soft at the outline, with smooth noise."""
    import cv2

    from ossa.phantom.scene import generate

    _, truth = generate(SEED, SIZE)
    rng = np.random.default_rng(0)
    scale = side / max(shape)
    low = (round(shape[0] * scale), round(shape[1] * scale))
    out = np.empty((len(truth.schema), *low), np.float32)
    for i, name in enumerate(truth.schema.names):
        plane = cv2.resize(truth.plane(name).astype(np.uint8) * 255, low[::-1], interpolation=cv2.INTER_AREA)
        inner = cv2.distanceTransform((plane > 127).astype(np.uint8), cv2.DIST_L2, 5)
        outer = cv2.distanceTransform((plane <= 127).astype(np.uint8), cv2.DIST_L2, 5)
        noise = cv2.GaussianBlur(rng.normal(size=low).astype(np.float32), (0, 0), 2) * 3
        out[i] = np.clip(1.5 * (inner - outer) + noise, -12, 12)
    return out


def usual(logits: np.ndarray, shape: tuple[int, int]) -> list[str]:
    """29 full-size float planes, as scripts for this task do it."""
    import torch

    torch.set_num_threads(1)
    with torch.inference_mode():
        full = torch.nn.functional.interpolate(
            torch.from_numpy(logits)[None], size=shape, mode="bilinear", align_corners=False
        )
        masks = (torch.sigmoid(full) > 0.5)[0].numpy()
    out = []
    for mask in masks:
        pixels = np.concatenate([[0], mask.flatten(), [0]])
        runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
        runs[1::2] -= runs[::2]
        out.append(" ".join(str(x) for x in runs))
    return out


def ours(logits: np.ndarray, shape: tuple[int, int]) -> list[str]:
    """Region by region."""
    from ossa.radiograph.prepare import Placement
    from ossa.schema import load_schema
    from ossa.segmentation import rle
    from ossa.segmentation.decode import decode

    low = (logits.shape[1], logits.shape[2])
    placement = Placement(shape, low, low, low[0] / shape[0], low[1] / shape[1])
    schema = load_schema()
    found = decode(logits, placement, schema)
    return [rle.text_from_region(found.get(name), shape[1]) for name in schema.names]


def child(way: str, file: Path, height: int, width: int, repeats: int) -> None:
    """Run one way; print its time, its memory above what the process held before, and the run lengths' file."""
    logits = np.load(file)
    work = usual if way == "usual" else ours
    small = np.ascontiguousarray(logits[:, ::16, ::16])
    work(small, (64, 64))  # imports and first calls
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again here
    # CPU time of one thread: wall time says little where other work shares the cores.
    times = []
    for _ in range(repeats):
        start = time.process_time()
        texts = work(logits, (height, width))
        times.append(1000 * (time.process_time() - start))
    ms = statistics.median(times)
    after = status("VmHWM")
    result = file.with_suffix(f".{way}.json")
    result.write_text(json.dumps(texts))
    print(json.dumps({"ms": ms, "mb": (after - before) / 1024}))


def status(key: str) -> int:
    """A figure of this process in kB, from Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def pixels(text: str, count: int) -> np.ndarray:
    """The flat mask of run lengths."""
    out = np.zeros(count, bool)
    numbers = np.array(text.split(), int)
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        out[start - 1 : start - 1 + length] = True
    return out


def main(repeats: int) -> None:
    from _record import record

    lines = [
        "Logits of a phantom's 29 bones to run lengths; usual: torch up-sampling to full planes, sigmoid, threshold, "
        "numpy run lengths. CPU time of one thread, median; memory: peak above what the process held before.",
        "",
        "| logits | picture | usual, ms | ossa, ms | ratio | usual, MB | ossa, MB | ratio | differing pixels |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as work:
        for side, shape in CASES:
            file = Path(work) / f"{side}.npy"
            logits = made_logits(side, shape)
            np.save(file, logits)
            found = {}
            for way, times in (("usual", repeats), ("ours", 7 * repeats)):
                command = [sys.executable, __file__, "--child", way, str(file), *map(str, shape), str(times)]
                found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            a, b = (json.loads(file.with_suffix(f".{way}.json").read_text()) for way in ("usual", "ours"))
            count = shape[0] * shape[1]
            differ = sum(int((pixels(x, count) != pixels(y, count)).sum()) for x, y in zip(a, b, strict=True) if x != y)
            u, o = found["usual"], found["ours"]
            lines.append(
                f"| {logits.shape[1]}x{logits.shape[2]} | {shape[0]}x{shape[1]} | {u['ms']:.0f} | {o['ms']:.1f} "
                f"| {u['ms'] / o['ms']:.0f}x | {u['mb']:.0f} | {o['mb']:.1f} | {u['mb'] / max(o['mb'], 0.1):.0f}x "
                f"| {differ} |"
            )
            print(lines[-1], flush=True)
    record("After the network (bench_after_network.py)", lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs=5, metavar=("WAY", "FILE", "H", "W", "REPEATS"))
    given = parser.parse_args()
    if given.child:
        way, path, height, width, times = given.child
        child(way, Path(path), int(height), int(width), int(times))
    else:
        main(given.repeats)
