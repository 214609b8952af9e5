"""Which runtime is the quickest on this CPU: ONNX Runtime or OpenVINO, in float or in 8 bits.

    python benchmarks/bench_engines.py [--model BUNDLE] [--rounds 12]

Processor time of one thread, the least of many rounds in which all take turns, on the shipped network at 512 x 512 px.
``ossa.inference.engine.runs_quick`` chooses by what this table says.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from _record import record
from ossa.bundle.bundle import Bundle
from ossa.inference.engine import OnnxEngine, OpenVinoEngine
from ossa.pipeline.bundle import is_installed


def main() -> None:
    """Open every form, run them in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a bundle with an 8-bit form; default: the shipped one")
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    bundle = Bundle.load(given.model)
    forms = {"32-bit float": bundle.onnx_path}
    if bundle.quick_path is not None:
        forms["8 bits"] = bundle.quick_path
    openers: dict[str, Callable[..., OnnxEngine | OpenVinoEngine]] = {"ONNX Runtime": OnnxEngine}
    if is_installed("openvino"):
        openers["OpenVINO"] = OpenVinoEngine
    engines = {(name, form): open_(path, "cpu", 1) for name, open_ in openers.items() for form, path in forms.items()}
    picture = np.random.default_rng(0).normal(size=(1, bundle.card.channels, 512, 512)).astype(np.float32)
    least = dict.fromkeys(engines, float("inf"))
    for _ in range(given.rounds):
        for key, engine in engines.items():
            start = time.process_time()
            engine(picture)
            least[key] = min(least[key], 1000 * (time.process_time() - start))
    base = least["ONNX Runtime", "32-bit float"]
    record(
        "Runtimes (bench_engines.py)",
        [
            f"{bundle.card.name}, one picture of 512 x 512 px; processor time of one thread, least of {given.rounds}.",
            "",
            "| runtime | numbers | ms | against ONNX Runtime in float |",
            "|---|---|---|---|",
            *(f"| {name} | {form} | {ms:.0f} | {base / ms:.2f}x |" for (name, form), ms in least.items()),
        ],
    )


if __name__ == "__main__":
    main()
