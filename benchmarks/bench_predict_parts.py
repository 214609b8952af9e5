"""What ``ossa predict`` costs on one 2048 x 2048 PNG, part by part, and what the usual way costs.

    python benchmarks/bench_predict_parts.py [--model FOLDER] [--repeats 15]

The usual way: the same network and the same picture, but 29 full-size planes: probabilities up-sampled to 2048 x 2048,
a threshold, run lengths of every plane with numpy. Each way runs in a process of its own, so that its peak memory is
its own. Targets on 2 cores: below 1 s without start-up, below 700 MB.
Bytecode is kept for these processes, as an installed package has it, whatever the environment says.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

SIZE = 2048
CPU = " (processor)"
FIRST = "first-network"
BYTECODE = tempfile.TemporaryDirectory()
SEED = 7


def ours(image: Path, model: str | None, folder: Path) -> tuple[Callable[[], dict[str, float]], float]:
    """A function that predicts once and gives ms per part; and the ms that loading took."""
    start = time.perf_counter()
    from ossa.export.overlay import write_overlay
    from ossa.inference.predictor import Predictor
    from ossa.inference.shafts import with_shafts
    from ossa.labels.competition import write_label
    from ossa.labels.submission import write_submission
    from ossa.radiograph.read import read_radiograph
    from ossa.segmentation import rle

    predictor = Predictor.load(model)
    # The finder sees this hand upright and filling the film: it is looked at as it is, and no quarter turn is tried.
    finder = predictor.finder
    predictor = replace(predictor, networks=replace(predictor.networks, upright=finder is None))
    loading = 1000 * (time.perf_counter() - start)

    def once() -> dict[str, float]:
        clock = Clock()
        radiograph = read_radiograph(image)
        clock.lap("decode the PNG")
        if finder is not None:
            finder.find(radiograph)
            clock.lap("find the hand")
        prepared = predictor.networks.prepare(radiograph)
        clock.lap("prepare")
        look = predictor.networks.look(prepared)
        clock.lap("network")
        segmentation = predictor.tidied(predictor.decode(look))
        clock.lap("regions")
        # What a prediction does after its first look, looks side by side included.
        segmentation = predictor._finished(segmentation, look, prepared, radiograph, 1.0, False)
        clock.lap("closer looks, second look, confidences, refined outlines")
        if predictor.shafts:
            segmentation = with_shafts(segmentation, radiograph.pixels)
            clock.lap("shafts to the film's end")
        for _, region in segmentation:
            rle.text_from_region(region, SIZE)
        clock.lap("run lengths")
        write_label(folder / "hand.json", segmentation, image.name)
        clock.lap("write outlines")
        write_overlay(folder / "hand_overlay.png", radiograph, segmentation)
        clock.lap("write overlay")
        write_submission(folder / "predictions.csv", [(image.name, segmentation)])
        clock.lap("write CSV (with run lengths again)")
        return clock.laps

    return once, loading


def usual(image: Path, model: str | None, folder: Path) -> tuple[Callable[[], dict[str, float]], float]:
    """The same with full planes, as it is usually done."""
    start = time.perf_counter()
    import cv2
    import numpy as np

    from ossa.bundle.bundle import Bundle  # first: ossa keeps ONNX Runtime from reporting

    import onnxruntime  # isort: skip

    bundle = Bundle.load(model)
    size = bundle.card.preparation.size
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(bundle.onnx_path), options, ["CPUExecutionProvider"])
    loading = 1000 * (time.perf_counter() - start)

    def encode(mask: Any) -> str:
        padded = np.concatenate([[0], mask.flatten(), [0]])
        runs = np.where(padded[1:] != padded[:-1])[0] + 1
        runs[1::2] -= runs[::2]
        return " ".join(map(str, runs))

    def once() -> dict[str, float]:
        clock = Clock()
        colour = cv2.imread(str(image))
        clock.lap("decode the PNG")
        grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY).astype(np.float32)
        low, high = np.percentile(grey, (0.5, 99.5))
        grey = cv2.resize(np.clip(grey, low, high), (size, size), interpolation=cv2.INTER_AREA)
        grey = (grey - grey.mean()) / (grey.std() + 1e-6)
        clock.lap("prepare")
        logits = session.run(["logits"], {"image": grey[None, None].astype(np.float32)})[0][0]
        clock.lap("network")
        planes = np.stack([cv2.resize(plane, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for plane in logits])
        masks = (1 / (1 + np.exp(-planes)) > 0.5).astype(np.uint8)
        clock.lap("regions")
        rows = [encode(mask) for mask in masks]
        clock.lap("run lengths")
        (folder / "usual.csv").write_text("\n".join(rows))
        clock.lap("write CSV (with run lengths again)")
        return clock.laps

    return once, loading


class Clock:
    """Milliseconds between laps; those of the processor (all threads) under the name + CPU."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = (time.perf_counter(), time.process_time())

    def lap(self, name: str) -> None:
        now = (time.perf_counter(), time.process_time())
        self.laps[name], self.laps[name + CPU] = (1000 * (a - b) for a, b in zip(now, self._last, strict=True))
        self._last = now


def child(way: str, image: Path, model: str | None, repeats: int) -> None:
    """Run one way and print its figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        once, loading = (ours if way == "ours" else usual)(image, model, Path(folder))
        first = once()
        peak_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        runs = [once() for _ in range(repeats)]
    # The shortest of many: whatever else runs on the machine only adds.
    shortest = {name: min(run[name] for run in runs) for name in runs[0]}
    total, total_cpu = (min(sum(run[n] for n in run if n.endswith(CPU) == cpu) for run in runs) for cpu in (0, 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"parts": shortest, "total": total, "total_cpu": total_cpu,
                      "first": sum(ms for name, ms in first.items() if not name.endswith(CPU)), "loading": loading,
                      "peak": peak, "peak_first": peak_first}))  # fmt: skip


def picture(folder: Path) -> Path:
    """A phantom as the competition stores its pictures: 2048 x 2048, three identical channels."""
    import cv2
    import numpy as np

    from ossa.phantom.scene import PhantomOptions, generate

    radiograph, _ = generate(SEED, SIZE, PhantomOptions(aspect=(1.0, 1.0), wrist_only=0.0))
    path = folder / "hand.png"
    cv2.imwrite(str(path), np.dstack([radiograph.pixels] * 3))
    return path


def measured(way: str, image: Path, model: str | None, repeats: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", way, "--image", str(image), "--repeats", str(repeats)]
    command += ["--model", model] if model else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=kept())
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def program(image: Path, model: str | None, folder: Path, *options: str) -> dict[str, float]:
    """The real program on one image: the shortest of three runs from start to end in seconds, and the peak memory of
    its process in MB."""
    arguments = ["predict", str(image), *options, *(["--model", model] if model else [])]
    seconds, first, first_cpu = [], [], []
    for k in range(4):  # the first one writes bytecode
        before = time.perf_counter()
        command = [sys.executable, __file__, "--timed", str(before), "--", *arguments]
        command += ["-o", str(folder / f"out{len(options)}{k}")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=kept())
        seconds.append(time.perf_counter() - before)
        wall, cpu = map(float, next(line for line in done.stderr.splitlines() if line.startswith(FIRST)).split()[1:])
        first.append(wall)
        first_cpu.append(cpu)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": min(seconds), "peak": peak, "first": min(first), "first_cpu": min(first_cpu)}


def timed(before: float, arguments: list[str]) -> None:
    """``ossa`` itself, which tells besides when its first network runs: seconds since ``before``, and those of the
    processor.

    What imports the engine is watched, so that nothing is imported sooner than the program does.
    """
    from importlib.util import find_spec

    class Watch:
        def find_spec(self, name: str, *_: Any) -> Any:
            if name != "ossa.inference.engine":
                return None
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            spec = find_spec(name)
            assert spec is not None
            assert spec.loader is not None
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                run = module.OnnxEngine.__call__

                def first(engine: Any, batch: Any) -> Any:
                    module.OnnxEngine.__call__ = run
                    print(FIRST, time.perf_counter() - before, time.process_time(), file=sys.stderr)
                    return run(engine, batch)

                module.OnnxEngine.__call__ = first

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, Watch())  # type: ignore[arg-type]
    sys.argv = ["ossa", *arguments]
    from ossa.cli import main as ossa

    ossa()


def kept() -> dict[str, str]:
    """The environment of a process that keeps its bytecode in a folder of this run."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**environment, "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", BYTECODE.name)}


def report(
    new: dict[str, Any], old: dict[str, Any], whole: dict[str, float], fast: dict[str, float], repeats: int
) -> list[str]:
    """The table and a sentence."""
    parts, planes = new["parts"], old["parts"]
    names = [name for name in parts if not name.endswith(CPU)]
    both = [name for name in names if name in planes]

    def row(name: str, ours: float, ours_cpu: float, theirs: float | None) -> str:
        return f"| {name} | {ours:.1f} | {ours_cpu:.1f} | {'-' if theirs is None else f'{theirs:.1f}'} |"

    after = ("regions", "run lengths")
    faster = sum(planes[n] for n in after) / sum(parts[n] for n in after)
    met = new["total"] < 1000 and max(new["peak"], whole["peak"]) < 700
    return [
        "| one 2048 x 2048 PNG, 3 channels | ms | processor ms | with full planes, ms |",
        "|---|---|---|---|",
        *(row(name, parts[name], parts[name + CPU], planes.get(name)) for name in names),
        row("**all, without start-up**", new["total"], new["total_cpu"], old["total"]),
        row(
            "the parts that both have",
            *(sum(d[n + s] for n in both) for d, s in ((parts, ""), (parts, CPU), (planes, ""))),
        ),
        f"| the first image of a process | {new['first']:.0f} | - | {old['first']:.0f} |",
        f"| start-up: imports, reading and checking the model | {new['loading']:.0f} | - | {old['loading']:.0f} |",
        f"| the whole program until its first network runs | {1000 * whole['first']:.0f} "
        f"| {1000 * whole['first_cpu']:.0f} | - |",
        f"| the whole program, start-up included | {1000 * whole['seconds']:.0f} | - | - |",
        f"| the whole program with --fast | {1000 * fast['seconds']:.0f} | - | - |",
        f"| peak memory of the whole program, MB | {whole['peak']:.0f} | - | - |",
        f"| peak memory of the process that was measured, MB | {new['peak']:.0f} | - | {old['peak']:.0f} |",
        "",
        f"Regions and run lengths {faster:.0f} times faster than with full planes, "
        f"peak memory {old['peak'] / new['peak']:.1f} times lower.",
        f"The shortest of {repeats} runs each; load average of the machine {os.getloadavg()[0]:.1f}.",
        f"Targets 1,000 ms and 700 MB: {'met' if met else 'NOT met'}.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a bundle; default: the shipped one")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--child", choices=("ours", "usual"), help=argparse.SUPPRESS)
    parser.add_argument("--image", type=Path, help="another picture of 2048 x 2048")
    parser.add_argument("--timed", type=float, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.timed is not None:
        timed(arguments.timed, arguments.rest)
    if arguments.child:
        child(arguments.child, arguments.image, arguments.model, arguments.repeats)
        return
    from _record import record

    with tempfile.TemporaryDirectory() as folder:
        image = arguments.image or picture(Path(folder))
        # First: the peak of the children so far is then that of the program.
        whole = program(image, arguments.model, Path(folder))
        fast = program(image, arguments.model, Path(folder), "--fast")
        new = measured("ours", image, arguments.model, arguments.repeats)
        old = measured("usual", image, arguments.model, arguments.repeats)
    record("ossa predict, part by part", report(new, old, whole, fast, arguments.repeats))


if __name__ == "__main__":
    main()
