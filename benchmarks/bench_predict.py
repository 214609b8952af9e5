"""``ossa predict`` over many 2048 px phantoms: images per second, where the time goes, memory over the run.

    python benchmarks/bench_predict.py [--images 100] [--model FOLDER] [--usual 10]

The usual way: smp Unet-resnet18 (random weights: the time is the same) in ONNX Runtime at the same input size, then
probabilities up-sampled to 29 x 2048 x 2048, threshold, numpy run lengths; images read one after the other. Both write
a submission CSV and nothing else (overlays and outlines are extra and measured in bench_predict_parts.py). Targets: 5x
the images per second, 90 % of the time in network and image decoding, flat memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from _record import record
from bench_after_network import SIZE, status, usual
from ossa.inference.engine import OnnxEngine
from ossa.inference.predictor import Predictor
from ossa.labels.submission import COLUMNS, submission_rows
from ossa.parallel import read_ahead
from ossa.phantom.scene import generate
from ossa.radiograph.prepare import Preparation, prepare
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.read import read_radiograph

THREADS = 2


def phantoms(folder: Path, count: int) -> list[Path]:
    """``count`` PNG files at 2048 px of at most eight different phantoms."""
    different = [generate(990_000_200 + seed, SIZE)[0].pixels for seed in range(min(8, count))]
    paths = []
    for i in range(count):
        path = folder / f"phantom{i:03d}.png"
        cv2.imwrite(str(path), different[i % len(different)])
        paths.append(path)
    return paths


def ours(paths: list[Path], model: str | None, output: Path) -> tuple[float, dict[str, float], list[float]]:
    """Seconds, seconds per part (decoding runs beside the network), resident MB after each image."""
    predictor = Predictor.load(model, "cpu", fast=True, threads=THREADS)
    parts: dict[str, float] = defaultdict(float)
    memory = []

    def read(path: Path):
        begin = time.perf_counter()
        radiograph = read_radiograph(path)
        parts["decode (in the reading thread)"] += time.perf_counter() - begin
        return radiograph

    start = time.perf_counter()
    with output.open("w") as stream:
        stream.write(",".join(COLUMNS) + "\n")
        waited = time.perf_counter()
        for path, radiograph in read_ahead(paths, read):
            if isinstance(radiograph, Exception):
                raise radiograph
            laps = [waited, time.perf_counter()]
            prepared = predictor.networks.prepare(radiograph)
            laps.append(time.perf_counter())
            look = predictor.networks.look(prepared)
            laps.append(time.perf_counter())
            segmentation = predictor.tidied(predictor.decode(look))
            laps.append(time.perf_counter())
            stream.write(submission_rows(path.name, segmentation))
            laps.append(time.perf_counter())
            names = ("waiting for the decoder", "prepare", "network", "regions", "run lengths")
            for name, a, b in zip(names, laps, laps[1:], strict=False):
                parts[name] += b - a
            memory.append(status("VmRSS") / 1024)
            waited = time.perf_counter()
    return time.perf_counter() - start, dict(parts), memory


def usual_model(folder: Path) -> OnnxEngine:
    """smp Unet-resnet18, one channel, 29 classes, as ONNX."""
    import torch

    from ossa.bundle.onnx import write_onnx
    from ossa.models.architectures import build

    network = build("unet", 29, encoder="resnet18").eval()
    with torch.no_grad():  # few pixels above the threshold, as with a trained one
        for parameter in list(network.parameters())[-1:]:
            parameter.fill_(-1.0)
    write_onnx(network, folder / "unet.onnx", (2, 1, 128, 96))
    return OnnxEngine(folder / "unet.onnx", "cpu", THREADS)


def main(images: int, model: str | None, usual_images: int) -> None:
    with tempfile.TemporaryDirectory() as work:
        paths = phantoms(Path(work), images)
        preparation = Predictor.load(model, "cpu", fast=True).networks.members[0].preparation
        seconds, parts, memory = ours(paths, model, Path(work) / "ours.csv")
        engine = usual_model(Path(work))  # after ours: torch would count as our memory
        start = time.perf_counter()
        network = 0.0
        for path in paths[:usual_images]:
            grey = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY)
            radiograph = Radiograph(grey)
            grid, placement = prepare(radiograph, Preparation(preparation.size, preparation.multiple))
            begin = time.perf_counter()
            logits = engine(grid[None])[0]
            network += time.perf_counter() - begin
            content = logits[:, : placement.content_shape[0], : placement.content_shape[1]]
            usual(np.ascontiguousarray(content), grey.shape)
        reference = (time.perf_counter() - start) / usual_images
    each = seconds / images
    busy = {name: t for name, t in parts.items() if name != "waiting for the decoder"}
    working = busy["decode (in the reading thread)"] + busy["network"]
    lines = [
        f"{images} phantoms of longer side {SIZE} px, grid {preparation.size} px, {THREADS} threads, to a submission "
        f"CSV; the usual way on {usual_images} of them.",
        "",
        "| | usual (Unet-resnet18) | ossa | ratio |",
        "|---|---|---|---|",
        f"| images per second | {1 / reference:.2f} | {1 / each:.2f} | {reference / each:.1f}x |",
        f"| network alone, ms per image | {1000 * network / usual_images:.0f} | {1000 * parts['network'] / images:.0f} "
        f"| {network / usual_images / (parts['network'] / images):.1f}x |",
        "",
        "Ours, ms per image: " + ", ".join(f"{name} {1000 * t / images:.1f}" for name, t in parts.items()) + ".",
        f"Network and image decoding take {100 * working / sum(busy.values()):.0f} % of the work. "
        f"Resident memory after image 10 {memory[min(9, images - 1)]:.0f} MB, at the end {memory[-1]:.0f} MB.",
    ]
    record("Prediction over many images (bench_predict.py)", lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--usual", type=int, default=10)
    parser.add_argument("--model")
    given = parser.parse_args()
    main(given.images, given.model, min(given.usual, given.images))
